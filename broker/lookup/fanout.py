"""One source asked: what it gave until it had finished, failed, or its time was over."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

import structlog

from adapters.contract import Adapter, Learned, Resource, SourceRequest
from adapters.errors import AdapterError, PatientNotFound, SourceUnreachable
from adapters.findings import Finding
from broker.lookup.rows import STATUS_OF
from broker.lookup.values import Status

__all__ = ["Answer", "ask", "read"]

_log = structlog.get_logger()

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

    def take(self, resources: Sequence[Resource]) -> None:
        """Put down what came, if that is what it is: what is no resource must cost its source, not the lookup."""
        if not all(isinstance(one, Resource) for one in resources):
            raise TypeError("an adapter gives resources, and what it learned of their types")
        self.resources.extend(resources)

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


async def ask(adapter: Adapter, request: SourceRequest) -> Answer:
    """Ask one source. What it gave before it was cut stays; only the caller's own cancellation gets out."""
    clock = asyncio.get_running_loop().time
    began = clock()
    answer = Answer()
    try:
        async with asyncio.timeout_at(request.deadline), aclosing(adapter.fetch(request)) as arriving:  # type: ignore[type-var]
            async for arrived in arriving:
                if isinstance(arrived, Learned):
                    answer.learn(arrived)
                else:
                    answer.take([arrived] if isinstance(arrived, Resource) else arrived)
    except PatientNotFound:
        answer.not_found = True
    except AdapterError as error:
        answer.failure = STATUS_OF[error.finding]
        answer.connected = isinstance(error, SourceUnreachable) and error.connected
        answer.retry_after = error.retry_after
        if error.note:
            answer.notes.append(error.note)
    except TimeoutError:
        answer.failure = Status.TIMED_OUT
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - looked at there
        _note_fault(adapter, error)
        answer.failure = Status.FAILED
    answer.elapsed = clock() - began
    if answer.failure is Status.TIMED_OUT and not answer.notes:
        answer.notes.append(f"no full answer in {answer.elapsed:.2f} s")
    return answer


async def read(adapter: Adapter, request: SourceRequest, references: Sequence[str]) -> list[Resource]:
    """Read what lacks for a judgement, once, in what is left of the source's time. What fails, does not come."""
    found: list[Resource] = []
    try:
        async with asyncio.timeout_at(request.deadline), aclosing(adapter.read(request, references)) as arriving:  # type: ignore[type-var]
            found.extend([arrived async for arrived in arriving if isinstance(arrived, Resource)])
    except (AdapterError, TimeoutError):
        pass  # judged as the organisation is known: left out where it runs excluded services
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - looked at there
        _note_fault(adapter, error)
    return found


def _note_fault(adapter: Adapter, error: BaseException) -> None:
    """An adapter's own fault costs its source, never the lookup; being cancelled from outside is none, and goes on."""
    task = asyncio.current_task()
    if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
        raise error
    _log.error("adapter.fault", adapter=type(adapter).__name__, error=type(error).__name__)
