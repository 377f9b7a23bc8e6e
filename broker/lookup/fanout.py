"""One source asked: what it gave until it had finished, failed, or its time was over.

An adapter is cut by cancelling it, and awaited, so that it can close what it opened. One that does not let itself be
cancelled is given up: it costs its source, never the lookup's deadline, and nothing that it gives later counts or is
kept. What an adapter gives is looked at before it is put down, for an adapter may be anybody's.
"""

import asyncio
import math
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import structlog

from adapters.contract import Adapter, Arrival, Learned, Resource, SourceRequest, Unread
from adapters.errors import AdapterError, PatientNotFound, SourceUnreachable
from adapters.findings import Finding
from broker.lookup.rows import STATUS_OF
from broker.lookup.values import Status

__all__ = ["Answer", "Further", "ask", "read"]

_log = structlog.get_logger()

_LAST_WORDS: Final = 0.1
"""Seconds that an adapter gets to end once it has been cancelled."""

_OBJECT: Final = 2_000
"""Bytes that a resource counts for that came as an object: to encode it only to measure it would cost more."""

_LONGEST_WAIT: Final = 30 * 86_400.0
"""Seconds: a source that asks for more to be waited for is not taken at its word."""

_given_up: set[asyncio.Task[None]] = set()
"""Kept here while they run, or they might vanish half way; what they give is dropped."""

_RANK = {finding: rank for rank, finding in enumerate(reversed(Finding))}


@dataclass(slots=True)
class Further:
    """What was read to judge an answer. A reference that is behind neither was not read, for whatever reason.

    Attributes:
        resources: in the order in which they came.
        absent: references of which the source says that there is no such thing.
    """

    resources: list[Resource] = field(default_factory=list)
    absent: set[str] = field(default_factory=set)


@dataclass(slots=True, kw_only=True)
class Answer:
    """What one source gave.

    Attributes:
        resources: in the order in which they came.
        findings: what was learned of each type; a type that is missing was not answered.
        failure: what a type that is missing takes; None where the source finished.
        connected: it was unreachable only after it had been connected to, which says nothing against its host.
        not_found: the source says that it does not know the patient.
        further: what was read to judge it; None before that.
        notes: in the broker's words.
        retry_after: seconds, where the source said so of itself or of a part.
        rest: seconds that it is to be left alone for: it failed as a whole, or has too many requests.
        elapsed: seconds.
        size: bytes of the resources.
        hold: told of each growth of `size`, as it comes.
    """

    resources: list[Resource] = field(default_factory=list)
    findings: dict[str, Finding] = field(default_factory=dict)
    failure: Status | None = None
    connected: bool = False
    not_found: bool = False
    further: Further | None = None
    notes: list[str] = field(default_factory=list)
    retry_after: float | None = None
    rest: float | None = None
    elapsed: float = 0.0
    size: int = 0
    hold: Callable[[int], None] | None = None

    def take(self, resources: Sequence[Resource]) -> None:
        """Put down what came, if that is what it is: what is no resource must cost its source, not the lookup."""
        _check(resources)
        self.resources.extend(resources)
        self.count(resources)

    def learn(self, learned: Learned) -> None:
        """Put down what was learned; the worst that is said of a type holds."""
        if not (isinstance(learned.finding, Finding) and _are_words(learned.types) and _are_words(learned.notes)):
            raise TypeError(_NOT_OF_THE_CONTRACT)
        for one in learned.types:
            before = self.findings.get(one)
            if before is None or _RANK[learned.finding] < _RANK[before]:
                self.findings[one] = learned.finding
        for note in learned.notes:
            if note not in self.notes:
                self.notes.append(note)
        # One search that can't be answered now is no reason to leave all the others alone; too many requests are.
        self._wait(learned.retry_after, rest=learned.finding is Finding.BUSY)

    def fail(self, error: AdapterError) -> None:
        """The source failed as a whole."""
        finding: object = error.finding
        self.failure = STATUS_OF.get(finding, Status.FAILED) if isinstance(finding, Finding) else Status.FAILED
        self.connected = isinstance(error, SourceUnreachable) and error.connected is True
        if error.note and isinstance(error.note, str):
            self.notes.append(error.note)
        self._wait(error.retry_after, rest=True)

    def _wait(self, seconds: object, *, rest: bool) -> None:
        """The source said when to try again: the longest that it says holds."""
        if not (isinstance(seconds, (int, float)) and 0 < seconds < math.inf):
            return  # not a number is neither
        wait = float(min(seconds, _LONGEST_WAIT))
        self.retry_after = max(self.retry_after or 0.0, wait)
        if rest:
            self.rest = max(self.rest or 0.0, wait)

    def count(self, resources: Sequence[Resource]) -> None:
        """They are held from now on."""
        size = sum(map(_size, resources))
        self.size += size
        if self.hold is not None:
            self.hold(size)

    @property
    def busy(self) -> bool:
        """The source has too many requests: all of its answer says so, or a part of it."""
        return self.failure is Status.BUSY or Finding.BUSY in self.findings.values()


