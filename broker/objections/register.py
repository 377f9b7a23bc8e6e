"""Writes the register: record, decide, withdraw, import; each change journalled durably before it is in force."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any, Final, Protocol
from unicodedata import category

from sqlalchemy.ext.asyncio import AsyncEngine

from broker import nhs_number
from broker.clock import london_day
from broker.errors import BrokerError, Conflict, InvalidNhsNumber, InvalidRequest, Unavailable
from broker.keys import Keys
from broker.objections.ledger import CHANGED, Held, Ledger, Taken
from broker.objections.letter import Letter
from broker.objections.rights import Rights
from broker.objections.rules import DECIDED, check_decision, is_named, review_day
from broker.objections.scopes import WHOLE, Known, Scope
from broker.objections.values import ASKED_BY, Actor, ImportedObjection, ImportResult, ObjectionRecord, Status
from policies import Policies

__all__ = ["Journal", "ObjectionRegister"]

LONGEST_REASON: Final = 2000
"""Characters."""

_ANOTHERS: Final = "reference: another objection has it already: look which is right."


class Journal(Protocol):
    """What the register needs of `broker.journal.Journal`."""

    def append(self, event: str, **fields: Any) -> "asyncio.Future[None]":
        """Put down one event; durable when the future is done, which raises JournalUnavailable."""
        ...

    async def record(self, event: str, **fields: Any) -> object:
        """Put down one event; durable when it returns. Raises JournalUnavailable."""
        ...


def _now() -> datetime:
    return datetime.now(UTC)


class ObjectionRegister:
    """The objections of patients to sharing between services.

    Each change is journalled inside its transaction: the journal may name a change that the register then failed to
    keep (and that was answered with an error), never the other way round. What is refused is journalled too.

    All methods raise JournalUnavailable or RegisterUnavailable where one of the two can't be reached, RoleNotPermitted
    where the actor may not, and NotFound for an objection that is not there or that the actor may not see.

    Args:
        policies: decide who may.
        lead_controller: ODS code of whose officers decide what is about more than one organisation; None for nobody.
        known: what an objection may name.
        letter: tells a patient that their objection was not upheld; left out, that of the package.

    Attributes:
        known: what an objection may name.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        keys: Keys,
        journal: Journal,
        policies: Policies,
        *,
        lead_controller: str | None,
        known: Known | None = None,
        letter: Letter | None = None,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._ledger = Ledger(engine, keys)
        self._keys = keys
        self._journal = journal
        self._rights = Rights(policies, lead_controller)
        self.known = known or Known(categories=policies.tables.categories)
        self._letter = letter or Letter.load(None)
        self._now = now

    async def record(
        self,
        actor: Actor,
        *,
        patient: str,
        asked_by: str,
        effect_explained: bool,
        scope: Scope = WHOLE,
        birth_date: date | None = None,
    ) -> ObjectionRecord:
        """Put down an objection; honoured from now on.

        Args:
            actor: who records it.
            patient: NHS number.
            asked_by: one of `ASKED_BY`.
            effect_explained: whether the effect on care was explained, as it must have been.
            scope: what it is about.
            birth_date: the patient's. A child's objection for which a parent asked is looked at again at sixteen.
        """
        valid = nhs_number.is_valid(patient)
        async with self._refusals(actor, self._keys.seal_patient(patient) if valid else None):
            self._rights.require_record(actor)
            if not valid:
                raise InvalidNhsNumber
            _check_asked_by(asked_by)
            if not effect_explained:
                raise InvalidRequest("effect_explained: explain the effect on care to whoever asks, then record it.")
            self.known.check(scope)
            made = ObjectionRecord(
                id=secrets.token_hex(8),
                version=1,
                status=Status.RECEIVED,
                scope=scope,
                asked_by=asked_by,
                recorded_by=actor.as_kept(),
                recorded_at=self._stamp(),
                review_on=review_day(asked_by, birth_date, self._today()),
            )
            new = Held(made, self._keys.seal_patient(patient))
            async with self._ledger.changing() as change:
                await change.add([new])
                await self._journal.record("objection.recorded", **_fields(new, actor))
            return made

    async def import_rows(self, actor: Actor, rows: Sequence[ImportedObjection]) -> list[ImportResult]:
        """Put down objections that were made elsewhere, upheld, all in one transaction.

        What has the origin and reference of one that is in the register is left as it is there. A row that can't be
        taken costs that row alone; so does one whose reference is another patient's, or to something else.

        Args:
            actor: who may decide objections to the whole record.
            rows: best some hundreds at once.
        """
        async with self._refusals(actor):
            self._rights.require_import(actor)
        results: dict[int, ImportResult] = {}
        new: dict[tuple[str, str], Held] = {}
        async with self._ledger.changing() as change:
            there: dict[tuple[str, str], Taken] = {}
            for name in {row.origin.name for row in rows}:
                taken = await change.taken(name, [row.origin.reference for row in rows if row.origin.name == name])
                there |= {(name, reference): found for reference, found in taken.items()}
            for place, row in enumerate(rows):
                key = (row.origin.name, row.origin.reference)
                try:
                    held = self._imported(actor, row)
                except BrokerError as error:
                    results[place] = ImportResult(problem=error.message)
                    continue
                if key not in there:
                    new[key] = held
                    there[key] = Taken(held.record.id, held.patient, held.record.scope)
                    results[place] = ImportResult(id=held.record.id, new=True)
                elif (there[key].patient, there[key].scope) == (held.patient, held.record.scope):
                    results[place] = ImportResult(id=there[key].id)
                else:
                    results[place] = ImportResult(problem=_ANOTHERS)
            if new:
                await change.add(list(new.values()))
                written = [
                    self._journal.append("objection.recorded", **_fields(each, actor), origin=name)
                    for (name, _), each in new.items()
                ]
                await asyncio.gather(*written)
        return [results[place] for place in range(len(rows))]

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
            actor: who may decide this one, and not who recorded it.
            objection_id: as `record` gave it.
            status: `under-review`, `upheld` or `not-upheld`.
            reason: why; needed for `not-upheld`.
            ico_route_told: the patient is told of the Information Commissioner; needed for `not-upheld`.
            told: the day on which the patient was told.
            version: where given, the change is made to this version or not at all (Conflict).
        """
        async with self._refusals(actor), self._ledger.changing() as change:
            held = self._rights.require_decide(actor, await change.get(objection_id))
            current = held.record
            wanted = _decision(status)
            _check_reason(reason)
            _check_version(current, version)
            check_decision(
                current, wanted, reason=reason, ico_route_told=ico_route_told, told=told, today=self._today()
            )
            at = self._stamp()
            made = replace(current, status=wanted, told_at=told or current.told_at)
            if wanted in DECIDED and wanted != current.status:
                made = replace(made, decided_by=actor.as_kept(), decided_at=at)
            made = await change.alter(
                current, made, by=actor.as_kept(), at=at, reason=reason, ico_route_told=ico_route_told
            )
            await self._journal.record("objection.decided", **_fields(Held(made, held.patient), actor))
            return made

    async def withdraw(self, actor: Actor, objection_id: str, *, version: int | None = None) -> ObjectionRecord:
        """The patient takes it back: from now on it is as if it had never been. `version` as in `decide`.

        A patient may take it back with whoever may see it, one that was upheld too: those who decide it, and those who
        record objections where it was recorded. The journal and its history say who took it down.
        """
        async with self._refusals(actor), self._ledger.changing() as change:
            held = self._rights.require_see(actor, await change.get(objection_id))
            _check_version(held.record, version)
            if held.record.status is Status.WITHDRAWN:
                raise Conflict("This objection is withdrawn already.")
            made = replace(held.record, status=Status.WITHDRAWN)
            made = await change.alter(held.record, made, by=actor.as_kept(), at=self._stamp())
            await self._journal.record("objection.decided", **_fields(Held(made, held.patient), actor))
            return made

    async def show(self, actor: Actor, objection_id: str) -> ObjectionRecord:
        """One objection, with every version of it."""
        async with self._refusals(actor), self._ledger.reading() as reading:
            held = self._rights.require_see(actor, await reading.get(objection_id))
            return replace(held.record, history=await reading.history(objection_id))

    async def letter(self, actor: Actor, objection_id: str) -> str:
        """The letter that tells the patient that it is not upheld, dated today. Conflict where that is not so."""
        async with self._refusals(actor), self._ledger.reading() as reading:
            held = self._rights.require_see(actor, await reading.get(objection_id))
            if held.record.status is not Status.NOT_UPHELD or held.reason is None:
                raise Conflict(f"This objection is {held.record.status}: there is a letter for not-upheld alone.")
            return self._letter.written(held.record, held.reason, self.known.organisations, self._today())

    async def list(
        self,
        actor: Actor,
        *,
        patient: str | None = None,
        status: str | None = None,
        due: bool = False,
        after: str | None = None,
        limit: int | None = None,
    ) -> tuple[ObjectionRecord, ...]:
        """The objections that this actor may see, oldest first.

        Args:
            actor: who looks.
            patient: NHS number; of this patient alone.
            status: in this state alone.
            due: those alone that are in force, and that were to be looked at again by today.
            after: those alone that follow the one with this id.
            limit: at most so many.
        """
        async with self._refusals(actor):
            seen = self._rights.sorts(actor)
            if patient is not None and not nhs_number.is_valid(patient):
                raise InvalidNhsNumber
            if status is not None and status not in set(Status):
                raise InvalidRequest(f"status: write one of {' '.join(Status)}.")
            async with self._ledger.reading() as reading:
                found = await reading.find(
                    actor.organisation,
                    seen,
                    patient=self._keys.seal_patient(patient) if patient else None,
                    status=Status(status) if status else None,
                    due=self._today() if due else None,
                    after=after,
                    limit=limit,
                    hidden=lambda scope: is_named(actor, scope),
                )
            return tuple(found)

    def _imported(self, actor: Actor, row: ImportedObjection) -> Held:
        if not nhs_number.is_valid(row.patient):
            raise InvalidNhsNumber
        if not row.origin.reference:
            raise InvalidRequest("reference: without one nobody can tell whether it is in the register already.")
        _check_asked_by(row.asked_by)
        self.known.check(row.scope)
        if row.origin.dated and row.origin.dated > self._today():
            raise InvalidRequest("date: write the day on which it was made, not one to come.")
        made = ObjectionRecord(
            id=secrets.token_hex(8),
            version=1,
            status=Status.UPHELD,
            scope=row.scope,
            asked_by=row.asked_by,
            recorded_by=actor.as_kept(),
            recorded_at=self._stamp(),
            decided_by=actor.as_kept(),
            decided_at=self._stamp(),
            review_on=row.review_on,
            origin=row.origin,
        )
        return Held(made, self._keys.seal_patient(row.patient))

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

    def _today(self) -> date:
        return london_day(self._now())

    def _stamp(self) -> str:
        return self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _fields(held: Held, actor: Actor) -> dict[str, Any]:
    """What the journal says of a change."""
    return {
        "objection_id": held.record.id,
        "version": held.record.version,
        "status": held.record.status.value,
        "patient": held.patient,
        "user": actor.as_user(),
    }


def _check_asked_by(asked_by: str) -> None:
    if asked_by not in ASKED_BY:
        raise InvalidRequest(f"asked_by: write one of {' '.join(ASKED_BY)}.")


def _check_reason(reason: str | None) -> None:
    if reason and len(reason) > LONGEST_REASON:
        raise InvalidRequest(f"reason: write at most {LONGEST_REASON} characters.")
    # Control signs and halves of signs have no place in a letter, and some can't be kept.
    if reason and any(category(sign) in {"Cc", "Cs"} and sign not in "\n\r\t" for sign in reason):
        raise InvalidRequest("reason: write words, without signs that can't be printed.")


def _check_version(current: ObjectionRecord, version: int | None) -> None:
    if version is not None and version != current.version:
        raise Conflict(CHANGED)


def _decision(status: str) -> Status:
    if status not in {Status.UNDER_REVIEW, *DECIDED}:
        raise InvalidRequest("status: write under-review, upheld or not-upheld.")
    return Status(status)
