"""Objections made elsewhere: which of them carry over, and what becomes of each row of a file."""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from hashlib import blake2b
from itertools import islice
from types import MappingProxyType
from typing import Final

from broker import nhs_number
from broker.errors import RequestError
from broker.keys import Keys
from broker.objections.rules import review_day
from broker.objections.scopes import Scope
from broker.objections.sheet import Line, Sheet
from broker.objections.values import ASKED_BY, ImportedObjection, ImportResult, Origin

__all__ = ["CARRIED_OVER", "ORIGINS", "Fate", "Outcome", "Put", "import_sheet", "judge"]

CARRIED_OVER: Final = ("connectcare", "local-care-record")
"""Whoever said no there need not say it again (London Care Record, question 16)."""

_NOT_CARRIED_OVER: Final = MappingProxyType({
    "summary-care-record": "an opt-out of the Summary Care Record does not carry over: ask the patient about this one",
    "national-data-opt-out": "a National Data Opt-out is not about direct care and does not carry over",
})

ORIGINS: Final = (*CARRIED_OVER, *_NOT_CARRIED_OVER)

_NO_REVIEW: Final = (
    "; asked by a parent, and nobody is told to look at it again at 16: birth_date is missing, or is no child's"
)

BATCH: Final = 500
"""Rows in one transaction: what a broker that serves at the same time waits for, and what a cut costs."""

LONGEST_REFERENCE: Final = 128
"""Characters."""


class Outcome(StrEnum):
    """What became of a row."""

    IMPORTED = "imported"
    ALREADY_THERE = "already-there"
    NOT_CARRIED_OVER = "not-carried-over"
    TO_WORK_LIST = "to-work-list"


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a row, and why, in words that name nobody.

    Attributes:
        objection: its id in the register, where it is there.
    """

    outcome: Outcome
    reason: str
    objection: str = ""


Put = Callable[[Sequence[ImportedObjection]], Awaitable[Sequence[ImportResult]]]
"""Puts some down, all or none of them, and says what became of each. `ObjectionRegister.import_rows`, for somebody."""


async def import_sheet(
    sheet: Sheet,
    put: Put,
    *,
    keys: Keys,
    origin: str | None,
    today: date,
    tell: Callable[[Line, Fate], None],
) -> None:
    """Import every row, some hundreds at a time. What was imported before, by whomever, is found and left as it is.

    Args:
        sheet: the rows.
        put: the register. Whatever it raises ends the import; what was put down until then stays.
        keys: name what the origin has no name for.
        origin: of rows that name none.
        today: no objection is of a later day.
        tell: called with every row, in order, once its fate is certain.
    """
    rows = iter(sheet)
    while batch := tuple(islice(rows, BATCH)):
        judged = [judge(line, origin=origin, today=today) for line in batch]
        named = [_named(each, keys) for each in judged if isinstance(each, ImportedObjection)]
        results = iter(await put(named) if named else ())
        for line, each in zip(batch, judged, strict=True):
            tell(line, each if isinstance(each, Fate) else _fate(each, next(results)))


def _fate(objection: ImportedObjection, result: ImportResult) -> Fate:
    if result.problem or not result.id:
        problem = result.problem or "the register did not take it"
        return Fate(Outcome.TO_WORK_LIST, problem.replace(": see /about.", "."))  # whoever reads this has no browser
    if result.new:
        unseen = objection.asked_by == "parent" and objection.review_on is None
        return Fate(Outcome.IMPORTED, f"put down as upheld{_NO_REVIEW if unseen else ''}", result.id)
    return Fate(Outcome.ALREADY_THERE, "imported before", result.id)


def _named(objection: ImportedObjection, keys: Keys) -> ImportedObjection:
    """The same with a reference: where the origin gave none, one that the same row has each time, and no other."""
    origin = objection.origin
    if origin.reference:
        return objection
    what = f"{objection.patient}/{objection.scope.kind}/{objection.scope.value}/{origin.dated}"
    digest = blake2b(what.encode(), key=keys.id_check_key, digest_size=12, person=b"objections").hexdigest()
    return replace(objection, origin=replace(origin, reference=f"unnamed-{digest}"))


class _Unusable(Exception):
    """A person has to look at the row: why."""


def judge(line: Line, *, origin: str | None, today: date) -> ImportedObjection | Fate:
    """The objection that a row states, or what becomes of the row as it is.

    Args:
        line: the row.
        origin: of rows that name none.
        today: no objection is of a later day.
    """
    if line.problem:
        return Fate(Outcome.TO_WORK_LIST, line.problem)
    try:
        made_at = _origin(line.cells, origin)
        if made_at in _NOT_CARRIED_OVER:
            return Fate(Outcome.NOT_CARRIED_OVER, _NOT_CARRIED_OVER[made_at])
        return _objection(line.cells, made_at, today)
    except _Unusable as unusable:
        return Fate(Outcome.TO_WORK_LIST, str(unusable))


def _origin(cells: dict[str, str], given: str | None) -> str:
    named = re.sub(r"[\s_-]+", "-", cells.get("origin", "")).lower() or given
    if named is None:
        raise _Unusable("origin: the row has none, and no --origin was given")
    if named not in ORIGINS:
        raise _Unusable(f"origin: not one that is known ({' '.join(ORIGINS)})")
    return named


def _objection(cells: dict[str, str], origin: str, today: date) -> ImportedObjection:
    if not cells["nhs_number"]:
        raise _Unusable("nhs_number: the row has none")
    number = re.sub(r"[ -]", "", cells["nhs_number"])
    if not nhs_number.is_valid(number):
        raise _Unusable("nhs_number: not a valid NHS number")
    made_on = _day(cells, "date", today)
    if made_on is None:
        raise _Unusable("date: the row has none")
    born = _day(cells, "birth_date", today)
    if born and born > made_on:
        raise _Unusable("birth_date: after the date of the objection")
    asked_by = cells.get("asked_by") or "patient"
    if asked_by not in ASKED_BY:
        raise _Unusable(f"asked_by: not one of {' '.join(ASKED_BY)}")
    reference = cells.get("reference", "")
    if len(reference) > LONGEST_REFERENCE:
        raise _Unusable(f"reference: longer than {LONGEST_REFERENCE} characters")
    return ImportedObjection(
        patient=number,
        origin=Origin(name=origin, reference=reference, dated=made_on),
        scope=_scope(cells),
        asked_by=asked_by,
        review_on=review_day("parent", born, today),
    )


def _scope(cells: dict[str, str]) -> Scope:
    if len([name for name in ("organisation", "category", "staff") if cells.get(name)]) > 1:
        raise _Unusable("organisation, category, staff: a row has one of them: split it into two rows")
    staff = cells.get("staff") or None
    try:
        return Scope.stated(
            organisation=cells.get("organisation", "").upper() or None,
            category=cells.get("category", "").lower() or None,
            staff=staff if staff and "," in staff else None,
            staff_id=None if staff and "," in staff else staff,
        )
    except RequestError:
        raise _Unusable("staff: neither twelve digits of an SDS user id nor ISS,SUB") from None


def _day(cells: dict[str, str], column: str, today: date) -> date | None:
    written = cells.get(column)
    if not written:
        return None
    try:
        found = date.fromisoformat(written)
    except ValueError:
        found = None
    if found is None or found.isoformat() != written:
        raise _Unusable(f"{column}: not a date written YYYY-MM-DD")
    if found > today:
        raise _Unusable(f"{column}: a day to come")
    return found