def _size(resource: Resource) -> int:
    content = resource.content
    return _OBJECT if isinstance(content, dict) else len(content)


_CONTENT: Final = (bytes, msgspec.Raw, dict)
_NOT_OF_THE_CONTRACT: Final = "an adapter gives resources, and what it learned of their types"


def _check(resources: Iterable[object]) -> None:
    """Raise TypeError unless these are resources, as the contract has them."""
    for one in resources:
        if not (
            isinstance(one, Resource)
            and isinstance(one.content, _CONTENT)
            and isinstance(one.arrival, Arrival)
            and (one.full_url is None or isinstance(one.full_url, str))
        ):
            raise TypeError(_NOT_OF_THE_CONTRACT)


def _are_words(several: Iterable[object]) -> bool:
    return not isinstance(several, str) and all(isinstance(one, str) for one in several)


async def ask(adapter: Adapter, request: SourceRequest, hold: Callable[[int], None] | None = None) -> Answer:
    """Ask one source. What it gave before it was cut stays; only the caller's own cancellation gets out.

    Args:
        adapter: of the source.
        request: what is asked.
        hold: told of bytes as they come, for the count of what lookups hold.
    """
    clock = asyncio.get_running_loop().time
    began = clock()
    answer = Answer(hold=hold)
    try:
        await _within(request.deadline, _fetch(adapter, request, answer))
    except PatientNotFound:
        answer.not_found = True
    except AdapterError as error:
        answer.fail(error)
    except _GivenUp:
        answer.failure = Status.TIMED_OUT
        _log.error("adapter.outlasted", adapter=type(adapter).__name__)
    except TimeoutError:
        answer.failure = Status.TIMED_OUT
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - looked at there
        _note_fault(adapter, error)
        answer.failure = Status.FAILED
    answer.elapsed = clock() - began
    if answer.failure is Status.TIMED_OUT and not answer.notes:
        answer.notes.append(f"no full answer in {answer.elapsed:.2f} s")
    return answer


async def _fetch(adapter: Adapter, request: SourceRequest, answer: Answer) -> None:
    async with aclosing(adapter.fetch(request)) as arriving:  # type: ignore[type-var]
        async for arrived in arriving:
            if asyncio.current_task() in _given_up:
                break
            if isinstance(arrived, Learned):
                answer.learn(arrived)
            else:
                answer.take([arrived] if isinstance(arrived, Resource) else arrived)


async def read(adapter: Adapter, request: SourceRequest, references: Sequence[str], further: Further) -> None:
    """Read what lacks for a judgement into `further`, once, in what is left of the source's time.

    What fails does not come, and is not absent either.
    """
    try:
        await _within(request.deadline, _read(adapter, request, references, further))
    except _GivenUp:
        _log.error("adapter.outlasted", adapter=type(adapter).__name__)
    except (AdapterError, TimeoutError):
        pass  # whatever depends on what has no answer now is left out
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - looked at there
        _note_fault(adapter, error)


async def _read(adapter: Adapter, request: SourceRequest, references: Sequence[str], further: Further) -> None:
    async with aclosing(adapter.read(request, references)) as arriving:  # type: ignore[type-var]
        async for arrived in arriving:
            if asyncio.current_task() in _given_up:
                break
            if not isinstance(arrived, Unread):
                _check([arrived])
                further.resources.append(arrived)
            elif arrived.finding is Finding.ANSWERED:
                further.absent.add(arrived.reference)


class _GivenUp(TimeoutError):
    """It was told to end, and did not."""


async def _within(deadline: float, work: Coroutine[Any, Any, None]) -> None:
    """Run `work` in a task of its own until `deadline`, on the loop's clock, and not for longer.

    Raises:
        TimeoutError: its time was over, and it ended.
        _GivenUp: its time was over, and it goes on.
        CancelledError: this was cancelled, and so was `work`; or `work` cancelled itself.
    """
    task = asyncio.create_task(work)
    try:
        await asyncio.wait({task}, timeout=max(0.0, deadline - asyncio.get_running_loop().time()))
    except asyncio.CancelledError:
        await _end(task)
        raise
    if task.done():
        return task.result()
    await _end(task)
    if not task.done():
        raise _GivenUp
    if task.cancelled():
        raise TimeoutError
    return task.result()


async def _end(task: asyncio.Task[None]) -> None:
    """Cancel a task and let it end, for a moment; then let it go."""
    task.cancel()
    try:
        await asyncio.wait({task}, timeout=_LAST_WORDS)
    finally:
        if not task.done():
            _given_up.add(task)
            task.add_done_callback(_forget)
        elif not task.cancelled():
            task.exception()  # looked at, so that nobody warns of it


def _forget(task: asyncio.Task[None]) -> None:
    _given_up.discard(task)
    if not task.cancelled():
        task.exception()


def _note_fault(adapter: Adapter, error: BaseException) -> None:
    """An adapter's own fault costs its source, never the lookup; being cancelled from outside is none, and goes on."""
    task = asyncio.current_task()
    if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
        raise error
    _log.error("adapter.fault", adapter=type(adapter).__name__, error=type(error).__name__)
