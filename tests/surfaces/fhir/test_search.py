"""A search by patient: the outcome first, then what was found."""

from collections import Counter

import pytest

from broker.lookup.values import STATEMENT


async def test_a_search_gives_what_every_source_holds_and_says_that_this_is_all(plugin, world, house):
    answer = await plugin.search("AllergyIntolerance")
    assert answer.status == 200
    assert [one["details"]["text"] for one in answer.issues if "coding" not in one["details"]] == [STATEMENT]
    assert answer.open == {}
    assert answer.json["type"] == "searchset"
    assert answer.json["total"] == len(answer.entries()) == 3
    assert {one["resourceType"] for one in answer.entries()} == {"AllergyIntolerance"}
    sources = {one["meta"]["source"].rpartition(":")[2] for one in answer.entries()}
    assert sources == {"RJ1-epr", "RJZ-epr", "G85001-epr"}
    assert answer.link("next") is None
    for entry in answer.json["entry"][1:]:
        resource = entry["resource"]
        assert entry["fullUrl"] == f"{plugin.base}/{resource['resourceType']}/{resource['id']}"
    assert answer.json["entry"][0]["fullUrl"] == f"urn:uuid:{answer.headers['X-Request-ID']}"
    (intent,) = world.journal("lookup.intent")
    assert (intent["surface"], intent["types"]) == ("fhir", ["AllergyIntolerance"])
    await house.eventually(lambda: world.told(intent["lookup_id"])[-1] == "lookup.delivered")


async def test_what_spans_sources_accompanies_the_matches_it_is_about(plugin):
    answer = await plugin.search("AllergyIntolerance")
    (link,) = answer.entries("include")
    assert link["resourceType"] == "Linkage"
    assert {one["resource"]["reference"] for one in link["item"]} == set(answer.ids())


async def test_contradictions_are_searched_with_all_that_they_are_made_of(plugin, world, house):
    """Whoever searches for them alone must not read that there are none."""
    world.hospital.holds(house.record("AllergyIntolerance", "3001", code="716186003", text="No known allergy"))
    answer = await plugin.search("DetectedIssue")
    (issue,) = answer.entries()
    assert answer.json["total"] == 1
    beside = await plugin.search("AllergyIntolerance")
    assert issue in beside.entries("include")
    assert {one["reference"] for one in issue["implicated"]} <= set(beside.ids())


async def test_where_an_allergy_list_was_not_heard_from_contradictions_are_not_known(plugin, world):
    await world.practice.stop()
    answer = await plugin.search("DetectedIssue")
    assert (answer.status, answer.code) == (503, "sources-unavailable")


async def test_a_role_that_sees_a_part_of_what_contradicts_never_reads_that_there_is_none(world, plugin_of):
    social = plugin_of(world, role_code="R1340")
    answer = await social.search("DetectedIssue")
    assert (answer.status, answer.code) == (403, "role-not-permitted")
    assert "problems" in answer.issues[0]["details"]["text"]
    part = await social.search("DetectedIssue", headers={"Prefer": "partial-results"})
    assert (part.status, part.restrictions["not-compared"]["severity"]) == (200, "information")
    assert "problems" in part.restrictions["not-compared"]["details"]["text"]
    assert "total" not in part.json
    batch = await social.batch(f"DetectedIssue?patient.identifier={social.identifier}")
    assert batch.json["entry"][0]["response"]["status"] == "403"


async def test_what_a_match_refers_to_accompanies_it(plugin, world, house):
    world.hospital.holds(
        {"resourceType": "Location", "id": "7", "name": "Ward 7"},
        house.record("Encounter", "1009", status="finished", location=[{"location": {"reference": "Location/7"}}]),
    )
    answer = await plugin.search("Encounter")
    (ward,) = answer.entries("include")
    assert ward["name"] == "Ward 7"
    referred = [one["location"][0]["location"]["reference"] for one in answer.entries() if "location" in one]
    assert referred == [f"Location/{ward['id']}"]
    assert answer.json["total"] == 4, "what accompanies does not count"


