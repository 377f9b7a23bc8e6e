"""Only those who care for the patient: as the token asserts it, their own record confirms it, or they declare it."""

import json
from datetime import UTC, datetime, timedelta

import pytest

RECENTLY = (datetime.now(UTC) - timedelta(days=30)).date().isoformat()
ODS = "https://fhir.nhs.uk/Id/ods-organization-code"

DECLARED = {"basis": "self-declared", "reason": "She is on my ward round in an hour."}


@pytest.fixture
def bare(doctor, world):
    """A token with the patient in context, of which nobody says that they are cared for here."""
    return doctor.token(world.mrs_okafor, relationship=None)


@pytest.mark.parametrize(
    ("kind", "more", "basis"),
    [
        ("Encounter", {"status": "in-progress"}, "encounter"),
        ("Encounter", {"status": "arrived"}, "encounter"),
        ("ServiceRequest", {"status": "active", "intent": "order"}, "referral"),
        ("EpisodeOfCare", {"status": "active"}, "caseload"),
        ("EpisodeOfCare", {"status": "active", "period": {"start": "2020-01-01", "end": "2099-01-01"}}, "caseload"),
        ("Encounter", {"status": "in-progress", "period": {"start": RECENTLY}}, "encounter"),
        ("ServiceRequest", {"status": "active", "intent": "order", "authoredOn": RECENTLY}, "referral"),
        (
            "ServiceRequest",
            {"status": "active", "intent": "order", "authoredOn": "2009-01-01", "occurrenceDateTime": "2099-01"},
            "referral",
        ),
    ],
)
async def test_what_goes_on_at_the_readers_own_organisation_confirms_it(world, doctor, house, bare, kind, more, basis):
    """Question 24."""
    owner = {"patient": {"reference": "Patient/1000"}} if kind == "EpisodeOfCare" else {}
    world.hospital.holds(house.record(kind, "9001", **owner, **more))
    reply = await doctor.look_up(world.mrs_okafor, token=bare)
    assert reply.complete
    (intent,), (plan,) = world.journal("lookup.intent"), world.journal("lookup.plan")
    assert intent["relationship"] is None
    assert plan["relationship"] == {"basis": basis, "reference": None, "evidence": "confirmed", "reason": None}
    assert world.journal("alert.raised") == []


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("Encounter", {"status": "finished"}),
        ("Encounter", {"status": "planned"}),
        ("Encounter", {"status": "in-progress", "period": {"end": "2009-05-01"}}),
        ("ServiceRequest", {"status": "completed", "intent": "order"}),
        ("ServiceRequest", {"status": "active", "intent": "proposal"}),
        ("EpisodeOfCare", {"status": "finished"}),
        ("EpisodeOfCare", {"status": "active", "period": {"start": "2099-01-01"}}),
        ("CareTeam", {"status": "active", "period": {"start": "2099"}}),
        ("Encounter", {"status": "in-progress", "period": {"start": "2099-01-01"}}),
        ("Encounter", {"status": "in-progress", "period": {"start": "2009-01-01"}}),
        ("ServiceRequest", {"status": "active", "intent": "order", "authoredOn": "2009-01-01"}),
        ("ServiceRequest", {"status": "active", "intent": "order", "occurrencePeriod": {"start": "2009-02"}}),
        ("Condition", {}),
    ],
)
async def test_an_old_record_confirms_nothing_and_nobody_else_is_asked(world, doctor, house, bare, kind, more):
    owner = {"patient": {"reference": "Patient/1000"}} if kind == "EpisodeOfCare" else {}
    world.hospital.holds(house.record(kind, "9001", **owner, **more))
    reply = await doctor.look_up(world.mrs_okafor, token=bare)
    assert (reply.status, reply.code) == (403, "relationship-needed")
    assert world.hospital.seen
    assert world.other_hospital.seen == world.practice.seen == []
    (outcome,) = world.journal("lookup.outcome")
    assert (outcome["outcome"], outcome["code"]) == ("refused", "relationship-needed")


async def test_what_is_never_shared_confirms_nothing(world, doctor, house, bare):
    """Hazard exclusion-shows: an answer would tell that it is there."""
    label = [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "STD"}]
    world.hospital.holds(house.record("Encounter", "9001", status="in-progress", meta={"security": label}))
    assert (await doctor.look_up(world.mrs_okafor, token=bare)).code == "relationship-needed"


async def test_another_patients_encounter_confirms_nothing(world, doctor, house, bare):
    world.hospital.holds(house.mr_reyes.at("2000"), house.record("Encounter", "9001", of="2000", status="in-progress"))
    assert (await doctor.look_up(world.mrs_okafor, token=bare)).code == "relationship-needed"


async def test_where_the_own_source_is_down_it_is_not_confirmed(world, doctor, house, bare):
    await world.hospital.stop()
    assert (await doctor.look_up(world.mrs_okafor, token=bare)).code == "relationship-needed"
    assert world.practice.seen == []


async def test_a_practice_is_confirmed_by_the_identity_service_or_its_own_patient(open_world, house):
    who = house.mrs_okafor
    world = await open_world(*house.usual(), identity={who.nhs_number: who.pds(practice="G85001")})
    gp = world.doctor("G85001")
    assert (await gp.look_up(who, token=gp.token(who, relationship=None))).status == 200
    assert world.journal("lookup.plan")[-1]["relationship"]["basis"] == "registration"
    hospital = world.doctor()
    refused = await hospital.look_up(who, token=hospital.token(who, relationship=None))
    assert refused.code == "relationship-needed"


