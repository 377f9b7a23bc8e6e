"""Seed questions 6, 8, 18, 20 and 21: which organisations take part, on what agreement, and who is included."""

import pytest

KINDS = {
    "RJ1": ("acute", "south-east-london"),
    "G85001": ("gp-practice", "south-east-london"),
    "RYX": ("community", "north-west-london"),
    "Y09001": ("urgent-care", "north-central-london"),
    "710": ("social-care", "south-east-london"),
    "RV5": ("mental-health", "south-east-london"),
    "RD8": ("acute", "milton-keynes"),
}


async def test_every_kind_of_organisation_of_every_region_is_in_one_view(open_world, house, edit):
    """Seed questions 6 and 8: practices, hospitals, community, out of hours, social care, mental health, beyond London."""
    organisations = [house.Organisation(code, kind) for code, (kind, _) in KINDS.items()]
    for one in organisations:
        edit(one, "south-east-london", KINDS[one.code][1])
        one.holds(house.mrs_okafor.at("1000"), house.record("Condition", f"of-{one.code.lower()}"))
    reply = await (await open_world(*organisations)).doctor().look_up(house.mrs_okafor)
    assert reply.complete
    assert {row["organisation"]: row["service_type"] for row in reply.json["sources"]} == {
        code: kind for code, (kind, _) in KINDS.items()
    }
    assert reply.sources_of("Condition") == {f"{code}-epr" for code in KINDS}
    assert len(reply.resources("Patient")) == 1


async def test_whoever_is_registered_or_was_treated_is_included_without_asking_to_be(open_world, house):
    """Seed question 21: the practice that the identity service names, and every other organisation that takes part."""
    organisations = [*house.usual(), house.Organisation("F84016", "gp-practice")]
    pds = house.mrs_okafor.pds(practice="G85001")
    world = await open_world(*organisations, identity={house.mrs_okafor.nhs_number: pds})
    reply = await world.doctor().look_up(house.mrs_okafor)
    assert reply.complete
    assert reply.sources_of("Condition") == {"RJ1-epr", "RJZ-epr", "G85001-epr"}
    assert world["F84016"].seen == [], "a practice that is not hers learns nothing of her"


async def test_where_the_practice_takes_no_part_that_is_said_and_the_hospitals_still_answer(open_world, house):
    """Seed question 21; hazard absence-taken-for-nothing."""
    organisations = house.usual()
    pds = house.mrs_okafor.pds(practice="Y00001")
    world = await open_world(*organisations, identity={house.mrs_okafor.nhs_number: pds})
    reply = await world.doctor().look_up(house.mrs_okafor)
    statuses = [row["status"] for row in reply.json["sources"] if row["service_type"] != "identity"]
    assert sorted(statuses) == ["answered", "answered", "practice-not-asked"]
    assert not reply.complete
    assert world.practice.seen == []


@pytest.mark.parametrize("agreement", ["isa_expires", "dspt_expires"])
async def test_each_agreement_alone_keeps_reader_and_source_out_once_it_has_run_out(open_world, house, edit, agreement):
    """Seed question 20; hazard agreement-lapsed-and-still-sharing: the sharing agreement and the DSP Toolkit."""
    organisations = house.usual()
    edit(organisations[1], f"{agreement} = 2099-03-31", f"{agreement} = 2026-01-31")
    world = await open_world(*organisations)
    refused = await world.doctor("RJZ").look_up(house.mrs_okafor)
    assert (refused.status, refused.code) == (403, "organisation-not-taking-part")
    reply = await world.doctor("RJ1").look_up(house.mrs_okafor)
    assert reply.rows["RJZ-epr"] == "agreement-lapsed"
    assert not reply.complete
    assert world.other_hospital.seen == []
