"""What changed in the register, whoever changed it: another process of this machine, or another node."""

import asyncio
import os
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from broker.store import OBJECTIONS, REVISIONS

__all__ = ["Changes", "CounterFeed", "Feed", "SqliteFeed", "Standing"]


@dataclass(frozen=True, slots=True)
class Standing:
    """One objection, as far as a lookup needs it: whose (sealed), its status, and whether the patient was told."""

    id: str
    patient: str
    status: str
    told: bool


@dataclass(frozen=True, slots=True)
class Changes:
    """What is new.

    Attributes:
        revision: of the register, with these changes.
        rows: every objection changed since the revision that was asked from.
        whole: the rows are the whole register: what is not among them is no more.
    """

    revision: int
    rows: Sequence[Standing]
    whole: bool


class Feed(Protocol):
    """Where the index hears from the register."""

    async def changes(self, since: int | None) -> Changes | None:
        """What changed since a revision (None: everything), or None if nothing did. Raises what its driver does."""
        ...

    async def close(self) -> None:
        """Let go of the register."""
        ...


class SqliteFeed:
    """Follows a SQLite file on a plain connection of its own, in a thread of its own.

    `PRAGMA data_version` changes when any other connection has committed, and costs a fiftieth of a query through
    SQLAlchemy. The thread is not one of the loop's: a slow name server must not make the register look silent.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="objections")
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._version: int | None = None

    async def changes(self, since: int | None) -> Changes | None:
        """As `Feed` says. Raises sqlite3.Error or OSError, and opens the file anew the next time."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._changes, since)

    async def close(self) -> None:
        """Close connection and thread."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._disconnect)
        self._thread.shutdown(wait=False)

    def _changes(self, since: int | None) -> Changes | None:
        try:
            connection = self._current()
            version = connection.execute("PRAGMA data_version").fetchone()[0]
            if since is not None and version == self._version:
                return None
            # The version is read first: what is committed in between is read now, and once more.
            found = self._read(connection, None if self._version is None else since)
        except (sqlite3.Error, OSError):
            self._disconnect()
            raise
        self._version = version
        return found

    def _current(self) -> sqlite3.Connection:
        """The connection, to the file that now has this name: a restored copy is another file."""
        status = os.stat(self._file)  # noqa: PTH116  the file's identity, in one call
        identity = (status.st_dev, status.st_ino)
        if self._connection is None or identity != self._identity:
            self._disconnect()
            self._connection = sqlite3.connect(
                f"file:{quote(str(self._file))}?mode=rw",
                uri=True,
                timeout=1,
                check_same_thread=False,
                isolation_level=None,
            )
            self._connection.execute("PRAGMA query_only=ON")
            self._identity = identity
        return self._connection

    def _read(self, connection: sqlite3.Connection, since: int | None) -> Changes:
        connection.execute("BEGIN")
        try:
            query = "SELECT revision FROM revisions WHERE register = 'objections'"
            revision = connection.execute(query).fetchone()[0]
            whole = since is None or revision < since
            rows = connection.execute(
                "SELECT id, patient, status, told_at IS NOT NULL FROM objections WHERE revision > ?",
                (-1 if whole else since,),
            ).fetchall()
        finally:
            connection.execute("ROLLBACK")
        return Changes(
            revision, [Standing(id_, patient, status, bool(told)) for id_, patient, status, told in rows], whole
        )

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = self._version = self._identity = None


class CounterFeed:
    """Follows any database by the register's counter."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def changes(self, since: int | None) -> Changes | None:
        """As `Feed` says. Raises SQLAlchemyError or OSError."""
        counter = select(REVISIONS.c.revision).where(REVISIONS.c.register == "objections")
        columns = (OBJECTIONS.c.id, OBJECTIONS.c.patient, OBJECTIONS.c.status, OBJECTIONS.c.told_at)
        async with self._engine.connect() as connection:
            revision = (await connection.execute(counter)).scalar_one()
            if revision == since:
                return None
            whole = since is None or revision < since
            query = select(*columns).where(OBJECTIONS.c.revision > (-1 if whole else since))
            rows = (await connection.execute(query)).all()
        return Changes(
            revision, [Standing(row.id, row.patient, row.status, row.told_at is not None) for row in rows], whole
        )

    async def close(self) -> None:
        """Nothing: the engine is its owner's."""
