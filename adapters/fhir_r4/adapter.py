"""The adapter for FHIR R4 servers: what is kept between lookups, and the two doors of the contract.

Nothing clinical is kept: what the server can do, how many steps each approach took, whether it takes searches by POST.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence

from adapters.contract import Learned, Resource, Source, SourceRequest, Unread
from adapters.fhir_r4.approach import Memory
from adapters.fhir_r4.capability import Statements
from adapters.fhir_r4.lookup import Lookup
from adapters.fhir_r4.queries import Queries
from adapters.fhir_r4.reading import Reading
from adapters.fhir_r4.search import Searcher
from adapters.fhir_r4.stream import stream
from adapters.transport import Exchange, Transport

__all__ = ["FhirR4Adapter"]

_LAST_WORDS = 0.05
"""Seconds before the deadline at which we stop waiting, at most: to say what was learned takes a moment too."""
_LAST_WORDS_SHARE = 0.02


class FhirR4Adapter:
    """One FHIR R4 server. See `adapters.contract.Adapter`."""

    def __init__(self, source: Source, transport: Transport) -> None:
        self._source = source
        self._channel = transport.open(source)
        self._queries = Queries(source.base_url)
        self._statements = Statements(self._channel)
        self._memory = Memory()

    def fetch(self, request: SourceRequest) -> AsyncIterator[Resource | Sequence[Resource] | Learned]:
        """Find every local record of the identity set, and yield what they hold."""
        exchange = self._exchange(request)
        lookup = Lookup(
            request=request,
            source=self._source,
            exchange=exchange,
            queries=self._queries,
            searcher=Searcher(exchange, self._source, self._memory),
            statements=self._statements,
            memory=self._memory,
        )
        return stream(lookup.run)

    def read(self, request: SourceRequest, references: Sequence[str]) -> AsyncIterator[Resource | Unread]:
        """Read in one batch where the server lists it, else by `_id` where it lists that, else side by side."""
        exchange = self._exchange(request)
        reading = Reading(
            references=references,
            correlation_id=request.correlation_id,
            source=self._source,
            exchange=exchange,
            queries=self._queries,
            searcher=Searcher(exchange, self._source, self._memory),
            statements=self._statements,
        )
        return stream(reading.run)

    def _exchange(self, request: SourceRequest) -> Exchange:
        now = asyncio.get_running_loop().time()
        left = min(request.deadline - now, self._source.timeout)
        deadline = now + left - min(_LAST_WORDS, left * _LAST_WORDS_SHARE)
        return self._channel.exchange(deadline=deadline, correlation_id=request.correlation_id)
