"""What one source comes to, and the rows of sources that give nothing."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from broker.lookup.facts import Fact
from broker.lookup.fanout import Answer
from broker.lookup.judging.hiding import Hiding
from broker.lookup.plan import Ask
from broker.lookup.rows import RUNS_EXCLUDED, row_status
from broker.lookup.values import CategoryRow, Entry, Row, Status

__all__ = ["Judged", "failed_row", "refused", "timed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What one source comes to.

    Attributes:
        row: final, as the journal has it: with its places.
        entries: released, in a fixed order.
        facts: what merging needs of them.
        patient: the source's own Patient of this patient; None where it gave none.
        hiding: how much was hidden in it.
        wrong_birth_date: it knows the number, with another date of birth.
        wrong_patient: it answered about somebody else.
        numbers: NHS numbers on the source's Patients of this patient that are not in the identity set, old ones too:
            the patient may have objected under any of them.
        dissent: its record says that the patient refused sharing there: nothing of the whole organisation is shared.
        heard: what it says of being shared is known in full; not so of a source that failed.
        third_party: its record says that the patient refused sharing with somebody whom only words name.
        encounters: of the reader's own organisation, id and status of each that it gave; None for one that came in an
            answer about somebody else.
    """

    row: Row
    entries: tuple[Entry, ...] = ()
    facts: tuple[Fact, ...] = ()
    patient: Mapping[str, Any] | None = None
    hiding: Hiding = Hiding.NOTHING
    wrong_birth_date: bool = False
    wrong_patient: bool = False
    numbers: frozenset[str] = frozenset()
    dissent: bool = False
    heard: bool = False
    third_party: bool = False
    encounters: Mapping[str, str | None] = field(default_factory=dict)


def failed_row(ask: Ask, status: Status, answer: Answer | None, notes: tuple[str, ...] = ()) -> Row:
    """The row of a source that failed as a whole: every category asked of it takes the failure."""
    categories = {
        name: CategoryRow(status=status if name in ask.asked else Status.NOT_PROVIDED) for name in ask.row.categories
    }
    types = {
        name: before if before.status is Status.NOT_PROVIDED else CategoryRow(status=status)
        for name, before in ask.row.types.items()
    }
    row = replace(ask.row, categories=categories, types=types, status=row_status(categories), notes=notes)
    return timed(row, answer) if answer is not None else row


def refused(judged: Judged) -> Judged:
    """What is left of a source once its organisation is known to have been told not to share: its row alone.

    One that answered about somebody else still says so.
    """
    if judged.wrong_patient:
        return judged

    def withheld(rows: Mapping[str, CategoryRow]) -> dict[str, CategoryRow]:
        held = CategoryRow(status=Status.WITHHELD_BY_SOURCE)
        return {name: one if one.status is Status.NOT_PROVIDED else held for name, one in rows.items()}

    row = judged.row
    categories = withheld(row.categories)
    row = replace(
        row,
        categories=categories,
        types=withheld(row.types),
        status=row_status(categories, Status.WITHHELD_BY_SOURCE),
        resources=0,
        retry_after_s=None,
        notes=tuple(note for note in row.notes if note == RUNS_EXCLUDED),
    )
    return replace(judged, row=row, entries=(), facts=(), patient=None)


def timed(row: Row, answer: Answer) -> Row:
    """A row with how long its source took, and when it wants to be asked again."""
    retry = None if answer.retry_after is None else math.ceil(answer.retry_after)
    return replace(row, elapsed_ms=round(answer.elapsed * 1000), retry_after_s=retry)
