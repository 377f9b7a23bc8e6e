"""Absence is never ambiguous: whatever a source does, its row says so, and the others' data is still there."""

import asyncio
import json
import socket
import struct

import pytest
from aiohttp import web

FAILED = {"wrong-patient", "malformed", "failed", "refused", "unreachable", "timed-out", "busy", "paused"}


def answering(status=200, body=b"", kind="application/fhir+json", **headers):
    async def answer(_):
        return web.Response(status=status, body=body, content_type=kind, headers=headers)

    return answer


async def hanging(_):
    await asyncio.Event().wait()


async def trickling(request):
    """A byte now and then: always something, never an answer."""
    response = web.StreamResponse(headers={"Content-Type": "application/fhir+json"})
    await response.prepare(request)
    while True:
        await response.write(b" ")
        await asyncio.sleep(0.02)


async def half(request):
    """Says how long it is, and closes half way."""
    response = web.StreamResponse(headers={"Content-Type": "application/fhir+json", "Content-Length": "4000"})
    await response.prepare(request)
    await response.write(b'{"resourceType": "Bundle", "type": "searchset", "entry": [')
    request.transport.close()
    return response


async def reset(request):
    """A TCP reset in the middle of the body."""
    response = web.StreamResponse(headers={"Content-Type": "application/fhir+json", "Content-Length": "4000"})
    await response.prepare(request)
    await response.write(b'{"resourceType": "Bundle"')
    await asyncio.sleep(0.02)
    linger = struct.pack("ii", 1, 0)
    request.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    request.transport.abort()
    return response


async def hanging_up(request):
    """Closes before an answer begins."""
    request.transport.abort()
    return web.Response()


async def huge(request):
    """A body that does not end."""
    response = web.StreamResponse(headers={"Content-Type": "application/fhir+json"})
    await response.prepare(request)
    for _ in range(200):
        await response.write(b" " * 100_000)
    return response


async def another_patient(_):
    other = {
        "resourceType": "Patient",
        "id": "1",
        "identifier": [{"system": "https://fhir.nhs.uk/Id/nhs-number", "value": "9990000034"}],
        "birthDate": "1979-12-01",
        "name": [{"family": "Stranger"}],
    }
    body = {"resourceType": "Bundle", "type": "searchset", "total": 1, "entry": [{"resource": other}]}
    return web.json_response(body, content_type="application/fhir+json")


OUTCOME = json.dumps({
    "resourceType": "OperationOutcome",
    "issue": [{"severity": "fatal", "code": "exception", "diagnostics": "words of the source"}],
}).encode()

MOODS = {
    "hangs": (hanging, "timed-out"),
    "trickles": (trickling, "timed-out"),
    "500": (answering(500, OUTCOME), "failed"),
    "503 that says when": (answering(503, b"words of the source", "text/plain", **{"Retry-After": "7"}), "failed"),
    "400": (answering(400, OUTCOME), "failed"),
    "an outcome in place of an answer": (answering(200, OUTCOME), "failed"),
    "401": (answering(401, b"words of the source", "text/plain"), "refused"),
    "403": (answering(403, OUTCOME), "refused"),
    "429": (answering(429, b"words of the source", "text/plain", **{"Retry-After": "7"}), "busy"),
    "a redirect": (answering(302, b"", "text/plain", Location="http://127.0.0.1:9/words-of-the-source"), "failed"),
    "HTML": (answering(200, b"<html>words of the source</html>", "text/html"), "malformed"),
    "an empty body": (answering(200, b""), "malformed"),
    "something else in JSON": (answering(200, b'["words of the source"]'), "malformed"),
    "half a body": (half, "malformed"),
    "a reset half way": (reset, "malformed"),
    "hangs up": (hanging_up, "unreachable"),
    "another patient": (another_patient, "wrong-patient"),
    "a body without end": (huge, "truncated"),
}


@pytest.fixture
async def world(open_world, house, request):
    """As ever; but where King's is to run out of its time, that is short, so that it costs the tests little."""
    organisations = house.usual()
    if request.node.name.endswith(("[hangs]", "[trickles]")):
        organisations[1].timeout = "600ms"
    return await open_world(*organisations)


@pytest.mark.parametrize(("mood", "status"), MOODS.values(), ids=MOODS.keys())
async def test_a_source_that_does_not_answer_never_looks_like_nothing_recorded(world, doctor, mood, status):
    """Seed question 1; hazards absence-taken-for-nothing and slow-source-delays-all."""
    world.other_hospital.mood = mood
    reply = await doctor.look_up(world.mrs_okafor)
    assert reply.status == 200
    assert reply.rows == {"RJ1-epr": "answered", "G85001-epr": "answered", "RJZ-epr": status}
    statuses = {one["status"] for one in reply.row("RJZ-epr")["categories"].values()}
    assert statuses <= {status, "not-provided"}
    assert not reply.complete
    assert "total" not in reply.json["bundle"]
    assert reply.sources_of("AllergyIntolerance") == {"RJ1-epr", "G85001-epr"}
    assert reply.row("RJZ-epr")["resources"] == 0
    for word in ("words of the source", "words-of-the-source", "Stranger", "9990000034", "127.0.0.1"):
        assert word not in reply.text


async def test_a_source_that_refuses_connections_is_unreachable(world, doctor):
    """Seed question 1; hazard absence-taken-for-nothing."""
    await world.other_hospital.stop()
    reply = await doctor.look_up(world.mrs_okafor, categories=["allergies"])
    assert reply.category("RJZ-epr", "allergies") == "unreachable"
    assert not reply.complete
    assert reply.sources_of("AllergyIntolerance") == {"RJ1-epr", "G85001-epr"}


