"""If it can't be written, nothing is released; and it goes on when the disk is back."""

import asyncio
import errno
import json
import resource
import subprocess
import sys

import pytest

from broker.errors import JournalUnavailable
from broker.journal import Journal, records_of, verify, writer
from broker.journal.segment import Disk


@pytest.fixture(autouse=True)
def _tried_often(monkeypatch):
    monkeypatch.setattr(writer, "RETRY", 0.01)


@pytest.fixture
async def on_faulty(directory, keys, faulty):
    journal = await Journal.open(directory, keys, node="node-1", disk=faulty.disk)
    yield journal
    faulty.heal()
    await journal.close()


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


async def look_up(journal, intent, tell):
    """A lookup whose intent is durable, and then what the test tells."""
    async with journal.lookup(lookup_id="L1", intent=intent) as record:
        await record.durable()
        await tell(record)


def events(path):
    return [json.loads(line)["event"] for line in path.read_text().splitlines()]


async def test_a_failed_sync_is_unavailable_and_its_descriptor_is_never_synced_again(
    on_faulty, faulty, directory, segments
):
    faulty.sync = errno.EIO
    faulty.synced.clear()
    with pytest.raises(JournalUnavailable):
        await on_faulty.record("lookup.delivered", lookup_id="L1")
    assert not on_faulty.writable
    assert len(segments()) == 1
    faulty.heal()
    await until(lambda: on_faulty.writable)
    await on_faulty.record("authentication.refused", address=None, reason="expired", count=1)
    assert faulty.synced.count(segments()[0].name) == 1
    assert len(segments()) == 2
    assert events(segments()[1])[0] == "journal.segment-failed"
    told = json.loads(segments()[1].read_text().splitlines()[0])
    assert (told["failed"], told["records"], told["reason"], told["tail"]) == (segments()[0].name, 1, "EIO", "whole")


async def test_lines_that_were_not_known_to_be_durable_are_void(on_faulty, faulty, directory):
    """The page cache may hold them, or the disk: the chain goes on without them, and says so."""
    faulty.sync = errno.EIO
    with pytest.raises(JournalUnavailable):
        await on_faulty.record("lookup.delivered", lookup_id="never")
    faulty.heal()
    await until(lambda: on_faulty.writable)
    await on_faulty.record("authentication.refused", address=None, reason="expired", count=1)
    assert records_of(directory, "never") == []
    assert verify(directory).ok, verify(directory).faults
    await on_faulty.close()
    assert verify(directory).ok, verify(directory).faults


async def test_a_full_disk_releases_nothing_and_the_lookup_fails_once_there_is_room(
    on_faulty, faulty, directory, intent
):
    async def release(record):
        faulty.write = errno.ENOSPC
        await record.outcome("released", complete=True)

    with pytest.raises(JournalUnavailable):
        await look_up(on_faulty, intent, release)
    faulty.heal()
    await until(lambda: len(records_of(directory, "L1")) == 2)
    outcome = records_of(directory, "L1")[-1]
    assert (outcome["outcome"], outcome["complete"]) == ("failed", False)
    await on_faulty.close()
    assert verify(directory).ok, verify(directory).faults


async def test_a_refusal_that_could_not_be_written_is_written_as_it_was(on_faulty, faulty, directory, intent):
    async def refuse(record):
        faulty.sync = errno.EIO
        await record.outcome("refused", code="own-record")

    with pytest.raises(JournalUnavailable):
        await look_up(on_faulty, intent, refuse)
    faulty.heal()
    await until(lambda: len(records_of(directory, "L1")) == 2)
    assert records_of(directory, "L1")[-1]["code"] == "own-record"


async def test_a_lookup_that_lost_a_line_can_not_be_released(on_faulty, faulty, directory, intent, row):
    async def lose_the_plan(record):
        faulty.sync = errno.EIO
        record.plan(sources=[row], policies=[], policy_set=None)
        await until(lambda: not on_faulty.writable)
        faulty.heal()
        await until(lambda: on_faulty.writable)
        await record.outcome("released", complete=True)

    with pytest.raises(JournalUnavailable):
        await look_up(on_faulty, intent, lose_the_plan)
    await on_faulty.close()
    assert [record["event"] for record in records_of(directory, "L1")] == ["lookup.intent", "lookup.outcome"]
    assert verify(directory).ok, verify(directory).faults


async def test_an_intent_that_never_was_owes_no_outcome(on_faulty, faulty, directory, intent):
    faulty.sync = errno.EIO
    with pytest.raises(JournalUnavailable):
        async with on_faulty.lookup(lookup_id="L1", intent=intent) as record:
            await record.durable()
    with pytest.raises(JournalUnavailable):
        async with on_faulty.lookup(lookup_id="L2", intent=intent):
            pytest.fail("entered without an intent")
    faulty.heal()
    await on_faulty.close()
    assert records_of(directory, "L1") == records_of(directory, "L2") == []
    assert verify(directory).ok, verify(directory).faults


