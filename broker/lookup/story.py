"""What happens to one request, in order: from verified token to released record.

This is the only place where order matters. What is written comes before what is done: the intent before anything about
the patient leaves, the plan before any source is asked, a part's line before the part, the outcome before the reply.
"""

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import structlog

from broker.auth import Caller
from broker.errors import BrokerError, Conflict, Forbidden, IdentityNotConfirmed, JournalUnavailable, RequestError
from broker.identity import NoIdentity, Person
from broker.journal import LookupRecord
from broker.lookup.admission import size_of
from broker.lookup.begun import Lookup, Rooms
from broker.lookup.fanout import Answer
from broker.lookup.ids import Ids
from broker.lookup.judging.hiding import Hiding
from broker.lookup.judging.judge import Judge, Judged
from broker.lookup.merging.merge import merge
from broker.lookup.pace import paced
from broker.lookup.patient import from_own_organisation, one_patient
from broker.lookup.places import Places
from broker.lookup.plan import FORBIDDING, Ask, Permission, Plan, make_plan, permit
from broker.lookup.rows import FAILED, in_order, is_complete, nothing_answered, require_met
from broker.lookup.sources import Sources
from broker.lookup.values import Event, Failed, Part, Query, Restrictions, Row, Started, Status, Summary

__all__ = ["Story"]

_log = structlog.get_logger()

_KEPT = 0.15
"""Share of the time that is kept for judging, recording and writing."""

_IDENTITY = 0.3
"""Share of the time that the identity service gets: a slow one must leave the sources theirs."""

_WAITING = 0.25
"""Share of the time that a lookup may wait for its turn on a node that has enough to do."""

_SENSITIVE = "B1611"
"""National RBAC activity: Access Sensitive(S) Flagged Records."""

_NOBODY_SAYS = "Name and address are left out: no identity service, and no Patient of the reader's own organisation."

_OBJECTS_NOW = "The patient's objection changed while this was looked up: ask again."

_Ending = Literal["released", "refused", "failed"]

_REFUSED = (Forbidden, RequestError, IdentityNotConfirmed, Conflict)


