"""A category that the patient objects to being shared is kept back with all that would show it, and nothing else."""

import pytest

SNOMED = "http://snomed.info/sct"
PATIENT = {"reference": "Patient/p1"}
ASTHMA = {"coding": [{"system": SNOMED, "code": "195967001"}]}
DEPRESSION = {"coding": [{"system": SNOMED, "code": "35489007"}]}


def make(kind, id_, **more):
    owner = "patient" if kind == "AllergyIntolerance" else "subject"
    return {"resourceType": kind, "id": id_, owner: PATIENT} | more


def ref(to):
    return {"reference": to}


RECORD = [
    make("Condition", "low", code=DEPRESSION),
    make("Condition", "asthma", code=ASTHMA),
    make("MedicationRequest", "for-low", medicationCodeableConcept=ASTHMA, reasonReference=[ref("Condition/low")]),
    make("MedicationRequest", "inhaler", medicationCodeableConcept=ASTHMA, reasonReference=[ref("Condition/asthma")]),
    make("Encounter", "visit", reasonReference=[ref("Condition/low"), ref("Condition/asthma")]),
    make("AllergyIntolerance", "nuts", code=ASTHMA, encounter=ref("Encounter/visit")),
]
ALL = {(one["resourceType"], one["id"]) for one in RECORD}


async def test_what_the_patient_objects_to_goes_with_what_depends_on_it_and_nothing_else(judging):
    """Seed question 13; hazard objection-ignored."""
    seen = await judging.judge(RECORD, objected=["mental-health"])
    assert ALL - seen.ids == {("Condition", "low"), ("MedicationRequest", "for-low")}
    assert seen.by_id["visit"]["reasonReference"] == [{"reference": "Condition/" + seen.by_id["asthma"]["id"]}]
    assert seen.statuses["mental-health"] == "withheld"
    assert seen.statuses["allergies"] == "answered"


async def test_an_objection_to_a_home_category_keeps_back_all_of_it(judging):
    seen = await judging.judge(RECORD, objected=["medications"], asked=["medications", "problems", "allergies"])
    assert seen.ids == {("Condition", "low"), ("Condition", "asthma"), ("AllergyIntolerance", "nuts")}
    assert seen.statuses == {"medications": "withheld", "problems": "answered", "allergies": "answered"}


async def test_an_allergy_noted_at_what_is_objected_to_stays(judging):
    seen = await judging.judge(RECORD, objected=["encounters"], asked=["allergies", "encounters"])
    assert seen.ids == {("AllergyIntolerance", "nuts")}
    assert "encounter" not in seen.by_id["nuts"]


async def test_it_is_judged_on_what_exclusions_leave_so_that_it_shows_none(judging):
    both = {"coding": [*DEPRESSION["coding"], {"system": SNOMED, "code": "93461009"}]}
    seen = await judging.judge([make("Condition", "c", code=both)], objected=["mental-health"])
    assert seen.statuses["mental-health"] == seen.statuses["problems"] == "no-record-found"


VERY_RESTRICTED = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "V"}]}
FOUND_THERE = [
    make("Encounter", "visit", episodeOfCare=[ref("EpisodeOfCare/stay")], appointment=[ref("Appointment/booked")]),
    make("EpisodeOfCare", "stay") | {"patient": PATIENT},
    make("Appointment", "booked", participant=[{"actor": PATIENT, "status": "accepted"}]),
    make("AllergyIntolerance", "nuts", code=ASTHMA, encounter=ref("Encounter/visit"), note=[{"text": "anaphylaxis"}]),
    make("Condition", "asthma", code=ASTHMA, encounter=ref("Encounter/visit")),
    make("MedicationRequest", "inhaler", medicationCodeableConcept=ASTHMA, encounter=ref("Encounter/visit")),
    make("Observation", "peak-flow", status="final", code=ASTHMA, encounter=ref("Encounter/visit")),
]


@pytest.mark.parametrize(
    ("objected", "service", "gone"),
    [
        ("encounters", "acute", {"visit", "stay"}),
        ("appointments", "acute", {"booked", "visit"}),
        ("mental-health", "mental-health", {"visit", "stay", "booked", "asthma"}),
    ],
)
async def test_what_was_found_at_an_attendance_that_is_objected_to_is_judged_by_itself(
    judging, objected, service, gone
):
    """Nobody loses an allergy for not wanting it shown that they were seen."""
    seen = await judging.judge(FOUND_THERE, objected=[objected], service=service)
    assert {one["id"] for one in FOUND_THERE} - seen.by_id.keys() == gone
    assert seen.by_id["nuts"]["note"] == [{"text": "anaphylaxis"}]
    for one in seen.by_id.values():
        assert "encounter" not in one
        assert "episodeOfCare" not in one


async def test_a_label_on_an_attendance_takes_what_was_found_there_whatever_is_objected_to(judging):
    labelled = [FOUND_THERE[0] | {"meta": VERY_RESTRICTED}, *FOUND_THERE[1:]]
    for objected in ([], ["encounters"], ["encounters", "appointments"]):
        seen = await judging.judge(labelled, objected=objected, role="nurse")
        assert not seen.by_id.keys() & {"visit", "booked", "asthma", "inhaler", "peak-flow"}
        assert "note" not in seen.by_id["nuts"]
        assert "peak-flow" in (await judging.judge(FOUND_THERE, objected=objected, role="nurse")).by_id


@pytest.mark.parametrize("more", [{"own": "RJ1"}, {"override": True}])
async def test_the_readers_own_record_and_an_override_are_not_bound_by_it(judging, more):
    seen = await judging.judge(RECORD, objected=["mental-health", "medications"], **more)
    assert seen.ids == ALL


async def test_an_objection_to_what_is_not_there_changes_nothing_that_is_released(judging):
    some = [one for one in RECORD if one["id"] not in ("low", "for-low", "visit")]
    with_it = await judging.judge(some, objected=["mental-health"])
    without = await judging.judge(some)
    assert with_it.bytes == without.bytes
