"""Work in a task of its own whose results are yielded as they come, and which never outlives its reader."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from typing import Any, TypeVar

__all__ = ["stream"]

T = TypeVar("T")


async def stream(work: Callable[[Callable[[Iterable[T]], None]], Coroutine[Any, Any, None]]) -> AsyncGenerator[T, None]:
    """Run `work` and yield what it gives; raise what it raises, after all that it gave.

    When the generator is closed early the work is cancelled and awaited, with everything that it started.
    """
    given: asyncio.Queue[Iterable[T] | None] = asyncio.Queue()
    task = asyncio.create_task(work(given.put_nowait))
    task.add_done_callback(lambda _: given.put_nowait(None))
    try:
        while (items := await given.get()) is not None:
            for item in items:
                yield item
        await task
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
