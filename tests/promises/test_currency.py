"""Seed questions 1 and 2: the record as it is now, or with how old it may be; nothing is answered from memory."""


async def test_each_row_says_how_current_its_source_is(open_world, house, edit):
    """Hazard stale-data-unlabelled."""
    hospital, other, practice = organisations = house.usual()
    edit(practice, 'kind = "fhir-r4"', 'kind = "fhir-r4"\ncurrency = "24h"')
    edit(other, 'kind = "fhir-r4"', 'kind = "fhir-r4"\ncurrency = "30m"')
    doctor = (await open_world(*organisations)).doctor()
    expected = {"RJ1-epr": "live", "RJZ-epr": "up to 30 min old", "G85001-epr": "up to 24 h old"}
    reply = await doctor.look_up(house.mrs_okafor)
    assert {row["source"]: row["currency"] for row in reply.json["sources"]} == expected
    # Of an answer that did not come too: it says how old what is missing would have been.
    await hospital.stop()
    summary = (await doctor.stream(house.mrs_okafor)).events[-1]["data"]
    assert {row["source"]: row["currency"] for row in summary["sources"]} == expected


async def test_what_changed_a_moment_ago_is_in_the_next_reply(open_world, house):
    """Hazard stale-data-unlabelled: nothing clinical is cached, so that every look asks every source."""
    organisations = house.usual()
    world = await open_world(*organisations)
    doctor = world.doctor()
    token = doctor.token(house.mrs_okafor)
    assert len((await doctor.look_up(house.mrs_okafor, token=token)).resources("AllergyIntolerance")) == 3
    world.hospital.loses("AllergyIntolerance/1001")
    world.practice.holds(house.record("AllergyIntolerance", "new", code="91935009", text="Allergy to peanut"))
    world.forget()
    reply = await doctor.look_up(house.mrs_okafor, token=token)
    assert [one["code"]["coding"][0]["code"] for one in reply.resources("AllergyIntolerance")].count("91935009") == 1
    assert reply.sources_of("AllergyIntolerance") == {"RJZ-epr", "G85001-epr"}
    assert all(one.seen for one in organisations)
