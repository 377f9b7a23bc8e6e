"""One chain read from its first record to its last, and what is wrong with it taken by itself."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from broker.journal import record
from broker.journal.chain import START, Link, digest
from broker.journal.recovery import reaches
from broker.journal.segment import Name, is_live, lines_of
from broker.journal.story import Stories

__all__ = ["ChainReading", "End", "Fault"]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and where. `line` counts from 1; None where it is about the whole file."""

    file: str
    line: int | None
    problem: str


@dataclass(frozen=True, slots=True)
class End:
    """How a segment ends: its records, the hash of the last one's line, and a torn line after it."""

    records: int
    last: str
    torn: int = 0
    torn_hash: str | None = None


@dataclass(slots=True)
class ChainReading:
    """What reading one chain showed.

    Attributes:
        parts: its segments, in order.
        live: whether its process still ran when reading began.
        key: hash of the public key that it must have been begun under, or None for any.
        records: how many records were read.
        faults: in order.
        ends: how each segment was found to end.
        closings: the records in it that name ended segments of others, with file and line.
        stories: its lookups.
    """

    parts: tuple[Name, ...]
    live: bool
    key: str | None
    records: int = 0
    faults: list[Fault] = field(default_factory=list)
    ends: dict[Name, End] = field(default_factory=dict)
    closings: list[tuple[str, int, record.SegmentClosed]] = field(default_factory=list)
    stories: Stories = field(default_factory=Stories)
    _last: Link = START
    _node: str | None = None
    _stopped: bool = False

    @classmethod
    def of(cls, directory: Path, parts: Sequence[Name], key: str | None) -> Self:
        """Read these segments.

        Raises:
            OSError: one of them can't be read.
        """
        paths = [directory / str(name) for name in parts]
        chain = cls(tuple(parts), live=any(is_live(path) for path in paths), key=key)
        reach = reaches(directory, list(parts))
        for name, path in zip(parts, paths, strict=True):
            chain._read(name, path, reach.get(name))
        return chain

    def _read(self, name: Name, path: Path, reach: int | None) -> None:
        torn, count = b"", 0
        for line in lines_of(path, reach):
            if not line.endswith(b"\n"):
                torn = line
                break
            count += 1
            self._take(name, count, line)
        self.records += count
        self.ends[name] = End(count, self._last.hash, len(torn), digest(torn) if torn else None)
        if not count:
            self._fault(name, None, "holds no record, and no segment begins without one")
        if reach is not None and count < reach:
            self._fault(name, None, f"ends before record {reach}, which the next segment says was its last")
        if len(torn) > record.MAX_LINE:
            self._fault(name, count + 1, "longer than a record can be")

    def _take(self, name: Name, line: int, content: bytes) -> None:
        last, self._last = self._last, self._last.after(content)
        try:
            known = record.decode(content)
        except record.UnreadableRecord:
            self._fault(name, line, "not a record as FORMAT.md describes it")
            return
        self._last = self._last._replace(seq=known.seq)  # after a fault, go on from what is there
        if known.previous != last.hash:
            self._fault(name, line, "does not follow from the line before: one was changed, removed, moved or put in")
        elif known.seq != last.seq + 1:
            self._fault(name, line, f"record {known.seq} where {last.seq + 1} must be")
        self._check_place(name, line, known)
        if isinstance(known, record.SegmentClosed):
            self.closings.append((str(name), line, known))
        if problem := self.stories.follow(known, str(name), line):
            self._fault(name, line, problem)

    def _check_place(self, name: Name, line: int, known: record.Record) -> None:
        if self._stopped:
            self._fault(name, line, "a record after the one that says its writer stopped")
        self._stopped = isinstance(known, record.Stopped)
        if self._node not in {None, known.node}:
            self._fault(name, line, "written by another node than the records before it")
        self._node = known.node
        begins = isinstance(known, record.Started | record.SegmentFailed)
        if line == 1:
            self._check_first(name, known)
        elif begins:
            self._fault(name, line, "the beginning of a segment, in the middle of one")

    def _check_first(self, name: Name, first: record.Record) -> None:
        before = Name(name.chain, name.part - 1)
        match first:
            case record.Started() if not name.part:
                if self.key not in {None, first.key}:
                    self._fault(name, 1, "begun under another signing key than the one given")
            case record.SegmentFailed() if name.part:
                if first.failed != str(before):
                    self._fault(name, 1, "does not continue the segment before it")
                if before not in self.parts:
                    self._fault(before, None, f"missing: {name} continues it")
            case _:
                self._fault(name, 1, "does not begin as a segment begins")
                return
        if first.segment != str(name):
            self._fault(name, 1, "says that its file has another name")

    def _fault(self, name: Name, line: int | None, problem: str) -> None:
        self.faults.append(Fault(str(name), line, problem))
