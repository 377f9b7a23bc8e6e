"""Work in a task of its own whose results are yielded as they come, and which never outlives its reader."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, TypeVar

__all__ = ["stream"]

T = TypeVar("T")


async def stream(work: Callable[[Callable[[T], None]], Coroutine[Any, Any, None]]) -> AsyncGenerator[T, None]:
    """Run `work` and yield what it gives; raise what it raises, after all that it gave.

    When the generator is closed early the work is cancelled and awaited, with everything that it started.
    """
    given: asyncio.Queue[T | None] = asyncio.Queue()
    task = asyncio.create_task(work(given.put_nowait))
    task.add_done_callback(lambda _: given.put_nowait(None))
    try:
        while (item := await given.get()) is not None:
            yield item
        await task
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # nobody is left to hear it
