"""The one Patient shows what may be shown, and hides what would tell who somebody was or where they are."""

import json

import pytest

from .conftest import ASKED, BORN, labelled, pds_patient

NAME = {"use": "usual", "given": ["Ada"], "family": "Okafor"}


async def shown(world, **changes):
    world.put(ASKED, pds_patient(**changes))
    return (await world.ask()).patient


async def test_the_banner_of_an_ordinary_patient(world):
    assert await shown(world) == {
        "resourceType": "Patient",
        "identifier": [{"system": "https://fhir.nhs.uk/Id/nhs-number", "value": ASKED}],
        "name": [NAME],
        "telecom": [{"system": "phone", "use": "home", "value": "01632960587"}],
        "gender": "female",
        "birthDate": BORN,
        "address": [{"use": "home", "line": ["1 Test Street"], "postalCode": "SE1 9RT"}],
        "generalPractitioner": [
            {
                "type": "Organization",
                "identifier": {"system": "https://fhir.nhs.uk/Id/ods-organization-code", "value": "G85001"},
            }
        ],
    }


async def test_a_previous_name_is_never_shown_nor_that_there_was_one(world):
    """Hazard: a change of name tells of a change of gender."""
    previous = [
        {"use": "old", "given": ["Adam"], "family": "Okafor"},
        {"use": "maiden", "given": ["Adam"], "family": "Previous"},
        {"use": "usual", "given": ["Adam"], "family": "Okafor", "period": {"end": "2026-11-21"}},
        {"use": "nickname", "given": ["Adam"]},
        {"use": "temp", "given": ["Adam"], "period": {"start": "2027-01-01"}},
        {"use": "official", "given": ["Adam"], "period": {"start": "2020", "end": "2025"}},
    ]
    patient = await shown(world, name=[*previous, {**NAME, "period": {"start": "2026-05-01"}}, *previous])
    assert patient["name"] == [NAME]
    assert "Adam" not in json.dumps(patient)
    assert "2026-05-01" not in json.dumps(patient)  # the day on which it changed


async def test_a_patient_with_only_previous_names_has_none(world):
    assert "name" not in await shown(world, name=[{"use": "old", "family": "Okafor"}])


@pytest.mark.parametrize("end", ["2026-11-22", "2026-11", "2026", "2027-01-01", "2026-11-22T09:00:00+00:00"])
async def test_a_name_is_current_up_to_and_on_its_last_day(world, end):
    assert (await shown(world, name=[{**NAME, "period": {"end": end}}]))["name"] == [NAME]


async def test_titles_of_the_identity_service_are_shown(world):
    patient = await shown(world, name=[{**NAME, "prefix": ["Mrs"], "suffix": ["MBE"]}])
    assert patient["name"] == [{**NAME, "prefix": ["Mrs"], "suffix": ["MBE"]}]


async def test_nothing_else_that_the_service_says_enters_the_house(world):
    more = {
        "contact": [{"telecom": [{"system": "phone", "value": "07700900000"}]}],
        "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/patient-birthPlace", "valueString": "CANARY"}],
        "managingOrganization": {"display": "CANARY"},
        "multipleBirthInteger": 2,
        "photo": [{"url": "CANARY"}],
        "link": [{"type": "replaces", "other": {"identifier": {"value": "CANARY"}}}],
        "identifier": [
            {"system": "https://fhir.nhs.uk/Id/nhs-number", "value": ASKED},
            {"system": "https://hospital.example/mrn", "value": "CANARY"},
        ],
        "text": {"status": "generated", "div": "<div>CANARY</div>"},
        "name": [{**NAME, "extension": [{"url": "x", "valueString": "CANARY"}]}],
        "address": [{"use": "home", "extension": [{"url": "x", "valueString": "CANARY"}], "city": "Leeds"}],
    }
    patient = await shown(world, **more)
    assert "CANARY" not in json.dumps(patient)
    assert "07700900000" not in json.dumps(patient)
    assert patient["address"] == [{"use": "home", "city": "Leeds"}]


async def test_previous_addresses_and_numbers_are_not_shown(world):
    patient = await shown(
        world,
        address=[{"use": "old", "city": "Leeds"}, {"use": "home", "city": "Leeds", "period": {"end": "2020-01-01"}}],
        telecom=[
            {"use": "old", "value": "1"},
            {"system": "email", "value": "a@example.com", "period": {"end": "2020"}},
        ],
    )
    assert "address" not in patient
    assert "telecom" not in patient


async def test_a_practice_left_behind_is_not_the_registered_one(world):
    system = "https://fhir.nhs.uk/Id/ods-organization-code"
    left = {"identifier": {"system": system, "value": "G85001", "period": {"end": "2025-12-31"}}}
    now = {"identifier": {"system": system, "value": "G85002"}, "display": "The Surgery"}
    world.put(ASKED, pds_patient(generalPractitioner=[left, now]))
    person = await world.ask()
    assert person.practice == "G85002"
    assert [each["display"] for each in person.patient["generalPractitioner"]] == ["The Surgery"]
    world.put(ASKED, pds_patient(generalPractitioner=[left]))
    person = await world.ask()
    assert person.practice is None
    assert "generalPractitioner" not in person.patient


@pytest.mark.parametrize(
    ("codes", "restricted"),
    [
        (["U"], "no"),
        (["N"], "no"),
        (["R"], "yes"),
        (["V"], "yes"),
        (["U", "R"], "yes"),
        (["something new"], "yes"),
        ([], "unknown"),
    ],
)
async def test_where_a_patient_lives_is_shown_only_when_nothing_forbids_it(world, codes, restricted):
    world.put(ASKED, pds_patient(meta=labelled(*codes)))
    person = await world.ask()
    assert person.restricted == restricted
    assert ("address" in person.patient) == ("telecom" in person.patient) == (restricted == "no")
    assert ("generalPractitioner" in person.patient) == (restricted != "yes")


@pytest.mark.parametrize(
    ("said", "element"),
    [
        ({"deceasedDateTime": "2026-10-22T00:00:00+00:00"}, "deceasedDateTime"),
        ({"deceasedDateTime": "2026-10-22"}, "deceasedDateTime"),
        ({"deceasedBoolean": True}, "deceasedBoolean"),
        ({"deceasedBoolean": False}, "deceasedBoolean"),
    ],
)
async def test_a_death_is_shown(world, said, element):
    world.put(ASKED, pds_patient(**said))
    person = await world.ask()
    assert person.deceased == said[element]
    assert person.patient[element] == said[element]


async def test_each_caller_has_a_patient_of_its_own_to_change(world):
    world.put(ASKED, pds_patient())
    first, second = await world.ask(), await world.ask()
    first.patient["name"].clear()
    first.patient["address"][0]["line"].clear()
    assert second.patient["name"] == [NAME]
    assert (await world.ask()).patient["address"][0]["line"] == ["1 Test Street"]
