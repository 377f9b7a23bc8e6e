"""Where the registers live."""

import asyncio
import sqlite3

import pytest
from sqlalchemy import text

from broker.errors import ConfigurationError
from broker.store import VERSION, open_store


async def _close(engine):
    await engine.dispose()


async def test_a_store_may_be_opened_again_and_by_several_at_once(tmp_path):
    url = f"sqlite+aiosqlite:///{tmp_path / 'a' / 'b' / 'broker.db'}"
    engines = await asyncio.gather(*(open_store(url) for _ in range(4)))
    async with engines[0].connect() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM revisions"))).scalar_one() == 1
        assert (await connection.execute(text("PRAGMA journal_mode"))).scalar_one() == "wal"
        assert (await connection.execute(text("PRAGMA synchronous"))).scalar_one() == 2
    for engine in engines:
        await _close(engine)
    await _close(await open_store(url))


async def test_a_store_of_a_later_version_is_left_alone(tmp_path):
    file = tmp_path / "broker.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE schema_version (id INTEGER PRIMARY KEY, version INTEGER NOT NULL)")
        connection.execute("INSERT INTO schema_version VALUES (1, ?)", (VERSION + 1,))
    connection.close()
    with pytest.raises(ConfigurationError, match=f"schema {VERSION + 1}; this one knows {VERSION}") as caught:
        await open_store(f"sqlite+aiosqlite:///{file}")
    assert caught.value.file == file
    connection = sqlite3.connect(file)
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("schema_version",)]
    connection.close()


async def test_what_is_no_database_is_said_so(tmp_path):
    file = tmp_path / "broker.db"
    file.write_text("clearly not a database\n" * 100, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="can't be opened"):
        await open_store(f"sqlite+aiosqlite:///{file}")


async def test_a_place_where_nothing_can_be_made_is_said_so(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="can't be made"):
        await open_store(f"sqlite+aiosqlite:///{tmp_path / 'file' / 'broker.db'}")


async def test_a_driver_that_is_not_installed_is_said_so_without_the_address():
    with pytest.raises(ConfigurationError) as caught:
        await open_store("postgresql+asyncpg://user:hunter2@127.0.0.1:1/x")
    assert "hunter2" not in str(caught.value)
