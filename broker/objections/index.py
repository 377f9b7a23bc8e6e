"""The objections in memory: what every lookup asks, without asking a database."""

import asyncio
import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Self

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from broker.errors import RegisterUnavailable
from broker.keys import Keys
from broker.objections.feed import Changes, CounterFeed, Feed, SqliteFeed
from broker.objections.rules import standing_of
from broker.objections.values import Status
from broker.store import sqlite_file
from policies.values import Objection

__all__ = ["EVERY", "ObjectionIndex"]

EVERY: Final = 0.25
"""Seconds between two looks at the register: what is recorded is in force on every node within one second."""

_WORST_FIRST: Final = (Objection.UPHELD, Objection.UNDECIDED, Objection.NOT_UPHELD, Objection.NONE)

_log = structlog.get_logger("broker.objections")


class ObjectionIndex:
    """Follows the register. An async context manager, or `start` and `close`.

    Args:
        engine: the store. A SQLite file is followed by a connection of its own.
        keys: patients are known by their sealed numbers alone.
        max_age: seconds for which the register may be silent.
        feed: where it hears from the register, if not from the store. Closed with the index.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        keys: Keys,
        *,
        max_age: float,
        feed: Feed | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._feed = feed or _feed_of(engine)
        self._keys = keys
        self._max_age = max_age
        self._clock = clock
        self._revision: int | None = None
        self._patients: dict[str, str] = {}
        self._standings: defaultdict[str, dict[str, Objection]] = defaultdict(dict)
        self._heard: float | None = None
        self._lost = False
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def start(self) -> None:
        """Read the register once, then follow it. A register that can't be read yet is tried again."""
        await self._look()
        self._task = asyncio.create_task(self._follow(), name="objections")

    async def close(self) -> None:
        """Stop following."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        await self._feed.close()

    @property
    def fresh(self) -> bool:
        """Whether the register was heard from within `max_age`."""
        return self._heard is not None and self._clock() - self._heard <= self._max_age

    def standing(self, numbers: Sequence[str]) -> Objection:
        """How the patient with these NHS numbers objects: the worst over all of them.

        Raises:
            RegisterUnavailable: not heard from the register for `max_age`, so nobody knows.
        """
        if not self.fresh:
            raise RegisterUnavailable
        found = {standing for number in numbers for standing in self._of(self._keys.seal_patient(number))}
        return next((standing for standing in _WORST_FIRST if standing in found), Objection.NONE)

    def _of(self, sealed: str) -> Sequence[Objection]:
        return tuple(self._standings[sealed].values()) if sealed in self._standings else ()

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            await self._look()

    async def _look(self) -> None:
        # What is heard is as old as the question, not as the answer.
        asked = self._clock()
        try:
            changes = await self._feed.changes(self._revision)
        except (sqlite3.Error, SQLAlchemyError, OSError) as error:
            if not self._lost:
                self._lost = True
                _log.warning("objections.register-lost", error=type(error).__name__)
            return
        if changes is not None:
            self._take(changes)
        self._heard = asked
        if self._lost:
            self._lost = False
            _log.info("objections.register-back")

    def _take(self, changes: Changes) -> None:
        if changes.whole:
            self._patients.clear()
            self._standings.clear()
        for row in changes.rows:
            standing = standing_of(Status(row.status), told=row.told)
            before = self._patients.pop(row.id, None)
            if before is not None:
                self._standings[before].pop(row.id, None)
            if standing is not Objection.NONE:
                self._patients[row.id] = row.patient
                self._standings[row.patient][row.id] = standing
        self._revision = changes.revision


def _feed_of(engine: AsyncEngine) -> Feed:
    file = sqlite_file(engine.url.render_as_string(hide_password=False))
    return SqliteFeed(file) if file else CounterFeed(engine)
