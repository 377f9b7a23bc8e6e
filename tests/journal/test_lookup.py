"""One outcome for every intent, whatever is cancelled."""

import asyncio
import json

import pytest

from broker.journal import RecordError, records_of, verify


def told(directory, lookup_id="L1"):
    return [
        (record["event"].removeprefix("lookup."), record.get("outcome")) for record in records_of(directory, lookup_id)
    ]


async def test_a_lookup_is_told_from_intent_to_delivery(journal, directory, intent, row):
    async with journal.lookup(lookup_id="L1", intent=intent) as record:
        record.plan(sources=[row], policies=["p1"], policy_set="abc")
        await record.durable()
        record.part(source=row)
        await record.outcome("released", complete=True, sources=[row], policies=["p1"], policy_set="abc")
    record.delivered()
    await journal.close()
    assert told(directory) == [
        ("intent", None),
        ("plan", None),
        ("part", None),
        ("outcome", "released"),
        ("delivered", None),
    ]
    assert verify(directory).ok


async def test_what_a_record_of_a_lookup_holds(journal, directory, intent, row):
    async with journal.lookup(lookup_id="L1", intent=intent) as record:
        await record.outcome("released", complete=True, sources=[row], policies=["p1"], policy_set="abc")
    first, outcome = records_of(directory, "L1")
    assert {"schema", "event", "seq", "node", "time", "previous", "lookup_id"} <= first.keys()
    assert first["user"] == intent["user"]
    assert first["patient"] == intent["patient"]
    assert outcome["sources"] == [{key: value for key, value in row.items() if key != "notes"}]


async def test_no_patient_number_can_be_written_in_clear(journal, intent):
    with pytest.raises(RecordError) as refused:
        async with journal.lookup(lookup_id="L1", intent={**intent, "patient": "9990000018"}):
            pass
    assert "9990000018" not in str(refused.value)


async def test_nothing_of_the_patient_stands_in_any_file(journal, directory, intent, keys):
    async with journal.lookup(lookup_id="L1", intent=intent) as record:
        await record.outcome("refused", code="role-not-permitted")
    await journal.record("request.refused", user=intent["user"], code="invalid-request", patient=intent["patient"])
    await journal.close()
    written = b"".join(path.read_bytes() for path in directory.iterdir())
    assert b"9990000018" not in written
    assert keys.open_patient(records_of(directory, "L1")[0]["patient"]) == "9990000018"


async def test_the_intent_is_durable_when_the_service_has_waited(journal, directory, intent):
    async with journal.lookup(lookup_id="L1", intent=intent) as record:
        await record.durable()
        assert told(directory) == [("intent", None)]
        await record.outcome("refused", code="own-record")
        assert told(directory)[-1] == ("outcome", "refused")


async def test_a_cancelled_lookup_is_abandoned_with_the_rows_known_so_far(journal, directory, intent, row):
    reached = asyncio.Event()

    async def look_up():
        async with journal.lookup(lookup_id="L1", intent=intent) as record:
            record.so_far = lambda: {"sources": [row]}
            reached.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(look_up())
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    outcome = records_of(directory, "L1")[-1]
    assert outcome["outcome"] == "abandoned"
    assert [known["source"] for known in outcome["sources"]] == ["RJ1-epr"]


async def test_a_lookup_that_was_stopped_though_its_caller_was_there_has_failed(journal, directory, intent, row):
    reached = asyncio.Event()
    records = []

    async def look_up():
        async with journal.lookup(lookup_id="L1", intent=intent) as record:
            record.so_far = lambda: {"sources": [row]}
            records.append(record)
            reached.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(look_up())
    await reached.wait()
    records[0].stopped_with = "overloaded"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    outcome = records_of(directory, "L1")[-1]
    assert (outcome["outcome"], outcome["code"], len(outcome["sources"])) == ("failed", "overloaded", 1)


async def test_what_was_delivered_instead_of_what_was_released_is_said(journal, directory, intent):
    async with journal.lookup(lookup_id="L1", intent=intent) as record:
        await record.outcome("released")
        record.delivered(code="withheld", shown=0)
    await journal.close()
    last = records_of(directory, "L1")[-1]
    assert (last["event"], last["code"], last["shown"]) == ("lookup.delivered", "withheld", 0)


