"""One source asked: what it gave until it had finished, failed, or its time was over.

An adapter is cut by cancelling it, and awaited, so that it can close what it opened. One that does not let itself be
cancelled is given up: it costs its source, never the lookup's deadline, and nothing that it gives later counts.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, Final

import structlog

from adapters.contract import Adapter, Learned, Resource, SourceRequest
from adapters.errors import AdapterError, PatientNotFound, SourceUnreachable
from adapters.findings import Finding
from broker.lookup.rows import STATUS_OF
from broker.lookup.values import Status

__all__ = ["Answer", "ask", "read"]

_log = structlog.get_logger()

_LAST_WORDS: Final = 0.1
"""Seconds that an adapter gets to end once it has been cancelled."""

_OBJECT: Final = 2_000
"""Bytes that a resource counts for that came as an object: to encode it only to measure it would cost more."""

_given_up: set[asyncio.Task[None]] = set()
"""Kept here while they run, or they might vanish half way."""

_RANK = {finding: rank for rank, finding in enumerate(reversed(Finding))}


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
        retry_after: seconds, where the source said so.
        elapsed: seconds.
        size: bytes of the resources.
        hold: told of each growth of `size`, as it comes.
    """

    resources: list[Resource] = field(default_factory=list)
    findings: dict[str, Finding] = field(default_factory=dict)
    failure: Status | None = None
    connected: bool = False
    not_found: bool = False
    further: list[Resource] | None = None
    notes: list[str] = field(default_factory=list)
    retry_after: float | None = None
    elapsed: float = 0.0
    size: int = 0
    hold: Callable[[int], None] | None = None

    def take(self, resources: Sequence[Resource]) -> None:
        """Put down what came, if that is what it is: what is no resource must cost its source, not the lookup."""
        if not all(isinstance(one, Resource) for one in resources):
            raise TypeError("an adapter gives resources, and what it learned of their types")
        self.resources.extend(resources)
        self.count(resources)

    def learn(self, learned: Learned) -> None:
        """Put down what was learned; the worst that is said of a type holds."""
        for one in learned.types:
            before = self.findings.get(one)
            if before is None or _RANK[learned.finding] < _RANK[before]:
                self.findings[one] = learned.finding
        for note in learned.notes:
            if note not in self.notes:
                self.notes.append(note)
        if learned.retry_after is not None:
            self.retry_after = max(self.retry_after or 0.0, learned.retry_after)

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

    def as_of_now(self) -> "Answer":
        """What there is, out of reach of whoever goes on with the original."""
        copy = replace(self, resources=list(self.resources), findings=dict(self.findings), notes=list(self.notes))
        self.hold = None
        return copy


def _size(resource: Resource) -> int:
    content = resource.content
    return _OBJECT if isinstance(content, dict) else len(content)


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
        answer.failure = STATUS_OF[error.finding]
        answer.connected = isinstance(error, SourceUnreachable) and error.connected
        answer.retry_after = error.retry_after
        if error.note:
            answer.notes.append(error.note)
    except _GivenUp:
        answer = answer.as_of_now()
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
            if isinstance(arrived, Learned):
                answer.learn(arrived)
            else:
                answer.take([arrived] if isinstance(arrived, Resource) else arrived)


async def read(adapter: Adapter, request: SourceRequest, references: Sequence[str]) -> list[Resource]:
    """Read what lacks for a judgement, once, in what is left of the source's time. What fails, does not come."""
    found: list[Resource] = []
    try:
        await _within(request.deadline, _read(adapter, request, references, found))
    except _GivenUp:
        _log.error("adapter.outlasted", adapter=type(adapter).__name__)
        return list(found)
    except (AdapterError, TimeoutError):
        pass  # judged as the organisation is known: left out where it runs excluded services
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - looked at there
        _note_fault(adapter, error)
    return found


async def _read(adapter: Adapter, request: SourceRequest, references: Sequence[str], found: list[Resource]) -> None:
    async with aclosing(adapter.read(request, references)) as arriving:  # type: ignore[type-var]
        found.extend([arrived async for arrived in arriving if isinstance(arrived, Resource)])


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
