"""What happens to one request, in order: from verified token to released record.

This is the only place where order matters. What is written comes before what is done: the intent before anything about
the patient leaves, the plan before any source is asked, a part's line before the part, the outcome before the reply.
Where nobody says that the reader's organisation is caring for the patient, its own sources are asked before the plan.
"""

import asyncio
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import structlog

from broker.auth import Caller
from broker.errors import (
    BrokerError,
    Conflict,
    Forbidden,
    IdentityNotConfirmed,
    JournalUnavailable,
    RequestError,
    TooManyRequests,
)
from broker.identity import Person, Restriction
from broker.journal import LookupRecord
from broker.lookup.alarms import Alarms
from broker.lookup.begun import Lookup, Rooms
from broker.lookup.ids import Ids
from broker.lookup.intent import intent_of
from broker.lookup.judging.hiding import Hiding
from broker.lookup.judging.judge import Judge
from broker.lookup.judging.judged import Judged
from broker.lookup.merging.merge import merge
from broker.lookup.objecting import Heed
from broker.lookup.override import Broken
from broker.lookup.pace import paced
from broker.lookup.parts import Parts
from broker.lookup.patient import from_own_organisation, one_patient
from broker.lookup.places import Places
from broker.lookup.plan import SELF_DECLARED, Permission, Plan, make_plan
from broker.lookup.relationship import contradicts
from broker.lookup.revealing import narrowed, withheld
from broker.lookup.rows import FAILED, in_order, is_complete, nothing_answered, require_met
from broker.lookup.sources import Sources
from broker.lookup.standing import Settling
from broker.lookup.values import Event, Failed, Query, Restrictions, Row, Started, Status, Summary
from policies.values import Decision, Objection, Reader

__all__ = ["Story"]

_log = structlog.get_logger()

_KEPT = 0.15
"""Share of the time that is kept for judging, recording and writing."""

_SENSITIVE = "B1611"
"""National RBAC activity: Access Sensitive(S) Flagged Records."""

_NOBODY_SAYS = "Name and address are left out: no identity service, and no Patient of the reader's own organisation."

_Ending = Literal["released", "refused", "failed"]

_REFUSED = (Forbidden, RequestError, IdentityNotConfirmed, TooManyRequests, Conflict)


