"""Reading by reference: one step, whatever the server offers, and nothing but what was asked for."""

import pytest

from adapters.contract import Unread
from adapters.errors import SourceMalformed

ASKED = ["Location/1", "Location/2", "PractitionerRole/3", "Location/missing", "not a reference", "Location/../Patient"]


@pytest.fixture
def places(fhir):
    return [
        {"resourceType": kind, "id": i} for kind, i in [("Location", "1"), ("Location", "2"), ("PractitionerRole", "3")]
    ]


async def read(adapter, request, references):
    items = [item async for item in adapter.read(request, references)]
    unread = {item.reference: item.finding.value for item in items if isinstance(item, Unread)}
    return [item for item in items if not isinstance(item, Unread)], unread


WAYS = pytest.mark.parametrize("way", ["batch", "by id", "singly"])


async def serving(start, fhir, places, way):
    server = await start(*places, types=["Location", "PractitionerRole"], batch=way == "batch")
    if way == "by id":
        statement = server.statement()
        for listed in statement["rest"][0]["resource"]:
            listed["searchParam"] = [{"name": "_id"}]
        server.overrides["GET /metadata"] = fhir.answering(statement)
    return server


@WAYS
async def test_each_reference_is_answered_once_in_one_step(start, connect, fhir, places, way):
    server = await serving(start, fhir, places, way)
    adapter = connect(server)
    found, unread = await read(adapter, fhir.ask(), ASKED)
    assert len(found) == 3
    assert unread == {
        "Location/missing": "answered",
        "not a reference": "malformed",
        "Location/../Patient": "malformed",
    }
    assert len(server.seen) == 1 + {"batch": 1, "by id": 2, "singly": 4}[way]


async def test_a_batch_that_is_refused_falls_back_to_reads(start, connect, fhir, places):
    server = await start(*places, batch=True)
    server.overrides["POST "] = fhir.answering({}, 405)
    found, _ = await read(connect(server), fhir.ask(), ["Location/1", "Location/2"])
    assert len(found) == 2


async def test_another_resource_than_the_one_asked_for_is_not_taken(start, connect, fhir, places):
    server = await start(*places)
    server.overrides["GET /Location/1"] = fhir.answering(fhir.patient("1"))
    server.overrides["GET /Location/2"] = fhir.answering({"resourceType": "Location", "id": "1"})
    found, unread = await read(connect(server), fhir.ask(), ["Location/1", "Location/2"])
    assert found == []
    assert set(unread.values()) == {"malformed"}


@pytest.mark.parametrize(("status", "finding"), [(410, "answered"), (403, "refused"), (500, "failed"), (302, "failed")])
async def test_a_reference_that_could_not_be_followed_says_why(start, connect, fhir, places, status, finding):
    server = await start(*places)
    server.overrides["GET /Location/1"] = fhir.answering({}, status)
    found, unread = await read(connect(server), fhir.ask(), ["Location/1", "Location/2"])
    assert len(found) == 1
    assert unread == {"Location/1": finding}


async def test_a_batch_that_can_not_be_read_fails_as_a_whole(start, connect, fhir, places):
    server = await start(*places, batch=True)
    server.overrides["POST "] = fhir.answering({"resourceType": "Bundle"})
    with pytest.raises(SourceMalformed):
        await read(connect(server), fhir.ask(), ["Location/1", "Location/2"])


async def test_a_search_by_id_that_fails_leaves_its_references_unread(start, connect, fhir, places):
    server = await start(*places)
    statement = server.statement()
    statement["rest"][0]["resource"] = [{"type": "Location", "searchParam": [{"name": "_id"}]}]
    server.overrides["GET /metadata"] = fhir.answering(statement)
    server.overrides["POST /Location/_search"] = fhir.answering({}, 500)
    found, unread = await read(connect(server), fhir.ask(), ["Location/1", "Location/2"])
    assert found == []
    assert unread == {"Location/1": "failed", "Location/2": "failed"}


async def test_nothing_to_read_asks_nothing(start, connect, fhir):
    server = await start()
    assert await read(connect(server), fhir.ask(), []) == ([], {})
    assert server.seen == []


@WAYS
@pytest.mark.parametrize("first", ["resourceType", "id", "photo"])
async def test_a_resource_with_a_large_photo_is_found(start, connect, fhir, way, first):
    large = {"resourceType": "Location", "id": "1", "photo": "QUJD" * 50_000}
    large = {first: large[first]} | large
    server = await serving(start, fhir, [large, {"resourceType": "Location", "id": "2"}], way)
    found, unread = await read(connect(server), fhir.ask(), ["Location/1", "Location/2"])
    assert len(found) == 2
    assert unread == {}


async def test_a_hit_that_does_not_say_which_it_is_leaves_it_open_what_is_there(start, connect, fhir, places):
    server = await serving(start, fhir, places, "by id")
    nameless = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": {"resourceType": "Location"}}]}
    server.overrides["POST /Location/_search"] = fhir.answering(nameless)
    found, unread = await read(connect(server), fhir.ask(), ["Location/1"])
    assert found == []
    assert unread == {"Location/1": "truncated"}


async def test_an_answer_too_dense_to_read_over_is_not_what_was_asked_for(start, connect, fhir):
    dense = {"resourceType": "Location", "id": "1", "x": [[]] * 600_000}
    server = await start(dense)
    found, unread = await read(connect(server), fhir.ask(), ["Location/1"])
    assert found == []
    assert unread == {"Location/1": "malformed"}
