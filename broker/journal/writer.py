"""The thread that makes records durable: whatever came while the last sync ran is the next batch, and no timer waits.

After a failed write or sync the descriptor is never synced again: a second sync may report success for pages that were
lost. What was not known to be durable is void, the chain goes back to its last durable record, and goes on in a new
segment whose first record says so. Until that exists, every append is refused at once.
"""

import asyncio
import errno
import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path

from broker.errors import JournalUnavailable
from broker.journal.chain import Link
from broker.journal.log import Log
from broker.journal.segment import Disk, Segment

__all__ = ["Fate", "Lines", "Write", "Writer"]

RETRY = 0.5
"""Seconds between two tries to go on after a failure."""

_log = logging.getLogger(__name__)


class Fate(Enum):
    """What became of a record."""

    PENDING = auto()
    DURABLE = auto()
    VOID = auto()
    """It never was: the chain went on without it."""


class Write(asyncio.Future[None]):
    """The future of one record's durable write.

    Cancelling it gives up the wait, not the write. `fate` is known as soon as the thread knows it, a turn of the loop
    before the future is done.
    """

    line: bytes = b""
    fate: Fate = Fate.PENDING


class Lines:
    """A sink that keeps lines, to begin a segment with."""

    def __init__(self, last: Link) -> None:
        self.last = last
        self.written: list[bytes] = []

    def append(self, line: bytes) -> Link:
        """Add the line to the chain."""
        self.last = self.last.after(line)
        self.written.append(line)
        return self.last


class Writer:
    """The sink of the journal's log, and the thread behind it.

    Attributes:
        turn: must be held to append.
        last: the end of the chain, durable or not.
    """

    def __init__(
        self,
        directory: Path,
        node: str,
        segment: Segment,
        last: Link,
        *,
        disk: Disk,
        changed: Callable[[bool], None],
    ) -> None:
        """`changed` is called in the loop: with False once writing has failed, with True once it goes on."""
        self.turn = threading.Condition()
        self.last = last
        self._durable = last
        self._directory = directory
        self._node = node
        self._segment = segment
        self._ended: list[Segment] = []
        self._disk = disk
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._queue: list[Write] = []
        self._batch: list[Write] = []
        self._reason: str | None = None
        self._open = True
        self._stopping = False
        self._finished = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    @property
    def writable(self) -> bool:
        """Whether an append has a chance."""
        return self._open and self._reason is None

    def append(self, line: bytes) -> Write:
        """Add the line to the chain and to the next batch; refused where nothing can be written."""
        if not self.writable:
            return self.refused()
        write = Write(loop=self._loop)
        write.line = line
        self.last = self.last.after(line)
        self._queue.append(write)
        if len(self._queue) == 1:
            self.turn.notify()
        return write

    def refused(self) -> Write:
        """A write that never was."""
        write = Write(loop=self._loop)
        write.fate = Fate.VOID
        _settle([write])
        return write

    def shut(self) -> None:
        """Take nothing more; what was taken is still written. `turn` must be held."""
        self._open = False
        self._stopping = True
        self.turn.notify()

    async def finished(self) -> None:
        """Wait until the thread has ended and the segments are released."""
        await asyncio.shield(self._finished)

    def _run(self) -> None:
        try:
            while self._step():
                pass
        except BaseException as error:  # noqa: BLE001 whatever it is, those who wait must hear of it
            _log.exception("journal.writer-ended: nothing can be released until the broker is started again")
            self._fail(type(error).__name__)
        finally:
            self._open = False
            for segment in (*self._ended, self._segment):
                segment.stop_writing()
                segment.release()
            self._tell(_finish, self._finished)

    def _step(self) -> bool:
        """Write one batch, or try to go on. Whether there may be more to do."""
        with self.turn:
            while not self._queue and not self._stopping:
                if not self.turn.wait(RETRY if self._reason else None):
                    break
            self._batch, self._queue = self._queue, []
            over = self._stopping and not self._batch
        if self._reason:  # also once more at the very end: the next segment says which lines are void
            self._go_on()
        elif self._batch:
            self._commit()
        return not over

    def _commit(self) -> None:
        batch = self._batch
        try:
            self._segment.commit([write.line for write in batch])
        except OSError as error:
            self._fail(errno.errorcode.get(error.errno or 0, "unknown"))
            self._go_on()
            return
        with self.turn:
            for write in batch:
                self._durable = self._durable.after(write.line)
                write.fate = Fate.DURABLE
            self._batch = []
        self._tell(_settle, batch)

    def _fail(self, reason: str) -> None:
        with self.turn:
            void = [*self._batch, *self._queue]
            self._batch, self._queue = [], []
            self._reason = reason
            self.last = self._durable
            for write in void:
                write.fate = Fate.VOID
        self._segment.stop_writing()
        # Whoever waits hears first: a log that can't be written either must not keep them.
        self._tell(_settle, void)
        self._tell(self._changed, False)  # noqa: FBT003 the loop's callbacks take no keywords
        _log.error("journal.unavailable reason=%s: nothing can be released until it can be written again", reason)

    def _go_on(self) -> None:
        """Begin the next segment of the chain after its last durable record. If that fails too, it is tried again."""
        first = Lines(self._durable)
        name = self._segment.name.next
        Log(self._node, first).append(
            "journal.segment-failed",
            {
                "segment": str(name),
                "failed": str(self._segment.name),
                "records": self._segment.records,
                "reason": self._reason,
                "tail": self._segment.tail(self._durable),
            },
        )
        try:
            segment = Segment.create(self._directory, name, first.written, self._disk)
        except OSError:
            return
        with self.turn:
            self._ended.append(self._segment)
            self._segment = segment
            self._durable = self.last = first.last
            self._reason = None
        _log.warning("journal.available: it goes on in a new segment")
        self._tell(self._changed, True)  # noqa: FBT003 the loop's callbacks take no keywords

    def _tell(self, callback: Callable[..., None], *arguments: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(callback, *arguments)


def _settle(writes: Sequence[Write]) -> None:
    for write in writes:
        if write.done():  # whoever waited has gone away
            continue
        if write.fate is Fate.DURABLE:
            write.set_result(None)
        else:
            write.set_exception(JournalUnavailable())
            write.exception()  # one that nobody waits for is no news: the outage itself was logged


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
