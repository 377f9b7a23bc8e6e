"""One lookup at one FHIR R4 server, from the patient's numbers to everything that was learned."""

import asyncio
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec

from adapters.contract import Arrival, Learned, Resource, Source, SourceRequest
from adapters.errors import AdapterError, PatientNotFound, SourceFailed, SourceMalformed
from adapters.fhir_r4.approach import Approach, Memory
from adapters.fhir_r4.capability import Statements
from adapters.fhir_r4.envelope import UNREADABLE, finding_of_status, open_bundle, open_page
from adapters.fhir_r4.ledger import Ledger
from adapters.fhir_r4.plan import Plan, Search, make_plan
from adapters.fhir_r4.queries import COUNT, NHS_NUMBER_SYSTEMS, Queries, Query
from adapters.fhir_r4.search import REFUSALS, UNKNOWN_PARAMETER, Outcome, Searcher
from adapters.findings import Finding
from adapters.pace import paced
from adapters.transport import Exchange

__all__ = ["FHIR_ID", "STATEMENT_SHARE", "Lookup", "batch_of"]

FHIR_ID: Final = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9\-.]{1,64}")
STATEMENT_SHARE: Final = 0.25
"""Of the time there is, for a CapabilityStatement that is not known yet."""
_LOCAL_RECORDS: Final = 10
"""Local records of one patient that are fetched."""

_IN_VAIN: Final = frozenset({Finding.TIMED_OUT, Finding.FAILED, Finding.MALFORMED})
"""After these another approach may do better; a server that is busy or refuses us would not."""

Give = Callable[[Sequence[Resource] | Learned], None]


class _Identifier(msgspec.Struct, gc=False):
    system: str = ""
    value: str = ""


class _Patient(msgspec.Struct, rename="camel"):
    resource_type: str = ""
    id: str = ""
    identifier: list[_Identifier] = []


_PATIENT: Final = msgspec.json.Decoder(_Patient)


