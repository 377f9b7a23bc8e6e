"""Which sources fail at present: said on the operational log once when one begins to, and once when it is back."""

from collections.abc import Callable
from typing import Final

import structlog

from broker.lookup.values import Status

__all__ = ["Watch"]

_log = structlog.get_logger()

_FAILING: Final = frozenset({
    Status.WRONG_PATIENT,
    Status.MALFORMED,
    Status.FAILED,
    Status.REFUSED,
    Status.UNREACHABLE,
    Status.TIMED_OUT,
})
_SAYS_NOTHING: Final = frozenset({Status.BUSY, Status.PAUSED, Status.WAITING})

_CALM: Final = 1.0
"""Seconds without a failure after which an answer counts: one that fails now and then would fill the log."""


class Watch:
    """The sources of this node that fail."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._failed: dict[str, float] = {}

    def note(self, source: str, status: Status) -> None:
        """What the row of a source says, once it was asked."""
        if status in _FAILING:
            if source not in self._failed:
                _log.warning("source.failed", source=source, status=status.value)
            self._failed[source] = self._now()
        elif status not in _SAYS_NOTHING and self._now() - self._failed.get(source, self._now()) >= _CALM:
            del self._failed[source]
            _log.info("source.back", source=source, status=status.value)
