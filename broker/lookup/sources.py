"""All sources of a plan asked side by side, each judged when it has finished or been cut."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from adapters.contract import Adapter, Learned, Requester, SourceRequest
from adapters.findings import Finding
from broker.collector import decoded
from broker.lookup.breaker import Breakers, Paused
from broker.lookup.fanout import Answer, Further, ask, read
from broker.lookup.judging.hiding import Hiding
from broker.lookup.judging.judge import Judge
from broker.lookup.judging.judged import Judged, failed_row
from broker.lookup.judging.refusals import coded
from broker.lookup.places import Places
from broker.lookup.plan import Ask
from broker.lookup.turns import Turns
from broker.lookup.values import Status

__all__ = ["Sources"]

_log = structlog.get_logger()

_MOST = 10_000
"""Resources judged of one source in one lookup: more than any record has, and no more than can be judged in time."""

_AFTERWARDS = 0.02
"""Seconds that a lookup needs once all is judged, however little it is."""
_AFTERWARDS_RATE = 60_000_000
"""Bytes that came, for each second that it needs beside."""
_MOST_AFTERWARDS = 0.8
"""Of the time that is kept for all that follows the sources."""

_BATCH = 200
"""References read at once."""


@dataclass(slots=True, kw_only=True)
class Sources:
    """The sources of one lookup.

    Attributes:
        adapters: by name of source.
        breakers: of this node.
        judge: of this lookup.
        places: how much of where the patient is shows.
        until: the last moment for sources, on the loop's clock.
        deadline: the last moment for judging them.
        requester: for onward provenance.
        lookup_id: sent on.
        labels: the reader is bound by a restriction found at a source.
        hold: told of bytes that are held, as they come.
        turns: of this node.
    """

    adapters: Mapping[str, Adapter]
    breakers: Breakers
    judge: Judge
    places: Places
    until: float
    deadline: float
    requester: Requester
    lookup_id: str
    labels: bool
    hold: Callable[[int], None]
    turns: Turns
    _came: int = 0

    async def one(self, what: Ask) -> tuple[Judged, Answer | None]:
        """Ask one source, and judge what it gave."""
        source = what.registered.source
        try:
            call = self.breakers.enter(source.base_url)
        except Paused as paused:
            row = failed_row(what, paused.status, None, (paused.note,))
            return Judged(row=replace(row, retry_after_s=max(1, round(paused.retry_after)))), None
        answer: Answer | None = None
        said: Status | None = None
        whole_time = False
        try:
            now = asyncio.get_running_loop().time()
            request = self._request(what, min(self.until, now + what.registered.timeout))
            whole_time = self.until >= now + what.registered.timeout
            answer = await ask(self.adapters[what.name], request, self.hold)
            said = _said_of_source(answer, whole_time=whole_time)
        finally:
            self.breakers.note(
                call,
                said,
                connected=answer is not None and answer.connected,
                busy=answer is not None and answer.busy,
                retry_after=None if answer is None else answer.rest,
            )
        self._came += answer.size
        if len(answer.resources) > _MOST:
            del answer.resources[_MOST:]
            types = frozenset(answer.findings)
            answer.learn(
                Learned(types, Finding.TRUNCATED, notes=(f"more than {_MOST} resources: the rest is left out",))
            )
        judged = await self._judged(what, answer, request)
        status = judged.row.status
        ours = status is Status.TIMED_OUT and said is not status  # the time that lacked was not the source's
        if said is not None and not ours:
            self.breakers.watch.note(what.name, status)
        return judged, answer

    async def again(self, what: Ask, answer: Answer) -> Judged:
        """Judge once more what was judged before it was known that places must not show."""
        return await self._judged(what, answer, self._request(what, self.until))

    async def _judged(self, what: Ask, answer: Answer, request: SourceRequest) -> Judged:
        async def more(references: Sequence[str]) -> Further:
            if answer.further is None:
                async with turn.lent():
                    further = Further()
                    for n in range(0, len(references), _BATCH):
                        await read(self.adapters[what.name], request, references[n : n + _BATCH], further)
                answer.further = further
                answer.count(further.resources)
            return answer.further

        turn = self.turns.of(answer.size)
        try:
            async with asyncio.timeout_at(self._last_moment), turn:
                with decoded(answer.size):
                    judged = await self.judge.judge(what, answer, self.places.hiding, labels=self.labels, more=more)
        except TimeoutError:
            return Judged(row=failed_row(what, Status.TIMED_OUT, answer, ("what it gave could not be judged in time",)))
        except Exception as error:  # noqa: BLE001 - what one source gave must not cost what the others gave
            _log.error("source.unjudged", source=what.name, error=type(error).__name__)
            return Judged(row=failed_row(what, Status.FAILED, answer, ("what it gave could not be judged",)))
        if judged.hiding is Hiding.PLACES:
            self.places.hide()
        return judged

    @property
    def _last_moment(self) -> float:
        """For judging: what has come must still be linked, recorded and written."""
        kept = _AFTERWARDS + self._came / _AFTERWARDS_RATE
        return self.deadline - min(kept, (self.deadline - self.until) * _MOST_AFTERWARDS)

    def _request(self, what: Ask, deadline: float) -> SourceRequest:
        tables = self.judge.policies.tables
        request = SourceRequest(
            identity=self.judge.identity,
            categories={name: self.judge.types_of(name) for name in what.asked},
            # Who is only heard gives nothing that would have to be judged by more.
            context=tables.context if what.asked else frozenset(),
            requester=self.requester,
            deadline=deadline,
            correlation_id=self.lookup_id,
        )
        if what.organisation.ods_code == self.judge.own:
            return request
        return replace(request, coded=coded(tables.dissent, request.types))


def _said_of_source(answer: Answer, *, whole_time: bool) -> Status | None:
    """What a breaker learns: nothing where the caller gave the source less than its own time."""
    if answer.failure is Status.TIMED_OUT and not whole_time:
        return None
    return answer.failure or Status.ANSWERED
