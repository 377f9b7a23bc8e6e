"""Whatever is interleaved, cancelled and broken: one outcome for every intent, and a chain that verifies."""

import asyncio
import errno
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import JournalUnavailable
from broker.journal import Journal, records_of, verify, writer

LOOKUPS = 4
STEPS = ["plan", "wrong-patient", "durable", "release", "refuse", "cancel", "wait"]
FAULTS = ["break-sync", "break-write", "heal", "let-it-work"]


def orders(words):
    return st.lists(st.tuples(st.integers(0, LOOKUPS - 1), st.sampled_from(words)), max_size=40)


@pytest.fixture(autouse=True, scope="module")
def _tried_often():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "RETRY", 0.001)
        yield


class Play:
    """A few lookups at once, each doing as it is told from outside."""

    def __init__(self, directory, keys, intent, faulty):
        self.directory = directory
        self.keys = keys
        self.intent = intent
        self.faulty = faulty
        self.released = set()

    async def run(self, steps):
        self.journal = await Journal.open(self.directory, self.keys, node="node-1", disk=self.faulty.disk)
        queues = [asyncio.Queue() for _ in range(LOOKUPS)]
        tasks = [asyncio.create_task(self.look_up(f"L{number}", queue)) for number, queue in enumerate(queues)]
        await asyncio.sleep(0)
        for number, order in steps:
            match order:
                case "cancel":
                    tasks[number].cancel()
                case "wait":
                    await asyncio.sleep(0)
                case "let-it-work":
                    await asyncio.sleep(0.002)
                case "break-sync":
                    self.faulty.sync = errno.EIO
                case "break-write":
                    self.faulty.write = errno.ENOSPC
                case "heal":
                    self.faulty.heal()
                case _:
                    queues[number].put_nowait(order)
        for queue in queues:
            queue.put_nowait("fail")
        results = await asyncio.gather(*tasks, return_exceptions=True)
        self.faulty.heal()
        while not self.journal.writable:
            await asyncio.sleep(0.001)
        await self.journal.close()
        return results

    async def look_up(self, lookup_id, queue):
        async with self.journal.lookup(lookup_id=lookup_id, intent=self.intent) as record:
            while (order := await queue.get()) != "fail":
                match order:
                    case "plan":
                        record.plan(sources=[], policies=[], policy_set=None)
                    case "wrong-patient":
                        record.wrong_patient(source="RJ1-epr", organisation="RJ1")
                    case "durable":
                        await record.durable()
                    case "release":
                        await record.outcome("released", complete=True)
                        self.released.add(lookup_id)
                        record.delivered()
                        return
                    case "refuse":
                        await record.outcome("refused")
                        return
            raise ZeroDivisionError

    def told(self, lookup_id):
        return [known.get("outcome", known["event"]) for known in records_of(self.directory, lookup_id)]


@given(orders(STEPS))
def test_whatever_is_interleaved_and_cancelled(keys, intent, faulty_disk, steps):
    with tempfile.TemporaryDirectory() as folder:
        play = Play(Path(folder) / "journal", keys, intent, faulty_disk())
        results = asyncio.run(asyncio.wait_for(play.run(steps), 30))
        assert not any(isinstance(result, JournalUnavailable) for result in results)
        assert verify(play.directory).ok, verify(play.directory).faults
        for number in range(LOOKUPS):
            told = play.told(f"L{number}")
            assert told[0] == "lookup.intent"
            assert len({"released", "refused", "abandoned", "failed"}.intersection(told)) == 1


@given(orders(STEPS + FAULTS))
def test_whatever_breaks_besides(keys, intent, faulty_disk, steps):
    """What was released has a durable outcome; what was not durable was not released, and no intent is left open."""
    with tempfile.TemporaryDirectory() as folder:
        play = Play(Path(folder) / "journal", keys, intent, faulty_disk())
        asyncio.run(asyncio.wait_for(play.run(steps), 30))
        assert verify(play.directory).ok, verify(play.directory).faults
        for number in range(LOOKUPS):
            told = play.told(f"L{number}")
            assert not told or len({"released", "refused", "abandoned", "failed"}.intersection(told)) == 1
            assert "unknown" not in told
            assert f"L{number}" not in play.released or "released" in told
