"""What rows say where places must not show: the kind of service and a number, in an order fixed by the plan."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from broker.lookup.release import Hiding
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
    """How much of where the patient is shows in one reply. It may become less while sources answer, never more."""

    def __init__(self, hiding: Hiding, rows: Iterable[Row]) -> None:
        self.hiding = hiding
        self._labels: dict[str | None, str] = {}
        counts: dict[str, int] = {}
        for row in rows:
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
        return tuple(self.without_place(row) for row in rows)

    def without_place(self, row: Row) -> Row:
        """A row that names only the kind of service."""
        label = self._labels.get(row.source)
        if label is None:
            return row
        return replace(row, source=label, organisation=None, name=_KINDS.get(row.service_type, "A service"))
