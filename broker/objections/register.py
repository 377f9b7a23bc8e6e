"""Writes the register: record, decide, withdraw; each change journalled durably before it is in force."""

import json
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import Any, Final, Protocol

from sqlalchemy import Row, insert, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from broker import nhs_number
from broker.errors import (
    BrokerError,
    Conflict,
    InvalidNhsNumber,
    InvalidRequest,
    NotAvailable,
    NotFound,
    RegisterUnavailable,
    RoleNotPermitted,
    Unavailable,
)
from broker.keys import Keys
from broker.objections.rules import DECIDED, check_decision, may_decide, may_record, may_see
from broker.objections.values import ASKED_BY, Actor, ObjectionRecord, Status
from broker.store import OBJECTIONS, REVISIONS

__all__ = ["Journal", "ObjectionRegister"]

LONGEST_REASON: Final = 2000
"""Characters."""


class Journal(Protocol):
    """What the register needs of `broker.journal.Journal`."""

    async def record(self, event: str, **fields: Any) -> object:
        """Put down one event; durable when it returns. Raises JournalUnavailable."""
        ...


def _now() -> datetime:
    return datetime.now(UTC)


class ObjectionRegister:
    """The objections of patients to sharing between services.

    Each change is journalled inside its transaction: the journal may name a change that the register then failed to
    keep (and that was answered with an error), never the other way round. What is refused is journalled too.

    All methods raise JournalUnavailable or RegisterUnavailable where one of the two can't be reached, and
    RoleNotPermitted where the actor may not.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        keys: Keys,
        journal: Journal,
        *,
        lead_controller: str | None,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._engine = engine
        self._keys = keys
        self._journal = journal
        self._lead = lead_controller
        self._now = now

    async def record(
        self,
        actor: Actor,
        *,
        patient: str,
        asked_by: str,
        effect_explained: bool,
        organisation: str | None = None,
        category: str | None = None,
        staff: str | None = None,
    ) -> ObjectionRecord:
        """Put down an objection; honoured from now on.

        Args:
            actor: who records it.
            patient: NHS number.
            asked_by: `patient`, `parent`, `attorney` or `advocate`.
            effect_explained: whether the effect on care was explained, as it must have been.
            organisation: a scope; with any of the three, NotAvailable.
            category: a scope.
            staff: a scope.
        """
        valid = nhs_number.is_valid(patient)
        async with self._refusals(actor, self._keys.seal_patient(patient) if valid else None):
            if not may_record(actor):
                raise RoleNotPermitted("Recording an objection takes a care role, or one that decides objections.")
            if organisation or category or staff:
                raise NotAvailable(
                    "Narrower objections are not available in this version: record a whole one, or none."
                )
            if not valid:
                raise InvalidNhsNumber
            if asked_by not in ASKED_BY:
                raise InvalidRequest(f"asked_by: write one of {' '.join(ASKED_BY)}.")
            if not effect_explained:
                raise InvalidRequest("effect_explained: explain the effect on care to whoever asks, then record it.")
            async with self._change() as (connection, revision):
                made = ObjectionRecord(
                    id=secrets.token_hex(8),
                    version=1,
                    status=Status.RECEIVED,
                    scope="whole",
                    recorded_by=actor.as_json(),
                    recorded_at=self._stamp(),
                )
                sealed = self._keys.seal_patient(patient)
                await connection.execute(
                    insert(OBJECTIONS).values(
                        id=made.id,
                        revision=revision,
                        version=made.version,
                        status=made.status.value,
                        scope=made.scope,
                        patient=sealed,
                        asked_by=asked_by,
                        effect_explained=True,
                        recorded_by=json.dumps(made.recorded_by),
                        recorded_at=made.recorded_at,
                        ico_route_told=False,
                    )
                )
                await self._write_down("objection.recorded", made, sealed, actor)
                return made

    async def decide(
        self,
        actor: Actor,
        objection_id: str,
        *,
        status: str,
        reason: str | None = None,
        ico_route_told: bool = False,
        told: date | None = None,
        version: int | None = None,
    ) -> ObjectionRecord:
        """Take it under review, decide it, or record (with the status it has) when the patient was told.

        Args:
            actor: the lead controller's, and not who recorded it.
            objection_id: as `record` gave it.
            status: `under-review`, `upheld` or `not-upheld`.
            reason: why; needed for `not-upheld`.
            ico_route_told: the patient is told of the Information Commissioner; needed for `not-upheld`.
            told: the day on which the patient was told.
            version: where given, the change is made to this version or not at all (Conflict).
        """
        async with self._refusals(actor):
            self._require_decider(actor)
            wanted = _decision(status)
            if reason and len(reason) > LONGEST_REASON:
                raise InvalidRequest(f"reason: write at most {LONGEST_REASON} characters.")
            async with self._change() as (connection, revision):
                row = await self._row(connection, objection_id)
                current = _record(row)
                _check_version(current, version)
                today = self._now().astimezone().date()
                check_decision(
                    current, wanted, actor, reason=reason, ico_route_told=ico_route_told, told=told, today=today
                )
                values: dict[str, Any] = {}
                if wanted in DECIDED and wanted != current.status:
                    values |= {"decided_by": json.dumps(actor.as_json()), "decided_at": self._stamp()}
                if reason:
                    values["reason"] = self._keys.seal_words(reason)
                if ico_route_told:
                    values["ico_route_told"] = True
                if told:
                    values["told_at"] = told
                made = await self._update(connection, current, revision, status=wanted, **values)
                await self._write_down("objection.decided", made, row.patient, actor)
                return made

    async def withdraw(self, actor: Actor, objection_id: str, *, version: int | None = None) -> ObjectionRecord:
        """The patient takes it back: from now on it is as if it had never been."""
        async with self._refusals(actor):
            self._require_recorder(actor)
            async with self._change() as (connection, revision):
                row = await self._row(connection, objection_id)
                current = self._seen(actor, row)
                _check_version(current, version)
                if current.status is Status.WITHDRAWN:
                    raise Conflict("This objection is withdrawn already.")
                made = await self._update(connection, current, revision, status=Status.WITHDRAWN)
                await self._write_down("objection.decided", made, row.patient, actor)
                return made

    async def show(self, actor: Actor, objection_id: str) -> ObjectionRecord:
        """One objection. NotFound where there is none that this actor may see."""
        async with self._refusals(actor):
            self._require_recorder(actor)
            async with self._reading() as connection:
                return self._seen(actor, await self._row(connection, objection_id))

    async def list(
        self, actor: Actor, *, patient: str | None = None, status: str | None = None
    ) -> tuple[ObjectionRecord, ...]:
        """The objections that this actor may see, oldest first."""
        async with self._refusals(actor):
            self._require_recorder(actor)
            query = select(OBJECTIONS).order_by(OBJECTIONS.c.recorded_at, OBJECTIONS.c.id)
            if patient is not None:
                if not nhs_number.is_valid(patient):
                    raise InvalidNhsNumber
                query = query.where(OBJECTIONS.c.patient == self._keys.seal_patient(patient))
            if status is not None:
                if status not in set(Status):
                    raise InvalidRequest(f"status: write one of {' '.join(Status)}.")
                query = query.where(OBJECTIONS.c.status == status)
            async with self._reading() as connection:
                found = [_record(row) for row in await connection.execute(query)]
            return tuple(each for each in found if may_see(actor, self._lead, each.recorded_by))

    @asynccontextmanager
    async def _change(self) -> AsyncIterator[tuple[AsyncConnection, int]]:
        """A transaction that holds the register's counter, so that changes follow one another; and the new revision."""
        try:
            async with self._engine.begin() as connection:
                counter = update(REVISIONS).where(REVISIONS.c.register == "objections")
                taken = counter.values(revision=REVISIONS.c.revision + 1).returning(REVISIONS.c.revision)
                yield connection, (await connection.execute(taken)).scalar_one()
        except (SQLAlchemyError, OSError) as error:
            raise RegisterUnavailable from error

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AsyncConnection]:
        try:
            async with self._engine.connect() as connection:
                yield connection
        except (SQLAlchemyError, OSError) as error:
            raise RegisterUnavailable from error

    @asynccontextmanager
    async def _refusals(self, actor: Actor, patient: str | None = None) -> AsyncIterator[None]:
        """Journal what is refused to this actor."""
        try:
            yield
        except Unavailable:
            raise
        except BrokerError as error:
            await self._journal.record(
                "request.refused", user=actor.as_user(), code=error.code, patient=patient, surface="objections"
            )
            raise

    async def _write_down(self, event: str, made: ObjectionRecord, patient: str, actor: Actor) -> None:
        await self._journal.record(
            event,
            objection_id=made.id,
            version=made.version,
            status=made.status.value,
            patient=patient,
            user=actor.as_user(),
        )

    async def _row(self, connection: AsyncConnection, objection_id: str) -> Row[Any]:
        row = (await connection.execute(select(OBJECTIONS).where(OBJECTIONS.c.id == objection_id))).one_or_none()
        if row is None:
            raise NotFound
        return row

    async def _update(
        self, connection: AsyncConnection, current: ObjectionRecord, revision: int, *, status: Status, **values: Any
    ) -> ObjectionRecord:
        chosen = update(OBJECTIONS).where(OBJECTIONS.c.id == current.id, OBJECTIONS.c.version == current.version)
        changed = await connection.execute(
            chosen.values(status=status.value, version=current.version + 1, revision=revision, **values)
        )
        if changed.rowcount != 1:
            raise Conflict(_CHANGED)
        return _record(await self._row(connection, current.id))

    def _seen(self, actor: Actor, row: Row[Any]) -> ObjectionRecord:
        found = _record(row)
        if not may_see(actor, self._lead, found.recorded_by):
            raise NotFound
        return found

    def _require_recorder(self, actor: Actor) -> None:
        if not may_record(actor):
            raise RoleNotPermitted("Objections are for care roles, privacy officers and Caldicott guardians.")

    def _require_decider(self, actor: Actor) -> None:
        if self._lead is None:
            raise RoleNotPermitted(
                "Nobody decides whole objections until [objections] lead_controller names who does: they are honoured."
            )
        if not may_decide(actor, self._lead):
            raise RoleNotPermitted(
                "Whole objections are decided by the lead controller's privacy officer or Caldicott guardian, "
                "with a token of the operator's issuer."
            )

    def _stamp(self) -> str:
        return self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_CHANGED: Final = "Somebody changed this objection meanwhile: look at it again, then decide."


def _check_version(current: ObjectionRecord, version: int | None) -> None:
    if version is not None and version != current.version:
        raise Conflict(_CHANGED)


def _decision(status: str) -> Status:
    if status not in {Status.UNDER_REVIEW, *DECIDED}:
        raise InvalidRequest("status: write under-review, upheld or not-upheld.")
    return Status(status)


def _record(row: Row[Any]) -> ObjectionRecord:
    return ObjectionRecord(
        id=row.id,
        version=row.version,
        status=Status(row.status),
        scope=row.scope,
        recorded_by=json.loads(row.recorded_by),
        recorded_at=row.recorded_at,
        decided_by=json.loads(row.decided_by) if row.decided_by else None,
        decided_at=row.decided_at,
        told_at=row.told_at,
    )
