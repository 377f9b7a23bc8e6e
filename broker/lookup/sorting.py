"""Sorting and walking a long list without holding the loop."""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from heapq import merge
from typing import Any, TypeVar

__all__ = ["in_order", "pieces"]

T = TypeVar("T")

_RUN = 256
"""Items sorted at once: a fraction of a millisecond."""

_STEP = 32
"""Items between two pauses, where one costs a few microseconds."""


def in_order(items: Iterable[T], key: Callable[[T], Any]) -> Generator[None, None, list[T]]:
    """The items by their key, pausing."""
    left = list(items)
    if len(left) <= _RUN:
        return sorted(left, key=key)
    runs: list[list[T]] = []
    for piece in pieces(left, _RUN):
        yield
        runs.append(sorted(piece, key=key))
    found: list[T] = []
    for n, item in enumerate(merge(*runs, key=key)):
        if not n % _STEP:
            yield
        found.append(item)
    return found


def pieces(items: Sequence[T], step: int = _STEP) -> Iterator[Sequence[T]]:
    """The items, a few at a time: whoever walks them pauses between."""
    if len(items) <= step:
        yield items
        return
    for start in range(0, len(items), step):
        yield items[start : start + step]
