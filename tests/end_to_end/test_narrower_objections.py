"""An objection to one organisation, one kind of information, one person: honoured, and never told where it lies."""

import asyncio
import json
import re

import pytest
from aiohttp import web

CLINICAL = ("allergies", "problems", "encounters")


@pytest.fixture
def object_to(house):
    """Records an objection as somebody would, and waits until it is in force."""

    async def record(world, patient, **scope):
        nurse = world.doctor().token(role_code="R8001", user="555000000002")
        body = {"patient": {"nhs_number": patient.nhs_number}, "asked_by": "patient", "effect_explained": True}
        for kind in scope:
            body["scope"] = {"kind": kind, **scope}
        headers = {"Authorization": f"Bearer {nurse}"}
        async with world.session.post(f"{world.address}/objections", json=body, headers=headers) as response:
            assert response.status == 201, await response.text()
        await asyncio.sleep(1)
        world.forget()

    return record


def told(reply):
    """What rows of other organisations say, times aside."""
    rows = [row | {"elapsed_ms": None} for row in reply.json["sources"] if row["organisation"] != "RJ1"]
    return {row["source"]: row for row in rows}


async def test_an_organisation_that_is_objected_to_is_not_asked_and_looks_like_one_with_nothing(
    open_world, house, object_to
):
    """Hazard objection-undone-by-its-reply."""
    organisations = house.usual()
    organisations[2].resources.clear()  # the practice does not know her
    world = await open_world(*organisations)
    doctor, who = world.doctor(), world.mrs_okafor
    assert (await doctor.look_up(who, categories=CLINICAL)).rows["RJZ-epr"] == "answered"
    await object_to(world, who, organisation="RJZ")
    reply = await doctor.look_up(who, categories=CLINICAL)
    assert world.other_hospital.seen == []
    assert world.practice.seen
    rows = told(reply)
    same = ("status", "categories", "notes", "retry_after_s", "resources", "elapsed_ms")
    assert {key: rows["RJZ-epr"][key] for key in same} == {key: rows["G85001-epr"][key] for key in same}
    assert all(row["elapsed_ms"] is None for row in reply.json["sources"] if row["organisation"] != "RJ1")
    assert reply.row("RJ1-epr")["status"] == "answered"
    assert not reply.complete
    assert reply.json["restrictions"]["objection"]
    assert "RJZ-epr.1001" not in reply.text

    # In a stream nothing tells when that was known.
    events = (await doctor.stream(who, categories=CLINICAL)).events
    started = {row["source"]: row["status"] for row in events[0]["data"]["sources"]}
    assert started == {"RJ1-epr": "waiting", "RJZ-epr": "waiting", "G85001-epr": "waiting"}
    assert [one["data"]["source"]["source"] for one in events if one["event"] == "source"] == ["RJ1-epr"]
    assert {row["source"]: row["status"] for row in events[-1]["data"]["sources"]} == reply.rows

    # Its own doctors see their own records, and of the others what is not objected to.
    own = await world.doctor("RJZ").look_up(who, categories=CLINICAL)
    assert own.rows["RJZ-epr"] == "answered"


async def test_a_kind_of_information_that_is_objected_to_is_withheld_everywhere_else(world, doctor, house, object_to):
    who = world.mrs_okafor
    await object_to(world, who, category="allergies")
    reply = await doctor.look_up(who, categories=CLINICAL)
    assert reply.sources_of("AllergyIntolerance") == {"RJ1-epr"}
    assert reply.sources_of("Condition") == {"RJ1-epr", "RJZ-epr", "G85001-epr"}
    assert reply.category("RJZ-epr", "allergies") == "withheld"
    assert reply.category("RJZ-epr", "problems") == "answered"
    assert reply.category("RJ1-epr", "allergies") == "answered"
    assert not reply.complete
    assert not (await doctor.look_up(who, categories=["problems"])).complete
    assert (await doctor.look_up(who, categories=CLINICAL, require=["RJZ"])).json["required_met"] is False


