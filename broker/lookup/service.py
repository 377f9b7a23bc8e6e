"""Lookups on this node: begun here, owned here, closed here.

A lookup is a task of the service's, not of its caller: when the caller goes away its sources are cancelled, the
record is not.

**The end** of the service: no new lookup is begun. Those that have begun get the grace time to finish, and their
replies to leave. Then those still running are cancelled: each has its outcome in the journal, and whoever listens
hears a last event. Whoever is in a hurry cuts the grace time short, and nothing else.
"""

import asyncio
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import date
from typing import Final

from adapters.contract import Adapter
from broker.alerts import Alerts
from broker.auth import Caller
from broker.errors import Overloaded
from broker.identity import IdentityService
from broker.journal import Journal
from broker.keys import Keys
from broker.lookup.admission import Admission
from broker.lookup.alarms import Unheard
from broker.lookup.begun import Limits, Lookup, Rooms
from broker.lookup.breaker import Breakers
from broker.lookup.override import broken
from broker.lookup.quotas import Quotas, Unconfirmed
from broker.lookup.story import Story
from broker.lookup.values import Failed, Query
from broker.objections import ObjectionIndex
from broker.registry import Registry
from policies import Policies

__all__ = ["Limits", "Lookup", "LookupService"]

_STOPPING: Final = "This node is being stopped: ask again, another may answer."
_ELSEWHERE: Final = 1.0
"""Seconds after which to ask again: another node, or this one when it is back."""


class LookupService:
    """Looks patients up."""

    def __init__(
        self,
        *,
        registry: Registry,
        policies: Policies,
        identity: IdentityService,
        objections: ObjectionIndex,
        journal: Journal,
        keys: Keys,
        adapters: Mapping[str, Adapter],
        limits: Limits | None = None,
        quotas: Quotas | None = None,
        today: Callable[[], date] = date.today,
        now: Callable[[], float] = time.time,
        alerts: Alerts | None = None,
        lead: str | None = None,
    ) -> None:
        self._rooms = Rooms(
            registry=registry,
            policies=policies,
            identity=identity,
            objections=objections,
            journal=journal,
            keys=keys,
            adapters=adapters,
            breakers=Breakers(lambda: asyncio.get_running_loop().time()),
            limits=limits or Limits(),
            today=today,
            now=now,
            alerts=alerts or Unheard(),
            lead=lead,
            unconfirmed=Unconfirmed() if quotas is None else quotas.unconfirmed,
        )
        self._quotas = quotas
        self._admission = Admission(concurrency=self._rooms.limits.concurrency, memory=self._rooms.limits.memory)
        self._stopping = False
        self._running: dict[asyncio.Task[None], Lookup] = {}

    @property
    def taking(self) -> bool:
        """Whether new lookups are begun: not once the service stops."""
        return not self._stopping

    def begin(self, caller: Caller, query: Query, *, surface: str | None = None, streaming: bool = False) -> Lookup:
        """Start a lookup; the service owns it from here.

        Args:
            caller: verified.
            query: checked in form.
            surface: by which door it was asked, for the journal.
            streaming: give each part when it is ready, not all at the end.

        Raises:
            InvalidRequest: an `override_id` that is not open to this caller for this patient.
            Overloaded: this node stops, or as many lookups wait for their turn as may.
            TooManyRequests: of this person, or of their organisation.
        """
        if self._stopping:
            raise Overloaded(_STOPPING, retry_after=_ELSEWHERE)
        glass = broken(query, caller.requester, self._rooms.keys, self._rooms.now())
        leave = None if self._quotas is None else self._quotas.enter(caller.requester)
        try:
            place = self._admission.apply(leave)
        except Overloaded:
            if leave is not None:
                leave()
            raise
        lookup = Lookup(str(uuid.uuid4()), place, surface=surface, streaming=streaming)
        story = Story(self._rooms, lookup, caller, query, glass)
        lookup.task = asyncio.get_running_loop().create_task(story.to_the_end(), name="lookup")
        self._running[lookup.task] = lookup
        lookup.task.add_done_callback(self._running.pop)
        lookup.task.add_done_callback(lambda task: _ended(lookup, task))
        return lookup

    async def close(self, hurry: asyncio.Event | None = None) -> None:
        """Begin none; let those that have begun finish, end the others, and await the records of all.

        Args:
            hurry: set where the grace time is not to be waited for.
        """
        if not self._stopping:
            self._stopping = True
            await self._wait_for_all(hurry or asyncio.Event())
        late = dict(self._running)
        for lookup in late.values():
            lookup.stop(Overloaded.code)
        if late:
            await asyncio.wait(late)

    async def _wait_for_all(self, hurry: asyncio.Event) -> None:
        """Wait until every lookup has finished and its reply has left, for the grace time at most."""
        waits = {asyncio.create_task(self._admission.empty()), asyncio.create_task(hurry.wait())}
        try:
            await asyncio.wait(waits, timeout=self._rooms.limits.grace, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()
            await asyncio.wait(waits)


def _ended(lookup: Lookup, task: asyncio.Task[None]) -> None:
    """Whoever still listens hears the end, also of a lookup that was cancelled."""
    if task.cancelled():
        lookup.give(Failed(error=Overloaded(_STOPPING, retry_after=_ELSEWHERE)))
    lookup.end()
