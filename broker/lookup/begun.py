"""A lookup that has begun, as whoever asked for it holds it; and what it finds around it on this node."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import date

from adapters.contract import Adapter
from broker.alerts import Alerts
from broker.identity import IdentityService
from broker.journal import Journal, LookupRecord
from broker.keys import Keys
from broker.lookup.admission import Place, size_of
from broker.lookup.alarms import Unheard
from broker.lookup.breaker import Breakers
from broker.lookup.quotas import Unconfirmed
from broker.lookup.turns import Turns
from broker.lookup.values import Event, Part, Summary
from broker.objections import ObjectionIndex
from broker.registry import Registry
from policies import Policies

__all__ = ["Limits", "Lookup", "Rooms"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds of lookups on this node.

    Attributes:
        deadline: seconds for a whole lookup, unless its caller asks for less.
        practices_if_unknown: GP practices asked where nobody names the registered one.
        concurrency: lookups that run at once; as many may wait.
        memory: bytes that all of them may hold together, beyond which new ones wait.
        grace: seconds that lookups get to finish, and their replies to leave, when the service closes.
    """

    deadline: float = 5.0
    practices_if_unknown: int = 10
    concurrency: int = 64
    memory: int = 512_000_000
    grace: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """What a lookup finds around it.

    Attributes:
        adapters: by name of source.
        breakers: of this node.
        today: for agreements and exclusions.
        now: seconds since 1970, for overrides.
        alerts: who is told of what can't wait for an audit.
        lead: ODS code of the lead controller, or None.
        unconfirmed: who had too many birth dates not confirmed.
        turns: of this node, to judge.
    """

    registry: Registry
    policies: Policies
    identity: IdentityService
    objections: ObjectionIndex
    journal: Journal
    keys: Keys
    adapters: Mapping[str, Adapter]
    breakers: Breakers
    limits: Limits
    today: Callable[[], date]
    now: Callable[[], float] = time.time
    alerts: Alerts = field(default_factory=Unheard)
    lead: str | None = None
    unconfirmed: Unconfirmed = field(default_factory=Unconfirmed)
    turns: Turns = field(default_factory=Turns)


class Lookup:
    """One lookup that has begun. Iterating gives its events; each is recorded durably when it comes out.

    Whoever holds it says how it went: `delivered` once it has given a summary, `abandon` where they leave before the
    last event. Until then what it gave counts as held in memory.
    """

    def __init__(self, lookup_id: str, place: Place, *, surface: str | None, streaming: bool) -> None:
        self.lookup_id = lookup_id
        self.place = place
        self.surface = surface
        self.streaming = streaming
        self.task: asyncio.Task[None] | None = None
        self.record: LookupRecord | None = None
        self.released = False
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()
        self._summarised = False

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Started, a Part for each source that was asked, then Summary or Failed."""
        while (event := await self._events.get()) is not None:
            yield event
            if self.streaming and isinstance(event, Part):
                self.place.let_go(size_of(event.entries))  # who asks for the next has written this one

    def give(self, event: Event) -> None:
        """One more event."""
        self._summarised = isinstance(event, Summary)
        self._events.put_nowait(event)

    def end(self) -> None:
        """No more events. Where there is no reply, nothing of one is held either."""
        if self._summarised:
            self.place.settle()
        else:
            self.place.end()
        self._events.put_nowait(None)

    def abandon(self) -> None:
        """The caller has gone: its sources are cancelled, and the journal says so; or that the reply found nobody."""
        if self.released:
            self.delivered(arrived=False)
        elif self.task is not None:
            self.task.cancel()

    def stop(self, code: str) -> None:
        """The service can't wait for it any longer: as `abandon`, but its caller is there, and is told `code`."""
        if self.record is not None:
            self.record.stopped_with = code
        if self.task is not None:
            self.task.cancel()

    def delivered(self, arrived: bool, *, code: str | None = None, shown: int | None = None) -> None:  # noqa: FBT001
        """Say whether the bytes of what was released left; what is said first holds.

        Args:
            arrived: they did.
            code: of the error that the caller was given instead.
            shown: resources in the reply, where it held not all that was released.
        """
        self.place.end()
        record, self.record = self.record, None
        if record is None:
            return
        if arrived:
            record.delivered(code=code, shown=shown)
        else:
            record.not_delivered()
