"""A patient in hiding is not found through the record."""

import asyncio
import json
import re

import pytest

ADDRESS = {"use": "home", "line": ["7 Hidden Mews"], "postalCode": "SE1 0XX"}
PHONE = {"system": "phone", "value": "020 7946 0777"}
HOME = ("Hidden Mews", "SE1 0XX", "7946 0777")
CODES = ("RJ1", "RJZ")
PLACES = ("Harbour Hospital", "Lantern Hospital", "Ward Seven", "Nurse Nightingale", "0207-FAX")
DIGEST = re.compile(r"[A-Za-z0-9]{32}\.[A-Za-z0-9]{8}")
RESTRICTED = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]}


def hospital(house, code, name, **patient):
    """A hospital that wrote its own name and the patient's address wherever FHIR has a place for them."""
    at = {"reference": "Organization/here", "display": name}
    return house.Organisation(code, name=name).holds(
        house.mrs_okafor.at(
            "1000",
            **{"address": [ADDRESS], "telecom": [PHONE], "managingOrganization": at, "contact": [{"address": ADDRESS}]}
            | patient,
        ),
        {"resourceType": "Organization", "id": "here", "name": name, "telecom": [{"value": "0207-FAX"}]},
        {"resourceType": "Location", "id": "ward", "name": "Ward Seven", "managingOrganization": at},
        {"resourceType": "Practitioner", "id": "nurse", "name": [{"text": "Nurse Nightingale"}]},
        {
            "resourceType": "RelatedPerson",
            "id": "son",
            "patient": {"reference": "Patient/1000"},
            "address": [ADDRESS],
            "telecom": [PHONE],
        },
        house.record(
            "Encounter",
            "visit",
            status="finished",
            serviceProvider=at,
            location=[{"location": {"reference": "Location/ward", "display": "Ward Seven"}}],
            participant=[{"individual": {"reference": "Practitioner/nurse", "display": "Nurse Nightingale"}}],
            identifier=[{"system": f"https://{code.lower()}.example/visits", "value": "1", "assigner": at}],
        ),
        house.record(
            "AllergyIntolerance",
            "1001",
            code="91936005",
            recorder={"reference": "Practitioner/nurse", "display": "Nurse Nightingale"},
            encounter={"reference": "Encounter/visit"},
        ),
        house.record("Condition", "gout", code="90560007", recorder={"reference": "Practitioner/nurse"}),
    )


@pytest.fixture
def hospitals(house):
    return [hospital(house, "RJ1", "Harbour Hospital"), hospital(house, "RJZ", "Lantern Hospital")]


async def test_of_a_restricted_patient_neither_home_nor_place_of_care_is_shown(open_world, house, hospitals):
    """Hazard restricted-patient-located."""
    pds = house.mrs_okafor.pds(restricted=True, practice="G85001", address=[ADDRESS], telecom=[PHONE])
    world = await open_world(*hospitals, identity={house.mrs_okafor.nhs_number: pds})
    doctor = world.doctor()
    reply = await doctor.look_up(house.mrs_okafor)
    stream = await doctor.stream(house.mrs_okafor)
    for one in (reply, stream):
        assert one.status == 200
        for word in (*HOME, *PLACES, *CODES, "G85001"):
            assert word not in one.text, word
    rows = [row for row in reply.json["sources"] if row["service_type"] == "acute"]
    assert [(row["source"], row["organisation"]) for row in rows] == [("acute-1", None), ("acute-2", None)]
    assert {row["status"] for row in rows} == {"answered"}
    assert reply.json["restrictions"]["location_hidden"] is True
    assert len(reply.resources("AllergyIntolerance")) == 2
    for one in reply.resources():
        if one["resourceType"] not in {"Patient", "Linkage", "DetectedIssue"}:
            assert DIGEST.fullmatch(one["id"])
            assert one["meta"]["source"] == "urn:care-record-broker:source:acute"
            assert "tag" not in one["meta"]
    assert not {"Organization", "Location", "Practitioner"} & {one["resourceType"] for one in reply.resources()}
    # The journal is for those who answer for it: it says where.
    assert {row["source"] for row in world.journal("lookup.outcome")[0]["sources"]} >= {"RJ1-epr", "RJZ-epr"}


def prescription(house, status):
    return [
        house.record("MedicationRequest", "2001", status=status, intent="order")
        | {"medicationReference": {"reference": "Medication/m", "display": "Amlodipine"}},
        {
            "resourceType": "Medication",
            "id": "m",
            "code": {"coding": [{"system": "http://snomed.info/sct", "code": "376689003", "display": "Amlodipine"}]},
            "manufacturer": {"display": "Lantern Hospital"},
        },
    ]


