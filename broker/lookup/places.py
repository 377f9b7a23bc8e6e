"""What rows say where places must not show: the kind of service and a number.

The numbers follow no order that anybody could look up: they are fixed for one patient, by a key of the node's.
"""

from collections.abc import Callable, Iterable, Mapping

from broker.lookup.judging.hiding import Hiding
from broker.lookup.revealing import REVEALED, Reader, State, bare
from broker.lookup.rows import in_order
from broker.lookup.values import Row

__all__ = ["Places"]

_KINDS: Mapping[str, str] = {
    "acute": "An acute hospital",
    "community": "A community service",
    "gp-practice": "A GP practice",
    "mental-health": "A mental health service",
    "social-care": "A social care service",
    "urgent-care": "An urgent care service",
}


class Places:
    """How much of where the patient is shows in one reply. It may become less while sources answer, never more.

    Args:
        hiding: as far as is known before any source is asked.
        rows: of the plan.
        shuffle: what to order rows by, for this patient, given the name of a source.
    """

    def __init__(self, hiding: Hiding, rows: Iterable[Row], shuffle: Callable[[str], str]) -> None:
        self.hiding = hiding
        self._labels: dict[str | None, str] = {}
        counts: dict[str, int] = {}
        for row in sorted(rows, key=lambda row: shuffle(row.source or "")):
            if row.organisation is not None:
                counts[row.service_type] = counts.get(row.service_type, 0) + 1
                self._labels[row.source] = f"{row.service_type}-{counts[row.service_type]}"

    def hide(self) -> None:
        """A source says that the patient is restricted: from here on places are hidden."""
        self.hiding = Hiding.PLACES

    def shown(self, rows: Iterable[Row]) -> tuple[Row, ...]:
        """The rows as the reader may see them."""
        if self.hiding is not Hiding.PLACES:
            return tuple(rows)
        return in_order(self.without_place(row) for row in rows)

    def without_place(self, row: Row) -> Row:
        """A row that names only the kind of service."""
        label = self._labels.get(row.source)
        if label is None:
            return row
        # Of the reader's own organisation too: which row is theirs would tell where the patient is seen.
        fields = REVEALED[State.RESTRICTED][Reader.OWN]
        return bare(row, fields, source=label, name=_KINDS.get(row.service_type, "A service"))
