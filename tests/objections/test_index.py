"""What a lookup hears of an objection, and how soon."""

import asyncio
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from broker import nhs_number
from broker.errors import RegisterUnavailable
from broker.objections import ObjectionIndex
from broker.objections.feed import Changes, CounterFeed, SqliteFeed
from broker.objections.roll import Roll
from broker.objections.scopes import Scope, ScopeKind
from broker.store import open_store, sqlite_file
from policies.values import Objection

OTHER = nhs_number.make(2)
READER = {"issuer": "https://ehr.rj1.example", "subject": "555254240100"}
WITHIN = 1.0
"""Seconds in which every node has heard."""


def _index(world, *, feed: str = "sqlite", **given) -> ObjectionIndex:
    chosen = CounterFeed(world.engine) if feed == "counter" else None
    return ObjectionIndex(world.engine, world.keys, max_age=given.pop("max_age", 10.0), feed=chosen, **given)


def _whole(index: ObjectionIndex, numbers: list[str]) -> Objection:
    return index.stance(numbers, **READER).whole


async def _until(condition, within: float = WITHIN) -> None:
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.01)


both_feeds = pytest.mark.parametrize("feed", ["sqlite", "counter"])


@both_feeds
async def test_what_was_recorded_before_the_start_is_known_at_once(world, patient, feed):
    await world.record()
    async with _index(world, feed=feed) as index:
        assert _whole(index, [patient]) is Objection.UNDECIDED
        assert _whole(index, [OTHER]) is Objection.NONE
        assert _whole(index, []) is Objection.NONE


@both_feeds
async def test_each_change_is_in_force_within_a_second(world, patient, doctor, feed):
    async with _index(world, feed=feed) as index:
        made = await world.record()
        await _until(lambda: _whole(index, [patient]) is Objection.UNDECIDED)
        await world.decide(made.id, "under-review")
        await world.decide(made.id, "upheld")
        await _until(lambda: _whole(index, [patient]) is Objection.UPHELD)
        await world.register.withdraw(doctor, made.id)
        await _until(lambda: _whole(index, [patient]) is Objection.NONE)


async def test_not_upheld_counts_only_once_the_patient_was_told(world, patient):
    async with _index(world) as index:
        made = await world.record()
        await world.decide(made.id, "under-review")
        decided = await world.decide(made.id, "not-upheld")
        marker = await world.record(patient=OTHER)
        await _until(lambda: _whole(index, [OTHER]) is Objection.UNDECIDED)
        assert marker.id != decided.id
        assert _whole(index, [patient]) is Objection.UNDECIDED
        await world.decide(made.id, "not-upheld", told=_today())
        await _until(lambda: _whole(index, [patient]) is Objection.NOT_UPHELD)


def _move(old: Path, new: Path) -> None:
    old.rename(new)


def _restore(copy: Path, file: Path) -> None:
    """Put a SQLite file in the place of another, of which nothing is left, its logs neither."""
    for log in ("-wal", "-shm"):
        Path(f"{file}{log}").unlink(missing_ok=True)
    copy.rename(file)


def _today():
    return datetime.now(UTC).astimezone().date()


async def test_the_worst_over_all_numbers_and_all_objections_counts(world, patient, doctor):
    first = await world.record()
    await world.decide(first.id, "under-review")
    await world.decide(first.id, "not-upheld")
    await world.decide(first.id, "not-upheld", told=_today())
    second = await world.record(patient=OTHER)
    async with _index(world) as index:
        assert _whole(index, [patient]) is Objection.NOT_UPHELD
        assert _whole(index, [patient, OTHER]) is Objection.UNDECIDED
        await world.decide(second.id, "under-review")
        await world.decide(second.id, "upheld")
        await _until(lambda: _whole(index, [patient, OTHER]) is Objection.UPHELD)
        third = await world.record()
        await _until(lambda: _whole(index, [patient]) is Objection.UNDECIDED)
        await world.register.withdraw(doctor, third.id)
        await _until(lambda: _whole(index, [patient]) is Objection.NOT_UPHELD)


