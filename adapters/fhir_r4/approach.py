"""Which way to ask for a record: whichever takes the fewest steps one after the other."""

from collections.abc import Iterable
from enum import StrEnum

from cachetools import TTLCache

__all__ = ["Approach", "Memory"]

_REMEMBERED = 3600.0
"""Seconds. A server changes; what was refused or slow is tried again after an hour."""
_REFUSED = 1e6
"""Steps: more than any record takes."""


class Approach(StrEnum):
    """A way to ask for one local record, best first where the steps are the same."""

    EVERYTHING = "everything"
    """`Patient/{id}/$everything`: one request, then its pages one after the other."""
    BATCH = "batch"
    """One Bundle of searches, then the pages of each side by side."""
    SEARCHES = "searches"
    """A search for each type, side by side, each with its pages."""


class Memory:
    """What one server has shown that it does, and in how many steps in a row. Nothing of any patient."""

    def __init__(self) -> None:
        self._steps: TTLCache[Approach, float] = TTLCache(len(Approach), _REMEMBERED)
        self._by_get: TTLCache[str, bool] = TTLCache(256, _REMEMBERED)
        self._uncoded: TTLCache[str, bool] = TTLCache(256, _REMEMBERED)

    def choose(self, offered: Iterable[Approach]) -> Approach:
        """The approach with the fewest steps expected: one, until it has been seen to take more."""
        usable = set(offered)
        return min((a for a in Approach if a in usable), key=lambda a: round(self._steps.get(a, 1.0)))

    def took(self, approach: Approach, steps: int, *, in_vain: bool = False) -> None:
        """Remember what one record took; a single large record weighs half. To fail is to take a step too many."""
        steps = max(steps + 1, 2) if in_vain else max(steps, 1)
        self._steps[approach] = (self._steps.get(approach, float(steps)) + steps) / 2

    def refused(self, approach: Approach) -> None:
        """Remember that the server does not do this."""
        self._steps[approach] = _REFUSED

    def by_get(self, resource_type: str) -> bool:
        """Whether searches of this type go by GET. Patient tells for all: no other search holds an NHS number."""
        return bool(self._by_get) and (resource_type in self._by_get or "Patient" in self._by_get)

    def takes_no_code(self, resource_type: str) -> bool:
        """Whether the server does not search this type by code."""
        return resource_type in self._uncoded

    def refused_code(self, resource_type: str) -> None:
        """Remember that it refused to."""
        self._uncoded[resource_type] = True

    def takes_only_get(self, resource_type: str) -> None:
        """Remember that a search by POST was refused, and the same by GET answered."""
        self._by_get[resource_type] = True