async def test_that_two_services_contradict_each_other_is_said_of_a_restricted_patient_by_the_numbers_of_their_rows(
    open_world, house, hospitals
):
    """Hazard restricted-patient-located: and what is prescribed still shows, with what is against it."""
    for one, status in zip(hospitals, ("active", "stopped"), strict=True):
        one.holds(*prescription(house, status))
    world = await open_world(*hospitals, identity={house.mrs_okafor.nhs_number: house.mrs_okafor.pds(restricted=True)})
    reply = await world.doctor().look_up(house.mrs_okafor)
    for word in (*PLACES, *CODES):
        assert word not in reply.text
    medicines = {f"Medication/{one['id']}" for one in reply.resources("Medication")}
    orders = reply.resources("MedicationRequest")
    assert {one["medicationReference"]["reference"] for one in orders} == medicines
    assert len(orders) == len(medicines) == 2
    (issue,) = reply.resources("DetectedIssue")
    told = re.fullmatch(
        r"Amlodipine: recorded as active at an acute hospital \(acute-(\d)\), and as stopped at an acute hospital "
        r"\(acute-(\d)\)\. Check with the prescribers, and ask the patient\.",
        issue["detail"],
    )
    assert told
    assert set(told.groups()) == {"1", "2"}


async def test_an_error_about_a_restricted_patient_names_no_place_either(open_world, house, hospitals):
    """Hazard restricted-patient-located."""
    pds = house.mrs_okafor.pds(restricted=True)
    world = await open_world(*hospitals, identity={house.mrs_okafor.nhs_number: pds}, down=CODES)
    for ask in (world.doctor().look_up, world.doctor().stream):
        reply = await ask(house.mrs_okafor)
        assert "unreachable" in reply.text
        for word in (*PLACES, *CODES):
            assert word not in reply.text
    assert (await world.doctor().look_up(house.mrs_okafor)).status == 502


async def test_who_may_open_restricted_records_sees_where(open_world, house, hospitals):
    pds = house.mrs_okafor.pds(restricted=True)
    world = await open_world(*hospitals, identity={house.mrs_okafor.nhs_number: pds})
    reply = await world.doctor(activities=["B1611"]).look_up(house.mrs_okafor)
    assert reply.rows["RJ1-epr"] == "answered"
    assert reply.json["restrictions"]["location_hidden"] is False


@pytest.mark.parametrize("identity", [None, {}], ids=["no identity service", "one that does not know her"])
async def test_where_nobody_says_the_home_is_hidden_and_the_places_of_care_are_not(
    open_world, house, hospitals, identity
):
    """Hazard restricted-patient-located."""
    hospitals[0].holds(
        {"resourceType": "Location", "id": "flat", "address": ADDRESS, "physicalType": {"coding": [{"code": "ho"}]}},
        house.record(
            "Encounter",
            "at-home",
            status="finished",
            location=[{"location": {"reference": "Location/flat", "display": "7 Hidden Mews"}}],
            **{"class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "HH"}},
        ),
    )
    world = await open_world(*hospitals, identity=identity)
    reply = await world.doctor().look_up(house.mrs_okafor)
    for word in HOME:
        assert word not in reply.text
    assert {reply.rows["RJ1-epr"], reply.rows["RJZ-epr"]} == {"answered"}
    assert reply.json["restrictions"]["location_hidden"] is True
    assert "Harbour Hospital" in reply.text


async def test_who_is_known_not_to_be_restricted_is_shown_with_home_and_places(open_world, house, hospitals):
    pds = house.mrs_okafor.pds(address=[ADDRESS])
    world = await open_world(*hospitals, identity={house.mrs_okafor.nhs_number: pds})
    reply = await world.doctor().look_up(house.mrs_okafor)
    assert reply.json["restrictions"]["location_hidden"] is False
    assert reply.resources("Patient")[0]["address"][0]["postalCode"] == "SE1 0XX"
    assert "Harbour Hospital" in reply.text


@pytest.mark.parametrize("label", ["R", "V", "NOT-A-CODE"])
async def test_a_label_at_one_source_hides_the_places_of_all(open_world, house, label):
    """Hazard restricted-patient-located: one hospital knows, the identity service does not."""
    meta = {"security": [RESTRICTED["security"][0] | {"code": label}]}
    known = hospital(house, "RJZ", "Lantern Hospital", meta=meta)
    unknowing = hospital(house, "RJ1", "Harbour Hospital")
    world = await open_world(unknowing, known)
    replies = []
    for last in (known, unknowing):
        last.open.clear()
        asking = asyncio.create_task(world.doctor().look_up(house.mrs_okafor))
        await asyncio.wait_for(last.asked.wait(), 5)
        await asyncio.sleep(0.1)
        last.open.set()
        reply = await asking
        for word in (*HOME, *PLACES, *CODES):
            assert word not in reply.text, word
        assert set(reply.rows) == {"acute-1", "acute-2"}
        assert len(reply.resources("AllergyIntolerance")) == 2
        replies.append(house.plain(reply.json))
        world.forget()
    assert replies[0] == replies[1], "whoever answers first"


async def test_in_a_stream_a_label_hides_its_own_part_and_all_later_ones(open_world, house):
    """Hazard restricted-patient-located."""
    known = hospital(house, "RJ1", "Harbour Hospital", meta=RESTRICTED)
    later = hospital(house, "RJZ", "Lantern Hospital")
    world = await open_world(known, later)
    later.open.clear()
    events = []
    async with world.doctor().asks(house.mrs_okafor, accept="application/x-ndjson") as response:
        async for line in response.content:
            events.append(json.loads(line))
            if len(events) == 2:
                later.open.set()
    text = json.dumps(events[1:])
    for word in (*HOME, *PLACES, *CODES):
        assert word not in text, word
    assert events[-1]["data"]["restrictions"]["location_hidden"] is True