async def test_on_fhir_nothing_is_complete_and_nothing_says_why_to_who_may_not_lift_it(world, doctor, object_to):
    who = world.mrs_okafor
    await object_to(world, who, category="allergies")
    sealed = (await doctor.look_up(who)).json["patient"]["id"]
    headers = {"Authorization": f"Bearer {doctor.token(who)}"}

    async def search(path, **more):
        async with world.session.get(f"{world.address}/fhir/{path}", headers=headers | more) as answer:
            return answer.status, await answer.json()

    status, bundle = await search(f"Condition?patient={sealed}")
    assert status == 200
    assert "total" not in bundle
    assert [one["relation"] for one in bundle["link"]] == ["self", "next"]
    assert {entry["resource"]["resourceType"] for entry in bundle["entry"]} == {"OperationOutcome", "Condition"}
    (following,) = [one["url"] for one in bundle["link"] if one["relation"] == "next"]
    status, outcome = await search(following.partition("/fhir/")[2])
    assert (status, outcome["issue"][0]["details"]["coding"][0]["code"]) == (403, "withheld")
    status, outcome = await search(f"Procedure?patient={sealed}")
    assert (status, outcome["issue"][0]["details"]["coding"][0]["code"]) == (403, "withheld")
    for count in (1, 2, 50):
        status, bundle = await search(f"AllergyIntolerance?patient={sealed}&_count={count}")
        ids = [entry["resource"]["id"] for entry in bundle["entry"] if entry["search"]["mode"] == "match"]
        assert [one.partition(".")[0] for one in ids] == ["RJ1-epr"]
        assert "total" not in bundle


async def test_a_person_who_is_objected_to_is_answered_as_if_it_were_whole(world, doctor, object_to):
    who = world.mrs_okafor
    await object_to(world, who, staff={"issuer": "https://ehr.rj1.example", "subject": "555254240100"})
    reply = await doctor.look_up(who)
    assert reply.rows == {"RJ1-epr": "answered", "RJZ-epr": "withheld", "G85001-epr": "withheld"}
    assert world.practice.seen == []
    colleague = world.doctor(user="555000000077")
    assert (await colleague.look_up(who)).complete


async def test_an_objection_under_another_number_of_theirs_holds(open_world, house, object_to):
    """Hazard objection-under-another-number."""
    organisations = house.usual()
    other = house.mr_reyes.nhs_number
    old = {"system": house.nhs, "value": other, "use": "old", "period": {"end": "2001-01-01"}}
    patient = house.mrs_okafor.at("1000")
    patient["identifier"].append(old)
    organisations[1].holds(patient)
    world = await open_world(*organisations)
    doctor, who = world.doctor(), world.mrs_okafor
    before = await doctor.look_up(who)
    assert before.rows["RJZ-epr"] == "answered"
    assert before.rows["G85001-epr"] == "answered"
    await object_to(world, house.mr_reyes)
    reply = await doctor.look_up(who)
    assert reply.rows == {"RJ1-epr": "answered", "RJZ-epr": "withheld", "G85001-epr": "withheld"}
    assert reply.sources_of("Condition") == {"RJ1-epr"}


VARYING = re.compile(r'"(elapsed_ms|lookup_id|lastUpdated|timestamp)":\s*[^,}]+|_page=[^&"]+|urn:uuid:[-0-9a-f]+')


async def views(world, who):
    """All that one reader can see of a patient's allergies and what is beside them, what varies by itself aside."""
    doctor = world.doctor()
    reply = await doctor.look_up(who)
    stream = [line for line in (await doctor.stream(who)).text.splitlines() if line]
    seen = [reply.text, *sorted(stream), (await doctor.look_up(who, require=["RJZ"])).text]
    seen.append((await doctor.look_up(who, categories=["allergies"])).text)
    headers = {"Authorization": f"Bearer {doctor.token(who)}"}
    for query in ("AllergyIntolerance", "Condition"):
        url = f"{world.address}/fhir/{query}?patient={reply.json['patient']['id']}"
        async with world.session.get(url, headers=headers) as answer:
            seen.append(f"{answer.status} {await answer.text()}")
    return sorted(VARYING.sub("", one) for one in seen)


def truncated(source):
    async def says_more_than_it_gives(_request):
        url = f"{source.base_url}/AllergyIntolerance/1001"
        entry = {"resource": source.resources["AllergyIntolerance/1001"], "fullUrl": url, "search": {"mode": "match"}}
        bundle = {"resourceType": "Bundle", "type": "searchset", "total": 38, "entry": [entry]}
        return web.Response(body=json.dumps(bundle).encode(), content_type="application/fhir+json")

    return says_more_than_it_gives


@pytest.mark.parametrize("scope", [{"category": "allergies"}, {"organisation": "RJZ"}])
async def test_no_reply_tells_whether_there_is_anything_of_what_is_objected_to(world, house, object_to, scope):
    """Hazard objection-undone-by-its-reply: absent, there, cut, or of no use, it is all the same."""
    who, other = world.mrs_okafor, world.other_hospital
    await object_to(world, who, **scope)
    there = await views(world, who)
    other.moods["POST /AllergyIntolerance/_search"] = truncated(other)
    cut = await views(world, who)
    other.moods.clear()
    other.holds(house.record("AllergyIntolerance", "1001", code="91936005", contained=5, extension="x"))
    of_no_use = await views(world, who)
    del other.resources["AllergyIntolerance/1001"]
    absent = await views(world, who)
    assert there == cut == of_no_use == absent