_ANOTHER_PROCESS = """
import asyncio, sys
from pathlib import Path
from broker.journal import Journal
from broker.keys import Keys
from broker.objections import Actor, ObjectionRegister
from broker.store import open_store, sqlite_file
from policies import Policies

async def main(url, directory, patient):
    keys = Keys.open(Path(directory) / "keys")
    engine = await open_store(url)
    journal = await Journal.open(Path(directory) / "journal", keys, node="other")
    register = ObjectionRegister(engine, keys, journal, Policies.load(None), lead_controller=None)
    actor = Actor(issuer="i", subject="s", name="n", organisation="RJ1", role="nurse", operator=False)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await register.record(actor, patient=patient, asked_by="patient", effect_explained=True)
    print("recorded", flush=True)
    await journal.close()
    await engine.dispose()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_what_another_process_records_is_in_force_within_a_second(world, patient, tmp_path):
    async with _index(world) as index:
        other = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _ANOTHER_PROCESS,
            world.url,
            str(tmp_path),
            patient,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert other.stdin is not None
        assert other.stdout is not None
        assert await other.stdout.readline() == b"ready\n"
        assert _whole(index, [patient]) is Objection.NONE
        other.stdin.write(b"\n")
        await other.stdin.drain()
        assert await other.stdout.readline() == b"recorded\n"
        await _until(lambda: _whole(index, [patient]) is Objection.UNDECIDED)
        other.stdin.close()
        assert await other.wait() == 0


class Clock:
    """Seconds that grow when they are told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Silent:
    """A feed that does not answer."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.closed = False

    async def changes(self, since):
        if since is None:
            return Changes(1, roll=Roll())
        self.asked.set()
        return await asyncio.Future()

    async def close(self):
        self.closed = True


async def test_an_index_that_has_not_heard_from_the_register_for_too_long_says_so(world, patient):
    clock, feed = Clock(), Silent()
    index = ObjectionIndex(world.engine, world.keys, max_age=10.0, feed=feed, clock=clock)
    async with index:
        clock.now = 10.0
        assert index.fresh
        assert _whole(index, [patient]) is Objection.NONE
        await feed.asked.wait()
        clock.now = 10.1
        assert not index.fresh
        with pytest.raises(RegisterUnavailable):
            _whole(index, [patient])
    assert feed.closed


async def test_an_index_that_was_never_started_knows_nothing(world, patient):
    index = _index(world)
    with pytest.raises(RegisterUnavailable):
        _whole(index, [patient])
    await index.close()


async def test_a_register_that_is_lost_and_comes_back_is_read_anew_and_logged_once_each(world, patient):
    file = Path(world.url.partition(":///")[2])
    clock = Clock()
    index = _index(world, max_age=1.0, clock=clock)
    with capture_logs() as logs:
        async with index:
            made = await world.record()
            await _until(lambda: _whole(index, [patient]) is Objection.UNDECIDED)
            _move(file, file.with_suffix(".away"))
            await _until(lambda: any(line["event"] == "objections.register-lost" for line in logs))
            clock.now = 2.0
            with pytest.raises(RegisterUnavailable):
                _whole(index, [patient])
            _move(file.with_suffix(".away"), file)
            await _until(lambda: index.fresh)
            assert _whole(index, [patient]) is Objection.UNDECIDED
    assert made.id
    assert [line["event"] for line in logs] == ["objections.register-lost", "objections.register-back"]
    assert patient not in str(logs)


async def test_a_register_restored_from_a_copy_is_followed_though_it_knows_less(world, patient, tmp_path):
    file = Path(world.url.partition(":///")[2])
    await world.record(patient=OTHER)
    copied = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'copy.db'}")
    await copied.dispose()
    async with _index(world) as index:
        assert _whole(index, [OTHER]) is Objection.UNDECIDED
        await world.engine.dispose()
        _restore(tmp_path / "copy.db", file)
        await _until(lambda: _whole(index, [OTHER]) is Objection.NONE)


async def test_no_task_and_no_thread_outlives_the_index(world):
    before = len(asyncio.all_tasks()), {thread.name for thread in threading.enumerate()}
    async with _index(world):
        assert len(asyncio.all_tasks()) == before[0] + 1
    assert len(asyncio.all_tasks()) == before[0]
    await _until(lambda: not any(thread.name.startswith("objections") for thread in threading.enumerate()))


async def test_a_person_whom_the_patient_named_is_refused_as_if_it_were_the_whole_and_nobody_else_is(world, patient):
    await world.record(scope=Scope.member(READER["issuer"], READER["subject"]))
    await world.record(patient=OTHER, scope=Scope(ScopeKind.STAFF, "555254240100"))
    async with _index(world) as index:
        assert index.stance([patient], **READER).forbids_all
        assert not index.stance([patient], issuer="https://ehr.rrv.example", subject=READER["subject"]).forbids_all
        assert not index.stance([OTHER], **READER).forbids_all
        assert index.stance([OTHER], **READER, staff_id="555254240100").forbids_all


async def test_a_narrower_one_says_which_organisation_or_category_and_who_decided(world, patient):
    made = await world.record(scope=Scope(ScopeKind.CATEGORY, "mental-health"))
    await world.decide(made.id, "under-review")
    await world.decide(made.id, "upheld")
    await world.record(scope=Scope(ScopeKind.ORGANISATION, "RJ1"))
    async with _index(world) as index:
        stance = index.stance([patient], **READER)
    assert (stance.whole, stance.narrower, stance.forbids_all) == (Objection.NONE, True, False)
    assert stance.categories == {"mental-health": Objection.UPHELD}
    assert (stance.towards("RJ1"), stance.towards("RRV")) == (Objection.UNDECIDED, Objection.NONE)
    assert stance.decided_by == {"QKK"}


@both_feeds
@pytest.mark.parametrize(
    "damage",
    ["status = 'postponed'", "scope = 'ward'", "scope = 'category'", "decided_by = '{}'"],
)
async def test_a_row_that_can_not_be_read_is_honoured_as_if_it_were_about_everything(world, patient, feed, damage):
    await world.record()
    await world.record(patient=OTHER, scope=Scope(ScopeKind.CATEGORY, "mental-health"))
    async with world.engine.begin() as connection:
        chosen = {"patient": world.keys.seal_patient(patient)}
        await connection.execute(text(f"UPDATE objections SET {damage} WHERE patient = :patient"), chosen)
    async with _index(world, feed=feed) as index:
        assert _whole(index, [patient]) is Objection.UNDECIDED
        assert _whole(index, [OTHER]) is Objection.NONE


async def test_a_scope_that_was_sealed_with_other_keys_is_known_to_nobody(world, patient):
    await world.record(scope=Scope(ScopeKind.CATEGORY, "mental-health"))
    async with world.engine.begin() as connection:
        await connection.execute(text("UPDATE objections SET scope_value = 'aaaa'"))
    async with _index(world) as index:
        with pytest.raises(RegisterUnavailable):
            index.stance([patient], **READER)


async def test_a_register_whose_log_was_taken_away_is_silent_until_the_start_after(world):
    file = sqlite_file(world.url)
    feed = SqliteFeed(file)
    try:
        await world.record()
        assert await feed.changes(None) is not None
        file.with_name(f"{file.name}-wal").unlink()
        for _ in range(2):
            with pytest.raises(OSError, match="log"):
                await feed.changes(0)
    finally:
        await feed.close()
