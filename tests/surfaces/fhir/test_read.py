"""A read goes home: to the source that the id came from, under the whole plan again."""

from aiohttp import web


async def test_a_read_asks_the_source_it_came_from_and_nobody_else(plugin, world):
    found = await plugin.search("Condition")
    for resource in found.entries():
        world.forget()
        answer = await plugin.ask(f"Condition/{resource['id']}")
        assert (answer.status, answer.json) == (200, resource)
        source = resource["meta"]["source"].rpartition(":")[2]
        assert {one.source for one in world.organisations.values() if one.seen} == {source}
    assert world.journal("lookup.intent")[-1]["surface"] == "fhir"


async def test_the_one_patient_is_read_by_the_sealed_id(plugin):
    (patient,) = (await plugin.search("Patient")).entries()
    answer = await plugin.ask(f"Patient/{patient['id']}")
    assert (answer.status, answer.json) == (200, patient)
    answer = await plugin.ask(f"Patient/{patient['id']}", headers={"Prefer": "partial-results"})
    assert "Preference-Applied" not in answer.headers, "a read is never a part"


async def test_what_accompanies_others_can_be_read_too(plugin, world, house):
    world.hospital.holds(
        {"resourceType": "Location", "id": "7", "name": "Ward 7"},
        house.record("Encounter", "1009", status="finished", location=[{"location": {"reference": "Location/7"}}]),
    )
    (ward,) = (await plugin.search("Encounter")).entries("include")
    answer = await plugin.ask(f"Location/{ward['id']}")
    assert (answer.status, answer.json) == (200, ward)


def _prescribed(house, **medicine):
    """A prescription by reference, at a server that takes no Medication along (it lists no `searchInclude`)."""
    reference = {"reference": "Medication/9"}
    return (
        house.record("MedicationRequest", "2001", status="active", intent="order", medicationReference=reference),
        {"resourceType": "Medication", "id": "9", **medicine},
    )


async def test_the_medicine_of_a_prescription_comes_with_it_and_can_be_read(plugin, world, house):
    world.hospital.holds(*_prescribed(house, code={"text": "Amlodipine 5 mg tablets"}))
    found = await plugin.search("MedicationRequest")
    ((prescription,), (medicine,)) = found.entries(), found.entries("include")
    assert medicine["code"] == {"text": "Amlodipine 5 mg tablets"}
    assert prescription["medicationReference"]["reference"] == f"Medication/{medicine['id']}"
    assert [one.path for one in world.hospital.seen if "/Medication/" in one.path]
    answer = await plugin.ask(f"Medication/{medicine['id']}")
    assert (answer.status, answer.json) == (200, medicine)


async def test_a_prescription_for_a_medicine_that_is_never_shared_is_not_there(plugin, world, house):
    never = {"coding": [{"system": "http://snomed.info/sct", "code": "63487001"}]}
    world.hospital.holds(*_prescribed(house, code=never))
    answer = await plugin.search("MedicationRequest")
    assert (answer.status, answer.json["total"], answer.ids("include")) == (200, 0, [])
    assert "63487001" not in answer.text


async def test_a_prescription_whose_medicine_cannot_be_read_is_not_all_there_is(plugin, world, house):
    async def failing(_request):
        return web.Response(status=500)

    world.hospital.holds(*_prescribed(house))
    world.hospital.moods |= dict.fromkeys(("GET /Medication/9", "POST /Medication/_search"), failing)
    answer = await plugin.search("MedicationRequest", headers={"Prefer": "partial-results"})
    assert (answer.status, len(answer.ids())) == (200, 1)
    assert answer.open == {"RJ1": "truncated"}
    answer = await plugin.search("Condition")
    assert (answer.status, answer.json["total"]) == (200, 3)


async def test_where_medicines_come_along_nothing_more_is_asked(plugin, world, house):
    prescription, medicine = _prescribed(house, code={"text": "Amlodipine 5 mg tablets"})
    world.hospital.holds(prescription, medicine)

    async def with_it(_request):
        entry = [
            {"resource": prescription, "search": {"mode": "match"}},
            {"resource": medicine, "search": {"mode": "include"}},
        ]
        bundle = {"resourceType": "Bundle", "type": "searchset", "total": 1, "entry": entry}
        return web.json_response(bundle, content_type="application/fhir+json")

    world.hospital.moods["POST /MedicationRequest/_search"] = with_it
    found = await plugin.search("MedicationRequest")
    assert len(found.entries("include")) == 1
    assert not [one for one in world.hospital.seen if "/Medication/" in one.path]


async def test_what_is_not_there_any_more_is_not_found(plugin, world):
    (own,) = [one for one in (await plugin.search("Condition")).ids() if "RJ1-epr" in one]
    world.hospital.loses("Condition/1002")
    answer = await plugin.ask(own)
    assert (answer.status, answer.code) == (404, "not-found")
    await world.hospital.stop()
    answer = await plugin.ask(own)
    assert (answer.status, answer.code) == (503, "sources-unavailable")
    assert answer.open == {"RJ1": "unreachable"}
    assert answer.issues[0]["details"]["text"].startswith("The source of this id could not be asked")