async def test_a_source_that_says_when_to_try_again_is_quoted(world, doctor):
    world.other_hospital.mood = MOODS["429"][0]
    reply = await doctor.look_up(world.mrs_okafor)
    assert reply.row("RJZ-epr")["retry_after_s"] == 7


async def test_one_search_that_fails_costs_its_category_not_its_source(world, doctor):
    """Hazard absence-taken-for-nothing."""
    world.other_hospital.moods["POST /AllergyIntolerance/_search"] = answering(500)
    reply = await doctor.look_up(world.mrs_okafor)
    assert reply.category("RJZ-epr", "allergies") == "failed"
    assert reply.category("RJZ-epr", "problems") == "answered"
    assert reply.category("RJZ-epr", "medications") == "no-record-found"
    assert not reply.complete
    assert reply.sources_of("AllergyIntolerance") == {"RJ1-epr", "G85001-epr"}
    assert reply.sources_of("Condition") == {"RJ1-epr", "RJZ-epr", "G85001-epr"}


async def test_three_of_thirty_eight_are_not_a_whole_list(world, doctor, house):
    """Hazard partial-list-taken-as-whole."""
    three = [house.record("AllergyIntolerance", f"20{n}") for n in range(3)]
    body = {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": 38,
        "entry": [{"resource": one, "search": {"mode": "match"}} for one in three],
    }
    world.other_hospital.moods["POST /AllergyIntolerance/_search"] = answering(200, json.dumps(body).encode())
    reply = await doctor.look_up(world.mrs_okafor)
    row = reply.row("RJZ-epr")
    assert row["categories"]["allergies"] == {"status": "truncated", "resources": 3}
    assert any("38" in note and "3" in note for note in row["notes"])
    assert not reply.complete


async def test_a_search_whose_answer_never_ends_is_cut_and_says_so(world, doctor):
    """Hazard partial-list-taken-as-whole."""
    world.other_hospital.moods["POST /AllergyIntolerance/_search"] = huge
    reply = await doctor.look_up(world.mrs_okafor)
    assert reply.category("RJZ-epr", "allergies") == "truncated"
    assert not reply.complete


async def test_one_resource_that_cannot_be_read_costs_itself_and_is_counted(world, doctor):
    """Hazard partial-list-taken-as-whole."""
    broken = (
        b'{"resourceType": "Bundle", "type": "searchset", "total": 2, "entry": ['
        b'{"resource": {"resourceType": "AllergyIntolerance", "id": "1", "patient": {"reference": "Patient/1000"}}},'
        b'{"resource": {"resourceType": "AllergyIntolerance", "id": "2", "id": "3"}}]}'
    )
    world.other_hospital.moods["POST /AllergyIntolerance/_search"] = answering(200, broken)
    reply = await doctor.look_up(world.mrs_okafor)
    assert reply.row("RJZ-epr")["categories"]["allergies"] == {"status": "truncated", "resources": 1}
    assert any(note.startswith("1 resource") for note in reply.row("RJZ-epr")["notes"])


@pytest.mark.parametrize(
    ("mood", "status", "code"),
    [(hanging, 504, "sources-timed-out"), (answering(500, OUTCOME), 502, "sources-failed")],
    ids=["hanging", "failing"],
)
async def test_where_everything_failed_there_is_an_error_with_the_rows_never_an_empty_record(
    world, doctor, mood, status, code
):
    """Hazard absence-taken-for-nothing."""
    for organisation in world.organisations.values():
        organisation.mood = mood
    reply = await doctor.look_up(world.mrs_okafor, timeout="700ms")
    assert (reply.status, reply.code) == (status, code)
    assert len(reply.json["sources"]) == 3
    assert set(reply.rows.values()) <= FAILED
    assert "bundle" not in reply.json
    streamed = await doctor.stream(world.mrs_okafor, timeout="700ms")
    assert streamed.status == 200
    assert [event["event"] for event in streamed.events][0::4] == ["started", "error"]
    last = streamed.events[-1]["data"]
    assert last["error"]["code"] == code
    assert {row["source"]: row["status"] for row in last["sources"]} == reply.rows


async def test_a_source_that_is_down_is_paused_and_brought_back_by_one_probe(open_world, house):
    """Hazard slow-source-delays-all: nobody waits for what is known to be down, and it is not forgotten."""
    world = await open_world(*house.usual())
    doctor, hospital = world.doctor(), world.other_hospital
    await hospital.stop()
    for _ in range(5):
        assert (await doctor.look_up(world.mrs_okafor)).rows["RJZ-epr"] == "unreachable"
    await hospital.revive()
    reply = await doctor.look_up(world.mrs_okafor)
    assert reply.rows["RJZ-epr"] == "paused"
    assert reply.row("RJZ-epr")["retry_after_s"] >= 1
    assert not reply.complete
    assert hospital.seen == []

    # One probe, however many ask: it stays paused for the others while that is under way.
    hospital.open.clear()
    asking = []
    while not hospital.seen:
        asking.append(asyncio.create_task(doctor.look_up(world.mrs_okafor)))
        await asyncio.sleep(0.05)
    assert (await doctor.look_up(world.mrs_okafor)).rows["RJZ-epr"] == "paused"
    assert [one.path for one in hospital.seen].count("/fhir/Patient/_search") == 1
    hospital.open.set()
    rows = [reply.rows["RJZ-epr"] for reply in await asyncio.gather(*asking)]
    assert rows.count("answered") == 1
    assert set(rows) == {"answered", "paused"}
    assert (await doctor.look_up(world.mrs_okafor)).complete
