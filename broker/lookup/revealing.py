"""What a row may reveal, and to whom: a table, and what is left of a row under it.

The table has a line for each state of a row, and a column for each kind of reader. The last two columns are alike on
purpose: who may lift an objection is told that there is one (`restrictions`), and never by a row where it lies.

**Under a narrower objection** nobody may learn from a reply which organisation or category the patient objects to. So
each category of another organisation has something to show, or failed, or is `withheld`, which one that holds nothing
has in common with one that is objected to. That something was cut or could not be read is said of nothing there
(`truncated`, notes): it may be what is objected to, and often nobody knows of what kind it was. Nothing in such a reply
is definite, which holds for all of it. What is objected to failed only where its whole source did: that one kind of it
can't be read may mean that there is something.

From the row of the reader's own organisation no objection keeps anything, and the reader could ask it without the
broker: it stays as it is. So do rows that are settled before anybody is asked, whatever the patient objects to
(`agreement-lapsed`, `practice-not-asked`), and the identity service's, except where the patient objects to one of the
two categories that it answers itself: those can't be withheld without saying so.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Final

from broker.lookup.rows import DEFINITE, FAILED, RUNS_EXCLUDED, row_status
from broker.lookup.values import CategoryRow, Row, Status

__all__ = ["FIELDS", "REVEALED", "Reader", "State", "bare", "is_silent", "narrowed", "revealed", "withheld"]


class State(StrEnum):
    """What a row is a row of."""

    ORDINARY = "ordinary"
    UNCONFIRMED = "unconfirmed"
    """Nobody says whether the patient is restricted: where they live is hidden, which is in no row."""
    RESTRICTED = "restricted"
    """Where the patient is seen must not show."""
    OBJECTED = "objected"
    """The patient objects to all sharing between services, or to this reader."""
    SILENT = "silent"
    """The patient objects to some of it; here nothing is to show, or all of it is objected to."""
    HEARD = "heard"
    """The patient objects to some of it; here is something to show, or the source failed."""


class Reader(StrEnum):
    """Who reads a row."""

    OWN = "own"
    """Works for the organisation whose row it is."""
    OVERRIDER = "overrider"
    """Works for another, in a role that may break the glass."""
    OTHER = "other"


_WHO: Final = frozenset({"source", "organisation", "name"})
_HOW: Final = frozenset({"elapsed_ms", "retry_after_s", "notes", "counts"})
_SERVICES: Final = frozenset({"services"})
"""The note of an organisation that also runs a service that is never shared: it tells which one it is."""

FIELDS: Final = _WHO | _HOW | _SERVICES
"""What a row may hold back. Kind of service, status and currency always show."""


def _alike(own: frozenset[str], others: frozenset[str]) -> Mapping[Reader, frozenset[str]]:
    return {Reader.OWN: own, Reader.OVERRIDER: others, Reader.OTHER: others}


REVEALED: Final[Mapping[State, Mapping[Reader, frozenset[str]]]] = {
    #                          own       others
    State.ORDINARY: _alike(FIELDS, FIELDS),
    State.UNCONFIRMED: _alike(FIELDS, FIELDS),
    State.RESTRICTED: _alike(_HOW, _HOW),
    State.OBJECTED: _alike(FIELDS, _WHO),
    State.SILENT: _alike(FIELDS, _WHO),
    State.HEARD: _alike(FIELDS, FIELDS - {"notes"}),
}
"""Which fields of a row show."""


def revealed(row: Row, state: State, own: str, *, overrider: bool = False) -> frozenset[str]:
    """The fields of a row in this state that a reader of the organisation `own` may see."""
    reader = Reader.OWN if row.organisation == own else Reader.OVERRIDER if overrider else Reader.OTHER
    return REVEALED[state][reader]


def bare(row: Row, fields: frozenset[str], *, source: str | None = None, name: str = "") -> Row:
    """What is left of a row where only these fields show.

    Args:
        row: with everything.
        fields: of `FIELDS`.
        source: what it is called instead, where its source does not show.
        name: what its organisation is called instead.
    """
    if fields == FIELDS:
        return row
    if "counts" not in fields:
        row = replace(row, resources=0, categories=_uncounted(row.categories), types=_uncounted(row.types))
    notes = [note for note in row.notes if ("services" if note == RUNS_EXCLUDED else "notes") in fields]
    return replace(
        row,
        source=row.source if "source" in fields else source,
        organisation=row.organisation if "organisation" in fields else None,
        name=row.name if "name" in fields else name,
        elapsed_ms=row.elapsed_ms if "elapsed_ms" in fields else None,
        retry_after_s=row.retry_after_s if "retry_after_s" in fields else None,
        notes=tuple(notes),
    )


def withheld(row: Row, own: str) -> Row:
    """The row of a source where the patient objects to all sharing: every category is `withheld`."""
    if row.organisation == own:
        return row
    row = replace(
        row,
        status=Status.WITHHELD,
        categories=dict.fromkeys(row.categories, _WITHHELD),
        types=dict.fromkeys(row.types, _WITHHELD),
    )
    return bare(row, revealed(row, State.OBJECTED, own))


def narrowed(row: Row, own: str, objected: Collection[str] = ()) -> Row:
    """The row of a source where the patient objects to some sharing, so that it does not tell to what.

    Args:
        row: with everything.
        own: ODS code of the reader's own organisation.
        objected: categories that the patient objects to.
    """
    if row.organisation is None or row.organisation == own:
        return row
    held = frozenset() if _is_of_the_whole(row) else frozenset(objected)
    categories = {name: _WITHHELD if name in held else _narrowed(one) for name, one in row.categories.items()}
    said = {one.status for one in categories.values()}
    types = {name: _narrowed_type(one, said) for name, one in row.types.items()}
    alone = _narrowed(CategoryRow(status=row.status, resources=row.resources)).status
    row = replace(
        row,
        categories=categories,
        types=types,
        status=row_status(categories, alone),
        retry_after_s=None if said.isdisjoint(FAILED) else row.retry_after_s,
    )
    return bare(row, revealed(row, State.SILENT if is_silent(row) else State.HEARD, own))


def is_silent(row: Row) -> bool:
    """Nothing but `withheld` in this row, which can't be told apart from one that is objected to."""
    return row.status is Status.WITHHELD and all(
        one.status is Status.WITHHELD and not one.resources for one in row.categories.values()
    )


def _is_of_the_whole(row: Row) -> bool:
    """Whether what the row says is true of its whole source, whatever the source holds."""
    asked = [one for one in row.categories.values() if one.status is not Status.NOT_PROVIDED]
    return all(one.status not in _TOLD_APART and not one.resources for one in asked)


def _narrowed(one: CategoryRow) -> CategoryRow:
    if one.status not in _TOLD_APART:
        return one
    return CategoryRow(status=Status.ANSWERED if one.resources else Status.WITHHELD, resources=one.resources)


def _narrowed_type(one: CategoryRow, said: Collection[Status]) -> CategoryRow:
    """A type failed where a category that may say so did: else it may be one of a category that is objected to."""
    return _narrowed(one) if one.status in _TOLD_APART or one.status in said else _WITHHELD


_WITHHELD: Final = CategoryRow(status=Status.WITHHELD)
_TOLD_APART: Final = DEFINITE | {Status.WITHHELD, Status.TRUNCATED}
"""Statuses that would say whether nothing is there, an objection keeps it, or something of it was cut."""


def _uncounted(rows: Mapping[str, CategoryRow]) -> dict[str, CategoryRow]:
    return {name: replace(one, resources=0) for name, one in rows.items()}
