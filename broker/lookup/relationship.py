"""Is the reader's organisation caring for this patient now? Where nobody asserts it, its own record may confirm it.

Its own sources are asked first, and nobody else until one confirms: an open encounter, a current registration or
caseload, a current referral. That a record exists confirms nothing, however long it is; nor does that an organisation
keeps it (`Patient.managingOrganization`), what has not begun, or what nobody ended and nobody touched for long. What is
never shared confirms
nothing either, or an answer would show that it is there: so everything is judged as for a reply, and then looked at.
"""

import asyncio
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final

import structlog

from adapters.contract import Adapter, Identity, Requester, SourceRequest
from broker.collector import decoded
from broker.lookup.breaker import Breakers, Paused
from broker.lookup.current import CURRENT, Basis, is_current, is_registered
from broker.lookup.fanout import Answer, ask
from broker.lookup.judging.guard import PAUSE, Guarded, guard
from broker.lookup.judging.reading import Item, let_go, read
from broker.lookup.judging.screen import Scope, screen
from broker.lookup.judging.whose import NoBirthDate, WrongPatient
from broker.lookup.pace import paced
from broker.lookup.rows import STATUS_OF
from broker.lookup.turns import Turns
from broker.lookup.values import Status
from broker.registry import Organisation, RegisteredSource
from policies.tables import Tables
from policies.values import Sight

__all__ = ["OwnSources", "contradicts", "evidence"]

_log = structlog.get_logger()

_ORDER: Final = ("encounter", "referral", "registration", "caseload")

