"""Work that pauses after each resource, run so that the loop is never held for long."""

import asyncio
from collections.abc import Generator
from time import perf_counter
from typing import TypeVar

__all__ = ["paced"]

T = TypeVar("T")

_SPAN = 0.002
"""Seconds of work between two turns of the loop."""


async def paced(work: Generator[None, None, T]) -> T:
    """Run `work` to its end, giving the loop a turn after every 2 ms of it."""
    until = perf_counter() + _SPAN
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: T = end.value
            return result
        if perf_counter() > until:
            await asyncio.sleep(0)
            until = perf_counter() + _SPAN
