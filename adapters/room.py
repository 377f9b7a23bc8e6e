"""How many bytes of answers are in memory, from the wire on and until nobody holds them any more.

While they are too many, whoever reads a large answer waits before it reads on, first come first served and within its
own deadline: TCP holds its source back meanwhile. Where no room has come for a while, for all that is held waits for
what is still to be read, one goes on to its end. Nobody has to say when it is done with a body: what was parsed from it
without a copy keeps it alive, and what is dropped makes room.
"""

import asyncio
from collections import deque
from time import monotonic
from types import TracebackType
from typing import Final, Self

__all__ = ["Room", "Share"]

_SMALL: Final = 1 << 18
"""Bytes that an answer may have without waiting, or being counted once it is whole: most are smaller."""
_STEP: Final = 1 << 18
"""Bytes that come between two looks, about."""
_WHILE: Final = 0.5
"""Seconds without room after which one goes on."""


class Room:
    """What all answers share.

    Args:
        size: bytes.
    """

    __slots__ = ("_moved", "_size", "_taken", "_waiting")

    def __init__(self, size: int) -> None:
        self._size = size
        self._taken = 0
        self._moved = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def taken(self) -> int:
        """Bytes."""
        return self._taken

    def take(self, size: int) -> None:
        """So many bytes more."""
        self._taken += size

    def give_back(self, size: int) -> None:
        """So many less."""
        self._taken -= size
        self._moved = monotonic()
        self.let_on()

    async def wait(self) -> bool:
        """For room. Returns whether there is none, and who waited is the one that goes on to its end."""
        if self._taken <= self._size:
            return False
        mine = asyncio.get_running_loop().create_future()
        self._waiting.append(mine)
        try:
            while not mine.done():
                await asyncio.wait((mine,), timeout=_WHILE)
                now = monotonic()
                if not mine.done() and now - self._moved >= _WHILE:
                    self._moved = now
                    return True
        finally:
            mine.cancel()
        return False

    def let_on(self) -> None:
        """Let as many go on as there is room for."""
        free = self._size - self._taken
        while self._waiting and free > 0:
            mine = self._waiting.popleft()
            if not mine.done():
                mine.set_result(None)
                free -= _STEP


class Share:
    """What one answer takes: enter it to read, and keep its body."""

    __slots__ = ("_room", "_size", "_to_its_end")

    def __init__(self, room: Room) -> None:
        self._room = room
        self._size = 0
        self._to_its_end = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._give_back()
        self._room.let_on()

    def __del__(self) -> None:
        self._give_back()

    async def grow(self, size: int) -> None:
        """So many bytes more have come. Waits until more may."""
        self._size += size
        self._room.take(size)
        if self._size > _SMALL and not self._to_its_end:
            self._to_its_end = await self._room.wait()

    def body(self, chunks: list[bytes]) -> bytes:
        """All that came, which counts for as long as it is there."""
        whole = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        if self._size <= _SMALL:
            self._give_back()
            return whole
        return _Body(whole, self)

    def _give_back(self) -> None:
        size, self._size = self._size, 0
        if size:
            self._room.give_back(size)


class _Body(bytes):
    """Bytes that keep their share."""

    _share: Share

    def __new__(cls, whole: bytes, share: Share) -> Self:
        made = super().__new__(cls, whole)
        made._share = share
        return made
