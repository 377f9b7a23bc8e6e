"""One deadline for all, parts as they arrive, and callers who leave."""

import asyncio
import json

import pytest


async def part_by_part(world, response):
    """Each event of a stream, with what the journal held on the disk when it came."""
    async for line in response.content:
        event = json.loads(line)
        lookup_id = world.lookups()[-1]
        yield event, [one for one in world.journal() if one.get("lookup_id") == lookup_id]


async def test_a_caller_may_shorten_the_time_and_what_did_arrive_is_given(world, doctor):
    """Hazard slow-source-delays-all."""
    world.practice.open.clear()
    reply = await doctor.look_up(world.mrs_okafor, timeout="800ms")
    assert reply.rows == {"RJ1-epr": "answered", "RJZ-epr": "answered", "G85001-epr": "timed-out"}
    row = reply.row("G85001-epr")
    assert row["elapsed_ms"] < 2500, "half of what it would have had"
    assert row["notes"]
    assert reply.sources_of("AllergyIntolerance") == {"RJ1-epr", "RJZ-epr"}
    await asyncio.wait_for(world.practice.left.wait(), 5)


async def test_a_sources_own_time_ends_before_the_lookups(open_world, house):
    organisations = house.usual()
    organisations[1].timeout = "300ms"
    world = await open_world(*organisations, deadline="30s")
    world.other_hospital.open.clear()
    reply = await world.doctor().look_up(world.mrs_okafor)
    assert reply.rows["RJZ-epr"] == "timed-out"
    assert reply.rows["RJ1-epr"] == "answered"
    await asyncio.wait_for(world.other_hospital.left.wait(), 5)


@pytest.mark.parametrize("accept", ["application/json", "application/x-ndjson"])
async def test_when_a_caller_leaves_its_sources_are_cancelled_and_the_journal_says_so(world, doctor, house, accept):
    for organisation in world.organisations.values():
        organisation.open.clear()

    async def ask():
        async with doctor.asks(world.mrs_okafor, accept=accept) as response:
            await response.read()

    asking = asyncio.create_task(ask())
    for organisation in world.organisations.values():
        await asyncio.wait_for(organisation.asked.wait(), 5)
    asking.cancel()
    await asyncio.wait([asking])
    for organisation in world.organisations.values():
        await asyncio.wait_for(organisation.left.wait(), 5)
    await house.eventually(lambda: world.journal("lookup.outcome"))
    (outcome,) = world.journal("lookup.outcome")
    assert (outcome["outcome"], outcome["complete"]) == ("abandoned", False)
    assert world.told(outcome["lookup_id"]) == ["lookup.intent", "lookup.plan", "lookup.outcome"]
    assert world.verify().ok


async def test_a_stream_gives_each_source_as_it_answers_and_only_once_that_is_written_down(world, doctor):
    """Hazard release-without-record: each part's line is on the disk before the part is out."""
    world.practice.open.clear()
    came = []
    async with doctor.asks(world.mrs_okafor, accept="application/x-ndjson") as response:
        assert response.content_type == "application/x-ndjson"
        async for event, records in part_by_part(world, response):
            names = [one["event"] for one in records]
            assert names[:2] == ["lookup.intent", "lookup.plan"]
            came.append(event["event"])
            if event["event"] == "source":
                row = event["data"]["source"]
                parts = [one["source"] for one in records if one["event"] == "lookup.part"]
                (part,) = [one for one in parts if one["source"] == row["source"]]
                assert part["categories"] == row["categories"]
                assert (part["status"], part["resources"]) == (row["status"], row["resources"])
                assert (row["source"] == "G85001-epr") is (len(parts) == 3)
            if event["event"] == "started":
                assert {row["status"] for row in event["data"]["sources"]} == {"waiting"}
            if event["event"] == "summary":
                assert "lookup.outcome" in names
            if came == ["started", "source", "source"]:
                assert not world.practice.open.is_set()
                world.practice.open.set()
    assert came == ["started", "source", "source", "source", "summary"]


async def test_a_stream_says_the_same_as_the_whole(world, doctor, house):
    await world.other_hospital.stop()
    whole = await doctor.look_up(world.mrs_okafor)
    events = (await doctor.stream(world.mrs_okafor)).events
    started, *parts, summary = [event["data"] for event in events]
    assert [row["source"] for row in started["sources"]] == [row["source"] for row in summary["sources"]]
    assert started["lookup_id"] == summary["lookup_id"]
    entries = [entry for data in (*parts, summary) for entry in data["bundle"]["entry"]]

    def by_address(entry):
        return entry["fullUrl"]

    assert sorted(entries, key=by_address) == sorted(whole.json["bundle"]["entry"], key=by_address)
    assert house.plain(summary | {"bundle": None}) == house.plain(whole.json | {"bundle": None})
    rows = {row["source"]: row for row in house.plain(summary["sources"])}
    for part in parts:
        assert house.plain(part["source"]) == rows[part["source"]["source"]]


async def test_the_whole_is_the_same_whoever_answers_first(world, doctor, house):
    replies = []
    for last in ("RJ1", "RJZ", "G85001"):
        world[last].open.clear()
        asking = asyncio.create_task(doctor.look_up(world.mrs_okafor))
        await asyncio.wait_for(world[last].asked.wait(), 5)
        await asyncio.sleep(0.1)
        world[last].open.set()
        replies.append(house.plain((await asking).json))
        world.forget()
    assert replies[0] == replies[1] == replies[2]