async def test_each_way_to_name_the_patient_gives_the_same(plugin):
    patient = await plugin.patient_id()
    answers = [
        await plugin.search("Condition"),
        await plugin.ask("Condition", params={"patient": patient}),
        await plugin.ask("Condition", params={"patient": f"Patient/{patient}"}),
        await plugin.ask("Condition", params={"patient": f"{plugin.base}/Patient/{patient}"}),
        await plugin.form("Condition"),
        await plugin.form("Condition", {"patient": patient}),
        await plugin.ask("Condition/_search", "POST", params={"patient": patient}),
    ]
    assert {one.status for one in answers} == {200}
    assert len({str(one.json["entry"][1:]) for one in answers}) == 1
    assert {one.link("self") for one in answers} == {f"{plugin.base}/Condition?patient={patient}"}


async def test_the_one_patient_is_found_by_number_and_alone_shows_it(plugin):
    answer = await plugin.search("Patient")
    (patient,) = answer.entries()
    assert patient["identifier"] == [{"system": "https://fhir.nhs.uk/Id/nhs-number", "value": "9990000018"}]
    assert answer.text.count("9990000018") == 1
    again = await plugin.ask(answer.link("self"))
    assert again.entries() == answer.entries()


async def test_no_number_is_in_what_the_broker_makes(plugin):
    for kind in ("AllergyIntolerance", "Condition", "Encounter"):
        answer = await plugin.search(kind, _count="1")
        assert "9990000018" not in answer.text + str(dict(answer.headers))


async def test_a_source_that_is_down_is_said_first_and_the_rest_is_given(plugin, world):
    await world.practice.stop()
    answer = await plugin.search("AllergyIntolerance")
    assert answer.status == 200
    assert "total" not in answer.json
    assert len(answer.entries()) == 2
    first, down, *_, statement = answer.issues
    assert (first["severity"], first["code"]) == ("warning", "incomplete")
    assert (down["severity"], down["code"]) == ("warning", "transient")
    assert "Camberwell Green" in down["details"]["text"]
    assert answer.open == {"G85001": "unreachable"}
    assert (statement["severity"], statement["code"]) == ("information", "informational")


async def test_what_can_not_be_read_of_another_type_leaves_this_one_whole(plugin, world):
    subject = {"reference": "Patient/1000"}
    world.hospital.holds({"resourceType": "Condition", "id": "bad", "subject": subject, "code": 7})
    answer = await plugin.search("AllergyIntolerance")
    assert answer.json["total"] == 3


async def test_no_match_while_a_source_is_down_is_an_error(plugin, world, house):
    world.hospital.loses("AllergyIntolerance/1001")
    world.other_hospital.loses("AllergyIntolerance/1001")
    await world.practice.stop()
    answer = await plugin.search("AllergyIntolerance")
    assert (answer.status, answer.code) == (503, "sources-unavailable")
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.open == {"G85001": "unreachable"}
    await house.eventually(lambda: world.told(world.lookups()[-1])[-1] == "lookup.delivered")


async def test_who_can_cope_with_a_part_gets_it(plugin, world):
    await world.practice.stop()
    for said in ("partial-results", "handling=strict, Partial-Results; x=1", 'x="a,\\"b", partial-results=true'):
        answer = await plugin.search("Immunization", headers={"Prefer": said})
        assert answer.status == 200
        assert answer.headers["Preference-Applied"] == "partial-results"
        assert answer.entries() == []
        assert answer.open == {"G85001": "unreachable"}
        assert answer.link("next") is None


@pytest.mark.parametrize(
    "said",
    [
        "handling=lenient",
        "partial-results=false",
        "partial-results=0",
        'partial-results="false"',
        'x="partial-results"',
        'x="a, partial-results, b"',
        'x="a\\", partial-results',
        "x=1; partial-results",
        "partial-results=false, partial-results",
    ],
)
async def test_who_says_something_else_does_not_get_a_part(plugin, world, said):
    await world.practice.stop()
    assert (await plugin.search("Immunization", headers={"Prefer": said})).status == 503


async def test_nothing_anywhere_is_an_empty_searchset(plugin):
    answer = await plugin.search("Immunization")
    assert (answer.status, answer.json["total"], len(answer.json["entry"])) == (200, 0, 1)


async def test_the_same_resources_in_the_same_words_as_on_the_native_surface(plugin, doctor, world):
    native = await doctor.look_up(world.mrs_okafor)
    for kind, count in Counter(one["resourceType"] for one in native.resources()).items():
        if kind not in {"Linkage", "DetectedIssue"}:
            answer = await plugin.search(kind)
            assert answer.entries() == native.resources(kind)
            assert answer.json["total"] == count
