"""Reading resources by reference: in one step, whatever the server offers for that."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from adapters.contract import Arrival, Resource, Source, Unread
from adapters.errors import AdapterError, SourceFailed, SourceMalformed
from adapters.fhir_r4.bundle import TooDense, weigh
from adapters.fhir_r4.capability import Statements
from adapters.fhir_r4.envelope import finding_of_status, head_of, open_bundle, worst
from adapters.fhir_r4.lookup import FHIR_ID, STATEMENT_SHARE, batch_of
from adapters.fhir_r4.queries import Queries
from adapters.fhir_r4.search import REFUSALS, Searcher
from adapters.findings import Finding
from adapters.pace import paced
from adapters.transport import Exchange

__all__ = ["Reading"]

Give = Callable[[Resource | Unread], None]

_NO_SUCH_THING: Final = frozenset({404, 410})


class Reading:
    """One call of `read`. `run` answers each reference once."""

    def __init__(
        self,
        *,
        references: Sequence[str],
        correlation_id: str,
        source: Source,
        exchange: Exchange,
        queries: Queries,
        searcher: Searcher,
        statements: Statements,
    ) -> None:
        self._references = tuple(dict.fromkeys(references))
        self._correlation_id = correlation_id
        self._source = source
        self._exchange = exchange
        self._queries = queries
        self._searcher = searcher
        self._statements = statements

    async def run(self, give: Give) -> None:
        """Read them all; an AdapterError means that the source failed as a whole."""
        wanted = []
        for reference in self._references:
            if _is_reference(reference):
                wanted.append(reference)
            else:
                give(Unread(reference, Finding.MALFORMED))
        if not wanted:
            return
        now = asyncio.get_running_loop().time()
        async with self._statements.reader(self._correlation_id) as reader:
            capability = await reader.until(now + (self._exchange.deadline - now) * STATEMENT_SHARE)
            if capability.batch and len(wanted) > 1 and await self._batch(wanted, give):
                return
            by_id: defaultdict[str, list[str]] = defaultdict(list)
            singly = []
            for reference in wanted:
                name, _, local_id = reference.partition("/")
                listed = capability.lists(name)
                if listed is not None and listed.searchable and "_id" in listed.parameters:
                    by_id[name].append(local_id)
                else:
                    singly.append(reference)
            async with asyncio.TaskGroup() as group:
                for name, ids in by_id.items():
                    group.create_task(self._search(name, ids, give))
                for reference in singly:
                    group.create_task(self._one(reference, give))

    async def _batch(self, references: Sequence[str], give: Give) -> bool:
        """One Bundle of reads; False if the server refuses."""
        answer = await self._exchange.post("", batch_of(references), "application/fhir+json")
        if answer.status in REFUSALS:
            return False
        if answer.status != 200:  # noqa: PLR2004
            raise SourceFailed(f"status {answer.status}")
        entries = await paced(open_bundle(answer.body))
        if len(entries) != len(references):
            raise SourceMalformed("its batch-response does not match the batch")
        for reference, entry in zip(references, entries, strict=True):
            give(_answer(reference, entry.status, Resource(entry.resource, full_url=entry.full_url)))
        return True

    async def _search(self, name: str, ids: Sequence[str], give: Give) -> None:
        """One search by `_id`; what is not among its hits is not there, if each of them says which it is."""
        missing = {f"{name}/{local_id}" for local_id in ids}
        nameless = False

        def sift(resources: Iterable[Resource]) -> None:
            nonlocal nameless
            for resource in resources:
                head = head_of(resource.content)  # type: ignore[arg-type]
                reference = f"{head.resource_type}/{head.id}"
                nameless |= not head.id
                if reference in missing:
                    missing.remove(reference)
                    give(resource)

        outcome = await self._searcher.search(self._queries.by_id(name, ids), Arrival.RECORD, sift)
        finding = worst(outcome.finding, Finding.TRUNCATED) if nameless else outcome.finding
        for reference in sorted(missing):
            give(Unread(reference, finding))

    async def _one(self, reference: str, give: Give) -> None:
        try:
            answer = await self._exchange.get(f"/{reference}")
            await paced(weigh(answer.body, 0, len(answer.body)))
        except AdapterError as error:
            give(Unread(reference, error.finding))
            return
        except TooDense:
            give(Unread(reference, Finding.MALFORMED))
            return
        give(_answer(reference, answer.status, Resource(answer.body)))


def _answer(reference: str, status: int, resource: Resource) -> Resource | Unread:
    """What came, if it is what was asked for."""
    finding = Finding.ANSWERED if status in _NO_SUCH_THING else finding_of_status(status)
    if status in _NO_SUCH_THING or finding is not Finding.ANSWERED:
        return Unread(reference, finding)
    head = head_of(resource.content)  # type: ignore[arg-type]
    return resource if f"{head.resource_type}/{head.id}" == reference else Unread(reference, Finding.MALFORMED)


def _is_reference(reference: str) -> bool:
    name, _, local_id = reference.partition("/")
    return name.isascii() and name.isalpha() and FHIR_ID.fullmatch(local_id) is not None
