"""The journal's door: open, append, record, look up, close."""

import asyncio
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from broker.errors import JournalUnavailable
from broker.journal.chain import START, Link, digest
from broker.journal.log import Log
from broker.journal.lookup import LookupRecord
from broker.journal.recovery import fields_of, left_behind
from broker.journal.segment import Disk, Name, Segment, exclusively
from broker.journal.writer import Fate, Lines, Write, Writer
from broker.keys import Keys

__all__ = ["Journal"]


class Journal:
    """What was done, appended by this process to a chain of its own. Used from the loop it was opened in."""

    def __init__(self, directory: Path, node: str, segment: Segment, last: Link, disk: Disk) -> None:
        self._can_write = asyncio.Event()
        self._can_write.set()
        self._closing = False
        self._unsettled: set[asyncio.Task[None]] = set()
        self._writer = Writer(directory, node, segment, last, disk=disk, changed=self._changed)
        self._log: Log[Write] = Log(node, self._writer)

    @classmethod
    async def open(cls, directory: Path, keys: Keys, *, node: str, disk: Disk | None = None) -> Self:
        """Begin a new segment in this directory, made if need be; first end what processes before have left open.

        Args:
            directory: where the segments are.
            keys: whose public key the first record names.
            node: this machine, as records name it: letters, digits, points, hyphens, underscores.
            disk: the calls that write, for tests.

        Raises:
            JournalUnavailable: it can't be written.
            ValueError: a node's name that can't be part of a file's.
        """
        disk = disk or Disk()
        name = Name.new(node)
        try:
            segment, last = await asyncio.to_thread(_begin, directory, keys, node, name, disk)
        except OSError as error:
            raise JournalUnavailable(f"The journal's directory can't be written: {error.strerror}.") from error
        return cls(directory, node, segment, last, disk)

    @property
    def writable(self) -> bool:
        """Whether it can be written, as far as is known. While it can't, it is tried again twice a second."""
        return self._writer.writable and not self._closing

    def append(self, event: str, **fields: Any) -> asyncio.Future[None]:
        """Append one record; its place in the chain is settled now, and it is durable when the future is done.

        The future raises JournalUnavailable where it is not, and won't be. Cancelling it gives up the wait alone.

        Raises:
            RecordError: the catalogue does not have this event or one of its fields.
        """
        return self.write(event, fields)

    async def record(self, event: str, **fields: Any) -> None:
        """Append one record and wait until it is durable.

        Raises:
            JournalUnavailable: it is not, and won't be.
            RecordError: the catalogue does not have this event or one of its fields.
        """
        await self.write(event, fields)

    def lookup(self, *, lookup_id: str, intent: Mapping[str, Any]) -> LookupRecord:
        """The records of one lookup, to be entered with `async with`.

        Args:
            lookup_id: never used before.
            intent: the other fields of `lookup.intent`; `patient` sealed by `Keys.seal_patient`.
        """
        return LookupRecord(self, lookup_id, intent)

    async def close(self) -> None:
        """Settle the outcomes still owed, write what was appended, and stop. Lookups must have been left before.

        An outcome that can't be written now is left to the next start, which writes `unknown`.
        """
        if not self._closing:
            self._closing = True
            self._can_write.set()
            while self._unsettled:
                await asyncio.wait(self._unsettled)
            with self._writer.turn:
                _ = self._log.append("journal.stopped", {})
                self._writer.shut()
        await self._writer.finished()

    def write(self, event: str, fields: dict[str, Any], *, after: tuple[Write, ...] = ()) -> Write:
        """As `append`; refused where one of the writes that it must come after is void."""
        with self._writer.turn:
            if any(write.fate is Fate.VOID for write in after):
                return self._writer.refused()
            return self._log.append(event, fields)

    async def usable(self) -> bool:
        """Wait until it can be written; False if that won't be, for it is being closed."""
        await asyncio.sleep(0)  # the news of a failure may still be on its way
        await self._can_write.wait()
        return self._writer.writable or not self._closing

    def see_through(self, work: asyncio.Task[None]) -> None:
        """Let `close` wait for this."""
        self._unsettled.add(work)
        work.add_done_callback(self._unsettled.discard)

    def _changed(self, writable: bool) -> None:  # noqa: FBT001 called by the loop
        if writable or self._closing:
            self._can_write.set()
        else:
            self._can_write.clear()


def _begin(directory: Path, keys: Keys, node: str, name: Name, disk: Disk) -> tuple[Segment, Link]:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    public = keys.signing_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    first = Lines(START)
    log = Log(node, first)
    with exclusively(directory):
        log.append(
            "journal.started",
            {"segment": str(name), "software": version("care-record-broker"), "key": digest(public)},
        )
        for ended in left_behind(directory):
            for lookup_id in ended.open:
                log.append("lookup.outcome", {"lookup_id": lookup_id, "outcome": "unknown"})
            log.append("journal.segment-closed", fields_of(ended))
        return Segment.create(directory, name, first.written, disk), first.last