class Lookup:
    """One lookup. `run` gives what comes, and returns once every type is reported."""

    def __init__(
        self,
        *,
        request: SourceRequest,
        source: Source,
        exchange: Exchange,
        queries: Queries,
        searcher: Searcher,
        statements: Statements,
        memory: Memory,
    ) -> None:
        self._request = request
        self._source = source
        self._exchange = exchange
        self._queries = queries
        self._searcher = searcher
        self._statements = statements
        self._memory = memory

    async def run(self, give: Give) -> None:
        """Find the local records and fetch each.

        Raises:
            AdapterError: the search for the patient failed, or found nobody, so nothing is known of any type.
        """
        now = asyncio.get_running_loop().time()
        async with self._statements.reader(self._request.correlation_id) as reader:
            found = await self._find(give)
            if found is None:
                return
            local_ids, outcome = found
            capability = await reader.until(now + (self._exchange.deadline - now) * STATEMENT_SHARE)
            if not capability.r4:
                raise SourceFailed("its FHIR version is not R4")
            ledger = Ledger(len(local_ids), outcome, give)
            asked = frozenset().union(*self._request.categories.values())
            plan = make_plan(capability, asked, self._request.context, frozenset(self._request.coded))
            for types, learned in plan.at_once:
                ledger.settle_at_once(types, learned)
            if not plan.types:
                return
            async with asyncio.TaskGroup() as group:
                for local_id in local_ids:
                    group.create_task(self._record(local_id, plan, ledger, give))

    async def _find(self, give: Give) -> tuple[list[str], Outcome] | None:
        """The ids of the local records, and how well the search for them went; None if there is nothing to fetch."""
        hits: list[Resource] = []

        def keep(resources: Sequence[Resource]) -> None:
            hits.extend(resources)
            give(resources)

        numbers = self._request.identity.numbers
        outcome = await self._searcher.search(self._queries.patients(numbers), Arrival.PATIENT, keep)
        if outcome.error is not None and not outcome.steps:
            raise outcome.error
        patients = [hit for hit in hits if hit.arrival is Arrival.PATIENT]
        if not patients:
            if outcome.finding is Finding.ANSWERED:
                raise PatientNotFound
            give(Learned(self._request.types, outcome.finding, outcome.notes, outcome.retry_after))
            return None
        ids = list(dict.fromkeys(i for hit in patients if (i := _local_id(hit, frozenset(numbers))) is not None))
        usable = [i for i in ids if FHIR_ID.fullmatch(i)]
        if not ids:
            return None  # Somebody else's: the guard has all that came, and nothing was answered.
        if not usable:
            raise SourceMalformed("the id of its Patient is not a FHIR id")
        if len(usable) < len(ids):
            outcome |= Outcome(Finding.MALFORMED, ("the id of a Patient is not a FHIR id",))
        if len(usable) > _LOCAL_RECORDS:
            outcome |= Outcome(Finding.TRUNCATED, (f"more than {_LOCAL_RECORDS} local records",))
        return usable[:_LOCAL_RECORDS], outcome

    async def _record(self, local_id: str, plan: Plan, ledger: Ledger, give: Give) -> None:
        """Fetch one local record by the approach with the fewest steps; by searches where the server refuses it."""
        approach = self._memory.choose(plan.offered)
        if approach is Approach.EVERYTHING:
            if await self._everything(local_id, plan, ledger, give):
                return
            self._memory.refused(approach)
        for name, outcome in plan.unsearchable.items():
            ledger.settle({name}, outcome)
        queries = [
            self._queries.record(name, search.parameter, local_id, search.includes, self._codes_of(name, search))
            for name, search in plan.searches.items()
        ]
        if approach is Approach.BATCH:
            if await self._batch(queries, ledger, give):
                return
            self._memory.refused(approach)
        await self._searches(queries, ledger, give)

    def _codes_of(self, name: str, search: Search) -> frozenset[tuple[str, str]]:
        """The codes that this type is searched for; none where all of it is wanted, or the server takes none."""
        by_code = search.by_code and not self._memory.takes_no_code(name)
        return self._request.coded[name] if by_code else frozenset()

    async def _everything(self, local_id: str, plan: Plan, ledger: Ledger, give: Give) -> bool:
        """The whole record, page by page; False if the server refuses."""
        try:
            answer = await self._exchange.get(f"/Patient/{local_id}/$everything?_count={COUNT}")
            if answer.status in REFUSALS:
                return False
            page = await self._searcher.open(answer, Arrival.RECORD, all_count=True)
            del answer  # it is as large as all that is in it
            outcome = await self._searcher.walk(page, Arrival.RECORD, give, all_count=True)
        except AdapterError as error:
            outcome = Outcome.of(error)
        self._memory.took(Approach.EVERYTHING, outcome.steps, in_vain=outcome.finding in _IN_VAIN)
        ledger.settle(plan.types, outcome)
        return True

    async def _searches(self, queries: Sequence[Query], ledger: Ledger, give: Give) -> None:
        """A search for each type, side by side: one that fails costs its type."""
        steps = -(-len(queries) // self._source.limits.connections)

        async def one(query: Query) -> int:
            outcome = await self._searcher.search(query, Arrival.RECORD, give)
            ledger.settle({query.type}, outcome)
            return outcome.steps

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(query)) for query in queries]
        self._memory.took(Approach.SEARCHES, steps - 1 + max((task.result() for task in tasks), default=1))

    async def _batch(self, queries: Sequence[Query], ledger: Ledger, give: Give) -> bool:
        """One Bundle of searches, then the further pages of each side by side; False if the server refuses."""
        try:
            answer = await self._exchange.post(
                "", batch_of(f"{query.type}?{query.form}" for query in queries), "application/fhir+json"
            )
            if answer.status in REFUSALS:
                return False
            if answer.status != 200:  # noqa: PLR2004
                raise SourceFailed(f"status {answer.status}")
            entries = await paced(open_bundle(answer.body))
            del answer
            if len(entries) != len(queries):
                raise SourceMalformed("its batch-response does not match the batch")
        except AdapterError as error:
            self._memory.took(Approach.BATCH, 0, in_vain=error.finding in _IN_VAIN)
            ledger.settle({query.type for query in queries}, Outcome.of(error))
            return True

        async def one(query: Query, status: int, body: msgspec.Raw) -> int:
            finding = finding_of_status(status)
            outcome = Outcome(finding, (f"status {status}",) if status else ())
            if status in UNKNOWN_PARAMETER and query.uncoded is not None:
                outcome = await self._searcher.search_uncoded(query, Arrival.RECORD, give)
            elif finding is Finding.ANSWERED:
                try:
                    page = await paced(open_page(bytes(body), Arrival.RECORD, kind=query.type))
                    outcome = await self._searcher.walk(page, Arrival.RECORD, give, kind=query.type)
                except AdapterError as error:
                    outcome = Outcome.of(error)
            ledger.settle({query.type}, outcome)
            return outcome.steps

        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(one(query, entry.status, entry.resource))
                for query, entry in zip(queries, entries, strict=True)
            ]
        self._memory.took(Approach.BATCH, max((task.result() for task in tasks), default=1))
        return True


def batch_of(urls: Iterable[str]) -> bytes:
    """A Bundle of type `batch` that gets each of these."""
    entry = [{"request": {"method": "GET", "url": url}} for url in urls]
    return msgspec.json.encode({"resourceType": "Bundle", "type": "batch", "entry": entry})


def _local_id(hit: Resource, numbers: frozenset[str]) -> str | None:
    """The id of a Patient that carries one of these NHS numbers, however it writes it; else None."""
    try:
        patient = _PATIENT.decode(hit.content)  # type: ignore[arg-type]
    except UNREADABLE:
        return None
    carries = any(
        identifier.system in NHS_NUMBER_SYSTEMS and re.sub(r"[\s-]", "", identifier.value) in numbers
        for identifier in patient.identifier
    )
    return patient.id if patient.resource_type == "Patient" and carries else None
