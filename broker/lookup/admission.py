"""How many lookups run on this node, and what they may hold in memory together.

One queue for both. A lookup begins when fewer than `concurrency` others run and there is room for what it will take.
Until then it waits, first come first served, without having asked anybody, for a share of its own time; then it is
told that the node is overloaded. So is, at once, whoever finds the queue full: it holds no more lookups than may run.

**What is counted** are bytes: of what sources gave (decompressed), until it has been judged and dropped, and of what
was encoded for the reply, until that has left. The one answer that each lookup is judging is there as objects too,
which are larger; that comes on top, and so does the process itself.

**How the cap holds.** Nobody knows beforehand what a lookup will take, and one that runs is never stopped for it: its
sources' own limits bound it. So each reserves, when it begins, what lookups took on average lately, and counts for
that until it holds more, or has all it will get. Of many lookups side by side some take more than the average and
some less, so that their sum stays close to what was reserved. Where all suddenly take far more, the node passes its
cap by what those take that run already; nobody new begins, and the average has learned it when the first of them
ends. A lookup that would be the only one always begins, however small the cap.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

import structlog

from broker.auth import Refusals
from broker.errors import Overloaded
from broker.lookup.values import Entry

__all__ = ["Admission", "Place", "size_of"]

_log = structlog.get_logger()

_FIRST_GUESS: Final = 1_000_000.0
"""Bytes that a lookup is expected to take before any has shown it."""
_WEIGHT: Final = 0.1
"""Of the last lookup in the average."""
_AGAIN: Final = 1.0
"""Seconds after which to ask again."""


def size_of(entries: Iterable[Entry]) -> int:
    """Bytes of what is encoded."""
    return sum(len(entry.content) for entry in entries)


class Place:
    """One lookup's place: in the queue, then among those that run, then with a reply on its way, then gone.

    Each step is taken once, whoever takes it first, so that nothing is given back twice.

    Args:
        admission: that it is a place of.
        leave: called when it ends, for what else was taken with it.
    """

    __slots__ = ("_admission", "_admitted", "_ended", "_held", "_leave", "_most", "_reserved", "_running")

    def __init__(self, admission: "Admission", leave: Callable[[], None] | None) -> None:
        self._admission = admission
        self._leave = leave
        self._admitted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reserved = 0
        self._held = 0
        self._most = 0
        self._running = False
        self._ended = False

    async def admitted(self, until: float) -> None:
        """Wait for the turn of this lookup.

        Args:
            until: on the loop's clock.

        Raises:
            Overloaded: it did not come.
        """
        if self._running:
            return
        try:
            async with asyncio.timeout_at(until):
                await asyncio.shield(self._admitted)
        except TimeoutError:
            if not self._running:
                self.end()
                raise self._admission.turned_away() from None

    def hold(self, size: int) -> None:
        """So many bytes more are held."""
        self._change(size)

    def let_go(self, size: int) -> None:
        """So many are held no more."""
        self._change(-size)

    def settle(self) -> None:
        """All is there that will be: it runs no more, and counts for what it holds and no longer for what it might."""
        if self._running:
            self._running = False
            before, self._reserved = self.claim, 0
            self._admission.settled(self.claim - before, self._most)

    def end(self) -> None:
        """Nothing is held any more."""
        self.settle()
        if not self._ended:
            self._ended = True
            claim, self._held = self.claim, 0
            self._admission.gone(self, claim)
            if self._leave is not None:
                self._leave()

    @property
    def claim(self) -> int:
        """Bytes that it counts for."""
        return max(self._reserved, self._held)

    def begin(self, reserved: int) -> int:
        """Its turn has come. Returns the bytes that it counts for more than while it waited."""
        before = self.claim
        self._running = True
        self._reserved = reserved
        self._admitted.set_result(None)
        return self.claim - before

    def _change(self, size: int) -> None:
        if self._ended:
            return
        before = self.claim
        self._held += size
        self._most = max(self._most, self._held)
        if self.claim != before:
            self._admission.changed(self.claim - before)


class Admission:
    """Who is let in.

    Args:
        concurrency: lookups that run at once; as many may wait.
        memory: bytes.
    """

    def __init__(self, *, concurrency: int, memory: int) -> None:
        self._concurrency = concurrency
        self._memory = memory
        self._usual = _FIRST_GUESS
        self._running = 0
        self._claimed = 0
        self._waiting: deque[Place] = deque()
        self._places: set[Place] = set()
        self._nobody = asyncio.Event()
        self._nobody.set()
        self._turned_away = Refusals()

    @property
    def claimed(self) -> int:
        """Bytes that lookups hold, or have reserved."""
        return self._claimed

    async def empty(self) -> None:
        """Wait until every lookup has ended, and its reply has left or is not wanted any more."""
        await self._nobody.wait()

    def apply(self, leave: Callable[[], None] | None = None) -> Place:
        """A place for one more lookup, at the end of the queue. Whoever gets it must end it.

        Args:
            leave: called when it has ended.

        Raises:
            Overloaded: the queue is full.
        """
        if len(self._waiting) >= self._concurrency:
            raise self.turned_away()
        place = Place(self, leave)
        self._places.add(place)
        self._nobody.clear()
        self._waiting.append(place)
        self._let_in()
        return place

    def turned_away(self) -> Overloaded:
        """What one hears who is not let in. Which bound it was is for the operator, and once a second at most."""
        bound = "concurrency" if self._running >= self._concurrency else "memory"
        count = self._turned_away.due(bound)
        if count is not None:
            _log.warning("lookup.overloaded", setting=f"[lookup] {bound}", count=count)
        return Overloaded(retry_after=_AGAIN)

    def changed(self, by: int) -> None:
        """Told by a place: it counts for so many bytes more, or less."""
        self._claimed += by
        if by < 0:
            self._let_in()

    def settled(self, by: int, most: int) -> None:
        """Told by a place: it runs no more, counts for `by` bytes more, and held `most` at its most."""
        self._running -= 1
        self._claimed += by
        if most:  # one that was refused took nothing, and says nothing of those that are not
            self._usual += (most - self._usual) * _WEIGHT
        self._let_in()

    def gone(self, place: Place, claim: int) -> None:
        """Told by a place: it has ended, and counted for `claim` until now."""
        self._places.discard(place)
        if place in self._waiting:
            self._waiting.remove(place)
        self._claimed -= claim
        self._let_in()
        if not self._places:
            self._nobody.set()

    def _let_in(self) -> None:
        while self._waiting and self._running < self._concurrency and self._has_room():
            place = self._waiting.popleft()
            reserved = int(self._usual)
            self._running += 1
            self._claimed += place.begin(reserved)

    def _has_room(self) -> bool:
        return not self._claimed or self._claimed + self._usual <= self._memory
