"""Whose answer is judged next, over all lookups of this node.

Judging is work of one thread: done for all at once, each would end last, and all would be held as objects together,
many times larger than what came. So one answer is judged at a time, and beside it one of those that are large: its
work pauses as often, and holds up nobody else by more than half.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from heapq import heappop, heappush
from types import TracebackType
from typing import Final, Self

__all__ = ["Turn", "Turns"]

_LARGE: Final = 1_000_000
"""Bytes beyond which an answer is large: no usual record is."""
_RATE: Final = 4_000_000
"""Bytes for which an answer counts as come one second later: small ones go first, and none waits for ever."""


class Turns:
    """The turns of one node."""

    def __init__(self) -> None:
        self._usual = _Queue()
        self._large = _Queue()

    def of(self, size: int) -> "Turn":
        """A turn for an answer of so many bytes, to be entered with `async with`."""
        return Turn(self._large if size > _LARGE else self._usual, size)


class Turn:
    """The turn of one answer."""

    def __init__(self, queue: "_Queue", size: int) -> None:
        self._queue = queue
        self._size = size
        self._mine = False

    async def __aenter__(self) -> Self:
        await self._take(self._size)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[None]:
        """Let others have it while inside: who waits for a source holds up nobody."""
        self._leave()
        yield
        await self._take(0)  # it has waited once, and is held as objects already

    async def _take(self, size: int) -> None:
        await self._queue.enter(size)
        self._mine = True

    def _leave(self) -> None:
        if self._mine:
            self._mine = False
            self._queue.leave()


class _Queue:
    """One at a time, in an order that is fixed when each comes."""

    def __init__(self) -> None:
        self._taken = False
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    async def enter(self, size: int) -> None:
        """Wait for it."""
        if not self._taken:
            self._taken = True
            return
        loop = asyncio.get_running_loop()
        mine = loop.create_future()
        self._count += 1
        heappush(self._waiting, (loop.time() + size / _RATE, self._count, mine))
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                self.leave()  # it came at the moment at which nobody wanted it any more
            raise

    def leave(self) -> None:
        """Give it to the next."""
        while self._waiting:
            _, _, mine = heappop(self._waiting)
            if not mine.done():
                mine.set_result(None)
                return
        self._taken = False