class Story:
    """One lookup on its way."""

    def __init__(self, rooms: Rooms, lookup: Lookup, caller: Caller, query: Query, glass: Broken | None = None) -> None:
        self._rooms = rooms
        self._lookup = lookup
        self._caller = caller
        self._query = query
        self._glass = glass
        self._own = caller.requester.organisation
        self._rows: dict[str | None, Row] = {}
        self._policies: frozenset[str] = frozenset()
        self._heed = Heed(rooms.objections, caller, lifted=glass is not None)
        self._settling = Settling(
            rooms=rooms,
            lookup=lookup,
            caller=caller,
            query=query,
            heed=self._heed,
            budget=min(query.timeout or rooms.limits.deadline, rooms.limits.deadline),
        )
        self._alarms = Alarms(alerts=rooms.alerts, lookup_id=lookup.lookup_id, reader=self._own, lead=rooms.lead)
        self._places = Places(Hiding.NOTHING, (), str)
        self._narrower = False
        self._objected: Mapping[str, Objection] = {}
        self._told: frozenset[str] = frozenset()

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
        rooms = self._rooms
        intent = intent_of(
            self._caller,
            self._query,
            self._glass,
            surface=self._lookup.surface,
            keys=rooms.keys,
            policies=rooms.policies,
        )
        async with rooms.journal.lookup(lookup_id=self._lookup.lookup_id, intent=intent) as record:
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
        budget = self._settling.budget
        deadline = asyncio.get_running_loop().time() + budget
        until = deadline - budget * _KEPT
        today = rooms.today()

        standing = await self._settling.settle(record, today)
        permission, person = standing.permission, standing.person
        stance = self._heed.plan(person.identity.numbers)
        plan = make_plan(
            permission,
            caller,
            person,
            stance,
            rooms.registry,
            rooms.policies,
            practices_if_unknown=rooms.limits.practices_if_unknown,
            today=today,
        )
        located = self._may_locate(person.restricted, permission.reader)
        self._policies = plan.policies.union(*(one.policies for one in located))
        self._narrower, self._objected = plan.narrower, plan.objected
        self._rows = {row.source: row for row in plan.rows()}
        if self._glass is not None:
            self._told = self._alarms.overridden(stance.decided_by, self._glass.told)
        if permission.reader.relationship == SELF_DECLARED:
            self._alarms.self_declared()
        record.plan(
            sources=[row.as_json() for row in (*plan.rows(), *(one.row for one in plan.heard))],
            policies=sorted(self._policies),
            policy_set=rooms.policies.hash,
            categories=list(permission.asked),
            identity=person.status,
            relationship=standing.confirmed,
        )
        await record.durable()

        ids = Ids(rooms.keys.id_check_key, query.nhs_number)
        self._places = Places(_hiding(*located), plan.rows(), partial(ids.digest, query.nhs_number))
        if self._lookup.streaming:
            self._give(Started(lookup_id=self._lookup.lookup_id, rows=self._places.shown(plan.started())))
        judge = Judge(
            policies=rooms.policies,
            reader=permission.reader,
            identity=person.identity,
            id_key=rooms.keys.id_check_key,
            patient_id=rooms.keys.patient_id(query.nhs_number),
            today=today,
            label=self._places.without_place,
            types=permission.types,
            objected=plan.objected,
            own=self._own,
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
            labels=_hiding(*self._may_locate("yes", permission.reader)) is Hiding.PLACES,
            hold=self._lookup.place.hold,
            turns=rooms.turns,
        )
        parts = Parts(
            lookup=self._lookup,
            record=record,
            plan=plan,
            sources=sources,
            places=self._places,
            heed=self._heed,
            alarms=self._alarms,
            own=self._own,
            rows=self._rows,
        )
        return await self._summarise(record, plan, permission, person, judge.patient_id, parts)

    async def _summarise(
        self,
        record: LookupRecord,
        plan: Plan,
        permission: Permission,
        person: Person,
        patient_id: str,
        gathering: Parts,
    ) -> Summary:
        """What spans sources, the outcome, and then the last event."""
        query, places = self._query, self._places
        parts = await gathering.gather()
        self._notice_contradiction(parts)
        objection = plan.objection or self._heed.forbidden
        if self._heed.forbidden:
            self._withhold_all(gathering.given)
        rows = self._all_rows()
        shown = self._shown(rows)
        wrong = any(part.wrong_birth_date for part in parts)
        # A partial date agrees with every guess of the same year: it confirms none.
        if wrong and not person.birth_date_confirmed and query.birth_date not in gathering.born:
            self._rooms.unconfirmed.note(self._caller.requester)
        else:
            self._rooms.unconfirmed.check(self._caller.requester)  # of many asked at once, the right one stands not out
        if wrong and not gathering.met:
            raise IdentityNotConfirmed(sources=[row.as_json() for row in shown])
        # What is not asked because of an objection is as if it had been, and had nothing to say.
        error = nothing_answered(rows, plan.barred.union(one.name for one in plan.asks), shown)
        if error is not None:
            raise error
        known = None if objection or "demographics" in plan.objected else person.patient
        origin = next((part.patient for part in parts if part.row.source == plan.origin and _gave(part.row)), None)
        if known is None and origin is not None:
            known = from_own_organisation(origin)
        if "demographics" in permission.not_permitted:
            known = None
        elif known is None and plan.origin is None and person.status is None:
            shown = (replace(shown[0], notes=(*shown[0].notes, _NOBODY_SAYS)), *shown[1:]) if shown else shown
        ids = Ids(self._rooms.keys.id_check_key, query.nhs_number, hidden=places.hiding is Hiding.PLACES)
        if known is not None and "gp-registration" in plan.objected:
            known = {name: value for name, value in known.items() if name != "generalPractitioner"}
        linked = [part for part in parts if not self._heed.forbidden or part.row.organisation == self._own]
        facts = itertools.chain.from_iterable(part.facts for part in linked)
        entries = (
            one_patient(patient_id, query.nhs_number, query.birth_date, known, places.hiding),
            *await paced(merge(facts, ids, patient_id)),
        )
        complete = is_complete(rows) and not plan.narrower
        self._heed.check()
        await self._release(record, complete=complete)
        if not self._lookup.streaming:
            for one in sorted(map(gathering.shown, parts), key=lambda one: one.row.source or ""):
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
                objection=permission.overrider and (objection or plan.narrower),
                override_available=permission.overrider
                and self._glass is None
                and (objection or plan.narrower or self._would_show_more(person, permission.reader)),
                location_hidden=places.hiding is not Hiding.NOTHING,
            ),
            entries=entries,
            definite=not plan.narrower,
            override_id=None if self._glass is None else self._glass.sealed(self._rooms.keys, self._told),
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

    def _withhold_all(self, given: Iterable[str | None]) -> None:
        """The patient objects under a further number: what was not released yet is withheld, as under a whole one."""
        for name, row in self._rows.items():
            if name not in given:
                self._rows[name] = withheld(row, self._own)

    def _notice_contradiction(self, parts: Sequence[Judged]) -> None:
        """What the token asserts settled the relationship: what its own source says later tells somebody, no more."""
        asserted = self._caller.relationship
        if asserted is None or asserted.basis != "encounter":
            return
        for part in parts:
            if part.row.organisation == self._own and contradicts(asserted.reference, part.encounters):
                self._alarms.contradicted(part.row.source or "")
                return

    def _required_met(self, rows: Sequence[Row]) -> bool:
        """Of a named organisation nothing is known, not even that it was asked, where that would tell too much."""
        required = self._query.require
        if required and self._places.hiding is Hiding.PLACES:
            return False
        return require_met(rows, required) and not (self._narrower and required - {self._own})

    def _may_locate(self, restricted: Restriction, reader: Reader) -> tuple[Decision, Decision]:
        sensitive = _SENSITIVE in self._caller.activities
        return self._rooms.policies.may_locate(restricted, reader=reader, sensitive=sensitive)

    def _would_show_more(self, person: Person, reader: Reader) -> bool:
        """Whether breaking the glass would lift a restriction."""
        hiding = self._places.hiding
        restricted = "yes" if hiding is Hiding.PLACES else person.restricted
        return hiding is not _hiding(*self._may_locate(restricted, replace(reader, override=True)))

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
            "sources": [row.as_json() for row in self._all_rows() or self._settling.asked],
            "policies": sorted(self._policies or self._settling.policies),
            "policy_set": self._rooms.policies.hash,
        }

    def _shown_rows(self) -> tuple[Row, ...]:
        return self._shown(self._all_rows())

    def _shown(self, rows: Iterable[Row]) -> tuple[Row, ...]:
        """Rows as the reader may see them."""
        told = [narrowed(row, self._own, self._objected) for row in rows] if self._narrower else rows
        return self._places.shown(told)

    def _all_rows(self) -> tuple[Row, ...]:
        return in_order(self._rows.values())

    def _give(self, event: Event) -> None:
        self._lookup.give(event)


def _hiding(home: Decision, places: Decision) -> Hiding:
    """How much of where the patient is must not show."""
    if not places.permitted:
        return Hiding.PLACES
    return Hiding.NOTHING if home.permitted else Hiding.HOME


def _gave(row: Row) -> bool:
    """Whether anything of a source counts: of one that was cut before it could be judged, not even its Patient."""
    nothing = FAILED | {Status.NOT_PROVIDED}
    return any(one.resources or one.status not in nothing for one in row.categories.values())
