"""Seed question 5: sexual health clinics, fertility treatment and gender reassignment are not included."""

import pytest

from broker.errors import ConfigurationError
from broker.lookup.rows import RUNS_EXCLUDED
from broker.registry import Registry
from broker.settings import load

CLINICS = {
    "a sexual health clinic": {"serviceType": "788122004"},
    "fertility treatment": {"type": "63487001"},
    "a gender clinic": {"serviceType": "896974005"},
}


ORDINARY = {"serviceType": "183523001"}


def attendance(house, coded, clinic):
    """At this clinic, with what was found, measured, reported and written there."""
    at = {"encounter": {"reference": "Encounter/clinic"}}
    kind = {element: [coded(code)] if element == "type" else coded(code) for element, code in clinic.items()}
    return (
        house.record("Encounter", "clinic", status="finished", **kind),
        house.record("Condition", "found", code="195967001", text="Found there", **at),
        house.record("Observation", "result", code="664-3", text="Result of there", status="final", **at),
        house.record("DocumentReference", "letter", text="Letter of there", context={"encounter": [at["encounter"]]}),
        house.record("DiagnosticReport", "report", result=[{"reference": "Observation/result"}]),
    )


@pytest.mark.parametrize("clinic", CLINICS.values(), ids=CLINICS)
@pytest.mark.parametrize("says", [True, False], ids=["where it says that it runs one", "where it does not"])
async def test_an_attendance_and_all_that_came_of_it_leave_no_trace(open_world, house, coded, clinic, says):
    """Hazards excluded-visit-leaks and leak-round-the-side: the reply is that of somebody who never went."""
    hospital, *others = house.usual()
    hospital.excluded = ("sexual-health", "fertility", "gender") if says else ()
    kept = dict(hospital.resources)
    world = await open_world(hospital, *others)
    doctor = world.doctor()
    token = doctor.token(house.mrs_okafor)
    hospital.holds(*attendance(house, coded, clinic))
    went = await doctor.look_up(house.mrs_okafor, token=token)
    hospital.holds(*attendance(house, coded, ORDINARY))
    elsewhere = await doctor.look_up(house.mrs_okafor, token=token)
    hospital.resources = kept
    never = await doctor.look_up(house.mrs_okafor, token=token)
    assert went.complete
    assert house.plain(went.json) == house.plain(never.json)
    for name in ("clinic", "found", "result", "report"):
        assert f"RJ1-epr.{name}." in elsewhere.text
        assert f"RJ1-epr.{name}." not in went.text


async def test_a_service_that_is_wholly_excluded_has_no_place_among_those_asked(tmp_path, house):
    """Hazard excluded-visit-leaks: there is no kind of organisation for it."""
    clinic = house.Organisation("RX9", "sexual-health")
    settings = load(house.write(tmp_path / "broker", [clinic]), {})
    with pytest.raises(ConfigurationError, match="service_type"):
        Registry.load(settings.organisations.directory, settings=settings)
    await clinic.close()


def letter(house, local_id, *, kind=None, service=None, **more):
    named = {"resourceType": "DocumentReference", "id": local_id, "status": "current"}
    named |= {"subject": {"reference": "Patient/1000"}, "content": [{"attachment": {"title": f"Letter {local_id}"}}]}
    named |= {"type": kind} if kind else {}
    return named | {"context": ({"practiceSetting": service} if service else {}) | more}