_OVER: Final = frozenset({"finished", "cancelled", "entered-in-error"})
"""Statuses of an Encounter that is not going on, whatever somebody says of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSources:
    """The sources of the reader's own organisation, asked for nothing but this.

    Attributes:
        organisation: whose they are.
        adapters: by name of source.
        breakers: of this node.
        tables: the board's.
        today: what is over, or has not begun, is not current.
        elsewhere: the identity service names another practice: what a practice's own Patient says counts no more.
        turns: of this node.
        hold: told of bytes that are held, as they come.
        let_go: told of them when they are not.
        statuses: by name of source, what became of asking it.
    """

    organisation: Organisation
    adapters: Mapping[str, Adapter]
    breakers: Breakers
    tables: Tables
    today: date
    turns: Turns
    hold: Callable[[int], None]
    let_go: Callable[[int], None]
    elsewhere: bool = False
    statuses: dict[str, Status] = field(default_factory=dict)

    async def confirm(self, identity: Identity, requester: Requester, lookup_id: str, until: float) -> Basis | None:
        """What one of them confirms; None where none does, for whatever reason. Nobody waits for the slowest.

        Args:
            identity: whose record.
            requester: for onward provenance.
            lookup_id: sent on.
            until: the last moment, on the loop's clock.
        """
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._one(one, self._request(one, identity, requester, lookup_id, until)))
                for one in self.organisation.sources
            ]
            for ended in asyncio.as_completed(tasks):
                if (basis := await ended) is not None:
                    for task in tasks:
                        task.cancel()
                    return basis
        return None

    def _request(
        self, source: RegisteredSource, identity: Identity, requester: Requester, lookup_id: str, until: float
    ) -> SourceRequest:
        return SourceRequest(
            identity=identity,
            categories={},
            context=self.tables.context.union(CURRENT),
            requester=requester,
            deadline=min(until, asyncio.get_running_loop().time() + source.timeout),
            correlation_id=lookup_id,
        )

    async def _one(self, source: RegisteredSource, request: SourceRequest) -> Basis | None:
        held: list[int] = []

        def hold(size: int) -> None:
            held.append(size)
            self.hold(size)

        try:
            return await self._asked(source, request, hold)
        finally:
            self.let_go(sum(held))

    async def _asked(
        self, source: RegisteredSource, request: SourceRequest, hold: Callable[[int], None]
    ) -> Basis | None:
        try:
            call = self.breakers.enter(source.source.base_url)
        except Paused as paused:
            self.statuses[source.name] = paused.status
            return None
        self.statuses[source.name] = Status.TIMED_OUT
        answer: Answer | None = None
        said: Status | None = None
        try:
            answer = await ask(self.adapters[source.name], request, hold)
            self.statuses[source.name] = answer.failure or Status.ANSWERED
            # It got less than its own time: that it was too little says nothing of it.
            said = None if answer.failure is Status.TIMED_OUT else answer.failure or Status.ANSWERED
        finally:
            self.breakers.note(
                call,
                said,
                connected=answer is not None and answer.connected,
                busy=answer is not None and answer.busy,
                retry_after=None if answer is None else answer.rest,
            )
        try:
            async with asyncio.timeout_at(request.deadline), self.turns.of(answer.size):
                with decoded(answer.size):
                    return await self._judged(source, answer, request.identity)
        except TimeoutError:
            return None

    async def _judged(self, source: RegisteredSource, answer: Answer, identity: Identity) -> Basis | None:
        items: list[Item] = []
        try:
            await paced(read(answer.resources, items))
            if answer.not_found or not self._is_whole(answer):
                return None
            at = source.source
            guarded = await paced(guard(items, identity, (at.base_url, *at.link_bases)))
            scope = Scope(
                asked=self.tables.categories,
                offered=self.tables.categories,
                excluded=self.tables.excluded_codings(self.today),
                runs_excluded=bool(self.organisation.excluded_services),
            )
            screened = await paced(screen(guarded, self.tables, scope, _see_all, final=True, unread=()))
            registers = self.organisation.service_type == "gp-practice" and not self.elsewhere
            practice = self.organisation.ods_code if registers else None
            return await paced(evidence(guarded, screened.out, practice, self.today))
        except (WrongPatient, NoBirthDate):
            return None
        except Exception as error:  # noqa: BLE001 - what can't be judged confirms nothing, and costs nobody else
            _log.error("source.unjudged", source=source.name, error=type(error).__name__)
            return None
        finally:
            await paced(let_go(items))

    def _is_whole(self, answer: Answer) -> bool:
        """Whether what decides has come: at an organisation that runs a service never shared, all of it must."""
        if not self.organisation.excluded_services:
            return True
        decide = self.tables.context - self.tables.by_reference
        return all(answer.findings.get(one) not in (None, *STATUS_OF) for one in decide)


def evidence(
    guarded: Guarded, out: Iterable[tuple[str, str]], practice: str | None, today: date
) -> Generator[None, None, Basis | None]:
    """What the record of one source confirms, pausing between resources.

    Args:
        guarded: what is this patient's.
        out: type and id of what is never shared.
        practice: ODS code of the GP practice whose record it is and which may register the patient; None for no such.
        today: what ended before is over, what starts later has not begun.
    """
    found: set[Basis] = set()
    never = frozenset(out)
    for n, item in enumerate(guarded.items):
        if not n % PAUSE:
            yield
        if item.type in CURRENT and (item.type, item.id) not in never and is_current(item.type, item.data, today):
            found.add(CURRENT[item.type][0])
    if practice is not None and any(
        is_registered(patient.data, guarded.items, practice, today) for patient in guarded.patients
    ):
        found.add("registration")
    return next((basis for basis in _ORDER if basis in found), None)


def contradicts(reference: str | None, encounters: Mapping[str, str | None]) -> bool:
    """Whether the encounter that a token names is over, or another patient's, as its own source has it.

    Args:
        reference: as the token has it: an id, `Encounter/id`, or an address that ends so. What is not found is silence.
        encounters: id, then status of each that the source gave; None for one of another patient.
    """
    if not reference:
        return False
    before, _, local = reference.rpartition("/")
    if before and before.rpartition("/")[2] != "Encounter":
        return False
    return local in encounters and (encounters[local] is None or encounters[local] in _OVER)


def _see_all(
    questions: frozenset[tuple[str, frozenset[str]]],
) -> Mapping[tuple[str, frozenset[str]], Sight | None]:
    """Nothing of it is shown to anybody: what a role may see does not matter."""
    return dict.fromkeys(questions, Sight.SHOW)
