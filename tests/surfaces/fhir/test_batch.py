"""A batch: many questions of one patient, one lookup."""

import pytest


async def test_a_batch_is_one_lookup_and_answers_as_each_search_would(plugin, world, house):
    patient = await plugin.patient_id()
    kinds = ["AllergyIntolerance", "Condition", "Immunization", "Patient", "Encounter"]
    alone = [await plugin.ask(f"{kind}?patient={patient}") for kind in kinds]
    begun = len(world.lookups())
    answer = await plugin.batch(*(f"{kind}?patient={patient}" for kind in kinds))
    assert (answer.status, answer.json["type"]) == (200, "batch-response")
    assert len(world.lookups()) == begun + 1
    assert [one["response"] for one in answer.json["entry"]] == [{"status": "200"}] * 5
    for one, kind, single in zip(answer.json["entry"], kinds, alone, strict=True):
        assert one["resource"]["link"] == single.json["link"]
        assert one["resource"]["total"] == single.json["total"], kind
        assert one["resource"]["entry"][1:] == single.json["entry"][1:], kind
    (intent,) = world.journal("lookup.intent")[begun:]
    assert intent["types"] == sorted(kinds)
    await house.eventually(lambda: world.told(intent["lookup_id"])[-1] == "lookup.delivered")


async def test_reads_and_searches_stand_together(plugin, world):
    found = await plugin.search("Condition")
    patient = await plugin.patient_id()
    answer = await plugin.batch(found.ids()[0], f"Patient/{patient}", f"AllergyIntolerance?patient={patient}")
    first, second, third = answer.json["entry"]
    assert first["resource"] == found.entries()[0]
    assert second["resource"]["id"] == patient
    assert len(third["resource"]["entry"]) == 5
    world.forget()
    (own,) = [one for one in found.ids() if "RJ1-epr" in one]
    await plugin.batch(own)
    assert {one.code for one in world.organisations.values() if one.seen} == {"RJ1"}, "reads alone go home"


async def test_what_accompanies_others_does_not_blur_what_is_known_of_a_search(plugin, world, house):
    world.hospital.holds(
        {"resourceType": "Location", "id": "7", "name": "Ward 7"},
        house.record("Encounter", "1009", status="finished", location=[{"location": {"reference": "Location/7"}}]),
        {"resourceType": "Condition", "id": "bad", "subject": {"reference": "Patient/1000"}, "code": 7},
    )
    (ward,) = (await plugin.search("Encounter")).ids("include")
    answer = await plugin.batch(ward, f"AllergyIntolerance?patient={await plugin.patient_id()}")
    assert [one["response"]["status"] for one in answer.json["entry"]] == ["200", "200"]
    assert answer.json["entry"][0]["resource"]["name"] == "Ward 7"
    assert answer.json["entry"][1]["resource"]["total"] == 3


async def test_a_wrong_entry_costs_itself_alone(plugin, world, plugin_of, house):
    patient = await plugin.patient_id()
    other = plugin_of(world, house.mr_reyes)
    answer = await plugin.batch(
        f"Condition?patient={patient}",
        "Condition",
        f"Condition?patient={patient}&code=x",
        f"Condition?patient.identifier={other.identifier}",
        f"Banana?patient={patient}",
        f"Patient/{patient}/$everything",
        "Condition/RJ1-epr.1.abcdefgh",
        "a/b/c",
        f"Procedure?patient={patient}&_count=1",
    )
    statuses = [one["response"]["status"] for one in answer.json["entry"]]
    assert statuses == ["200", "400", "400", "403", "404", "501", "404", "400", "200"]
    codes = [
        one["resource"]["issue"][0]["details"]["coding"][0]["code"]
        for one in answer.json["entry"]
        if one["response"]["status"] != "200"
    ]
    assert codes == [
        "patient-required",
        "not-supported",
        "patient-mismatch",
        "not-found",
        "not-supported",
        "not-found",
        "invalid-request",
    ]
    for one in answer.json["entry"][1:-1]:
        assert one["response"]["outcome"] == one["resource"]
    assert other.identifier[-10:] not in answer.text
    assert len(world.journal("request.refused")) == 5, "each kind once"


async def test_where_no_entry_is_usable_nobody_is_asked(plugin, world):
    answer = await plugin.batch("Condition", "Banana?patient=x")
    assert answer.status == 200
    assert [one["response"]["status"] for one in answer.json["entry"]] == ["400", "404"]
    assert world.lookups() == []
    assert world.nobody_was_asked()


async def test_no_match_while_a_source_is_down_is_that_entrys_error(plugin, world):
    patient = await plugin.patient_id()
    await world.practice.stop()
    answer = await plugin.batch(f"Immunization?patient={patient}", f"Condition?patient={patient}")
    first, second = answer.json["entry"]
    assert first["response"]["status"] == "503"
    assert first["resource"]["issue"][0]["details"]["coding"][0]["code"] == "sources-unavailable"
    assert second["response"]["status"] == "200"
    assert [one["relation"] for one in second["resource"]["link"]] == ["self", "next"]
    last = await plugin.ask(second["resource"]["link"][1]["url"])
    assert (last.status, last.code) == (503, "sources-unavailable"), "a page of a batch is a page like any other"


