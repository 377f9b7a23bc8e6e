"""A read goes home: to the source that the id came from, under the whole plan again."""


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


async def test_what_is_not_there_any_more_is_not_found(plugin, world):
    (own,) = [one for one in (await plugin.search("Condition")).ids() if "RJ1-epr" in one]
    world.hospital.loses("Condition/1002")
    answer = await plugin.ask(own)
    assert (answer.status, answer.code) == (404, "not-found")
    await world.hospital.stop()
    answer = await plugin.ask(own)
    assert (answer.status, answer.code) == (503, "sources-unavailable")
    assert answer.open == {"RJ1": "unreachable"}


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
