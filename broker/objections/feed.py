"""What changed in the register, whoever changed it: another process of this machine, or another node."""

import asyncio
import errno
import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import quote

from sqlalchemy import Connection, bindparam, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncEngine

from broker.objections.roll import Roll, Statement
from broker.objections.rules import standing_of
from broker.objections.scopes import ScopeKind
from broker.objections.values import Status
from broker.store import OBJECTIONS, REVISIONS, Files, files_of
from policies.values import Objection

__all__ = ["Changes", "CounterFeed", "Feed", "SqliteFeed"]

_EVERY: Final = select(
    OBJECTIONS.c.patient,
    OBJECTIONS.c.status,
    OBJECTIONS.c.told_at.is_not(None),
    OBJECTIONS.c.scope,
    OBJECTIONS.c.scope_value,
    OBJECTIONS.c.decided_by,
)
_CHANGED: Final = _EVERY.where(
    OBJECTIONS.c.patient.in_(select(OBJECTIONS.c.patient).where(OBJECTIONS.c.revision > bindparam("since")))
)
"""All of those patients of whom anything changed."""
_EVERY_IN_SQLITE, _CHANGED_IN_SQLITE = (str(query.compile(dialect=sqlite.dialect())) for query in (_EVERY, _CHANGED))


_UNREADABLE: Final = Statement(Objection.UNDECIDED, ScopeKind.WHOLE, None, None)


@dataclass(frozen=True, slots=True)
class Changes:
    """What is new.

    Attributes:
        revision: of the register, with these changes.
        roll: all objections, where all were read: who is not in it objects to nothing.
        patients: else, all that is stated now for each patient of whom anything changed.
    """

    revision: int
    roll: Roll | None = None
    patients: Mapping[str, tuple[Statement, ...]] = field(default_factory=dict)


class Feed(Protocol):
    """Where the index hears from the register."""

    async def changes(self, since: int | None) -> Changes | None:
        """What changed since a revision (None: everything), or None if nothing did. Raises what its driver does."""
        ...

    async def close(self) -> None:
        """Let go of the register."""
        ...


class _LogLost(OSError):
    """Somebody removed the log of a register in use."""


class SqliteFeed:
    """Follows a SQLite file on a plain connection of its own, in a thread of its own.

    `PRAGMA data_version` changes when any other connection has committed, and costs a fiftieth of a query through
    SQLAlchemy. The thread is not one of the loop's: a slow name server must not make the register look silent.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="objections")
        self._connection: sqlite3.Connection | None = None
        self._files: Files | None = None
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
        except _LogLost:
            # What others write now is not seen here, and no connection of this process would: until it starts again
            # the register is silent.
            raise
        except (sqlite3.Error, OSError):
            self._disconnect()
            raise
        self._version = version
        return found

    def _current(self) -> sqlite3.Connection:
        """The connection, to the file that now has this name: a restored copy is another file."""
        files = files_of(self._file)
        if self._connection is None or self._files is None or files[0] != self._files[0]:
            self._disconnect()
            self._connection = sqlite3.connect(
                f"file:{quote(str(self._file))}?mode=rw",
                uri=True,
                timeout=1,
                check_same_thread=False,
                isolation_level=None,
            )
            self._connection.execute("PRAGMA query_only=ON")
            # A first read opens the log.
            self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            opened = files_of(self._file)
            if opened[0] != files[0]:
                raise OSError(errno.ESTALE, "the register was replaced while it was opened")
            self._files = opened
        elif files != self._files:
            raise _LogLost(errno.ESTALE, "the register's log was removed")
        return self._connection

    def _read(self, connection: sqlite3.Connection, since: int | None) -> Changes:
        connection.execute("BEGIN")
        try:
            query = "SELECT revision FROM revisions WHERE register = 'objections'"
            revision = connection.execute(query).fetchone()[0]
            if since is None or revision < since:
                return Changes(revision, roll=Roll(_stated(connection.execute(_EVERY_IN_SQLITE))))
            return Changes(revision, patients=_by_patient(connection.execute(_CHANGED_IN_SQLITE, (since,))))
        finally:
            connection.execute("ROLLBACK")

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = self._version = self._files = None


class CounterFeed:
    """Follows any database by the register's counter."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def changes(self, since: int | None) -> Changes | None:
        """As `Feed` says. Raises SQLAlchemyError or OSError."""
        counter = select(REVISIONS.c.revision).where(REVISIONS.c.register == "objections")
        async with self._engine.connect() as connection:
            revision = (await connection.execute(counter)).scalar_one()
            if revision == since:
                return None
            return await connection.run_sync(_read, revision, None if since is None or revision < since else since)

    async def close(self) -> None:
        """Nothing: the engine is its owner's."""


def _read(connection: Connection, revision: int, since: int | None) -> Changes:
    """Everything where `since` is None; row by row, so that a million of them are never in memory at once."""
    if since is None:
        return Changes(revision, roll=Roll(_stated(connection.execute(_EVERY.execution_options(yield_per=1000)))))
    return Changes(revision, patients=_by_patient(connection.execute(_CHANGED, {"since": since})))


def _stated(rows: Iterable[Sequence[Any]]) -> Iterator[tuple[str, Statement]]:
    """Sealed number and statement of each objection that means something."""
    for patient, *what in rows:
        statement = _statement(*what)
        if statement.standing is not Objection.NONE:
            yield patient, statement


def _by_patient(rows: Iterable[Sequence[Any]]) -> dict[str, tuple[Statement, ...]]:
    """Of each patient in these rows, whoever objects to nothing any more included."""
    found: defaultdict[str, list[Statement]] = defaultdict(list)
    for patient, *what in rows:
        found[patient].append(_statement(*what))
    return {
        patient: tuple(statement for statement in stated if statement.standing is not Objection.NONE)
        for patient, stated in found.items()
    }


@lru_cache(maxsize=4096)
def _statement(status: str, told: int, scope: str, about: str | None, decided_by: str | None) -> Statement:
    """What a row states. One that can't be read is honoured as if it were about everything: it costs one patient."""
    try:
        standing = standing_of(Status(status), told=bool(told))
        decider = json.loads(decided_by)["organisation"] if decided_by else None
        kind = ScopeKind(scope)
    except (ValueError, LookupError, TypeError):
        return _UNREADABLE
    return Statement(standing, kind, about, decider) if bool(about) is (kind is not ScopeKind.WHOLE) else _UNREADABLE
