"""One lookup in the journal: an intent, then one outcome and never two, whoever is cancelled and whatever fails."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Literal, Protocol, Self

from broker.errors import JournalUnavailable
from broker.journal.record import RecordError
from broker.journal.writer import Fate, Write

__all__ = ["LookupRecord"]

_log = logging.getLogger(__name__)

_OUTCOME = "lookup.outcome"


class _Pen(Protocol):
    """What a lookup needs of the journal."""

    def write(self, event: str, fields: dict[str, Any], *, after: tuple[Write, ...]) -> Write:
        """Append, unless one of those it must come after is void."""
        ...

    async def usable(self) -> bool:
        """Wait until it can be written; False if that won't be, for the journal is being closed."""
        ...

    def see_through(self, work: asyncio.Task[None]) -> None:
        """Let `close` wait for this."""
        ...


class LookupRecord:
    """The records of one lookup. As a context manager it writes the intent on entry and owes an outcome from then on.

    An outcome that the block did not write is written when it is left: `abandoned` if its caller cancelled it (or its
    generator was closed), else `failed`. If the journal can't be written then, it is written once it can be.

    Attributes:
        so_far: gives the fields of such an outcome as far as they are known: `sources`, `policies`, `policy_set`.
        stopped_with: the code that the caller is given, set by whoever else cancels it: then it has `failed`.
    """

    def __init__(self, pen: _Pen, lookup_id: str, intent: Mapping[str, Any]) -> None:
        self.so_far: Callable[[], Mapping[str, Any]] = dict
        self.stopped_with: str | None = None
        self._pen = pen
        self._lookup_id = lookup_id
        self._fields = intent
        self._writes: list[Write] = []  # those not yet known to be durable
        self._said: tuple[str, Mapping[str, Any]] | None = None
        self._outcome: Write | None = None
        self._delivery: Write | None = None
        self._planned = False

    async def __aenter__(self) -> Self:
        self._intent = self._append("lookup.intent", self._fields)
        if self._intent.fate is Fate.VOID:
            raise JournalUnavailable
        return self

    def plan(self, **fields: Any) -> None:
        """Append the plan, once; durable once `durable` has returned."""
        if self._planned:
            raise RuntimeError("a lookup has one plan")
        self._append_before_outcome("lookup.plan", fields)
        self._planned = True

    def part(self, **fields: Any) -> None:
        """Append what one source gave; durable once `durable` has returned."""
        self._append_before_outcome("lookup.part", fields)

    def wrong_patient(self, **fields: Any) -> None:
        """Append that a source answered about somebody else."""
        self._append_before_outcome("lookup.wrong-patient", fields)

    async def durable(self) -> None:
        """Wait until all that was appended so far is durable. Being cancelled here disturbs nobody.

        Raises:
            JournalUnavailable: some of it is not, and won't be: release nothing.
        """
        for write in reversed(tuple(self._writes)):  # with the last, the others are nearly always done
            await asyncio.shield(write)
        self._writes = [write for write in self._writes if write.fate is not Fate.DURABLE]

    async def outcome(self, outcome: Literal["released", "refused", "abandoned", "failed"], **fields: Any) -> None:
        """Append the outcome and wait until all of the lookup's records are durable.

        Raises:
            JournalUnavailable: release nothing. The lookup's outcome will be `failed`, once it can be written.
            RuntimeError: the lookup has an outcome.
            RecordError: the catalogue does not have one of these fields.
        """
        if self._outcome is not None:
            raise RuntimeError("a lookup has one outcome")
        self._outcome = self._append(_OUTCOME, {"outcome": outcome, **fields})
        self._said = (outcome, fields)
        await self.durable()

    def delivered(self, *, code: str | None = None, shown: int | None = None) -> None:
        """Append that the bytes have left. After the outcome, once. The arguments are fields of the record."""
        self._append_delivery("lookup.delivered", code=code, shown=shown)

    def not_delivered(self) -> None:
        """Append that the caller was gone before all bytes had left. After the outcome, once."""
        self._append_delivery("lookup.not-delivered")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        cancelled = kind is not None and issubclass(kind, asyncio.CancelledError | GeneratorExit)
        instead: dict[str, Any] = {"outcome": "failed"}
        if cancelled and self.stopped_with is None:
            instead = {"outcome": "abandoned"}
        elif cancelled:
            instead["code"] = self.stopped_with
        if self._outcome is None:
            self._outcome = self._append_owed(instead)
        if self._outcome.fate is Fate.DURABLE:
            return
        first = self._outcome
        self._pen.see_through(asyncio.create_task(self._see_through(instead)))
        with suppress(JournalUnavailable):
            await asyncio.shield(first)

    async def _see_through(self, instead: Mapping[str, Any]) -> None:
        """Write the outcome again until it is durable, or the intent is known never to have been."""
        while True:
            assert self._outcome is not None  # noqa: S101 only begun once there is one
            with suppress(JournalUnavailable):
                await asyncio.shield(self._outcome)
            if self._outcome.fate is Fate.DURABLE or self._intent.fate is Fate.VOID:
                return
            if not await self._pen.usable():
                return
            self._outcome = self._append_owed(instead)

    def _append_owed(self, instead: Mapping[str, Any]) -> Write:
        """The outcome that was said and is void, unless it was a release, which did not happen; else `instead`."""
        said = self._said
        owed = {"outcome": said[0], **said[1]} if said and said[0] != "released" else {**self._known(), **instead}
        try:
            return self._write(_OUTCOME, owed, after=(self._intent,))
        except RecordError as fault:
            _log.error("journal.outcome-bare: what is known of a lookup does not fit its record (%s)", fault)
            return self._write(_OUTCOME, instead, after=(self._intent,))

    def _known(self) -> Mapping[str, Any]:
        try:
            return self.so_far()
        except Exception as fault:  # noqa: BLE001 whatever it is, an outcome is owed
            # Without its trace, which may hold values.
            _log.error("journal.outcome-bare: what is known of a lookup can't be told (%s)", type(fault).__name__)
            return {}

    def _append_before_outcome(self, event: str, fields: Mapping[str, Any]) -> None:
        if self._outcome is not None:
            raise RuntimeError("nothing but its delivery follows the outcome of a lookup")
        _ = self._append(event, fields)

    def _append_delivery(self, event: str, **fields: Any) -> None:
        if self._outcome is None or self._delivery is not None:
            raise RuntimeError("a delivery follows an outcome, once")
        self._delivery = self._write(event, fields, after=(self._outcome,))

    def _append(self, event: str, fields: Mapping[str, Any]) -> Write:
        write = self._write(event, fields, after=tuple(self._writes))
        self._writes.append(write)
        return write

    def _write(self, event: str, fields: Mapping[str, Any], *, after: tuple[Write, ...]) -> Write:
        return self._pen.write(event, {"lookup_id": self._lookup_id, **fields}, after=after)
