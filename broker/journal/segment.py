"""The files of a journal: one chain for each process that wrote, in one segment or, after a failure, several.

    <time>-<node>-<random>-0000.jsonl      the chain's first segment; after a failure it goes on in -0001, and so on

A segment appears under its name only once its first records are durable, so none is ever empty. While its process lives
it is locked (flock); the lock is held on a descriptor of its own, which stays open when a failed one is closed.
"""

import errno
import fcntl
import os
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Self

from broker.journal.chain import Link, digest
from broker.journal.record import MAX_LINE

__all__ = [
    "Disk",
    "Name",
    "Segment",
    "exclusively",
    "is_live",
    "lines_of",
    "segments_of",
]

_NAME = re.compile(r"(?P<chain>.+)-(?P<part>\d{4})\.jsonl")
_NODE = re.compile(r"[A-Za-z0-9._-]{1,64}")


_sync: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync


@dataclass(frozen=True, slots=True)
class Disk:
    """The calls that may fail while a segment is written. Tests give others."""

    write: Callable[[int, bytes | memoryview], int] = os.write
    sync: Callable[[int], None] = _sync


@dataclass(frozen=True, slots=True, order=True)
class Name:
    """The name of a segment. In order, the parts of a chain follow each other."""

    chain: str
    part: int

    @classmethod
    def new(cls, node: str) -> Self:
        """The name of the first segment of a new chain.

        Raises:
            ValueError: a node's name that can't be part of a file's.
        """
        if not _NODE.fullmatch(node):
            raise ValueError("a node's name is 1 to 64 letters, digits, points, hyphens and underscores")
        return cls(f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{node}-{secrets.token_hex(4)}", 0)

    @classmethod
    def of(cls, file: str) -> Self | None:
        """The name that a file bears, or None for one that is no segment."""
        found = _NAME.fullmatch(file)
        return cls(found["chain"], int(found["part"])) if found else None

    def __str__(self) -> str:
        return f"{self.chain}-{self.part:04d}.jsonl"

    @property
    def next(self) -> "Name":
        """Where the chain goes on."""
        return Name(self.chain, self.part + 1)


class Segment:
    """A segment that this process writes.

    Attributes:
        name: of its file.
        records: how many are durable in it.
    """

    def __init__(self, name: Name, path: Path, disk: Disk) -> None:
        self.name = name
        self.records = 0
        self._path = path
        self._disk = disk
        self._size = 0
        self._last_line = 0
        self._file = self._lock = -1

    @classmethod
    def create(cls, directory: Path, name: Name, first: Sequence[bytes], disk: Disk) -> Self:
        """A new segment with its first lines, durable.

        Raises:
            OSError: it could not be made; nothing of it is left under its name, where that could be undone.
        """
        segment = cls(name, directory / str(name), disk)
        unborn = segment._path.with_suffix(".new")
        try:
            segment._file = os.open(unborn, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
            segment._lock = os.open(unborn, os.O_RDONLY | os.O_CLOEXEC)
            fcntl.flock(segment._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            segment._count(first, segment._write(first))
            unborn.rename(segment._path)
            with _opened(directory) as entries:
                os.fsync(entries)
        except OSError:
            segment.stop_writing()
            segment.release()
            for path in (unborn, segment._path):
                with suppress(OSError):
                    path.unlink()
            raise
        return segment

    def commit(self, lines: Sequence[bytes]) -> None:
        """Add these lines; they are durable when this returns.

        Raises:
            OSError: they may or may not be on the disk. The segment must not be written again.
        """
        size = self._write(lines)
        there, mine = self._path.stat(), os.fstat(self._file)
        if (there.st_dev, there.st_ino) != (mine.st_dev, mine.st_ino) or mine.st_size != self._size + size:
            raise OSError(errno.ESTALE, "the segment was moved, replaced or written by somebody else")
        self._count(lines, size)

    def tail(self, last: Link) -> Literal["whole", "damaged", "unreadable"]:
        """What can be read where the last durable record must be."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._size - self._last_line)
                return "whole" if digest(file.read(self._last_line)) == last.hash else "damaged"
        except OSError:
            return "unreadable"

    def stop_writing(self) -> None:
        """Close the descriptor that is written, for good. The segment stays locked."""
        self._file = _closed(self._file)

    def release(self) -> None:
        """Let others see that the writer has ended."""
        self._lock = _closed(self._lock)

    def _write(self, lines: Sequence[bytes]) -> int:
        content = memoryview(b"".join(lines))
        written = 0
        while written < len(content):
            written += self._disk.write(self._file, content[written:])
        self._disk.sync(self._file)
        return written

    def _count(self, lines: Sequence[bytes], size: int) -> None:
        self._size += size
        self._last_line = len(lines[-1])
        self.records += len(lines)


def segments_of(directory: Path) -> list[Name]:
    """Every segment in a directory, in order.

    Raises:
        OSError: the directory can't be read.
    """
    names = (Name.of(entry.name) for entry in directory.iterdir())
    return sorted(name for name in names if name is not None)


def is_live(path: Path) -> bool:
    """Whether the process that writes this segment still runs.

    The lock asked for is shared: those who ask don't get in each other's way.
    """
    with _opened(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


@contextmanager
def exclusively(directory: Path) -> Iterator[None]:
    """Only one process at a time looks for segments whose writers have ended."""
    with _opened(directory) as entries:
        fcntl.flock(entries, fcntl.LOCK_EX)
        yield


def lines_of(path: Path, limit: int | None = None) -> Iterator[bytes]:
    """The lines of a segment, at most so many. One that does not end in a newline is torn, or longer than any record.

    Raises:
        OSError: the segment can't be read.
    """
    with path.open("rb") as file:
        count = 0
        while (limit is None or count < limit) and (line := file.readline(MAX_LINE + 1)):
            yield line
            count += 1


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _closed(descriptor: int) -> int:
    if descriptor >= 0:
        with suppress(OSError):  # a failed close leaves nothing that could be closed again
            os.close(descriptor)
    return -1
