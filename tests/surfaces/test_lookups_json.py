"""`POST /lookups` as JSON: what is released, in what form, and what becomes known of its delivery."""

import asyncio
import json
from importlib import resources

import pytest

from broker.errors import Overloaded, RoleNotPermitted, SourcesFailed
from broker.lookup.values import STATEMENT, Failed, Started, Status

KEYS = {
    "lookup_id",
    "complete",
    "required_met",
    "patient",
    "sources",
    "restrictions",
    "override_id",
    "statement",
    "bundle",
}


async def test_the_reply_has_exactly_the_documented_keys(ask):
    reply = await (await ask()).json()
    assert set(reply) == KEYS
    document = json.loads((resources.files("broker.surfaces") / "openapi.json").read_bytes())
    assert set(document["components"]["schemas"]["Reply"]["required"]) == KEYS
    assert set(reply["sources"][0]) == set(document["components"]["schemas"]["Row"]["required"])
    assert reply["statement"] == STATEMENT
    assert reply["patient"] == {"id": "sealed", "nhs_number": "9990000018", "birth_date": "1948-03-02"}


async def test_entries_of_all_parts_come_in_one_fixed_order_under_the_brokers_own_address(ask):
    bundle = (await (await ask()).json())["bundle"]
    assert [entry["fullUrl"].removeprefix("http://broker.test/fhir/") for entry in bundle["entry"]] == [
        "Patient/sealed",
        "AllergyIntolerance/a",
        "AllergyIntolerance/b",
        "Practitioner/c",
    ]
    assert [entry["search"]["mode"] for entry in bundle["entry"]] == ["match", "match", "match", "include"]
    assert bundle["entry"][1]["resource"] == {"resourceType": "AllergyIntolerance", "id": "a"}


async def test_a_total_is_given_only_when_the_reply_is_complete(ask, lookups, make):
    assert (await (await ask()).json())["bundle"]["total"] == 3

    async def incomplete():
        yield make.summary(make.row(status=Status.TIMED_OUT), complete=False)

    lookups.events = incomplete
    assert "total" not in (await (await ask()).json())["bundle"]


async def test_a_reply_is_not_stored_on_its_way_and_names_its_lookup(ask):
    response = await ask()
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Request-ID"] == "lookup-1"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "aiohttp" not in response.headers["Server"]
    assert response.content_length == len(await response.read())


async def test_what_is_asked_reaches_the_lookup_as_it_was_written(ask, lookups):
    body = {"categories": ["allergies", "medications"], "timeout": "1500ms", "require": ["RJ1"]}
    assert (await ask(body)).status == 200
    caller, query, streaming = lookups.begun[0]
    assert caller.requester.organisation == "RJ1"
    assert query.categories == frozenset({"allergies", "medications"})
    assert query.timeout == pytest.approx(1.5)
    assert query.require == frozenset({"RJ1"})
    assert not streaming


async def test_what_has_left_is_said_to_have_been_delivered(ask, lookups):
    await ask()
    await lookups.lookups[0].settled.wait()
    assert lookups.lookups[0].told == ["delivered"]


async def test_a_large_reply_arrives_whole(ask, lookups, make):
    async def large():
        entries = tuple(make.entry((i,), "Observation", f"o{i}" + "x" * 2000) for i in range(2000))
        yield make.summary(entries=entries)

    lookups.events = large
    response = await ask()
    assert len((await response.json())["bundle"]["entry"]) == 2000
    assert lookups.lookups[0].told == ["delivered"]


async def test_when_every_source_failed_the_answer_is_an_error_with_the_rows(ask, lookups, make):
    failed = make.row(status=Status.UNREACHABLE, resources=0)

    async def nothing():
        yield Started(lookup_id="lookup-1", rows=(failed,))
        yield Failed(error=SourcesFailed(), rows=(failed,))

    lookups.events = nothing
    response = await ask()
    reply = await response.json()
    assert response.status == 502
    assert set(reply) == {"error", "sources"}
    assert reply["error"] == {"code": "sources-failed", "message": SourcesFailed.default}
    assert reply["sources"] == [failed.as_json()]
    assert response.headers["X-Request-ID"] == "lookup-1"
    assert lookups.lookups[0].told == []


