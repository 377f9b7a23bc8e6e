"""All sources of a plan asked side by side, each judged when it has finished or been cut."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from adapters.contract import Adapter, Learned, Requester, Resource, SourceRequest
from adapters.findings import Finding
from broker.lookup.breaker import Breakers, Paused
from broker.lookup.fanout import Answer, ask, read
from broker.lookup.hiding import Hiding
from broker.lookup.judge import Judge, Judged, failed_row
from broker.lookup.places import Places
from broker.lookup.plan import Ask
from broker.lookup.values import Status

__all__ = ["Sources"]

_MOST = 20_000
"""Resources judged of one source in one lookup: more than any record has, and no more than can be judged in time."""

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
    _turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))

    async def one(self, what: Ask) -> tuple[Judged, Answer | None]:
        """Ask one source, and judge what it gave."""
        source = what.registered.source
        try:
            probe = self.breakers.enter(source.base_url)
        except Paused as paused:
            row = failed_row(what, Status.PAUSED, None, ("paused after failures in a row",))
            return Judged(row=replace(row, retry_after_s=max(1, round(paused.retry_after)))), None
        answer: Answer | None = None
        whole_time = False
        try:
            now = asyncio.get_running_loop().time()
            request = self._request(what, min(self.until, now + what.registered.timeout))
            whole_time = self.until >= now + what.registered.timeout
            answer = await ask(self.adapters[what.name], request)
        finally:
            self.breakers.note(
                source.base_url,
                _said_of_source(answer, whole_time=whole_time),
                probe=probe,
                connected=answer is not None and answer.connected,
            )
        if len(answer.resources) > _MOST:
            del answer.resources[_MOST:]
            types = frozenset(answer.findings)
            answer.learn(
                Learned(types, Finding.TRUNCATED, notes=(f"more than {_MOST} resources: the rest is left out",))
            )
        return await self._judged(what, answer, request), answer

    async def again(self, what: Ask, answer: Answer) -> Judged:
        """Judge once more what was judged before it was known that places must not show."""
        return await self._judged(what, answer, self._request(what, self.until))

    async def _judged(self, what: Ask, answer: Answer, request: SourceRequest) -> Judged:
        async def more(references: Sequence[str]) -> list[Resource]:
            if answer.further is None:
                self._turn.release()  # who waits for a source holds up nobody
                try:
                    further = []
                    for n in range(0, len(references), _BATCH):
                        batch = references[n : n + _BATCH]
                        further.extend(await read(self.adapters[what.name], request, batch))
                    answer.further = further
                finally:
                    await self._turn.acquire()
            return answer.further

        # One source at a time: only one holds its resources as objects, but for those that wait for what they lack.
        try:
            async with asyncio.timeout_at(self.deadline), self._turn:
                judged = await self.judge.judge(what, answer, self.places.hiding, labels=self.labels, more=more)
        except TimeoutError:
            return Judged(row=failed_row(what, Status.TIMED_OUT, answer, ("what it gave could not be judged in time",)))
        if judged.hiding is Hiding.PLACES:
            self.places.hide()
        return judged

    def _request(self, what: Ask, deadline: float) -> SourceRequest:
        tables = self.judge.policies.tables
        return SourceRequest(
            identity=self.judge.identity,
            categories={name: self.judge.types_of(name) for name in what.asked},
            context=tables.context,
            requester=self.requester,
            deadline=deadline,
            correlation_id=self.lookup_id,
        )


def _said_of_source(answer: Answer | None, *, whole_time: bool) -> Status | None:
    """What a breaker learns: nothing where the caller left, or gave the source less than its own time."""
    if answer is None or (answer.failure is Status.TIMED_OUT and not whole_time):
        return None
    return answer.failure or Status.ANSWERED
