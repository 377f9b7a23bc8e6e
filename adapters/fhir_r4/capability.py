"""What a server says that it can do: its CapabilityStatement, read once an hour."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import msgspec
from cachetools import TLRUCache

from adapters.errors import AdapterError
from adapters.transport import Channel

__all__ = ["Capability", "Listed", "Reader", "Statements", "read_statement"]

_KNOWN = 3600.0
_NOT_KNOWN = 60.0
"""Seconds that a failure to read the statement is remembered, so that not every lookup waits for it."""


@dataclass(frozen=True, slots=True)
class Listed:
    """What a statement lists for one type.

    Attributes:
        searchable: it can be searched at all; so it is if the statement doesn't say.
        parameters: search parameters; empty if it doesn't say (a summary leaves them out).
        includes: `searchInclude`.
    """

    searchable: bool = True
    parameters: frozenset[str] = frozenset()
    includes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class Capability:
    """What a server can do.

    Attributes:
        types: the types it lists; None if its statement could not be read.
        everything: it offers `Patient/{id}/$everything`.
        batch: it lists the system interaction `batch`.
        r4: its FHIR version is some R4, or not said.
    """

    types: Mapping[str, Listed] | None = None
    everything: bool = False
    batch: bool = False
    r4: bool = True

    def lists(self, resource_type: str) -> Listed | None:
        """What is listed for a type; where nothing is known, every type might be there."""
        return Listed() if self.types is None else self.types.get(resource_type)


UNKNOWN: Final = Capability()
"""Of a server whose statement could not be read."""


class _Code(msgspec.Struct, gc=False):
    code: str = ""


class _Parameter(msgspec.Struct, gc=False):
    name: str = ""


class _Operation(msgspec.Struct, gc=False):
    name: str = ""
    definition: str = ""

    def is_patient_everything(self) -> bool:
        definition = self.definition.partition("|")[0]
        return self.name.lstrip("$") in {"everything", "patient-everything"} or definition.endswith(
            "/Patient-everything"
        )


class _Type(msgspec.Struct, rename="camel"):
    type: str = ""
    interaction: list[_Code] = []
    search_param: list[_Parameter] = []
    search_include: list[str] = []
    operation: list[_Operation] = []


class _Rest(msgspec.Struct):
    mode: str = "server"
    resource: list[_Type] = []
    interaction: list[_Code] = []
    operation: list[_Operation] = []


class _Statement(msgspec.Struct, rename="camel"):
    resource_type: str
    fhir_version: str = "4.0.1"
    rest: list[_Rest] = []


_DECODER = msgspec.json.Decoder(_Statement)

_LONGEST = 4_000_000
_MOST_OBJECTS = 10_000
_MOST_QUOTES = 200_000
"""More than a server says that can do everything: beyond that, to read it would hold the loop."""
_MOST_TYPES = 500
"""R4 has 146."""


def read_statement(body: bytes) -> Capability:
    """Read a CapabilityStatement; what can't be read says nothing, and gives UNKNOWN."""
    if len(body) > _LONGEST or body.count(b"{") > _MOST_OBJECTS or body.count(b'"') > _MOST_QUOTES:
        return UNKNOWN
    try:
        statement = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return UNKNOWN
    rest = next((rest for rest in statement.rest if rest.mode == "server"), None)
    if statement.resource_type != "CapabilityStatement" or rest is None or not 0 < len(rest.resource) <= _MOST_TYPES:
        return UNKNOWN
    patient = [operation for listed in rest.resource if listed.type == "Patient" for operation in listed.operation]
    system = [operation for operation in rest.operation if "Patient" in operation.definition]
    return Capability(
        types=MappingProxyType({listed.type: _listed(listed) for listed in rest.resource}),
        everything=any(operation.is_patient_everything() for operation in (*patient, *system)),
        batch=any(interaction.code == "batch" for interaction in rest.interaction),
        r4=statement.fhir_version.startswith("4."),
    )


def _listed(listed: _Type) -> Listed:
    return Listed(
        searchable=not listed.interaction or any(i.code == "search-type" for i in listed.interaction),
        parameters=frozenset(parameter.name for parameter in listed.search_param),
        includes=frozenset(listed.search_include),
    )


@dataclass(slots=True)
class _Flight:
    """A statement being read, and how many lookups want it."""

    task: asyncio.Task[None]
    readers: int = 0


class Statements:
    """One server's statement: cached, and read once however many lookups want it."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._flight: _Flight | None = None
        self._cache: TLRUCache[str, Capability] = TLRUCache(
            1, ttu=lambda _, capability, now: now + (_NOT_KNOWN if capability.types is None else _KNOWN)
        )

    @asynccontextmanager
    async def reader(self, correlation_id: str) -> AsyncIterator["Reader"]:
        """Begin to read the statement, if it is not known; that goes on while anybody who wants it is here."""
        if self.known() is not None:
            yield Reader(self)
            return
        if self._flight is None:
            self._flight = _Flight(asyncio.create_task(self._read(correlation_id)))
        flight = self._flight
        flight.readers += 1
        try:
            yield Reader(self, flight.task)
        finally:
            flight.readers -= 1
            if not flight.readers:
                self._flight = None
                if not flight.task.done():
                    flight.task.cancel()
                    await asyncio.wait({flight.task})

    def known(self) -> Capability | None:
        """The statement, or that it could not be read; None while it has not been tried."""
        return self._cache.get(self._channel.base_url)

    def learned(self, capability: Capability) -> None:
        """Keep it for an hour; for a minute only that it could not be read."""
        self._cache[self._channel.base_url] = capability

    async def _read(self, correlation_id: str) -> None:
        # Its own time and limits, not those of the lookup that happened to come first.
        deadline = asyncio.get_running_loop().time() + self._channel.source.timeout
        exchange = self._channel.exchange(deadline=deadline, correlation_id=correlation_id)
        try:
            answer = await exchange.get("/metadata?_summary=true")
            self.learned(read_statement(answer.body))
        except AdapterError as error:
            if not error.passing:  # else it says nothing: a server that is back in a moment is asked again
                self.learned(UNKNOWN)
        self._flight = None


class Reader:
    """One lookup's view of the statement."""

    def __init__(self, statements: Statements, task: asyncio.Task[None] | None = None) -> None:
        self._statements = statements
        self._task = task

    async def until(self, moment: float) -> Capability:
        """The statement, waited for until `moment` on the loop's clock; an empty one if it takes longer.

        One that was late for a lookup is not waited for by the next, until it has come or a minute has passed.
        """
        if self._task is not None and self._statements.known() is None:
            await asyncio.wait({self._task}, timeout=max(moment - asyncio.get_running_loop().time(), 0))
        capability = self._statements.known()
        if capability is None:
            capability = UNKNOWN
            self._statements.learned(capability)
        return capability
