"""What is never shared can't be told apart from what never was: the whole way, in reply, stream and journal."""

import json

import pytest

from broker.demo.world import ORGANISATIONS, STORIES
from broker.demo.world import codes as c
from broker.demo.world.records import fill

KEPT_OF_AN_ALLERGY = {
    *("resourceType", "id", "meta", "clinicalStatus", "verificationStatus", "type", "category", "criticality"),
    *("code", "patient", "reaction"),
}
CODES = [f'"{one.code}"' for one in (c.GUM_SERVICE, c.GUM_CLINIC, c.MICROSCOPY)]
WORDS = ("Burrell", "Genitourinary", "2026-09-0", "2026-09-10", *CODES)


def of_mr_reyes(house):
    """What the hospital of the demo world holds of him, and which of it hangs on the clinic."""
    trust = next(one for one in ORGANISATIONS if one.ods_code == "RJ1")
    records = fill(trust, trust.sites[0], STORIES)
    (patient,) = records.patients(house.nhs, house.mr_reyes.nhs_number)
    names = [*records.members[patient.removeprefix("Patient/")]]
    names += [name for name in records.resources if name.startswith(("Organization/", "Practitioner/"))]
    held = {name: records.resources[name] for name in names}
    of_the_clinic = [
        name
        for name, one in held.items()
        if not name.startswith("AllergyIntolerance/") and any(word in json.dumps(one) for word in WORDS)
    ]
    return held, of_the_clinic


def bare(allergy):
    """As if it had been written down without saying where and when."""
    return {element: value for element, value in allergy.items() if element in KEPT_OF_AN_ALLERGY - {"meta"}}


HABITS = {
    "everything": {"everything": True, "links": "base"},
    "searches": {},
    "a batch": {"batch": True},
    "references of the whole form": {"references": "absolute", "post": False},
    "references by urn": {"everything": True, "references": "urn"},
}


@pytest.mark.parametrize(
    "excluded", [("sexual-health",), ()], ids=["a trust that says it runs one", "one that does not"]
)
@pytest.mark.parametrize("habits", HABITS.values(), ids=HABITS.keys())
async def test_a_record_with_and_without_the_clinic_gives_equal_replies_streams_and_records(
    open_world, house, habits, excluded
):
    """Seed question 5; hazards excluded-visit-leaks, leak-round-the-side, presence-shown-by-silence."""
    held, of_the_clinic = of_mr_reyes(house)
    assert len(of_the_clinic) >= 6
    hospital = house.Organisation("RJ1", excluded=excluded, **habits).holds(*held.values())
    identity = {house.mr_reyes.nhs_number: house.mr_reyes.pds()}
    world = await open_world(hospital, identity=identity)
    doctor = world.doctor()
    token = doctor.token(house.mr_reyes)

    async def told():
        before = len(world.journal())
        whole = await doctor.look_up(house.mr_reyes, token=token)
        some = await doctor.look_up(house.mr_reyes, token=token, categories=["results", "documents", "allergies"])
        stream = await doctor.stream(house.mr_reyes, token=token)
        await house.eventually(lambda: world.journal()[-1]["event"] == "lookup.delivered")
        for reply in (whole, some, stream):
            assert reply.status == 200
            for word in WORDS:
                assert word not in reply.text
        return whole, [whole.json, some.json, stream.events, world.journal()[before:]]

    reply, with_clinic = await told()
    assert reply.complete
    assert reply.resources("AllergyIntolerance")
    assert reply.resources("Encounter")
    hospital.loses(*of_the_clinic)
    hospital.holds(*(bare(one) for one in held.values() if one["resourceType"] == "AllergyIntolerance"))
    _, without = await told()
    for one, other in zip(with_clinic, without, strict=True):
        assert house.plain(one) == house.plain(other)


async def test_the_allergy_noted_there_is_shown_and_says_nothing_of_where(open_world, house):
    """Hazard allergy-lost-to-an-exclusion."""
    held, _ = of_mr_reyes(house)
    world = await open_world(house.Organisation("RJ1", excluded=("sexual-health",)).holds(*held.values()))
    reply = await world.doctor().look_up(house.mr_reyes, categories=["allergies"])
    (latex,) = reply.resources("AllergyIntolerance")
    assert latex["criticality"] == "high"
    assert latex["reaction"]
    assert set(latex) <= KEPT_OF_AN_ALLERGY


async def test_the_same_sentence_stands_in_every_reply(world, doctor, house):
    """Hazard presence-shown-by-silence."""
    said = {(await doctor.look_up(patient)).json["statement"] for patient in (house.mrs_okafor, house.mr_reyes)}
    assert said == {"Some kinds of information are never shared here. Ask the patient."}
