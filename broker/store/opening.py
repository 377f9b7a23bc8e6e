"""Opens the store: an engine whose tables are there and of this version."""

import asyncio
import contextlib
import fcntl
import os
import sqlite3
from pathlib import Path
from typing import Any, Final

from sqlalchemy import event, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.schema import CreateIndex, CreateTable

from broker.errors import ConfigurationError
from broker.store.files import watch_files
from broker.store.migrating import migrate
from broker.store.tables import METADATA, SCHEMA, VERSION

__all__ = ["open_store", "sqlite_file"]

REGISTERS: Final = ("objections",)
_LOCK: Final = 0x62726F6B6572
"""Of the makers of tables, among the advisory locks of a PostgreSQL database."""
_REMEMBERED: Final = "register"
_NOT_OURS: Final = "can't be opened as the broker's store: name another, or restore it"


async def open_store(url: str, memory: Path | None = None) -> AsyncEngine:
    """The engine of the registers; its tables are made, or brought to this version. Whoever opens it disposes of it.

    Args:
        url: as in `Settings.store.url`. The directory of a SQLite file is made, for its owner alone.
        memory: a directory in which it is remembered that the SQLite file was there: one that is gone is not silently
            begun anew, for with it every objection would be gone.

    Raises:
        ConfigurationError: the database can't be opened, is none, is gone, or belongs to a later version of the broker.
    """
    file = sqlite_file(url)
    named: Path | str = file or "[store] url"
    remembered = memory / _REMEMBERED if memory else None
    try:
        if file and remembered and not file.exists() and _remembers(remembered, file):
            words = "the register was here and is gone: restore it. To begin one without any objection, remove"
            raise ConfigurationError(file, f"{words} {remembered}")
        if file:
            await asyncio.to_thread(_make_file, file)
        engine = create_async_engine(url, hide_parameters=True, pool_pre_ping=file is None)
    except (SQLAlchemyError, ImportError) as error:
        raise ConfigurationError(named, "write sqlite+aiosqlite:///path, or install the driver it names") from error
    except sqlite3.Error as error:
        raise ConfigurationError(named, _NOT_OURS) from error
    except OSError as error:
        raise ConfigurationError(named, f"can't be made ({error.strerror}): let this user write there") from error
    if file:
        event.listen(engine.sync_engine, "connect", _prepare)
        watch_files(engine, file)
    try:
        async with engine.begin() as connection:
            version = await _version(connection)
            if version < VERSION:
                await migrate(connection, version)
            if version <= VERSION:
                await _create(connection)
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        await engine.dispose()
        raise ConfigurationError(named, _NOT_OURS) from error
    if version > VERSION:
        await engine.dispose()
        words = f"belongs to a later version of the broker (schema {version}; this one knows {VERSION}): start that one"
        raise ConfigurationError(named, words)
    if file and remembered and not _remembers(remembered, file):
        remembered.write_text(f"{file.resolve()}\n", encoding="utf-8")
    return engine


def _remembers(remembered: Path, file: Path) -> bool:
    return remembered.is_file() and remembered.read_text(encoding="utf-8") == f"{file.resolve()}\n"


def sqlite_file(url: str) -> Path | None:
    """The file behind a SQLite address; None for any other database."""
    parsed = make_url(url)
    return Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None


def _make_file(file: Path) -> None:
    """Make what is missing, for its owner alone: SQLite gives its log beside the file the same mode.

    One process at a time, for SQLite doesn't wait for another one that turns the log on.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory = os.open(file.parent, os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        with contextlib.suppress(FileExistsError):
            os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        with contextlib.closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
    finally:
        os.close(directory)


def _prepare(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    # An objection that was acknowledged outlives a power cut, so every commit is synced.
    for pragma in ("busy_timeout=5000", "synchronous=FULL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


async def _version(connection: AsyncConnection) -> int:
    """The version of the tables that are there, or this one's where none are.

    Of several processes that start at once one makes or migrates them, and the others wait: SQLite has one writer, and
    PostgreSQL has a lock for it.
    """
    if connection.dialect.name == "postgresql":
        await connection.execute(text("SELECT pg_advisory_xact_lock(:ours)"), {"ours": _LOCK})
    await connection.execute(CreateTable(SCHEMA, if_not_exists=True))
    first = text("INSERT INTO schema_version (id, version) VALUES (1, :version) ON CONFLICT DO NOTHING")
    await connection.execute(first, {"version": VERSION})
    return int((await connection.execute(select(SCHEMA.c.version))).scalar_one())


async def _create(connection: AsyncConnection) -> None:
    """Every statement may be said twice, and by two processes that start at once."""
    for made in METADATA.sorted_tables:
        await connection.execute(CreateTable(made, if_not_exists=True))
        for index in sorted(made.indexes, key=lambda each: str(each.name)):
            await connection.execute(CreateIndex(index, if_not_exists=True))
    counter = text("INSERT INTO revisions (register, revision) VALUES (:register, 0) ON CONFLICT DO NOTHING")
    for register in REGISTERS:
        await connection.execute(counter, {"register": register})