def at_practice(code, **more):
    return {"identifier": {"system": ODS, "value": code, **more}}


@pytest.mark.parametrize(
    ("patient", "status"),
    [
        ({"generalPractitioner": [at_practice("G85001")]}, 200),
        ({"generalPractitioner": [at_practice("G85001", period={"start": "2020-01-01"})]}, 200),
        ({"generalPractitioner": [at_practice("G85001", period={"end": "2020-01-01"})]}, 403),
        ({"generalPractitioner": [at_practice("G85001")], "active": False}, 403),
        ({"generalPractitioner": [at_practice("G85002")]}, 403),
        ({"managingOrganization": at_practice("G85001")}, 403),
        ({}, 403),
    ],
)
async def test_a_practices_own_patient_confirms_it_where_it_is_registered_there_now(world, house, patient, status):
    """The practice that manages a record keeps it, long after the patient has left."""
    who = world.mrs_okafor
    gp = world.doctor("G85001")
    world.practice.holds(who.at("1000", **patient))
    assert (await gp.look_up(who, token=gp.token(who, relationship=None))).status == status


async def test_a_practice_that_the_identity_service_does_not_name_is_not_confirmed_by_its_own_patient(
    open_world, house
):
    who = house.mrs_okafor
    organisations = [*house.usual(), house.Organisation("G85002", "gp-practice", name="New Practice")]
    organisations[3].holds(who.at("1000"))
    organisations[2].holds(who.at("1000", generalPractitioner=[at_practice("G85001")]))
    world = await open_world(*organisations, identity={who.nhs_number: who.pds(practice="G85002")})
    gp = world.doctor("G85001")
    token = gp.token(who, relationship=None)
    assert (await gp.look_up(who, token=token)).code == "relationship-needed"
    episode = house.record("EpisodeOfCare", "9001", status="active", patient={"reference": "Patient/1000"})
    organisations[2].holds(episode)
    assert (await gp.look_up(who, token=token)).status == 200


async def test_on_fhir_it_is_the_same(world, doctor, house, bare):
    headers = {"Authorization": f"Bearer {bare}"}
    sealed = (await doctor.look_up(world.mrs_okafor)).json["patient"]["id"]
    world.forget()
    url = f"{world.address}/fhir/Condition?patient={sealed}"
    async with world.session.get(url, headers=headers) as answer:
        assert answer.status == 403
    assert world.practice.seen == []
    world.hospital.holds(house.record("Encounter", "9001", status="in-progress"))
    async with world.session.get(url, headers=headers) as answer:
        assert (answer.status, (await answer.json())["total"]) == (200, 3)


@pytest.mark.parametrize("known", [True, False])
async def test_a_reader_may_declare_it_and_the_privacy_officer_hears(world, doctor, known):
    claims = {"relationship": None} if known else {}
    token = doctor.token(world.mrs_okafor if known else None, **claims)
    reply = await doctor.look_up(world.mrs_okafor, token=token, relationship=DECLARED)
    assert reply.complete
    (alert,) = world.journal("alert.raised")
    assert (alert["kind"], alert["to"]) == ("relationship-self-declared", ["RJ1"])
    (intent,) = world.journal("lookup.intent")
    stated = intent["relationship"]
    assert (stated["basis"], stated["evidence"], stated["reference"]) == ("self-declared", "declared", None)
    assert stated["reason"]
    assert "ward round" not in json.dumps(world.journal())


async def test_an_encounter_that_is_over_tells_somebody_and_stops_nothing(world, doctor):
    """The usual encounter of the hospital, 1003, is finished."""
    for reference in ("1003", "Encounter/1003", "https://ehr.rj1.example/fhir/Encounter/1003"):
        token = doctor.token(world.mrs_okafor, reference=reference)
        assert (await doctor.look_up(world.mrs_okafor, token=token)).complete
    alerts = world.journal("alert.raised")
    assert [(one["kind"], one["to"], one["source"]) for one in alerts] == 3 * [
        ("relationship-contradicted", ["RJ1"], "RJ1-epr")
    ]
    for silent in ("Encounter/9999", "Condition/1003", "another-system/1003"):
        token = doctor.token(world.mrs_okafor, reference=silent)
        assert (await doctor.look_up(world.mrs_okafor, token=token)).complete
    assert len(world.journal("alert.raised")) == 3


async def test_a_source_that_answers_about_somebody_else_is_told_to_those_who_answer_for_it(world, doctor, house):
    """Hazard wrong-patient."""
    subject = {
        "reference": "Patient/1000",
        "identifier": {"system": house.nhs, "value": house.mr_reyes.nhs_number},
    }
    world.other_hospital.holds(house.record("Condition", "8001", subject=subject))
    reply = await doctor.look_up(world.mrs_okafor)
    assert reply.rows["RJZ-epr"] == "wrong-patient"
    (alert,) = world.journal("alert.raised")
    assert (alert["kind"], alert["to"], alert["source"]) == ("wrong-patient", ["QKK", "RJZ"], "RJZ-epr")
