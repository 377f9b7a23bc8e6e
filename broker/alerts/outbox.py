"""What is still to be sent, where a restart does not lose it, and where each of several nodes finds it."""

import sqlite3
from dataclasses import dataclass
from typing import Final

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from broker.store import ALERTS

__all__ = ["STORE_ERRORS", "Outbox", "Waiting"]

STORE_ERRORS: Final = (SQLAlchemyError, sqlite3.Error, OSError)
"""What is raised where the store can't be read or written."""

_DAY: Final = 86400.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """One message, held for this process for a while.

    Attributes:
        raised_at: in seconds since 1970.
        tries: made before.
    """

    id: str
    raised_at: float
    body: bytes
    tries: int


class Outbox:
    """The outbox in the store. Times are seconds since 1970. Everything raises `STORE_ERRORS`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def put(self, message_id: str, body: bytes, now: float) -> None:
        """Add a message, due now. Said twice, it is there once."""
        await self._insert(id=message_id, raised_at=now, body=body.decode(), tries=0, due_at=now)

    async def first(self, mark: str, now: float) -> bool:
        """Whether nobody has said this word for two days at least, on any node; from now on somebody has."""
        async with self._engine.begin() as connection:
            old = (ALERTS.c.due_at.is_(None)) & (ALERTS.c.raised_at < now - 2 * _DAY)
            await connection.execute(delete(ALERTS).where(old))
        return await self._insert(id=mark, raised_at=now, tries=0)

    async def take(self, now: float, *, hold: float) -> Waiting | None:
        """The message that is due first, if one is: for `hold` seconds it is nobody else's."""
        due = (
            select(ALERTS.c.id, ALERTS.c.raised_at, ALERTS.c.body, ALERTS.c.tries, ALERTS.c.due_at)
            .where(ALERTS.c.due_at <= now)
            .order_by(ALERTS.c.due_at)
            .limit(1)
        )
        async with self._engine.connect() as connection:
            found = (await connection.execute(due)).one_or_none()
        if found is None:
            return None
        mine = update(ALERTS).where((ALERTS.c.id == found.id) & (ALERTS.c.due_at == found.due_at))
        async with self._engine.begin() as connection:
            taken = (await connection.execute(mine.values(due_at=now + hold))).rowcount
        return Waiting(found.id, found.raised_at, found.body.encode(), found.tries) if taken else None

    async def next(self) -> float | None:
        """When the next one is due, or None where nothing waits."""
        async with self._engine.connect() as connection:
            first: float | None = (await connection.execute(select(func.min(ALERTS.c.due_at)))).scalar_one()
        return first

    async def again(self, message_id: str, *, tries: int, due_at: float) -> None:
        """Give one back, to be tried then."""
        async with self._engine.begin() as connection:
            row = update(ALERTS).where(ALERTS.c.id == message_id)
            await connection.execute(row.values(tries=tries, due_at=due_at))

    async def done(self, message_id: str) -> None:
        """Take one out."""
        async with self._engine.begin() as connection:
            await connection.execute(delete(ALERTS).where(ALERTS.c.id == message_id))

    async def _insert(self, **values: object) -> bool:
        try:
            async with self._engine.begin() as connection:
                await connection.execute(insert(ALERTS).values(**values))
        except IntegrityError:
            return False
        return True