async def test_a_lookup_cancelled_twice_still_has_its_one_outcome(journal, directory, intent):
    reached = asyncio.Event()

    async def look_up():
        async with journal.lookup(lookup_id="L1", intent=intent):
            reached.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(look_up())
    await reached.wait()
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await journal.close()
    assert told(directory) == [("intent", None), ("outcome", "abandoned")]


async def test_a_stream_that_is_closed_early_is_abandoned(journal, directory, intent):
    async def events():
        async with journal.lookup(lookup_id="L1", intent=intent):
            yield "started"
            yield "never asked for"

    stream = events()
    assert await anext(stream) == "started"
    await stream.aclose()
    assert told(directory)[-1] == ("outcome", "abandoned")


async def test_a_fault_in_the_service_is_recorded_as_failed(journal, directory, intent):
    with pytest.raises(ZeroDivisionError):
        async with journal.lookup(lookup_id="L1", intent=intent):
            _ = 1 / 0
    assert told(directory)[-1] == ("outcome", "failed")


async def test_a_service_that_says_no_outcome_has_failed(journal, directory, intent):
    async with journal.lookup(lookup_id="L1", intent=intent):
        pass
    assert told(directory)[-1] == ("outcome", "failed")


@pytest.mark.parametrize("so_far", [lambda: {"bogus": 1}, lambda: 1 / 0])
async def test_rows_that_can_not_be_told_do_not_cost_the_outcome(journal, directory, intent, so_far, caplog):
    async with journal.lookup(lookup_id="L1", intent=intent) as record:
        record.so_far = so_far
    assert told(directory)[-1] == ("outcome", "failed")
    assert "journal.outcome-bare" in caplog.text


async def test_a_second_outcome_is_a_fault_of_the_program(journal, directory, intent):
    async with journal.lookup(lookup_id="L1", intent=intent) as record:
        await record.outcome("refused")
        with pytest.raises(RuntimeError, match="one outcome"):
            await record.outcome("released")
    assert told(directory) == [("intent", None), ("outcome", "refused")]


async def test_an_outcome_with_a_field_of_nobody_becomes_failed(journal, directory, intent):
    with pytest.raises(RecordError):
        async with journal.lookup(lookup_id="L1", intent=intent) as record:
            await record.outcome("released", diagnosis="never")
    assert told(directory) == [("intent", None), ("outcome", "failed")]


async def test_only_its_delivery_follows_an_outcome_and_that_once(journal, intent, row):
    async with journal.lookup(lookup_id="L1", intent=intent) as record:
        with pytest.raises(RuntimeError, match="follows an outcome"):
            record.delivered()
        await record.outcome("released")
        with pytest.raises(RuntimeError, match="nothing but its delivery"):
            record.part(source=row)
    record.not_delivered()
    with pytest.raises(RuntimeError, match="once"):
        record.delivered()


async def test_one_who_goes_away_does_not_disturb_the_others(journal, directory):
    """A cancelled wait in a naive group commit leaves the rest of the batch hanging."""
    writes = [journal.append("lookup.delivered", lookup_id=f"L{n}") for n in range(20)]
    for write in writes[::2]:
        write.cancel()
    await asyncio.gather(*writes[1::2])
    await journal.close()
    lines = [json.loads(line) for path in directory.glob("*.jsonl") for line in path.read_text().splitlines()]
    assert [line["lookup_id"] for line in lines if "lookup_id" in line] == [f"L{n}" for n in range(20)]


async def test_closing_waits_for_outcomes_that_are_being_written(journal, directory, intent):
    async def look_up(lookup_id):
        async with journal.lookup(lookup_id=lookup_id, intent=intent):
            await asyncio.Event().wait()

    tasks = [asyncio.create_task(look_up(f"L{n}")) for n in range(10)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.sleep(0)
    await journal.close()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert all(told(directory, f"L{n}") == [("intent", None), ("outcome", "abandoned")] for n in range(10))
    assert verify(directory).ok
