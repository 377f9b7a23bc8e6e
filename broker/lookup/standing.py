"""What is settled before anything is planned: may this reader ask, who is the patient, and who says that they care?

In this order: what is refused whoever the patient is; the patient's identity; and, where neither the token nor the
reader says that the reader's organisation is caring for the patient, what its own record says. Nothing leaves before
the intent is durable.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from broker.auth import Caller
from broker.errors import IdentityNotConfirmed, OwnRecord
from broker.identity import NoIdentity, Person
from broker.journal import LookupRecord
from broker.lookup.begun import Lookup, Rooms
from broker.lookup.objecting import Heed
from broker.lookup.plan import Permission, permit
from broker.lookup.relationship import OwnSources
from broker.lookup.values import Query, Row

__all__ = ["Settling", "Standing"]

_IDENTITY = 0.3
"""Share of the time that the identity service gets: a slow one must leave the sources theirs."""

_CONFIRMING = 0.3
"""Share of the time that the reader's own sources get, where they are asked first whether it is caring."""

_WAITING = 0.25
"""Share of the time that a lookup may wait for its turn on a node that has enough to do."""

_TENTATIVE = "caseload"
"""A relationship as good as any, to find out what would be refused with one too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a plan rests on.

    Attributes:
        permission: of this reader.
        person: whose record it is.
        confirmed: for the journal: the relationship that the reader's own organisation's record confirms; None where
            it was said before.
    """

    permission: Permission
    person: Person
    confirmed: Mapping[str, str | None] | None = None


@dataclass(slots=True, kw_only=True)
class Settling:
    """One lookup before its plan.

    Attributes:
        rooms: around it.
        lookup: that it is of.
        caller: who asks.
        query: what they ask.
        heed: the patient's objections.
        budget: seconds for the whole lookup.
        policies: ids of those that determined it so far.
        asked: for the journal, the reader's own sources that were asked whether it is caring.
    """

    rooms: Rooms
    lookup: Lookup
    caller: Caller
    query: Query
    heed: Heed
    budget: float
    policies: frozenset[str] = frozenset()
    asked: tuple[Row, ...] = ()

    async def settle(self, record: LookupRecord, today: date) -> Standing:
        """Settle it.

        Raises:
            Forbidden: this reader may not.
            IdentityNotConfirmed: the number is somebody else's.
            Overloaded: its turn did not come.
            RegisterUnavailable: nobody knows whether the patient objects.
        """
        clock = asyncio.get_running_loop().time
        waiting = clock() + self.budget * _WAITING
        unsaid = self._is_unsaid()
        permission = self._permit(today, _TENTATIVE if unsaid and self._can_confirm() else None)
        await self.lookup.place.admitted(waiting)
        self.heed.stance((self.query.nhs_number,))  # where nobody knows, nobody is asked
        person = await self._resolve(record, clock() + self.budget * _IDENTITY)
        if self.caller.own_number in person.identity.numbers:
            raise OwnRecord
        if not unsaid:
            return Standing(permission=permission, person=person)
        basis = await self._confirmed(record, person, today, clock() + self.budget * _CONFIRMING)
        confirmed = {"basis": basis, "evidence": "confirmed"}
        return Standing(permission=self._permit(today, basis), person=person, confirmed=confirmed)

    def _permit(self, today: date, confirmed: str | None) -> Permission:
        rooms = self.rooms
        permission = permit(self.caller, self.query, rooms.registry, rooms.policies, today, confirmed=confirmed)
        self.policies = permission.policies
        return permission

    def _is_unsaid(self) -> bool:
        """Nobody says that the reader's organisation is caring for the patient, and no override stands for it."""
        query = self.query
        glass = query.override is not None or query.override_id is not None
        return self.caller.relationship is None and query.declared is None and not glass

    def _can_confirm(self) -> bool:
        """Somebody could be asked: where not, the patient is not told to the identity service either."""
        own = self.rooms.registry.organisations.get(self.caller.requester.organisation)
        return own is not None and (bool(own.sources) or own.service_type == "gp-practice")

    async def _resolve(self, record: LookupRecord, deadline: float) -> Person:
        """Ask the identity service, once the intent is durable; where there is none, nothing leaves yet."""
        query, requester, unconfirmed = self.query, self.caller.requester, self.rooms.unconfirmed
        unconfirmed.take(requester, query.nhs_number, query.birth_date)
        if not isinstance(self.rooms.identity, NoIdentity):
            await record.durable()
        try:
            person = await self.rooms.identity.resolve(
                query.nhs_number, query.birth_date, deadline, requester.organisation
            )
        except IdentityNotConfirmed:
            unconfirmed.note(requester)
            raise
        unconfirmed.check(requester)  # of many asked at once, the right one must not stand out either
        return person

    async def _confirmed(self, record: LookupRecord, person: Person, today: date, until: float) -> str | None:
        """What the reader's own organisation's record confirms; None where it confirms nothing."""
        rooms, requester = self.rooms, self.caller.requester
        if person.practice == requester.organisation:
            return "registration"
        await record.durable()
        organisation = rooms.registry.organisations[requester.organisation]
        own = OwnSources(
            organisation=organisation,
            adapters=rooms.adapters,
            breakers=rooms.breakers,
            tables=rooms.policies.tables,
            today=today,
            turns=rooms.turns,
            hold=self.lookup.place.hold,
            let_go=self.lookup.place.let_go,
            elsewhere=person.practice is not None,
        )
        try:
            return await own.confirm(person.identity, requester, self.lookup.lookup_id, until)
        finally:
            self.asked = tuple(
                Row(
                    source=name,
                    organisation=organisation.ods_code,
                    name=organisation.name,
                    service_type=organisation.service_type,
                    status=status,
                )
                for name, status in sorted(own.statuses.items())
            )
