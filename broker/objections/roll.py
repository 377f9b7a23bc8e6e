"""Who objects, and to what: what the index holds in memory, a few bytes for each objection."""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from policies.values import Objection

__all__ = ["Roll", "Statement"]


class Statement(NamedTuple):
    """What one objection states.

    Attributes:
        standing: how far it has come; never NONE.
        scope: `whole`, `organisation`, `category` or `staff`.
        about: which one, sealed; None of a whole objection.
        decided_by: ODS code of whoever decided it; None before.
    """

    standing: Objection
    scope: str
    about: str | None
    decided_by: str | None


class Roll:
    """Sealed number, then what that patient's objections state.

    What is read at once lies in two arrays, in the order of a hash of the sealed number: 12 bytes an objection, as most
    state what many others do, and nothing for the collector to walk. Of two patients with the same hash (one in some
    ten million million lookups, with a million objections) each is given the objections of both: too much is honoured,
    never too little. What changed later lies beside it, by the sealed number itself.

    Args:
        stated: sealed number and statement of each objection, in any order; a patient may come several times.
    """

    __slots__ = ("_changed", "_hashes", "_places", "_statements")

    def __init__(self, stated: Iterable[tuple[str, Statement]] = ()) -> None:
        places: dict[Statement, int] = {}
        hashes, found = array("q"), array("I")
        for patient, statement in stated:
            hashes.append(hash(patient))
            found.append(places.setdefault(statement, len(places)))
        order = sorted(range(len(hashes)), key=hashes.__getitem__)
        self._hashes = array("q", map(hashes.__getitem__, order))
        self._places = array("I", map(found.__getitem__, order))
        self._statements = tuple(places)
        self._changed: dict[str, tuple[Statement, ...]] = {}

    def of(self, patient: str) -> tuple[Statement, ...]:
        """What the objections of the patient with this sealed number state."""
        changed = self._changed.get(patient)
        if changed is not None:
            return changed
        key = hash(patient)
        first = end = bisect_left(self._hashes, key)
        while end < len(self._hashes) and self._hashes[end] == key:
            end += 1
        return tuple(self._statements[place] for place in self._places[first:end])

    def update(self, patients: Mapping[str, tuple[Statement, ...]]) -> None:
        """Put what these patients' objections state now in the place of what they stated."""
        self._changed.update(patients)
