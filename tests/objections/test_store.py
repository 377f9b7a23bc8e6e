"""Where the registers live."""

import asyncio
import contextlib
import shutil
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text

from broker import nhs_number
from broker.errors import ConfigurationError, RegisterUnavailable
from broker.journal import Journal
from broker.keys import Keys
from broker.objections import WHOLE, ObjectionRegister
from broker.store import VERSION, open_store, sqlite_file


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


async def test_of_several_that_start_at_once_on_postgresql_one_makes_the_tables(new_store):
    url = new_store("postgresql")
    engines = await asyncio.gather(*(open_store(url) for _ in range(4)))
    async with engines[0].connect() as connection:
        assert (await connection.execute(text("SELECT version FROM schema_version"))).scalars().all() == [VERSION]
    for engine in engines:
        await _close(engine)


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


MADE_BY_VERSION_1 = Path(__file__).with_name("store-version-1.db")


async def test_a_store_that_version_1_made_is_brought_here_with_all_that_it_held(tmp_path, officer, policies):
    """Five objections: received, upheld, not upheld and told, under review, withdrawn."""
    file = tmp_path / "broker.db"
    shutil.copy(MADE_BY_VERSION_1, file)
    with sqlite3.connect(file) as before:
        kept = before.execute("SELECT id, version, status, patient, revision FROM objections ORDER BY id").fetchall()
    before.close()
    url = f"sqlite+aiosqlite:///{file}"
    engines = await asyncio.gather(*(open_store(url) for _ in range(3)))
    async with engines[0].connect() as connection:
        assert (await connection.execute(text("SELECT version FROM schema_version"))).scalars().all() == [VERSION]
        found = await connection.execute(
            text("SELECT id, version, status, patient, revision FROM objections ORDER BY id")
        )
        assert [tuple(row) for row in found] == kept
        assert set((await connection.execute(text("SELECT recorded_for FROM objections"))).scalars()) == {"RJ1"}
    keys = Keys(bytes(32))
    journal = await Journal.open(tmp_path / "journal", Keys.open(tmp_path / "keys"), node="test")
    register = ObjectionRegister(engines[0], keys, journal, policies, lead_controller="QKK")
    shown = {
        each.status: await register.show(officer, each.id)
        for number in range(1, 6)
        for each in await register.list(officer, patient=nhs_number.make(number))
    }
    history = {status: [(each.version, each.status) for each in one.history] for status, one in shown.items()}
    assert history == {
        "received": [(1, "received")],
        "upheld": [(1, "received"), (3, "upheld")],
        "not-upheld": [(1, "received"), (4, "not-upheld")],
        "under-review": [(1, "received"), (2, "under-review")],
        "withdrawn": [(1, "received"), (2, "withdrawn")],
    }
    assert shown["upheld"].history[1].by["name"] == "P Officer"
    assert shown["withdrawn"].history[1].by is None
    assert shown["not-upheld"].history[1].reason == "Safeguarding."
    assert all(one.scope == WHOLE for one in shown.values())
    assert "Safeguarding." in await register.letter(officer, shown["not-upheld"].id)
    decided = await register.decide(officer, shown["under-review"].id, status="upheld")
    assert [each.version for each in (await register.show(officer, decided.id)).history] == [1, 2, 3]
    await journal.close()
    for engine in engines:
        await _close(engine)


async def test_a_store_that_can_not_be_brought_here_stays_as_it_was(tmp_path):
    file = tmp_path / "broker.db"
    shutil.copy(MADE_BY_VERSION_1, file)
    with sqlite3.connect(file) as connection:
        # What is in the way of the last step: all before it must be undone.
        connection.execute("CREATE TABLE objection_history (objection TEXT)")
    connection.close()
    before = _told(file)
    with pytest.raises(ConfigurationError, match="can't be opened"):
        await open_store(f"sqlite+aiosqlite:///{file}")
    assert _told(file) == before


def _told(file):
    connection = sqlite3.connect(file)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


def _copied(file, to):
    with contextlib.closing(sqlite3.connect(file)) as source, contextlib.closing(sqlite3.connect(to)) as copy:
        source.backup(copy)


def _ids(file):
    with contextlib.closing(sqlite3.connect(file)) as connection:
        return {row[0] for row in connection.execute("SELECT id FROM objections")}


async def test_what_is_recorded_after_a_copy_was_put_in_its_place_is_in_the_copy(world, tmp_path):
    file, copy = sqlite_file(world.url), tmp_path / "copy.db"
    before = await world.record()
    _copied(file, copy)
    copy.replace(file)
    for name in ("-wal", "-shm"):
        file.with_name(file.name + name).unlink(missing_ok=True)
    after = await world.record()
    assert _ids(file) == {before.id, after.id}


@pytest.mark.parametrize("gone", ["", "-wal", "-shm"])
async def test_nothing_is_said_to_be_recorded_in_files_that_were_taken_away(world, gone):
    file = sqlite_file(world.url)
    await world.record()
    file.with_name(file.name + gone).unlink()
    for _ in range(3):
        with pytest.raises(RegisterUnavailable):
            await world.record()
    assert gone or not file.exists()


async def test_nor_where_the_file_is_replaced_while_it_is_written(world, tmp_path, monkeypatch):
    file, copy = sqlite_file(world.url), tmp_path / "copy.db"
    await world.record()
    _copied(file, copy)
    record = world.journal.record

    async def replacing(*event, **fields):
        copy.replace(file)
        await record(*event, **fields)

    monkeypatch.setattr(world.journal, "record", replacing)
    with pytest.raises(RegisterUnavailable):
        await world.record()


async def test_a_register_that_is_gone_is_not_silently_begun_anew(tmp_path):
    file, keys = tmp_path / "broker.db", tmp_path / "keys"
    keys.mkdir()
    url = f"sqlite+aiosqlite:///{file}"
    await _close(await open_store(url, keys))
    await _close(await open_store(url, keys))
    for each in tmp_path.glob("broker.db*"):
        each.unlink()
    with pytest.raises(ConfigurationError, match="was here and is gone: restore it"):
        await open_store(url, keys)
    assert not file.exists()
    await _close(await open_store(f"sqlite+aiosqlite:///{tmp_path / 'elsewhere.db'}", keys))
