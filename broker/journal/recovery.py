"""What a process does about those before it: it names the segments they left, and ends the lookups they left open.

It does so before it writes anything else, in the first lines of its own segment, which appear all at once. A segment
whose process still runs is left alone. A damaged one stops nobody from starting: `verify` is who reports it.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from broker.journal.chain import START, Link, digest
from broker.journal.segment import Name, is_live, lines_of, segments_of

__all__ = ["Ended", "left_behind", "reaches"]


@dataclass(frozen=True, slots=True)
class Ended:
    """A segment whose writer has ended and that no record names yet.

    Attributes:
        name: of its file.
        last: how many records are in it, and the hash of the last one's line.
        torn: the bytes of an unfinished last line, which are kept as they are.
        open: lookups begun in its chain and not ended there; told with the last segment of the chain.
    """

    name: Name
    last: Link
    torn: bytes
    open: tuple[str, ...]


class _Glance(msgspec.Struct):
    """As much of a record as recovery needs."""

    event: str
    lookup_id: str = ""
    closed: str = ""
    failed: str = ""
    records: int = 0


_glance = msgspec.json.Decoder(_Glance)


def left_behind(directory: Path) -> list[Ended]:
    """The segments that nobody looks after, made durable.

    Raises:
        OSError: the directory or a segment can't be read.
    """
    names = segments_of(directory)
    named = {closed for name in names for closed in _closed_by(directory / str(name))}
    orphans = [name for name in names if str(name) not in named and not is_live(directory / str(name))]
    reach = reaches(directory, names)
    ended: list[Ended] = []
    open_ids: dict[str, None] = {}
    for place, name in enumerate(orphans):
        path = directory / str(name)
        _make_durable(path)
        last, torn = START, b""
        for line in lines_of(path, reach.get(name)):
            if not line.endswith(b"\n"):
                torn = line
                break
            last = last.after(line)
            _follow(line, open_ids)
        if place + 1 == len(orphans) or orphans[place + 1].chain != name.chain:
            ended.append(Ended(name, last, torn, tuple(open_ids)))
            open_ids = {}
        else:
            ended.append(Ended(name, last, torn, ()))
    return ended


def reaches(directory: Path, names: list[Name]) -> dict[Name, int]:
    """How many lines count in each segment that its chain has left after a failure; what comes after them is void.

    Raises:
        OSError: a segment can't be read.
    """
    found = {}
    for name in names:
        if name.part and (first := next(lines_of(directory / str(name)), None)):
            glance = _look(first)
            if glance and glance.event == "journal.segment-failed" and (failed := Name.of(glance.failed)):
                found[failed] = glance.records
    return found


def fields_of(ended: Ended) -> dict[str, object]:
    """The fields of the record that names an ended segment."""
    return {
        "closed": str(ended.name),
        "records": ended.last.seq,
        "last": ended.last.hash,
        "torn": len(ended.torn),
        "torn_hash": digest(ended.torn) if ended.torn else None,
    }


def _closed_by(path: Path) -> Iterator[str]:
    """The segments that this one names in its first lines."""
    for line in lines_of(path):
        glance = _look(line)
        if glance is None or glance.event not in {"journal.started", "lookup.outcome", "journal.segment-closed"}:
            return
        if glance.closed:
            yield glance.closed


def _follow(line: bytes, open_ids: dict[str, None]) -> None:
    glance = _look(line)
    if glance is None:
        return
    if glance.event == "lookup.intent":
        open_ids[glance.lookup_id] = None
    elif glance.event == "lookup.outcome":
        open_ids.pop(glance.lookup_id, None)


def _look(line: bytes) -> _Glance | None:
    try:
        return _glance.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _make_durable(path: Path) -> None:
    """A process may have died between write and sync; what it wrote counts from now on."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
