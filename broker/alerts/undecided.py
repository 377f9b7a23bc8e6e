"""Policies that give no decision forbid, and somebody must know: every lookup may be poorer for it."""

import time
from collections.abc import Callable, Collection
from typing import Final

import structlog

from broker.alerts.values import Alert, Alerts, Kind

__all__ = ["Undecided"]

_INTERVAL: Final = 60.0

_log = structlog.get_logger("broker.alerts")


class Undecided:
    """Called with each question that was not decided, which may be hundreds in a lookup; heard once a minute.

    Args:
        alerts: who is told.
        to: ODS codes of the organisations that answer for the policies.
        clock: seconds that only grow.
    """

    def __init__(
        self, alerts: Alerts, *, to: Collection[str] = (), clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._alerts = alerts
        self._to = to
        self._clock = clock
        self._heard: dict[str, float] = {}

    def __call__(self, action: str, failed: Collection[str]) -> None:
        """`action`: what was asked. `failed`: ids of the policies that could not be evaluated."""
        now = self._clock()
        if now - self._heard.get(action, -_INTERVAL) < _INTERVAL:
            return
        self._heard[action] = now
        _log.error("policies.undecidable", action=action, policies=list(failed))
        self._alerts.raise_alert(Alert(kind=Kind.UNDECIDABLE, to=self._to))
