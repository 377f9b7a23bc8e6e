"""The objections in memory: what every lookup asks, without asking a database."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Self

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from broker.errors import RegisterUnavailable
from broker.keys import Keys
from broker.objections.feed import Changes, CounterFeed, Feed, SqliteFeed
from broker.objections.roll import Roll, Statement
from broker.objections.scopes import Scope, ScopeKind
from broker.objections.stance import FORBIDDING, Stance, worst
from broker.store import sqlite_file
from policies.values import Objection

__all__ = ["EVERY", "ObjectionIndex"]

EVERY: Final = 0.25
"""Seconds between two looks at the register: what is recorded is in force on every node within one second."""

_NO_OBJECTION: Final = Stance()

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
        self._roll = Roll()
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

    def stance(self, numbers: Sequence[str], *, issuer: str, subject: str, staff_id: str | None = None) -> Stance:
        """All that the objections of the patient with these NHS numbers mean for this reader.

        Args:
            numbers: the identity set.
            issuer: `iss` of the reader's token.
            subject: `sub` of it.
            staff_id: the reader's SDS user id, where the token says it.

        Raises:
            RegisterUnavailable: not heard from the register for `max_age`, or it says what these keys can't open, so
                nobody knows.
        """
        found = self._stated(numbers)
        try:
            return self._stance(found, issuer, subject, staff_id) if found else _NO_OBJECTION
        except ValueError:
            raise RegisterUnavailable from None

    def _stated(self, numbers: Sequence[str]) -> set[Statement]:
        if not self.fresh:
            raise RegisterUnavailable
        return {statement for number in numbers for statement in self._roll.of(self._keys.seal_patient(number))}

    def _stance(self, found: set[Statement], issuer: str, subject: str, staff_id: str | None) -> Stance:
        whole = Objection.NONE
        narrower: dict[str, dict[str, Objection]] = {ScopeKind.ORGANISATION: {}, ScopeKind.CATEGORY: {}}
        decided_by = set()
        for statement in found:
            if (stated := narrower.get(statement.scope)) is not None:
                about = Scope.opened(self._keys, statement.scope, statement.about).value
                stated[about] = worst((stated.get(about, Objection.NONE), statement.standing))
            elif statement.scope != ScopeKind.STAFF or self._is_about(statement, issuer, subject, staff_id):
                whole = worst((whole, statement.standing))
            else:
                continue
            if statement.decided_by and statement.standing in FORBIDDING:
                decided_by.add(statement.decided_by)
        return Stance(whole, narrower[ScopeKind.ORGANISATION], narrower[ScopeKind.CATEGORY], frozenset(decided_by))

    def _is_about(self, statement: Statement, issuer: str, subject: str, staff_id: str | None) -> bool:
        """Whether this reader is the person whom the patient named: the same is always sealed in the same way."""
        names = [Scope.member(issuer, subject), *([Scope(ScopeKind.STAFF, staff_id)] if staff_id else [])]
        return statement.about in {name.sealed(self._keys) for name in names}

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
        if changes.roll is not None:
            self._roll = changes.roll
        self._roll.update(changes.patients)
        self._revision = changes.revision


def _feed_of(engine: AsyncEngine) -> Feed:
    file = sqlite_file(engine.url.render_as_string(hide_password=False))
    return SqliteFeed(file) if file else CounterFeed(engine)