class Story:
    """One lookup on its way."""

    def __init__(self, rooms: Rooms, lookup: Lookup, caller: Caller, query: Query) -> None:
        self._rooms = rooms
        self._lookup = lookup
        self._caller = caller
        self._query = query
        self._rows: dict[str | None, Row] = {}
        self._policies: frozenset[str] = frozenset()
        self._unless_objected: tuple[str, ...] = ()
        """Numbers under which nobody objected when this was planned; none where somebody had."""
        self._places = Places(Hiding.NOTHING, (), str)

    async def to_the_end(self) -> None:
        """Run, and give the last event whatever happens."""
        last: Event
        try:
            last = await self._recorded()
        except BrokerError as error:
            last = Failed(error=error, rows=self._shown_rows())
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets an end and no detail
            _log.error("lookup.fault", error=type(error).__name__)
            last = Failed(error=BrokerError(), rows=self._shown_rows())
        self._give(last)

    async def _recorded(self) -> Event:
        """Intent now; exactly one outcome, whatever happens."""
        async with self._rooms.journal.lookup(lookup_id=self._lookup.lookup_id, intent=self._intent()) as record:
            self._lookup.record = record
            record.so_far = self._so_far
            try:
                return await self._look_up(record)
            except JournalUnavailable:
                raise
            except BrokerError as error:
                outcome: _Ending = "refused" if isinstance(error, _REFUSED) else "failed"
                await self._end(record, outcome, complete=False, code=error.code)
                raise

    async def _look_up(self, record: LookupRecord) -> Summary:
        rooms, query, caller = self._rooms, self._query, self._caller
        loop = asyncio.get_running_loop()
        budget = min(query.timeout or rooms.limits.deadline, rooms.limits.deadline)
        began = loop.time()
        deadline = began + budget
        until = deadline - budget * _KEPT
        today = rooms.today()

        permission = permit(caller, query, rooms.registry, rooms.policies, today)
        self._policies = permission.policies
        await self._lookup.place.admitted(began + budget * _WAITING)
        rooms.objections.standing((query.nhs_number,))  # where nobody knows, nobody is asked
        person = await self._resolve(record, loop.time() + budget * _IDENTITY)
        standing = rooms.objections.standing(person.identity.numbers)
        plan = make_plan(
            permission,
            caller,
            person,
            standing,
            rooms.registry,
            rooms.policies,
            practices_if_unknown=rooms.limits.practices_if_unknown,
            today=today,
        )
        self._policies = plan.policies
        self._unless_objected = () if plan.objection else person.identity.numbers
        self._rows = {row.source: row for row in plan.rows()}
        record.plan(
            sources=[row.as_json() for row in plan.rows()],
            policies=sorted(plan.policies),
            policy_set=rooms.policies.hash,
            categories=list(permission.asked),
            identity=person.status,
        )
        await record.durable()

        ids = Ids(rooms.keys.id_check_key, query.nhs_number)
        self._places = Places(self._hiding(person), plan.rows(), partial(ids.digest, query.nhs_number))
        if self._lookup.streaming:
            self._give(Started(lookup_id=self._lookup.lookup_id, rows=self._places.shown(plan.rows())))
        judge = Judge(
            policies=rooms.policies,
            reader=permission.reader,
            identity=person.identity,
            id_key=rooms.keys.id_check_key,
            patient_id=rooms.keys.patient_id(query.nhs_number),
            today=today,
            label=self._places.without_place,
            types=permission.types,
        )
        sources = Sources(
            adapters=rooms.adapters,
            breakers=rooms.breakers,
            judge=judge,
            places=self._places,
            until=until,
            deadline=deadline,
            requester=caller.requester,
            lookup_id=self._lookup.lookup_id,
            labels=not self._may_see_restricted,
            hold=self._lookup.place.hold,
            turns=rooms.turns,
        )
        parts = await self._fan_out(record, plan, sources)
        return await self._summarise(record, plan, permission, person, judge.patient_id, parts)

    async def _fan_out(self, record: LookupRecord, plan: Plan, sources: Sources) -> list[Judged]:
        """Every source side by side; what ends the lookup as a whole cancels and awaits them all."""
        tasks: list[asyncio.Task[tuple[Judged, Answer | None]]] = []
        try:
            async with asyncio.TaskGroup() as group:
                tasks.extend(group.create_task(self._one(record, one, sources), name=one.name) for one in plan.asks)
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        judged = [task.result() for task in tasks]
        for n, (part, answer) in enumerate(judged):
            if self._shows_too_much(part) and answer is not None:
                judged[n] = (await self._again(plan.asks[n], answer, sources), answer)
            self._drop(answer)
        return [part for part, _ in judged]

    async def _one(self, record: LookupRecord, one: Ask, sources: Sources) -> tuple[Judged, Answer | None]:
        """One source; in a stream its part is released here, once its line is durable."""
        part, answer = await sources.one(one)
        self._rows[one.name] = part.row
        self._lookup.place.hold(size_of(part.entries))
        if part.wrong_patient:
            record.wrong_patient(source=one.name, organisation=one.organisation.ods_code)
        if self._lookup.streaming:
            record.part(source=part.row.as_json())
            await record.durable()
            if self._shows_too_much(part) and answer is not None:
                part = await self._again(one, answer, sources)
            self._heed_objection()
            self._give(self._part(part))
            self._drop(answer)
            return part, None
        if not sources.labels or part.hiding is Hiding.PLACES:
            self._drop(answer)  # nothing that another source may say could make it be judged again
            return part, None
        return part, answer

    def _drop(self, answer: Answer | None) -> None:
        """What a source gave has been judged, and is held no more."""
        if answer is not None:
            self._lookup.place.let_go(answer.size)

    def _heed_objection(self) -> None:
        """An objection is in force within one second: recorded since this was planned, it ends it.

        Raises:
            Conflict: with it, other sources would have been asked.
        """
        if self._unless_objected and self._rooms.objections.standing(self._unless_objected) in FORBIDDING:
            raise Conflict(_OBJECTS_NOW)

    async def _again(self, one: Ask, answer: Answer, sources: Sources) -> Judged:
        part = await sources.again(one, answer)
        self._rows[one.name] = part.row  # it may have run out of time
        return part

    def _shows_too_much(self, part: Judged) -> bool:
        """It was judged before another source said that places must not show."""
        return self._places.hiding is Hiding.PLACES and part.hiding is not Hiding.PLACES

    def _part(self, part: Judged) -> Part:
        return Part(row=self._places.shown([part.row])[0], entries=part.entries)

    async def _resolve(self, record: LookupRecord, deadline: float) -> Person:
        """Ask the identity service, once the intent is durable; where there is none, nothing leaves yet."""
        query = self._query
        if not isinstance(self._rooms.identity, NoIdentity):
            await record.durable()
        return await self._rooms.identity.resolve(query.nhs_number, query.birth_date, deadline)

    async def _summarise(
        self,
        record: LookupRecord,
        plan: Plan,
        permission: Permission,
        person: Person,
        patient_id: str,
        parts: list[Judged],
    ) -> Summary:
        """What spans sources, the outcome, and then the last event."""
        query, places = self._query, self._places
        rows = self._all_rows()
        shown = places.shown(rows)
        if any(part.wrong_birth_date for part in parts) and all(part.patient is None for part in parts):
            raise IdentityNotConfirmed(sources=[row.as_json() for row in shown])
        error = nothing_answered(rows, {one.name for one in plan.asks}, shown)
        if error is not None:
            raise error
        known = None if plan.objection else person.patient
        origin = next((part.patient for part in parts if part.row.source == plan.origin and _gave(part.row)), None)
        if known is None and origin is not None:
            known = from_own_organisation(origin)
        if "demographics" in permission.not_permitted:
            known = None
        elif known is None and plan.origin is None and person.status is None:
            shown = (replace(shown[0], notes=(*shown[0].notes, _NOBODY_SAYS)), *shown[1:]) if shown else shown
        ids = Ids(self._rooms.keys.id_check_key, query.nhs_number, hidden=places.hiding is Hiding.PLACES)
        facts = itertools.chain.from_iterable(part.facts for part in parts)
        entries = (
            one_patient(patient_id, query.nhs_number, query.birth_date, known, places.hiding),
            *await paced(merge(facts, ids, patient_id)),
        )
        complete = is_complete(rows)
        self._heed_objection()
        await self._release(record, complete=complete)
        if not self._lookup.streaming:
            for one in sorted(map(self._part, parts), key=lambda one: one.row.source or ""):
                self._give(one)
        return Summary(
            lookup_id=self._lookup.lookup_id,
            complete=complete,
            required_met=self._required_met(rows),
            patient_id=patient_id,
            nhs_number=query.nhs_number,
            birth_date=query.birth_date,
            rows=shown,
            restrictions=Restrictions(
                categories_not_permitted=permission.not_permitted,
                objection=plan.objection,
                location_hidden=places.hiding is not Hiding.NOTHING,
            ),
            entries=entries,
        )

    async def _release(self, record: LookupRecord, *, complete: bool) -> None:
        """From here on the record says `released`: who goes away, or is sent away, now was not delivered to."""
        self._lookup.released = True
        try:
            await self._end(record, "released", complete=complete)
        except JournalUnavailable:
            self._lookup.released = False
            raise
        except asyncio.CancelledError:
            self._lookup.delivered(arrived=False)
            raise

    def _required_met(self, rows: Sequence[Row]) -> bool:
        """Where places must not show, nothing is known of a named one: not even that it was asked."""
        required = self._query.require
        return require_met(rows, required) and not (required and self._places.hiding is Hiding.PLACES)

    def _hiding(self, person: Person) -> Hiding:
        if person.restricted == "no":
            return Hiding.NOTHING
        if person.restricted == "unknown":
            return Hiding.HOME
        return Hiding.NOTHING if self._may_see_restricted else Hiding.PLACES

    @property
    def _may_see_restricted(self) -> bool:
        return _SENSITIVE in self._caller.activities

    def _intent(self) -> dict[str, Any]:
        requester, keys = self._caller.requester, self._rooms.keys
        relationship = self._caller.relationship
        return {
            "user": {
                "issuer": requester.issuer,
                "subject": requester.subject,
                "name": requester.name,
                "organisation": requester.organisation,
                "role": self._rooms.policies.role_of(requester.role_system, requester.role_code),
                "role_code": requester.role_code,
                "client": requester.client,
                "jti": requester.token_id,
            },
            "purpose": requester.purpose,
            "relationship": None
            if relationship is None
            else {
                "basis": relationship.basis,
                "reference": keys.seal_words(relationship.reference) if relationship.reference else None,
            },
            "patient": keys.seal_patient(self._query.nhs_number),
            "categories": None if self._query.categories is None else sorted(self._query.categories),
            "surface": self._lookup.surface,
            "types": None if self._query.types is None else sorted(self._query.types),
            "require": sorted(self._query.require),
            "timeout_ms": None if self._query.timeout is None else round(self._query.timeout * 1000),
        }

    async def _end(
        self,
        record: LookupRecord,
        outcome: _Ending,
        *,
        complete: bool,
        code: str | None = None,
    ) -> None:
        await record.outcome(outcome, **{**self._so_far(), "complete": complete}, code=code)

    def _so_far(self) -> dict[str, Any]:
        """What is known of the lookup, for its outcome."""
        return {
            "complete": False,
            "sources": [row.as_json() for row in self._all_rows()],
            "policies": sorted(self._policies),
            "policy_set": self._rooms.policies.hash,
        }

    def _shown_rows(self) -> tuple[Row, ...]:
        return self._places.shown(self._all_rows())

    def _all_rows(self) -> tuple[Row, ...]:
        return in_order(self._rows.values())

    def _give(self, event: Event) -> None:
        self._lookup.give(event)


def _gave(row: Row) -> bool:
    """Whether anything of a source counts: of one that was cut before it could be judged, not even its Patient."""
    nothing = FAILED | {Status.NOT_PROVIDED}
    return any(one.resources or one.status not in nothing for one in row.categories.values())
