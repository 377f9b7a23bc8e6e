"""`POST /lookups` as NDJSON: each part when it is ready, and errors where they were found."""

import asyncio
import json

import pytest

from broker.errors import RelationshipNeeded, SourcesTimedOut
from broker.lookup.values import Failed, Started, Status

NDJSON = {"Accept": "application/x-ndjson"}


async def lines(response):
    return [json.loads(line) for line in (await response.text()).splitlines()]


async def test_events_come_one_a_line_in_the_order_in_which_they_are_ready(ask, lookups):
    response = await ask(headers=NDJSON)
    events = await lines(response)
    assert response.content_type == "application/x-ndjson"
    assert response.headers["X-Request-ID"] == "lookup-1"
    assert response.headers["Cache-Control"] == "no-store"
    assert [event["event"] for event in events] == ["started", "source", "source", "summary"]
    assert all(set(event) == {"event", "data"} for event in events)
    assert set(events[0]["data"]) == {"lookup_id", "sources"}
    assert events[0]["data"]["sources"][0]["status"] == "waiting"
    assert set(events[1]["data"]) == {"source", "bundle"}
    assert events[1]["data"]["source"]["source"] == "RJ1-epr"
    assert [entry["resource"]["id"] for entry in events[1]["data"]["bundle"]["entry"]] == ["b", "c"]
    assert [entry["resource"]["resourceType"] for entry in events[3]["data"]["bundle"]["entry"]] == ["Patient"]
    assert {"complete", "sources", "restrictions", "statement", "bundle"} <= set(events[3]["data"])
    assert lookups.begun[0][2], "the lookup was told that its parts are wanted as they come"
    assert lookups.lookups[0].told == ["delivered"]


async def test_a_part_leaves_before_the_next_is_there(client, sign, lookups, make):
    go_on = asyncio.Event()

    async def paced():
        yield Started(lookup_id="lookup-1", rows=())
        yield make.part
        await go_on.wait()
        yield make.summary()

    lookups.events = paced
    body = {"patient": {"nhs_number": "9990000018", "birth_date": "1948-03-02"}}
    async with client.post("/lookups", json=body, headers=NDJSON | {"Authorization": f"Bearer {sign()}"}) as response:
        seen = [json.loads(await response.content.readline())["event"] for _ in range(2)]
        assert seen == ["started", "source"]
        assert not go_on.is_set()
        go_on.set()
        assert json.loads(await response.content.readline())["event"] == "summary"


async def test_an_error_before_the_first_event_is_an_http_status(ask, lookups):
    async def refused():
        yield Failed(error=RelationshipNeeded())

    lookups.events = refused
    response = await ask(headers=NDJSON)
    assert response.status == 403
    assert response.content_type == "application/json"
    assert (await response.json())["error"]["code"] == "relationship-needed"


async def test_an_error_after_the_first_event_is_the_last_event_with_the_rows(ask, lookups, make):
    late = make.row(status=Status.TIMED_OUT, resources=0)

    async def failing():
        yield Started(lookup_id="lookup-1", rows=(late,))
        yield Failed(error=SourcesTimedOut(), rows=(late,))

    lookups.events = failing
    events = await lines(await ask(headers=NDJSON))
    assert [event["event"] for event in events] == ["started", "error"]
    assert events[1]["data"]["error"]["code"] == "sources-timed-out"
    assert events[1]["data"]["sources"] == [late.as_json()]
    assert lookups.lookups[0].told == []


@pytest.mark.parametrize("ending", ["raises", "stops"])
async def test_a_fault_in_the_middle_is_an_error_event_without_detail(ask, lookups, make, ending):
    async def broken():
        yield Started(lookup_id="lookup-1", rows=())
        yield make.part
        if ending == "raises":
            raise ValueError("9990000018")

    lookups.events = broken
    events = await lines(await ask(headers=NDJSON))
    assert [event["event"] for event in events] == ["started", "source", "error"]
    assert events[2]["data"]["error"]["code"] == "failed"
    assert "9990000018" not in json.dumps(events[2])
    assert lookups.lookups[0].told == ["abandoned"]


async def test_a_caller_that_goes_away_in_the_middle_abandons_the_lookup(client, sign, lookups, make):
    async def endless():
        yield Started(lookup_id="lookup-1", rows=())
        while True:
            await asyncio.sleep(0.01)
            yield make.part

    lookups.events = endless
    body = {"patient": {"nhs_number": "9990000018", "birth_date": "1948-03-02"}}
    response = await client.post("/lookups", json=body, headers=NDJSON | {"Authorization": f"Bearer {sign()}"})
    await response.content.readline()
    response.close()
    await asyncio.wait_for(lookups.lookups[0].settled.wait(), 5)
    assert lookups.lookups[0].told == ["abandoned"]
