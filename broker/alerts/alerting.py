"""Raises alerts: in the journal and the operational log at once, and to a receiver as soon as it takes them.

    raise_alert ─► journal, log ─► gathering ─► outbox (the store) ─► receiver ─► journal: alert.sent

Nobody waits for any of it. What is in the outbox outlives the process, and any node sends it; what was raised in the
instant in which a process is killed is in its journal alone.
"""

import asyncio
import random
import time
import uuid
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Self

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from broker.alerts.message import Gathering, Message
from broker.alerts.outbox import STORE_ERRORS, Outbox, Waiting
from broker.alerts.sending import Receiver, Sender
from broker.alerts.values import Alert
from broker.journal import Journal

__all__ = ["Alerting", "Pace"]

_MOST_UNKEPT: Final = 10_000
"""Messages held in memory while the store can't be written; more are in journal and log alone."""

_log = structlog.get_logger("broker.alerts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often, in seconds.

    Attributes:
        window: within which alerts about one thing are told together.
        first: from the first try to the second; then three times as long each time.
        most: between two tries.
        longest: from raising to giving up.
        timeout: of one try.
        look: at what other nodes have left in the outbox.
    """

    window: float = 60.0
    first: float = 5.0
    most: float = 1800.0
    longest: float = 3 * 86400.0
    timeout: float = 10.0
    look: float = 30.0

    def after(self, tries: int) -> float:
        """Seconds until the next try, a little more or less so that many do not come at once."""
        return min(self.first * 3.0 ** min(tries - 1, 20), self.most) * random.uniform(0.8, 1.2)  # noqa: S311


class Alerting:
    """`Alerts`, as an async context manager, or `start` and `close`.

    Args:
        journal: to be closed later.
        engine: the store.
        node: this machine, as records name it.
        receiver: who is told; None for journal and log alone.
        pace: how often.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        journal: Journal,
        engine: AsyncEngine,
        *,
        node: str,
        receiver: Receiver | None = None,
        pace: Pace | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._journal = journal
        self._outbox = Outbox(engine)
        self._node = node
        self._receiver = receiver
        self._pace = pace or Pace()
        self._clock = clock
        self._gathering = Gathering(self._pace.window)
        self._unkept: dict[str, bytes] = {}
        self._raised = asyncio.Event()
        self._kept = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._store_lost = False
        self._receiver_lost = False

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def start(self) -> None:
        """Begin to send, with what was left before."""
        self._begin(self._keep())
        if self._receiver is not None:
            self._begin(self._send(self._receiver))

    async def close(self) -> None:
        """Stop sending. What was not sent stays in the outbox."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        for message in self._gathering.rest():
            self._tell(message)
        await self._put_down()

    def raise_alert(self, alert: Alert) -> str:
        """Put it into the journal (in order, not yet durable) and let it be sent; gives its id. Never waits."""
        alert_id, now = uuid.uuid4().hex, datetime.now(UTC)
        _ = self._journal.append(
            "alert.raised",
            alert_id=alert_id,
            kind=alert.kind.value,
            to=sorted(alert.to),
            lookup_id=alert.lookup_id,
            source=alert.source,
        )
        message = Message(id=alert_id, alert=alert, since=now, time=now)
        if self._gathering.raised(message, asyncio.get_running_loop().time()):
            self._tell(message)
        self._raised.set()
        return alert_id

    async def raise_once(self, alert: Alert, mark: str) -> str | None:
        """Raise it, unless one with this mark was within the last two days, by whatever node. Gives its id, or None.

        Raises:
            STORE_ERRORS: the store can't say.
        """
        return self.raise_alert(alert) if await self._outbox.first(mark, self._clock()) else None

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name="alerts")
        task.add_done_callback(_ended)
        self._tasks.append(task)

    def _tell(self, message: Message) -> None:
        _log.warning("alert.raised", alert_id=message.id, kind=message.alert.kind.value, count=message.count)
        if self._receiver is None:
            return
        if len(self._unkept) < _MOST_UNKEPT:
            self._unkept[message.id] = message.body(self._node)
        else:
            _log.error("alert.dropped", alert_id=message.id)

    async def _keep(self) -> None:
        """Bring what is told into the outbox: a receiver that hangs is not waited for here."""
        loop = asyncio.get_running_loop()
        while True:
            kept = await self._put_down()
            ends = self._gathering.next()
            wait = None if ends is None else max(0.0, ends - loop.time())
            await _woken(self._raised, wait if kept else self._pace.first)
            for message in self._gathering.due(loop.time()):
                self._tell(message)

    async def _put_down(self) -> bool:
        """Whether all that was told is in the outbox now."""
        try:
            for message_id, body in list(self._unkept.items()):
                await self._outbox.put(message_id, body, self._clock())
                del self._unkept[message_id]
                self._kept.set()
        except STORE_ERRORS as error:
            self._lost(error)
            return False
        self._store_lost = False
        return True

    async def _send(self, receiver: Receiver) -> None:
        """Send what is due, one after the other."""
        sender = Sender(receiver, timeout=self._pace.timeout)
        try:
            while True:
                wait = self._pace.look
                try:
                    waiting = await self._outbox.take(self._clock(), hold=3 * self._pace.timeout)
                    if waiting is not None:
                        await self._try(sender, waiting)
                        continue
                    due = await self._outbox.next()
                    if due is not None:
                        wait = min(wait, max(0.0, due - self._clock()))
                except STORE_ERRORS as error:
                    self._lost(error)
                await _woken(self._kept, wait)
        finally:
            await sender.close()

    async def _try(self, sender: Sender, waiting: Waiting) -> None:
        now, tries = self._clock(), waiting.tries + 1
        try:
            failure = await sender.post(waiting.id, waiting.body, timestamp=int(now))
        except asyncio.CancelledError:
            with suppress(*STORE_ERRORS):
                await self._outbox.again(waiting.id, tries=tries, due_at=now)  # whoever starts next need not wait
            raise
        self._heard(failure)
        if failure is not None and now - waiting.raised_at < self._pace.longest:
            await self._outbox.again(waiting.id, tries=tries, due_at=now + self._pace.after(tries))
            return
        if failure is not None:
            _log.error("alert.unsent", alert_id=waiting.id, tries=tries)
        # Taken out first: a record of its own is better not written than written twice.
        await self._outbox.done(waiting.id)
        _ = self._journal.append("alert.sent", alert_id=waiting.id, delivered=failure is None, tries=tries)

    def _heard(self, failure: str | None) -> None:
        """Say once that the receiver fails, and once that it is back."""
        if (failure is not None) != self._receiver_lost:
            self._receiver_lost = failure is not None
            if failure is None:
                _log.info("alerts.receiver-back")
            else:
                _log.error("alerts.receiver-failed", reason=failure)

    def _lost(self, error: Exception) -> None:
        if not self._store_lost:
            self._store_lost = True
            _log.error("alerts.outbox-failed", error=type(error).__name__)


def _ended(task: asyncio.Task[None]) -> None:
    """It ends when it is cancelled and not otherwise: of anything else somebody must hear."""
    if not task.cancelled() and (error := task.exception()):
        _log.error("alerts.fault", error=type(error).__name__)


async def _woken(event: asyncio.Event, most: float | None) -> None:
    """Wait until somebody sets it, for `most` seconds."""
    try:
        async with asyncio.timeout(most):
            await event.wait()
    except TimeoutError:
        return
    event.clear()
