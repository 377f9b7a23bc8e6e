"""When does Python look for cycles? When little is there to look through, and never on its own.

Decoded resources hold no cycles: they are freed when a source has been judged. To look for cycles among the hundreds of
thousands of objects of a busy moment would hold the loop for longer than judging them. What does make cycles (closed
connections, tracebacks) is little, and can wait for a better moment: most often the one at which an answer was judged.

There is one collector in a process, and so there is one count of what it would have to look through.
"""

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from time import monotonic
from typing import Final

__all__ = ["collecting", "decoded"]

_EVERY: Final = 0.25
"""Seconds between two collections of what is new, at least."""
_ALL: Final = 5.0
"""Seconds between two that go through everything, replies on their way among it."""
_QUIET: Final = 4
"""Times in a row that nothing is judged before everything is gone through."""
_AT_LAST: Final = 600.0
"""Seconds after which that is waited for no longer."""
_LITTLE: Final = 50_000
"""Bytes of JSON, decoded: to look through what they became takes a millisecond at most."""
_FEW: Final = 8_000
"""New objects: to look through them takes two milliseconds."""
_COUNTED: Final = 10
"""Times as many at most are counted exactly, which takes two milliseconds as well."""
_PATIENCE: Final = 0.02
"""How much more may be there for each second of waiting, as a share: what has to be done is done at last."""


class _Collector:
    """The collector of this process."""

    def __init__(self) -> None:
        self.size = 0
        self.working = False
        self.quiet = 0
        self._new = self._all = self._counted = monotonic()

    def collect(self) -> None:
        """Collect, if it is time and the moment is good."""
        now = monotonic()
        waited = now - self._new
        allowed = 1 + waited * _PATIENCE
        if not self.working or waited < _EVERY or self.size > _LITTLE * allowed:
            return
        # How many are new is known well enough as long as they are few; to count them exactly takes a moment.
        new = gc.get_count()[0]
        if new > _FEW:
            if new > _FEW * _COUNTED * allowed or now - self._counted < _EVERY:
                return
            self._counted = now
            if len(gc.get_objects(0)) > _FEW * allowed:
                return
        all_of_them = now - self._all > (_ALL if self.quiet >= _QUIET else _AT_LAST)
        gc.collect(2 if all_of_them else 0)
        self._new = monotonic()
        if all_of_them:
            self._all = self._new


_collector = _Collector()


@contextmanager
def decoded(size: int) -> Iterator[None]:
    """So many bytes of JSON are there as objects while inside."""
    _collector.size += size
    _collector.quiet = 0
    try:
        yield
    finally:
        _collector.size -= size
        if _collector.working:
            asyncio.get_running_loop().call_soon(_collector.collect)  # before the next answer is decoded


@asynccontextmanager
async def collecting() -> AsyncIterator[None]:
    """Collect at good moments alone while inside; what lives as long as the process is spared for good."""
    gc.collect()
    gc.freeze()
    gc.disable()
    _collector.working = True
    task = asyncio.create_task(_now_and_then(), name="collector")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        _collector.working = False
        gc.enable()


async def _now_and_then() -> None:
    """Also where nothing is judged: there are other requests."""
    while True:
        await asyncio.sleep(_EVERY)
        _collector.collect()
        _collector.quiet = 0 if _collector.size else _collector.quiet + 1
