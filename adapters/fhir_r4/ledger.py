"""What is still awaited of each type: reported once nothing more of it will come."""

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from functools import reduce
from operator import or_

from adapters.contract import Learned
from adapters.fhir_r4.search import Outcome

__all__ = ["Ledger"]


class Ledger:
    """Reports each type once every local record has been asked for it.

    Args:
        records: local records, each of which settles each type once.
        overall: how well the search for them went: if some may be missing, nothing that was found is all there is.
        give: takes the reports.
    """

    def __init__(self, records: int, overall: Outcome, give: Callable[[Learned], None]) -> None:
        self._records = records
        self._overall = overall
        self._give = give
        self._settled: dict[str, list[Outcome]] = {}

    def settle(self, types: AbstractSet[str], outcome: Outcome) -> None:
        """One record has nothing more of these types."""
        if self._records == 1:
            self._report(types, self._overall | outcome)
            return
        alike: dict[tuple[int, ...], set[str]] = {}
        for name in types:
            settled = self._settled.setdefault(name, [])
            settled.append(outcome)
            if len(settled) == self._records:
                alike.setdefault(tuple(map(id, settled)), set()).add(name)
        for names in alike.values():
            self._report(names, reduce(or_, self._settled[min(names)], self._overall))

    def settle_at_once(self, types: AbstractSet[str], outcome: Outcome) -> None:
        """No record will be asked for these types."""
        if types:
            self._report(types, self._overall | outcome)

    def _report(self, types: AbstractSet[str], outcome: Outcome) -> None:
        self._give(Learned(frozenset(types), outcome.finding, outcome.notes, outcome.retry_after))
