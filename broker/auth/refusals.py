"""How often a refusal before authentication is recorded: nobody without a token can fill the disk."""

import time
from collections.abc import Callable
from typing import Final

from cachetools import TTLCache

__all__ = ["INTERVAL", "MOST", "Refusals"]

INTERVAL: Final = 1.0
"""Seconds in which one address costs at most one record."""
MOST: Final = 100
"""Records in one interval, over all addresses: a flood may come from many."""


class Refusals:
    """Counts every refusal; says which to record.

    A record stands for itself and for all that were only counted since the last one, from whatever address. The memory
    is that of the addresses recorded within one interval.
    """

    def __init__(
        self, *, interval: float = INTERVAL, most: int = MOST, timer: Callable[[], float] = time.monotonic
    ) -> None:
        self._recorded: TTLCache[str, bool] = TTLCache(most, interval, timer)
        self._counted = 0

    def due(self, address: str) -> int | None:
        """Count one refusal of `address`: how many the record to write now stands for, or None for none now."""
        self._counted += 1
        self._recorded.expire()
        if address in self._recorded or len(self._recorded) >= self._recorded.maxsize:
            return None
        self._recorded[address] = True
        return self.outstanding()

    def outstanding(self) -> int:
        """Take the count of those that no record stands for yet: for a last record when the broker stops."""
        counted, self._counted = self._counted, 0
        return counted
