"""Types of which only some codes matter: asked for these alone where a server can be, and never less surely."""

from urllib.parse import parse_qsl

import pytest

SNOMED = "http://snomed.info/sct"
CODED = {
    "Observation": frozenset({(SNOMED, "416409005"), ("http://read.info/readv2", "93C1"), (SNOMED, "417528008")}),
    "Consent": frozenset({(SNOMED, "416409005")}),
}
TYPES = ["Patient", "Encounter", "AllergyIntolerance", "Condition", "Observation", "Consent"]


def coded(code, system=SNOMED):
    return {"coding": [{"system": system, "code": code}]}


@pytest.fixture
def world(fhir):
    consent = fhir.record("Consent", "11") | {"patient": {"reference": "Patient/1000"}}
    return [
        fhir.patient(),
        fhir.record("Encounter", "2"),
        fhir.record("Observation", "9", code=coded("416409005", "urn:oid:2.16.840.1.113883.6.96")),
        fhir.record("Observation", "10", code=coded("8302-2")),
        consent,
    ]


def forms(server, kind):
    return [dict(parse_qsl(seen.body.decode())) for seen in server.asked(f"POST /{kind}/_search")]


@pytest.mark.parametrize("batch", [False, True])
async def test_a_type_is_asked_for_these_codes_alone_however_their_systems_are_spelled(
    start, connect, fhir, world, batch
):
    server = await start(*world, types=TYPES, batch=batch)
    got = await fhir.gather(connect(server).fetch(fhir.ask(coded=CODED)))
    assert got.error is None
    assert {"Observation/9", "Consent/11"} <= set(got.names)
    assert "Observation/10" not in got.names
    assert got.findings["Observation"] == got.findings["Consent"] == "answered"
    if not batch:
        assert forms(server, "Observation") == [
            {"patient": "Patient/1000", "code": "416409005,417528008,93C1", "_count": "500"}
        ]
        # What a Consent is about is in no parameter: all of them come.
        assert "code" not in forms(server, "Consent")[0]


async def test_a_server_that_gives_the_whole_record_is_asked_for_nothing_more(start, connect, fhir, world):
    server = await start(*world, types=TYPES, everything=True)
    got = await fhir.gather(connect(server).fetch(fhir.ask(coded=CODED)))
    assert "Observation/9" in got.names
    assert [seen.path for seen in server.seen if "/_search" in seen.path] == ["/Patient/_search"]
    assert got.findings["Observation"] == "answered"


async def test_a_type_that_is_asked_anyway_is_asked_for_whole(start, connect, fhir, world):
    server = await start(*world, types=TYPES)
    categories = {"results": frozenset({"Observation"})}
    got = await fhir.gather(connect(server).fetch(fhir.ask(categories=categories, coded=CODED)))
    assert {"Observation/9", "Observation/10"} <= set(got.names)
    assert len(forms(server, "Observation")) == 1


async def test_a_type_that_the_server_does_not_list_holds_none(start, connect, fhir, world):
    server = await start(*world, types=TYPES[:4])
    got = await fhir.gather(connect(server).fetch(fhir.ask(coded=CODED)))
    assert got.findings["Observation"] == got.findings["Consent"] == "answered"
    assert not server.asked("/Observation")


async def test_a_server_that_lists_no_such_parameter_is_asked_for_all_of_the_type(start, connect, fhir, world):
    server = await start(*world, types=TYPES)
    statement = server.statement()
    for listed in statement["rest"][0]["resource"]:
        listed["searchParam"] = [{"name": "patient"}]
    server.overrides["GET /metadata"] = fhir.answering(statement)
    got = await fhir.gather(connect(server).fetch(fhir.ask(coded=CODED)))
    assert {"Observation/9", "Observation/10"} <= set(got.names)
    assert forms(server, "Observation") == [{"patient": "Patient/1000", "_count": "500"}]


@pytest.mark.parametrize("status", [400, 422, 501])
@pytest.mark.parametrize("batch", [False, True])
async def test_a_server_that_refuses_the_parameter_is_asked_without_it_once_and_from_then_on(
    start, connect, fhir, world, status, batch
):
    server = await start(*world, types=TYPES, batch=batch)
    adapter = connect(server)

    async def search(request):
        form = dict(await request.post()) if request.method == "POST" else dict(request.query)
        if "code" in form:
            return fhir.json_answer(fhir.outcome("error", "not-supported"), status)
        return fhir.json_answer(server.search("Observation", form))

    server.overrides["POST /Observation/_search"] = server.overrides["GET /Observation"] = search
    if batch:
        whole = server.batch_response

        def refusing(asked):
            answer = whole(asked)
            for entry, part in zip(asked["entry"], answer["entry"], strict=True):
                if "code=" in entry["request"]["url"]:
                    part.pop("resource")
                    part["response"]["status"] = str(status)
            return answer

        server.batch_response = refusing
    got = await fhir.gather(adapter.fetch(fhir.ask(coded=CODED)))
    assert {"Observation/9", "Observation/10"} <= set(got.names)
    assert got.findings["Observation"] == "answered"
    assert got.notes == set()
    server.seen.clear()
    got = await fhir.gather(adapter.fetch(fhir.ask(coded=CODED)))
    assert got.findings["Observation"] == "answered"
    assert not [seen for seen in server.seen if b"416409005" in seen.body or "416409005" in seen.query]


async def test_a_search_that_fails_costs_its_own_type(start, connect, fhir, world):
    server = await start(*world, types=TYPES)
    server.overrides["POST /Observation/_search"] = fhir.answering(fhir.outcome("error", "exception"), 500)
    got = await fhir.gather(connect(server).fetch(fhir.ask(coded=CODED)))
    assert got.findings["Observation"] == "failed"
    assert got.findings["Encounter"] == got.findings["Condition"] == "answered"


async def test_every_type_wanted_is_reported_where_the_search_for_the_patient_was_not_whole(start, connect, fhir):
    server = await start(types=TYPES)
    bundle = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": fhir.outcome("error", "timeout")}]}
    server.overrides["POST /Patient/_search"] = fhir.answering(bundle)
    got = await fhir.gather(connect(server).fetch(fhir.ask(coded=CODED)))
    assert got.findings["Observation"] == got.findings["Consent"] == "failed"
