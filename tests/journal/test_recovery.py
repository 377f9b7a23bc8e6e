"""A broker that died leaves intents; the next one ends them, and leaves the living alone."""

import asyncio
import json
import signal
import subprocess
import sys

import pytest

from broker.journal import Journal, records_of, verify

WRITER = """
import asyncio, json, sys
from pathlib import Path
from broker.journal import Journal
from broker.keys import Keys

async def main():
    journal = await Journal.open(Path(sys.argv[1]), Keys(bytes(32)), node="node-1")
    intent = json.loads(sys.argv[2])
    async with journal.lookup(lookup_id="ended", intent=intent) as record:
        await record.outcome("released", complete=True)
    async def look_up(number):
        async with journal.lookup(lookup_id=f"cut-{number}", intent=intent) as record:
            await record.durable()
            print("durable", flush=True)
            await asyncio.Event().wait()
    await asyncio.gather(*map(look_up, range(5)))

asyncio.run(main())
"""


@pytest.fixture
def killed(directory, intent):
    """A broker with five lookups under way, and then not."""
    command = [sys.executable, "-c", WRITER, str(directory), json.dumps(intent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for _ in range(5):
            assert process.stdout.readline() == "durable\n"
        yield process
        process.kill()


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.wait()


def outcomes(directory, lookup_id):
    return [record["outcome"] for record in records_of(directory, lookup_id) if record["event"] == "lookup.outcome"]


@pytest.mark.blocking
async def test_the_next_start_ends_what_a_killed_broker_left_open(killed, directory, keys):
    kill(killed)
    assert {fault.line for fault in verify(directory).faults} == {4, 5, 6, 7, 8}
    journal = await Journal.open(directory, keys, node="node-1")
    assert all(outcomes(directory, f"cut-{number}") == ["unknown"] for number in range(5))
    assert outcomes(directory, "ended") == ["released"]
    assert verify(directory).ok, verify(directory).faults
    await journal.close()
    assert verify(directory).ok, verify(directory).faults


@pytest.mark.blocking
async def test_a_torn_last_line_is_kept_and_told_and_not_taken_for_tampering(killed, directory, keys, segments):
    kill(killed)
    (segment,) = segments()
    torn = b'{"event":"lookup.outcome","sche'
    with segment.open("ab") as file:
        file.write(torn)
    assert any("torn" in fault.problem for fault in verify(directory).faults)
    await (await Journal.open(directory, keys, node="node-1")).close()
    assert segment.read_bytes().endswith(torn)
    assert verify(directory).ok, verify(directory).faults
    segment.write_bytes(segment.read_bytes()[:-1] + b"f")
    assert any("does not end as" in fault.problem for fault in verify(directory).faults)


@pytest.mark.blocking
async def test_the_lookups_of_a_living_broker_are_left_alone(killed, directory, keys):
    other = await Journal.open(directory, keys, node="node-1")
    assert outcomes(directory, "cut-0") == []
    assert verify(directory).ok, verify(directory).faults
    kill(killed)
    await other.close()
    third = await Journal.open(directory, keys, node="node-1")
    assert outcomes(directory, "cut-0") == ["unknown"]
    await third.close()
    assert verify(directory).ok, verify(directory).faults


@pytest.mark.blocking
async def test_several_that_start_at_once_end_each_lookup_once(killed, directory, keys):
    kill(killed)
    journals = await asyncio.gather(*(Journal.open(directory, keys, node=f"node-{n}") for n in range(4)))
    await asyncio.gather(*(journal.close() for journal in journals))
    assert all(outcomes(directory, f"cut-{number}") == ["unknown"] for number in range(5))
    assert verify(directory).ok, verify(directory).faults


@pytest.mark.blocking
async def test_a_damaged_segment_does_not_stop_the_start(killed, directory, keys, segments):
    kill(killed)
    lines = segments()[0].read_bytes().splitlines(keepends=True)
    segments()[0].write_bytes(b"".join([lines[0], b"\xff\xfe not a record\n", *lines[2:]]))
    await (await Journal.open(directory, keys, node="node-1")).close()
    assert outcomes(directory, "cut-0") == ["unknown"]
    assert not verify(directory).ok


async def test_a_broker_that_stopped_in_order_leaves_nothing_to_recover(directory, keys, segments):
    await (await Journal.open(directory, keys, node="node-1")).close()
    await (await Journal.open(directory, keys, node="node-1")).close()
    events = [json.loads(line)["event"] for line in segments()[1].read_text().splitlines()]
    assert events == ["journal.started", "journal.segment-closed", "journal.stopped"]


@pytest.mark.parametrize("node", ["", "a/b", "a b", "x" * 65, "../up"])
async def test_a_node_whose_name_can_not_be_part_of_a_file_is_refused(directory, keys, node):
    with pytest.raises(ValueError, match="node's name"):
        await Journal.open(directory, keys, node=node)
