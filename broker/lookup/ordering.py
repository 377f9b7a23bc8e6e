"""Entries in the order of a reply, sorted with pauses: of ten thousand, in one go, it would hold the loop."""

from collections import defaultdict
from collections.abc import Generator, Iterable
from typing import Any

from broker.lookup.values import Entry

__all__ = ["ordered"]

_PAUSE = 256
"""Entries between two pauses."""


def ordered(entries: Iterable[Entry]) -> Generator[None, None, list[Entry]]:
    """Sort by `order`: first into what differs in nothing but the id, then each of these."""
    alike: dict[tuple[Any, ...], list[Entry]] = defaultdict(list)
    for n, entry in enumerate(entries):
        if not n % _PAUSE:
            yield
        alike[entry.order[:-1]].append(entry)
    made: list[Entry] = []
    for key in sorted(alike):
        yield
        made += sorted(alike[key], key=_last)
    yield
    return made


def _last(entry: Entry) -> Any:
    return entry.order[-1]