async def test_where_every_source_failed_each_entry_says_so(plugin, world):
    patient = await plugin.patient_id()
    for one in world.organisations.values():
        await one.stop()
    answer = await plugin.batch(f"Immunization?patient={patient}", "Banana", f"Condition?patient={patient}")
    assert [one["response"]["status"] for one in answer.json["entry"]] == ["503", "404", "503"]
    single = await plugin.search("Condition")
    assert (single.status, single.code) == (503, "sources-unavailable")
    assert single.open.keys() == {"RJ1", "RJZ", "G85001"}


async def test_what_a_role_may_not_see_is_never_empty(world, plugin_of):
    pharmacist = plugin_of(world, role_code="R1290")
    found = await pharmacist.search("Encounter")
    assert (found.status, found.code) == (403, "role-not-permitted")
    patient = await pharmacist.patient_id()
    answer = await pharmacist.batch(f"Encounter?patient={patient}", f"AllergyIntolerance?patient={patient}")
    assert [one["response"]["status"] for one in answer.json["entry"]] == ["403", "200"]
    (refusal,) = [one for one in world.journal("request.refused") if one["code"] == "role-not-permitted"]
    assert refusal["patient"] is not None


async def test_a_batch_gives_nothing_twice(plugin, world):
    """Otherwise its answer would be as large as the record as often as there are entries."""
    patient = await plugin.patient_id()
    (one, *_) = (await plugin.search("Condition")).ids()
    answer = await plugin.batch(
        f"Condition?patient={patient}",
        f"Condition?patient={patient}&_count=7",
        f"Condition?patient.identifier={plugin.identifier}",
        one,
        one,
        f"Patient/{patient}",
        f"Patient?patient={patient}",
    )
    statuses = [entry["response"]["status"] for entry in answer.json["entry"]]
    assert statuses == ["200", "400", "400", "200", "400", "200", "200"]
    again = answer.json["entry"][1]["resource"]["issue"][0]
    assert again["details"]["coding"][0]["code"] == "invalid-request"
    assert "before" in again["details"]["text"]
    assert [refusal["code"] for refusal in world.journal("request.refused")] == ["invalid-request"]


async def test_where_every_source_failed_a_read_in_a_batch_says_that_it_is_not_known(plugin, world):
    (one, *_) = (await plugin.search("Condition")).ids()
    for source in world.organisations.values():
        await source.stop()
    answer = await plugin.batch(one, f"Immunization?patient.identifier={plugin.identifier}")
    said = [entry["resource"]["issue"][0]["details"]["text"] for entry in answer.json["entry"]]
    assert said[0].startswith("The source of this id could not be asked")
    assert said[1].startswith("Nothing was found")


async def test_what_a_role_sees_under_another_heading_alone_is_never_empty(world, plugin_of):
    """Conditions are problems first, and some of them mental health too: who may not see problems sees none."""
    social = plugin_of(world, role_code="R1340")
    answer = await social.search("Condition")
    assert (answer.status, answer.code) == (403, "role-not-permitted")


GET = {"request": {"method": "GET", "url": "Condition"}}
BATCH = {"resourceType": "Bundle", "type": "batch", "entry": [GET]}


@pytest.mark.parametrize(
    ("bundle", "status", "code"),
    [
        (BATCH | {"type": "transaction"}, 400, "not-supported"),
        (BATCH | {"type": "searchset"}, 400, "not-supported"),
        (BATCH | {"resourceType": "Parameters"}, 400, "invalid-request"),
        (BATCH | {"entry": []}, 400, "invalid-request"),
        (BATCH | {"entry": [GET] * 65}, 400, "invalid-request"),
        (BATCH | {"entry": {}}, 400, "invalid-request"),
        (BATCH | {"implicitRules": "x"}, 400, "invalid-request"),
        ([], 400, "invalid-request"),
        (BATCH | {"id": "x" * 70_000}, 413, "too-large"),
    ],
)
async def test_what_is_no_batch_is_refused_and_written_down(plugin, world, bundle, status, code):
    answer = await plugin.post(bundle)
    assert (answer.status, answer.code) == (status, code)
    assert world.nobody_was_asked()
    assert [one["code"] for one in world.journal("request.refused")] == [code]


@pytest.mark.parametrize(
    ("entry", "status"),
    [
        ({"request": {"method": "POST", "url": "Condition"}}, "405"),
        ({"request": {"method": "DELETE", "url": "Condition/1"}}, "405"),
        ({"request": {"method": "GET"}}, "400"),
        ({"request": {"method": "GET", "url": "Condition", "ifNoneMatch": "x"}}, "400"),
        ({"request": {"method": "GET", "url": "https://elsewhere.example/Condition"}}, "400"),
        ({"request": {"method": "GET", "url": "Condition"}, "resource": {}}, "400"),
        ({"request": []}, "400"),
        (7, "400"),
        ({"request": {"method": "GET", "url": "/fhir"}}, "400"),
    ],
)
async def test_an_entry_that_is_no_search_or_read_has_its_own_error(plugin, world, entry, status):
    answer = await plugin.post(BATCH | {"entry": [entry]})
    (one,) = answer.json["entry"]
    assert one["response"]["status"] == status
    assert world.nobody_was_asked()
