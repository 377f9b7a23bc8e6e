"""`POST /lookups` as server-sent events: the same events as NDJSON, and signs of life between them."""

import asyncio
import json

import msgspec
import pytest
from aiohttp.web_protocol import RequestHandler

from broker.errors import RelationshipNeeded
from broker.lookup.values import Entry, Failed, Part, Started
from broker.surfaces import delivery

SSE = {"Accept": "text/event-stream"}
BODY = {"patient": {"nhs_number": "9990000018", "birth_date": "1948-03-02"}}


def read_stream(text):
    """The events of `text` and its comments, as section 9.2.6 of HTML reads them."""
    events, comments, name, data = [], [], "", []
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                events.append((name, json.loads("\n".join(data))))
            name, data = "", []
        elif not field:
            comments.append(value)
        elif field == "event":
            name = value
        else:
            assert field == "data", f"{field} would make a browser do something by itself"
            data.append(value)
    return events, comments


async def test_it_gives_the_same_events_as_ndjson(ask, lookups):
    response = await ask(headers=SSE)
    events, _ = read_stream(await response.text())
    lines = (await (await ask(headers={"Accept": "application/x-ndjson"})).text()).splitlines()
    assert response.status == 200
    assert response.content_type == "text/event-stream"
    assert events == [(each["event"], each["data"]) for each in map(json.loads, lines)]
    assert [name for name, _ in events] == ["started", "source", "source", "summary"]
    assert lookups.begun[0][2], "the lookup was told that its parts are wanted as they come"
    assert lookups.lookups[0].told == ["delivered"]


@pytest.mark.parametrize("accept", ["text/event-stream", "application/x-ndjson"])
async def test_nothing_on_the_way_is_to_keep_it_or_to_hold_it_back(ask, accept):
    response = await ask(headers={"Accept": accept})
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Accel-Buffering"] == "no"
    assert response.headers["X-Request-ID"] == "lookup-1"
    assert "Content-Encoding" not in response.headers


async def test_a_line_break_in_a_record_does_not_end_an_event(ask, lookups, make):
    text = "first\nsecond\rthird\r\n\r\ndata: {}\u2028\u0085\0"
    content = msgspec.json.encode({"resourceType": "Condition", "id": "a", "note": [{"text": text}]})

    async def answered():
        yield Started(lookup_id="lookup-1", rows=())
        yield Part(row=make.row(), entries=(Entry(order=(1,), type="Condition", id="a", content=content),))
        yield make.summary()

    lookups.events = answered
    events, _ = read_stream(await (await ask(headers=SSE)).text())
    assert [name for name, _ in events] == ["started", "source", "summary"]
    assert events[1][1]["bundle"]["entry"][0]["resource"]["note"] == [{"text": text}]


async def test_an_error_before_the_first_event_is_an_http_status(ask, lookups):
    async def refused():
        yield Failed(error=RelationshipNeeded())

    lookups.events = refused
    response = await ask(headers=SSE)
    assert (response.status, response.content_type) == (403, "application/json")
    assert (await response.json())["error"]["code"] == "relationship-needed"


async def test_a_fault_in_the_middle_is_an_error_event_without_detail(ask, lookups, make):
    async def broken():
        yield Started(lookup_id="lookup-1", rows=())
        yield make.part
        raise ValueError("9990000018")

    lookups.events = broken
    events, _ = read_stream(await (await ask(headers=SSE)).text())
    assert [name for name, _ in events] == ["started", "source", "error"]
    assert events[2][1] == {
        "error": {"code": "failed", "message": "The broker could not do this. Tell its operator."},
        "sources": [],
    }
    assert lookups.lookups[0].told == ["abandoned"]


def paced(lookups, make):
    """A lookup that goes on when told; gives what starts it, and what ends it."""
    start, end = asyncio.Event(), asyncio.Event()

    async def events():
        await start.wait()
        yield Started(lookup_id="lookup-1", rows=())
        await end.wait()
        yield make.summary()

    lookups.events = events
    return start, end


async def test_while_sources_think_there_are_signs_of_life(client, sign, lookups, make, monkeypatch):
    monkeypatch.setattr(delivery, "_HEARTBEAT_SECONDS", 0.02)
    start, end = paced(lookups, make)
    start.set()
    async with client.post("/lookups", json=BODY, headers=SSE | {"Authorization": f"Bearer {sign()}"}) as response:
        said = b""
        while said.count(b": waiting\n\n") < 3:
            said += await response.content.readany()
        end.set()
        said += await response.content.read()
    events, comments = read_stream(said.decode())
    assert [name for name, _ in events] == ["started", "summary"]
    assert set(comments) == {"waiting"}
    assert lookups.lookups[0].told == ["delivered"]


async def test_before_the_first_event_there_are_none_for_the_status_is_still_open(
    client, sign, lookups, make, monkeypatch
):
    monkeypatch.setattr(delivery, "_HEARTBEAT_SECONDS", 0.01)
    start, end = paced(lookups, make)
    headers = SSE | {"Authorization": f"Bearer {sign()}"}
    asking = asyncio.ensure_future(client.post("/lookups", json=BODY, headers=headers))
    while not lookups.lookups:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    assert not asking.done()
    start.set()
    end.set()
    async with await asking as response:
        assert (await response.text()).startswith("event: started\n")


async def test_ndjson_has_no_signs_of_life_since_some_readers_fail_on_them(client, sign, lookups, make, monkeypatch):
    monkeypatch.setattr(delivery, "_HEARTBEAT_SECONDS", 0.01)
    start, end = paced(lookups, make)
    start.set()
    headers = {"Accept": "application/x-ndjson", "Authorization": f"Bearer {sign()}"}
    async with client.post("/lookups", json=BODY, headers=headers) as response:
        await asyncio.sleep(0.1)
        end.set()
        assert [json.loads(line)["event"] for line in (await response.read()).splitlines()] == ["started", "summary"]


async def test_a_sign_of_life_that_can_not_be_sent_abandons_the_lookup(server, sign, lookups, make, monkeypatch):
    """The caller's machine has gone without a word, so that only writing shows it."""
    start, _ = paced(lookups, make)
    start.set()
    monkeypatch.setattr(delivery, "_HEARTBEAT_SECONDS", 0.02)
    lost = RequestHandler.connection_lost
    monkeypatch.setattr(RequestHandler, "connection_lost", lambda *_: None)
    reader, writer = await asyncio.open_connection(server.host, server.port)
    body = json.dumps(BODY)
    head = (
        f"POST /lookups HTTP/1.1\r\nHost: broker\r\nAuthorization: Bearer {sign()}\r\nAccept: text/event-stream\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    )
    writer.write(head.encode())
    await reader.readuntil(b"event: started")
    writer.transport.abort()
    await asyncio.wait_for(lookups.lookups[0].settled.wait(), 5)
    assert lookups.lookups[0].told == ["abandoned"]
    monkeypatch.setattr(RequestHandler, "connection_lost", lost)
