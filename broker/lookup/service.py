"""Lookups on this node: begun here, owned here, closed here.

A lookup is a task of the service's, not of its caller: when the caller goes away its sources are cancelled, the
record is not.
"""

import asyncio
import uuid
from collections.abc import Callable, Mapping
from datetime import date

from adapters.contract import Adapter
from broker.auth import Caller
from broker.errors import Overloaded
from broker.identity import IdentityService
from broker.journal import Journal
from broker.keys import Keys
from broker.lookup.begun import Limits, Lookup, Rooms
from broker.lookup.breaker import Breakers
from broker.lookup.story import Story
from broker.lookup.values import Failed, Query
from broker.objections import ObjectionIndex
from broker.registry import Registry
from policies import Policies

__all__ = ["Limits", "Lookup", "LookupService"]


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
        today: Callable[[], date] = date.today,
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
        )
        self._running: set[asyncio.Task[None]] = set()

    def begin(self, caller: Caller, query: Query, *, surface: str | None = None, streaming: bool = False) -> Lookup:
        """Start a lookup; the service owns it from here.

        Args:
            caller: verified.
            query: checked in form.
            surface: by which door it was asked, for the journal.
            streaming: give each part when it is ready, not all at the end.

        Raises:
            Overloaded: this node has as many lookups as it takes.
        """
        if len(self._running) >= self._rooms.limits.concurrency:
            raise Overloaded(retry_after=1.0)
        lookup = Lookup(str(uuid.uuid4()), surface=surface, streaming=streaming)
        story = Story(self._rooms, lookup, caller, query)
        lookup.task = asyncio.get_running_loop().create_task(story.to_the_end(), name="lookup")
        self._running.add(lookup.task)
        lookup.task.add_done_callback(self._running.discard)
        lookup.task.add_done_callback(lambda task: _ended(lookup, task))
        return lookup

    async def close(self) -> None:
        """Let lookups finish within the grace time, end the others, and await the records of all."""
        if not self._running:
            return
        _, late = await asyncio.wait(set(self._running), timeout=self._rooms.limits.grace)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)


def _ended(lookup: Lookup, task: asyncio.Task[None]) -> None:
    """Whoever still listens hears the end, also of a lookup that was cancelled."""
    if task.cancelled():
        lookup.give(Failed(error=Overloaded("The broker is stopping: ask again.", retry_after=1.0)))
    lookup.end()