async def test_letters_that_cannot_be_told_apart_are_left_out_and_every_patient_is_told_so(open_world, house, coded):
    """Hazard free-text-unscreened: what is left out is said in the same words for a patient who has no letter."""
    function = "https://fhir.nhs.uk/CodeSystem/NHSDataModelAndDictionary-treatment-function"
    kind, service = coded("823691000000103", "Clinical letter"), coded("320", "Cardiology", function)
    clinic = coded("360", "Genitourinary Medicine", function)
    runs, other, _ = organisations = house.usual()
    runs.excluded = ("sexual-health",)
    for one in (runs, other):
        one.holds(
            letter(house, "coded", kind=kind, service=service),
            letter(house, "without-a-type", service=service),
            letter(house, "without-a-service", kind=kind),
            letter(house, "without-either"),
            letter(house, "of-the-clinic", kind=kind, service=clinic),
        )
    doctor = (await open_world(*organisations)).doctor()
    reply = await doctor.look_up(house.mrs_okafor)
    letters = {one["id"].rpartition(".")[0] for one in reply.resources("DocumentReference")}
    assert letters == {"RJ1-epr.coded"} | {
        f"RJZ-epr.{name}" for name in ("coded", "without-a-type", "without-a-service", "without-either")
    }
    assert "of-the-clinic" not in reply.text
    nobody = await doctor.look_up(house.mr_reyes)
    for said in (reply, nobody):
        assert RUNS_EXCLUDED in said.row("RJ1-epr")["notes"]
        assert RUNS_EXCLUDED not in said.row("RJZ-epr").get("notes", [])
    assert reply.category("RJ1-epr", "documents") == "answered"
    assert nobody.category("RJ1-epr", "documents") == "no-record-found"


async def test_narrative_never_leaves_and_that_letters_are_not_read_here_is_said_to_patients(open_world, house):
    """Hazard free-text-unscreened: what remains is said, not hidden."""
    organisations = house.usual()
    div = "<div xmlns='http://www.w3.org/1999/xhtml'>seen at the clinic</div>"
    organisations[0].holds(
        house.record("Condition", "c", text="Asthma") | {"text": {"status": "generated", "div": div}}
    )
    world = await open_world(*organisations)
    reply = await world.doctor().look_up(house.mrs_okafor)
    assert "RJ1-epr.c." in reply.text
    assert "seen at the clinic" not in reply.text
    async with world.session.get(f"{world.address}/about") as about:
        said = (await about.json())["never_shared"]
    assert "sexual health clinics, fertility treatment, and records about gender reassignment" in said
    assert "free text are screened only by the organisation that wrote them" in said


async def test_who_somebody_was_before_is_in_no_reply(open_world, house):
    """Hazard gender-history-shown: an old name, another number, another sex, at the service and at the sources."""
    was = house.Patient("9990000069", house.mrs_okafor.birth_date, "Formerly")
    names = [{"use": "old", "family": "Formerly", "given": ["Adam"]}, {"use": "official", "family": "Okafor"}]
    hospital, other, practice = organisations = house.usual()
    numbers = [{"system": house.nhs, "value": each.nhs_number} for each in (house.mrs_okafor, was)]
    numbers[1]["use"] = "old"
    hospital.holds(house.mrs_okafor.at("1000", name=names, gender="male", identifier=numbers))
    other.holds(was.at("1000", gender="male", name=[{"family": "Formerly", "prefix": ["Mr"]}]))
    practice.holds(house.mrs_okafor.at("1000", gender="female"))
    current = house.mrs_okafor.pds(gender="female")
    current["name"] = [*current["name"], {"use": "old", "family": "Formerly", "period": {"end": "2001-01-01"}}]
    identity = {house.mrs_okafor.nhs_number: current, was.nhs_number: current}
    world = await open_world(*organisations, identity=identity)
    for ask in (world.doctor().look_up, world.doctor().stream):
        reply = await ask(house.mrs_okafor)
        assert reply.status == 200
        assert "RJ1-epr.1001" in reply.text
        for word in ("Formerly", "Adam", was.nhs_number, '"male"', '"old"', '"Mr"'):
            assert word not in reply.text, word
    reply = await world.doctor().look_up(house.mrs_okafor)
    assert reply.rows["RJZ-epr"] == "answered", "what is held under the number of before is still found"
    assert len(reply.resources("Patient")) == 1