async def test_a_patient_of_whom_nobody_could_say_more_than_the_token_is_not_given_as_if_it_were_all(
    open_world, plugin_of, house
):
    who = house.mrs_okafor
    world = await open_world(*house.usual(), identity={who.nhs_number: who.pds(practice="G85001")})
    plugin = plugin_of(world)
    (patient,) = (await plugin.search("Patient")).entries()
    await world.practice.stop()
    whole = await plugin.ask(f"Patient/{patient['id']}")
    assert (whole.status, whole.json) == (200, patient), "whoever else is down says nothing of it"
    await world.practice.revive()
    (world.settings.identity.directory / f"{who.nhs_number}.json").write_text("{nonsense")
    path, search = f"Patient/{patient['id']}", f"Patient?patient={patient['id']}"
    for answer in (await plugin.ask(path), await plugin.ask(search)):
        assert (answer.status, answer.code) == (502, "sources-failed")
        assert answer.issues[0]["details"]["text"].startswith("Whoever would say the patient's name and address")
        assert answer.open[None] == "malformed"
    batch = await plugin.batch(path, search)
    assert [one["response"]["status"] for one in batch.json["entry"]] == ["502", "502"]
    wants = {"Prefer": "partial-results"}
    read, found = await plugin.ask(path, headers=wants), await plugin.ask(search, headers=wants)
    assert (read.status, found.status) == (200, 200)
    assert found.entries() == [read.json]
    assert "demographics-left-out" in found.restrictions
    assert "demographics-left-out" in read.headers["Restrictions"]


async def test_what_bounds_an_answer_is_said_in_the_outcome_and_of_a_read_in_a_header(open_world, plugin_of, house):
    who = house.mrs_okafor
    world = await open_world(*house.usual(), identity={who.nhs_number: who.pds(restricted=True, practice="G85001")})
    hidden, sensitive = plugin_of(world), plugin_of(world, activities=["B1611"])
    found = await hidden.search("Condition")
    issue = found.restrictions["location-hidden"]
    assert (issue["severity"], issue["code"]) == ("information", "suppressed")
    assert "ask the patient" in issue["details"]["text"]
    read = await hidden.ask(found.ids()[0])
    assert (read.status, read.headers["Restrictions"]) == (200, "location-hidden, override-available")
    batch = await hidden.batch(f"Condition?patient.identifier={hidden.identifier}")
    assert batch.headers["Restrictions"] == "location-hidden, override-available"
    assert "POST /lookups" in found.restrictions["override-available"]["details"]["text"]
    assert (await sensitive.search("Condition")).restrictions == {}
    assert "Restrictions" not in (await sensitive.ask(found.ids()[0])).headers


async def test_a_contradiction_is_not_read_by_itself_where_places_are_hidden_either(open_world, plugin_of, house):
    who = house.mrs_okafor
    usual = house.usual()
    usual[0].holds(house.record("AllergyIntolerance", "3001", code="716186003", text="No known allergy"))
    world = await open_world(*usual, identity={who.nhs_number: who.pds(restricted=True, practice="G85001")})
    plugin = plugin_of(world)
    (issue,) = (await plugin.search("DetectedIssue")).ids()
    answer = await plugin.ask(issue)
    assert (answer.status, answer.code) == (400, "not-supported")


async def test_an_id_of_another_type_is_not_found(plugin):
    (own,) = [one for one in (await plugin.search("Condition")).ids() if "RJ1-epr" in one]
    answer = await plugin.ask(own.replace("Condition", "Procedure"))
    assert (answer.status, answer.code) == (404, "not-found")


async def test_an_id_from_another_patients_reply_is_an_id_of_nothing(plugin, world, plugin_of, house):
    ids = [*(await plugin.search("Condition")).ids(), f"Patient/{await plugin.patient_id()}"]
    world.forget()
    begun = len(world.lookups())
    other = plugin_of(world, house.mr_reyes)
    for one in [*ids, "Condition/RJ1-epr.1002", "Condition/1002", "Patient/1000", "Condition/9990000018", "Location/7"]:
        answer = await other.ask(one)
        assert (answer.status, answer.code) == (404, "not-found"), one
        assert "9990000018" not in answer.text
    assert world.nobody_was_asked()
    assert len(world.lookups()) == begun
    assert {one["code"] for one in world.journal("request.refused")} == {"not-found"}


async def test_what_the_broker_says_of_several_is_not_read_by_itself(plugin):
    (link,) = (await plugin.search("AllergyIntolerance")).ids("include")
    answer = await plugin.ask(link)
    assert (answer.status, answer.code) == (400, "not-supported")
    answer = await plugin.ask(f"DetectedIssue/{link.partition('/')[2]}")
    assert (answer.status, answer.code) == (400, "not-supported")


async def test_where_places_are_hidden_a_read_asks_all_and_finds_it(open_world, plugin_of, house):
    who = house.mrs_okafor
    world = await open_world(*house.usual(), identity={who.nhs_number: who.pds(restricted=True, practice="G85001")})
    plugin = plugin_of(world)
    found = await plugin.search("Condition")
    assert "RJ1" not in found.text
    assert found.json["total"] == 3
    for resource in found.entries():
        world.forget()
        answer = await plugin.ask(f"Condition/{resource['id']}")
        assert (answer.status, answer.json) == (200, resource)
        assert all(one.seen for one in world.organisations.values())
    await world.practice.stop()
    world.hospital.loses("Condition/1002")
    answers = [await plugin.ask(f"Condition/{resource['id']}") for resource in found.entries()]
    assert sorted(one.status for one in answers) == [200, 503, 503]
    assert "G85001" not in "".join(one.text for one in answers)


async def test_an_id_given_while_places_were_hidden_is_still_good_for_who_may_see_them(open_world, plugin_of, house):
    who = house.mrs_okafor
    world = await open_world(*house.usual(), identity={who.nhs_number: who.pds(restricted=True, practice="G85001")})
    hidden = await plugin_of(world).search("Condition")
    sensitive = plugin_of(world, activities=["B1611"])
    answers = [await sensitive.ask(one) for one in hidden.ids()]
    assert {one.status for one in answers} == {200}
    assert {one.json["code"]["coding"][0]["code"] for one in answers} == {"38420", "38421", "38422"}
