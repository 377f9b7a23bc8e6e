"""Says what should be known of those who take part: at the start, and once a day in London."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime
from types import TracebackType
from typing import Final, Self

import structlog

from broker.alerts import STORE_ERRORS, Alert, Alerting, Kind
from broker.clock import london_day
from broker.registry.loading import Registry
from broker.registry.noticing import ending, notices
from broker.settings import Settings

__all__ = ["RegistryWatch"]

_EVERY: Final = 900.0
"""Seconds between two looks at which day it is."""

_log = structlog.get_logger("broker.registry")


class RegistryWatch:
    """Writes notices to the operational log, and raises an alert for each organisation whose agreement ends soon.

    An async context manager. An alert comes once a day for each organisation, however many nodes there are and however
    often they start.

    Args:
        registry: who takes part.
        settings: the rest of the configuration.
        alerts: who is told.
        every: seconds between two looks at the clock.
        now: gives the time (aware).
    """

    def __init__(
        self,
        registry: Registry,
        settings: Settings,
        alerts: Alerting,
        *,
        every: float = _EVERY,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._registry = registry
        self._settings = settings
        self._alerts = alerts
        self._every = every
        self._now = now
        self._said: date | None = None
        self._told: date | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._say(self._today())
        self._task = asyncio.create_task(self._watch(), name="registry-watch")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _watch(self) -> None:
        while True:
            today = self._today()
            self._say(today)
            await self._tell(today)
            await asyncio.sleep(self._every)

    def _today(self) -> date:
        return london_day(self._now())

    def _say(self, today: date) -> None:
        if self._said != today:
            self._said = today
            for notice in notices(self._registry, self._settings, today):
                _log.warning("registry.notice", message=notice)

    async def _tell(self, today: date) -> None:
        """Raise what is to be raised today; where the store can't say whether it was, the next look tries again."""
        if self._told == today:
            return
        try:
            for each in self._registry.live:
                if any(ending(each.agreement, today)):
                    alert = Alert(kind=Kind.AGREEMENT_ENDING, to=(each.ods_code,))
                    await self._alerts.raise_once(alert, f"{alert.kind.value}/{each.ods_code}/{today}")
        except STORE_ERRORS as error:
            _log.error("registry.untold", error=type(error).__name__)
            return
        self._told = today