async def test_what_the_lookup_refuses_has_its_own_status(ask, lookups):
    async def refused():
        yield Failed(error=RoleNotPermitted())

    lookups.events = refused
    response = await ask()
    assert response.status == 403
    assert (await response.json())["error"]["code"] == "role-not-permitted"


async def test_a_full_node_says_when_to_come_again_and_it_is_recorded(ask, lookups, records):
    def full(*_, **__):
        raise Overloaded("This node is being stopped.", retry_after=1.2)

    lookups.begin = full
    response = await ask()
    assert (response.status, response.headers["Retry-After"]) == (503, "2")
    assert (await response.json())["error"] == {"code": "overloaded", "message": "This node is being stopped."}
    assert [record["code"] for record in records("request.refused")] == ["overloaded"]


async def test_an_unexpected_fault_tells_the_client_nothing_and_the_operator_its_type(ask, lookups, capsys):
    async def broken():
        raise KeyError("9990000018")
        yield

    lookups.events = broken
    response = await ask()
    assert response.status == 500
    text = await response.text()
    assert json.loads(text)["error"]["code"] == "failed"
    assert "KeyError" not in text
    assert "9990000018" not in text
    said = capsys.readouterr()
    assert "9990000018" not in said.out + said.err
    assert "KeyError" in said.out + said.err
    assert lookups.lookups[0].told == ["abandoned"]


async def test_a_lookup_without_a_last_event_is_a_fault_and_never_an_empty_reply(ask, lookups):
    async def silent():
        return
        yield

    lookups.events = silent
    assert (await ask()).status == 500


async def test_a_caller_that_goes_away_while_sources_answer_abandons_the_lookup(server, sign, lookups):
    waiting = asyncio.Event()

    async def slow():
        waiting.set()
        await asyncio.sleep(60)
        yield

    lookups.events = slow
    writer = await _post_raw(server, sign())
    await waiting.wait()
    writer.transport.abort()
    await asyncio.wait_for(lookups.lookups[0].settled.wait(), 5)
    assert lookups.lookups[0].told == ["abandoned"]


async def test_a_caller_that_goes_away_before_taking_the_reply_is_not_said_to_have_got_it(server, sign, lookups, make):
    ready = large_reply(lookups, make)
    writer = await _post_raw(server, sign())
    await ready.wait()
    await asyncio.sleep(0.1)
    assert lookups.lookups[0].told == []
    writer.transport.abort()
    await asyncio.wait_for(lookups.lookups[0].settled.wait(), 5)
    assert lookups.lookups[0].told == ["not-delivered"]


async def test_a_caller_that_takes_nothing_is_given_up(server, sign, lookups, make, monkeypatch):
    monkeypatch.setattr("broker.surfaces.delivery._STALL_SECONDS", 0.2)
    large_reply(lookups, make)
    writer = await _post_raw(server, sign())
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        while not lookups.lookups:
            await asyncio.sleep(0.01)
        await lookups.lookups[0].settled.wait()
    assert lookups.lookups[0].told == ["not-delivered"]
    writer.close()


def large_reply(lookups, make):
    """Thirty megabytes, more than the machine holds for a caller that does not read; says when they are there."""
    ready = asyncio.Event()

    async def large():
        yield make.summary(entries=tuple(make.entry((i,), "Observation", "x" * 1_000_000) for i in range(30)))
        ready.set()

    lookups.events = large
    return ready


async def _post_raw(server, token, accept="application/json"):
    _, writer = await asyncio.open_connection(server.host, server.port, limit=1024)
    body = json.dumps({"patient": {"nhs_number": "9990000018", "birth_date": "1948-03-02"}})
    head = (
        f"POST /lookups HTTP/1.1\r\nHost: broker\r\nAuthorization: Bearer {token}\r\nAccept: {accept}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    )
    writer.write(head.encode())
    await writer.drain()
    return writer