async def test_an_outcome_owed_when_the_broker_stops_is_left_to_the_next_start(directory, keys, faulty, intent):
    journal = await Journal.open(directory, keys, node="node-1", disk=faulty.disk)

    async def release(record):
        faulty.write = errno.ENOSPC
        await record.outcome("released", complete=True)

    with pytest.raises(JournalUnavailable):
        await look_up(journal, intent, release)
    await journal.close()
    await (await Journal.open(directory, keys, node="node-1")).close()
    outcomes = [record.get("outcome") for record in records_of(directory, "L1")]
    assert outcomes == [None, "unknown"]
    assert verify(directory).ok, verify(directory).faults


async def test_while_it_can_not_be_written_everything_is_refused_at_once(on_faulty, faulty):
    faulty.write = errno.EIO
    with pytest.raises(JournalUnavailable):
        await on_faulty.record("lookup.delivered", lookup_id="L1")
    write = on_faulty.append("lookup.delivered", lookup_id="L2")
    assert isinstance(write.exception(), JournalUnavailable)


async def test_every_waiter_hears_of_a_failure(on_faulty, faulty):
    faulty.sync = errno.EIO
    writes = [on_faulty.append("lookup.delivered", lookup_id=f"L{n}") for n in range(50)]
    writes[3].cancel()
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert {type(result) for result in results} == {JournalUnavailable, asyncio.CancelledError}


async def test_a_directory_that_vanished_is_noticed_and_its_return_too(journal, directory, tmp_path):
    away = tmp_path / "away"
    directory.rename(away)
    with pytest.raises(JournalUnavailable):
        await journal.record("authentication.refused", address=None, reason="expired", count=1)
    assert not directory.exists()
    away.rename(directory)
    await until(lambda: journal.writable)
    await journal.record("authentication.refused", address=None, reason="expired", count=2)
    await journal.close()
    assert verify(directory).ok, verify(directory).faults


async def test_a_segment_cut_under_the_writer_is_noticed_and_told(journal, directory, segments):
    await journal.record("authentication.refused", address=None, reason="expired", count=1)
    with segments()[0].open("r+b") as file:
        file.truncate(10)
    with pytest.raises(JournalUnavailable):
        await journal.record("authentication.refused", address=None, reason="expired", count=2)
    await until(lambda: journal.writable)
    await journal.close()
    assert json.loads(segments()[1].read_text().splitlines()[0])["tail"] == "damaged"
    assert not verify(directory).ok


async def test_a_directory_that_can_not_be_written_stops_the_start(tmp_path, keys):
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalUnavailable, match="directory can't be written"):
        await Journal.open(tmp_path / "file", keys, node="node-1")


async def test_a_start_on_a_full_disk_leaves_nothing_behind(directory, keys, full_disk):
    with pytest.raises(JournalUnavailable):
        await Journal.open(directory, keys, node="node-1", disk=full_disk.disk)
    assert list(directory.iterdir()) == []


async def test_a_fault_of_the_writing_thread_reaches_those_who_wait(directory, keys, caplog):
    began = []

    def sync(descriptor):
        if began:
            raise MemoryError
        began.append(descriptor)

    journal = await Journal.open(directory, keys, node="node-1", disk=Disk(sync=sync))
    with pytest.raises(JournalUnavailable):
        await journal.record("authentication.refused", address=None, reason="expired", count=1)
    assert not journal.writable
    assert "journal.writer-ended" in caplog.text
    await journal.close()


async def test_nothing_is_taken_after_closing(journal):
    await journal.close()
    assert not journal.writable
    with pytest.raises(JournalUnavailable):
        await journal.record("authentication.refused", address=None, reason="expired", count=1)
    await journal.close()


FULL = """
import asyncio, resource, sys
from pathlib import Path
from broker.errors import JournalUnavailable
from broker.journal import Journal, verify, writer
from broker.keys import Keys

writer.RETRY = 0.01

async def main():
    directory = Path(sys.argv[1])
    journal = await Journal.open(directory, Keys(bytes(32)), node="node-1")
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
    durable = refused = 0
    for number in range(20):
        try:
            await journal.record("authentication.refused", address="127.0.0.1", reason="x" * 100, count=1)
            durable += 1
        except JournalUnavailable:
            refused += 1
            break
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    while not journal.writable:
        await asyncio.sleep(0.005)
    await journal.record("authentication.refused", address="127.0.0.1", reason="y", count=1)
    await journal.close()
    print(durable, refused, verify(directory).ok)

asyncio.run(main())
"""


@pytest.mark.blocking
def test_a_file_that_really_can_not_grow_is_survived(directory):
    assert resource.RLIMIT_FSIZE is not None
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(directory)], capture_output=True, text=True, check=True, timeout=60
    )
    durable, refused, whole = done.stdout.split()
    assert int(durable) > 0
    assert (refused, whole) == ("1", "True")
