"""The register's rows: what is written and read in one transaction, and how it is sealed."""

import json
import re
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final, TypeVar

from sqlalchemy import ColumnElement, Row, and_, insert, or_, select, tuple_, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from broker.errors import Conflict, NotFound, RegisterUnavailable
from broker.keys import Keys
from broker.objections.scopes import Scope, ScopeKind
from broker.objections.values import ObjectionRecord, Origin, Status, Version
from broker.store import OBJECTION_HISTORY, OBJECTIONS, REVISIONS, check_files

__all__ = ["CHANGED", "Held", "Ledger", "Seen", "Taken"]

CHANGED: Final = "Somebody changed this objection meanwhile: look at it again, then decide."

_ID: Final = re.compile(r"[0-9a-f]{1,32}", re.ASCII)
Value = TypeVar("Value")

_AT_ONCE: Final = 500
"""References looked for in one query: databases have a bound on how many they take."""


@dataclass(frozen=True, slots=True)
class Held:
    """An objection with what nobody is shown.

    Attributes:
        patient: sealed.
        reason: the words of the decision, in clear.
    """

    record: ObjectionRecord
    patient: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """What has a reference already: the objection's id, whose it is (sealed), and to what."""

    id: str
    patient: str
    scope: Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Objections of one sort, all of which somebody may see.

    Attributes:
        own: recorded by staff of their organisation, or not.
        about: the sort of scope: `own` organisation, that of `another`, or `general`.
    """

    own: bool
    about: str


class Ledger:
    """Reads and writes the register, and decides nothing."""

    def __init__(self, engine: AsyncEngine, keys: Keys) -> None:
        self._engine = engine
        self._keys = keys

    @asynccontextmanager
    async def changing(self) -> AsyncIterator["Change"]:
        """A transaction that holds the register's counter, so that changes follow one another.

        Raises:
            RegisterUnavailable: the store can't be reached, does not take it, or was replaced while it did.
        """
        try:
            async with self._engine.begin() as connection:
                counter = update(REVISIONS).where(REVISIONS.c.register == "objections")
                taken = counter.values(revision=REVISIONS.c.revision + 1).returning(REVISIONS.c.revision)
                revision = (await connection.execute(taken)).scalar_one()
                yield Change(connection, self._keys, revision)
                # What it wrote can be checked only once it is committed, and is then no longer in hand.
                await connection.commit()
                check_files(connection)
        except (SQLAlchemyError, OSError, ValueError) as error:
            # ValueError: what the driver can't read, such as a day that is none.
            raise RegisterUnavailable from error

    @asynccontextmanager
    async def reading(self) -> AsyncIterator["Reading"]:
        """One look at the register. Raises RegisterUnavailable."""
        try:
            async with self._engine.connect() as connection:
                yield Reading(connection, self._keys)
        except (SQLAlchemyError, OSError, ValueError) as error:
            # ValueError: what the driver can't read, such as a day that is none.
            raise RegisterUnavailable from error


class Reading:
    """What can be read."""

    def __init__(self, connection: AsyncConnection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys

    async def get(self, objection_id: str) -> Held | None:
        """One objection; None where there is none."""
        if not _ID.fullmatch(objection_id):
            return None
        chosen = select(OBJECTIONS).where(OBJECTIONS.c.id == objection_id)
        row = (await self._connection.execute(chosen)).one_or_none()
        if row is None:
            return None
        return Held(self._record(row), row.patient, _read(row.id, "reason", self._words, row.reason))

    async def history(self, objection_id: str) -> tuple[Version, ...]:
        """Every version of one objection, the first one first."""
        chosen = select(OBJECTION_HISTORY).where(OBJECTION_HISTORY.c.objection == objection_id)
        rows = await self._connection.execute(chosen.order_by(OBJECTION_HISTORY.c.version))
        return tuple(
            Version(
                version=row.version,
                status=_read(objection_id, "status", Status, row.status),
                by=_read(objection_id, "changed_by", _who, row.changed_by),
                at=row.changed_at,
                reason=_read(objection_id, "reason", self._words, row.reason),
                ico_route_told=row.ico_route_told,
                told_at=row.told_at,
            )
            for row in rows
        )

    async def find(
        self,
        organisation: str,
        seen: Sequence[Seen],
        *,
        patient: str | None = None,
        status: Status | None = None,
        due: date | None = None,
        after: str | None = None,
        limit: int | None = None,
        hidden: Callable[[Scope], bool] = lambda _: False,
    ) -> list[ObjectionRecord]:
        """The objections that somebody may see, oldest first.

        Args:
            organisation: theirs.
            seen: the sorts of objection that they may see.
            patient: sealed; of this patient alone.
            status: in this state alone.
            due: those alone that are in force and were to be looked at again by this day.
            after: those alone that come after the one with this id.
            limit: at most so many.
            hidden: whether they are not to see what is about this all the same.
        """
        table = OBJECTIONS.c
        query = select(OBJECTIONS).where(or_(*(self._of_sort(organisation, sort) for sort in seen)))
        if patient is not None:
            query = query.where(table.patient == patient)
        if status is not None:
            query = query.where(table.status == status.value)
        if due is not None:
            lifted = or_(
                table.status == Status.WITHDRAWN, and_(table.status == Status.NOT_UPHELD, table.told_at.is_not(None))
            )
            query = query.where(table.review_on <= due, ~lifted)
        if after is not None:
            place = select(table.recorded_at, table.id).where(table.id == after)
            if (at := (await self._connection.execute(place)).one_or_none()) is None:
                raise NotFound
            query = query.where(tuple_(table.recorded_at, table.id) > tuple_(*at))
        found: list[ObjectionRecord] = []
        async with self._connection.stream(query.order_by(table.recorded_at, table.id)) as rows:
            # What is hidden is seen only once it is opened, and a page without it must be as long as any other.
            async for row in rows:
                record = self._record(row)
                if not hidden(record.scope):
                    found.append(record)
                if len(found) == limit:
                    break
        return found

    def _of_sort(self, organisation: str, sort: Seen) -> ColumnElement[bool]:
        table = OBJECTIONS.c
        own = table.recorded_for.is_not_distinct_from(organisation)
        narrow = table.scope == ScopeKind.ORGANISATION.value
        theirs = table.scope_value == Scope(ScopeKind.ORGANISATION, organisation).sealed(self._keys)
        about = {"general": ~narrow, "own": and_(narrow, theirs), "another": and_(narrow, ~theirs)}[sort.about]
        return and_(own if sort.own else ~own, about)

    def _words(self, sealed: str | None) -> str | None:
        return self._keys.open_words(sealed) if sealed else None

    def _record(self, row: Row[Any]) -> ObjectionRecord:
        def opened(about: str | None) -> Scope:
            return Scope.opened(self._keys, row.scope, about)

        origin = None
        if row.origin:
            reference = _read(row.id, "origin_reference", self._words, row.origin_reference) or ""
            origin = Origin(name=row.origin, reference=reference, dated=row.origin_date)
        return ObjectionRecord(
            id=row.id,
            version=_read(row.id, "version", int, row.version),
            status=_read(row.id, "status", Status, row.status),
            scope=_read(row.id, "scope", opened, row.scope_value),
            asked_by=row.asked_by,
            recorded_by=_read(row.id, "recorded_by", _person, row.recorded_by),
            recorded_at=row.recorded_at,
            decided_by=_read(row.id, "decided_by", _who, row.decided_by),
            decided_at=row.decided_at,
            told_at=row.told_at,
            review_on=row.review_on,
            origin=origin,
        )


class Change(Reading):
    """What can be written, all of it or nothing, under one revision. History is only ever added to."""

    def __init__(self, connection: AsyncConnection, keys: Keys, revision: int) -> None:
        super().__init__(connection, keys)
        self._revision = revision

    async def add(self, new: Sequence[Held]) -> None:
        """Put down objections, each in its first version."""
        await self._connection.execute(insert(OBJECTIONS), [self._row(each) for each in new])
        await self._connection.execute(
            insert(OBJECTION_HISTORY),
            [self._version(each.record, each.record.recorded_by, each.record.recorded_at) for each in new],
        )

    async def alter(
        self,
        current: ObjectionRecord,
        made: ObjectionRecord,
        *,
        by: dict[str, Any],
        at: str,
        reason: str | None = None,
        ico_route_told: bool = False,
    ) -> ObjectionRecord:
        """Make the next version of `current`: `made`, whose number is given here.

        Raises:
            Conflict: somebody else has made it already.
        """
        made = replace(made, version=current.version + 1)
        values: dict[str, Any] = {
            "version": made.version,
            "revision": self._revision,
            "status": made.status.value,
            "decided_by": json.dumps(made.decided_by) if made.decided_by else None,
            "decided_at": made.decided_at,
            "told_at": made.told_at,
        }
        if reason:
            values["reason"] = self._keys.seal_words(reason)
        if ico_route_told:
            values["ico_route_told"] = True
        chosen = update(OBJECTIONS).where(OBJECTIONS.c.id == current.id, OBJECTIONS.c.version == current.version)
        if (await self._connection.execute(chosen.values(**values))).rowcount != 1:
            raise Conflict(CHANGED)
        row = self._version(made, by, at, reason=reason, ico_route_told=ico_route_told)
        await self._connection.execute(insert(OBJECTION_HISTORY), [row])
        return made

    async def taken(self, origin: str, references: Iterable[str]) -> dict[str, Taken]:
        """Of these references of one origin those that are in the register, each with what has it."""
        sealed = {self._keys.seal_words(each): each for each in references}
        found: dict[str, Taken] = {}
        table = OBJECTIONS.c
        query = select(table.id, table.patient, table.scope, table.scope_value, table.origin_reference)
        for start in range(0, len(sealed), _AT_ONCE):
            some = list(sealed)[start : start + _AT_ONCE]
            rows = await self._connection.execute(query.where(table.origin == origin, table.origin_reference.in_(some)))
            for row in rows:
                scope = Scope.opened(self._keys, row.scope, row.scope_value)
                found[sealed[row.origin_reference]] = Taken(row.id, row.patient, scope)
        return found

    def _row(self, new: Held) -> dict[str, Any]:
        record, origin = new.record, new.record.origin
        return {
            "id": record.id,
            "revision": self._revision,
            "version": record.version,
            "status": record.status.value,
            "scope": record.scope.kind.value,
            "scope_value": record.scope.sealed(self._keys),
            "patient": new.patient,
            "asked_by": record.asked_by,
            "effect_explained": True,
            "recorded_by": json.dumps(record.recorded_by),
            "recorded_at": record.recorded_at,
            "recorded_for": record.recorded_by["organisation"],
            "decided_by": json.dumps(record.decided_by) if record.decided_by else None,
            "decided_at": record.decided_at,
            "ico_route_told": False,
            "review_on": record.review_on,
            "origin": origin.name if origin else None,
            "origin_reference": self._keys.seal_words(origin.reference) if origin else None,
            "origin_date": origin.dated if origin else None,
        }

    def _version(
        self,
        made: ObjectionRecord,
        by: dict[str, Any],
        at: str,
        *,
        reason: str | None = None,
        ico_route_told: bool = False,
    ) -> dict[str, Any]:
        return {
            "objection": made.id,
            "version": made.version,
            "status": made.status.value,
            "changed_by": json.dumps(by),
            "changed_at": at,
            "reason": self._keys.seal_words(reason) if reason else None,
            "ico_route_told": ico_route_told,
            "told_at": made.told_at,
        }


class _Unreadable(RegisterUnavailable):
    """One row can't be read: whoever may see the objection is told which."""

    private = False


def _read(objection_id: str, field: str, reading: Callable[[Any], Value], stored: Any) -> Value:
    """What is kept in one field. Raises RegisterUnavailable, and says where, so that somebody can mend it."""
    try:
        return reading(stored)
    except (ValueError, TypeError, LookupError):
        raise _Unreadable(
            f"Objection {objection_id}: its {field} can't be read in the register. It is honoured; the broker's "
            f"operator must restore it. Those that follow it are listed with after={objection_id}."
        ) from None


def _person(stored: str) -> dict[str, Any]:
    found = json.loads(stored)
    if not {"subject", "organisation"} <= set(found):
        raise ValueError
    return dict(found)


def _who(stored: str | None) -> dict[str, Any] | None:
    return _person(stored) if stored else None
