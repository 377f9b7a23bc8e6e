"""The one Patient: the broker's own, with what one origin may say, and of no source more than that."""

import json

import pytest

from broker.lookup.judging.hiding import Hiding
from broker.lookup.patient import from_own_organisation, one_patient

NAMES = [
    {"use": "old", "family": "Former"},
    {"use": "maiden", "family": "Maiden"},
    {
        "use": "official",
        "family": "Okafor",
        "given": ["Edith"],
        "id": "n1",
        "extension": [{"url": "x"}],
        "_family": {"id": "x"},
    },
    {"use": "nickname", "family": "Other"},
    {"use": "usual", "family": "Ended", "period": {"end": "2001-01-01"}},
]
OWN = {
    "name": NAMES,
    "gender": "female",
    "deceasedBoolean": {"extension": []},
    "telecom": [{"system": "phone", "value": "020 7946 0000"}, {"use": "old", "value": "gone"}],
    "address": [{"line": ["1 High Street"], "period": {"start": "2001-01-01"}}],
    "contact": [{"name": {"family": "Son"}}],
    "identifier": [
        {"system": "https://fhir.nhs.uk/Id/nhs-number", "value": "9990000018"},
        {"system": "urn:hospital", "value": "H123"},
    ],
    "extension": [{"url": "birthsex", "valueCode": "male"}],
    "generalPractitioner": [{"reference": "Organization/g1"}],
    "link": [{"type": "replaces", "other": {"reference": "Patient/p0"}}],
}


def patient_of(heard):
    (entry,) = [entry for entry in heard.summary.entries if entry.type == "Patient"]
    return json.loads(entry.content)


@pytest.fixture
def make(world):
    def made(known, hiding=Hiding.NOTHING):
        entry = one_patient("sealed", world.number, world.born, known, hiding)
        assert (entry.type, entry.id, entry.mode) == ("Patient", "sealed", "match")
        return json.loads(entry.content)

    return made


def test_number_and_birth_date_are_those_that_were_asked_for(make, world):
    made = make({"birthDate": "1900-01-01", "id": "theirs", "identifier": [{"value": "another"}], "meta": {"x": 1}})
    assert made == {
        "resourceType": "Patient",
        "id": "sealed",
        "meta": {"source": "urn:care-record-broker:source:broker"},
        "identifier": [{"system": "https://fhir.nhs.uk/Id/nhs-number", "value": world.number}],
        "birthDate": world.born,
    }
    assert make(None) == made


@pytest.mark.parametrize(
    ("hiding", "left"),
    [
        (Hiding.NOTHING, {"name", "address", "telecom", "contact", "generalPractitioner", "managingOrganization"}),
        (Hiding.HOME, {"name", "generalPractitioner", "managingOrganization"}),
        (Hiding.PLACES, {"name"}),
    ],
)
def test_what_is_hidden_is_left_out(make, hiding, left):
    elements = ("name", "address", "telecom", "contact", "generalPractitioner", "managingOrganization")
    assert set(elements) & make({one: [{"display": "x"}] for one in elements}, hiding).keys() == left


def test_the_own_organisation_adds_the_current_name_and_how_to_reach_them_and_no_more():
    assert from_own_organisation(OWN) == {
        "name": [{"use": "official", "family": "Okafor", "given": ["Edith"]}],
        "gender": "female",
        "telecom": [{"system": "phone", "value": "020 7946 0000"}],
        "address": [{"line": ["1 High Street"]}],
    }


@pytest.mark.parametrize("element", ["name", "address", "telecom"])
@pytest.mark.parametrize(
    "said", [None, [], [{"use": "old", "text": "x"}], ["x"], "x", {"use": "official"}, 7, [{"text": {}}], [{"id": "x"}]]
)
def test_what_is_not_current_or_not_fhir_is_left_out(element, said):
    assert element not in from_own_organisation({element: said})


async def test_without_an_identity_service_it_comes_from_the_readers_own_organisation_alone(world, give):
    world.add("RJ1", give.whole(**OWN | {"identifier": [{"system": NHS, "value": world.number}]}))
    world.add("RJZ", give.whole(name=[{"family": "Elsewhere"}], gender="male"))
    heard = await world.look_up()
    made = patient_of(heard)
    assert made["name"] == [{"use": "official", "family": "Okafor", "given": ["Edith"]}]
    assert made["gender"] == "female"
    assert "address" not in made  # nobody says that the patient is not restricted
    assert "Elsewhere" not in heard.text
    assert "Former" not in heard.text
    assert made["id"] == heard.summary.patient_id


NHS = "https://fhir.nhs.uk/Id/nhs-number"


async def test_with_an_identity_service_it_comes_from_there_alone(world, give):
    world.add("RJ1", give.whole(name=[{"family": "Here"}]))
    world.identity = give.identity(patient={"resourceType": "Patient", "name": [{"family": "Known"}]})
    heard = await world.look_up()
    assert patient_of(heard)["name"] == [{"family": "Known"}]
    assert "Here" not in heard.text


async def test_where_nobody_says_it_holds_what_was_asked_for(world, give):
    world.add("RJ1")
    world.add("RJZ", give.whole(name=[{"family": "Elsewhere"}], gender="male"))
    heard = await world.look_up()
    assert patient_of(heard).keys() == {"resourceType", "id", "meta", "identifier", "birthDate"}
    assert {one.status.value for name, one in heard.rows["RJZ-epr"].categories.items() if name in OF_THE_PATIENT} == {
        "not-provided"
    }


OF_THE_PATIENT = {"demographics", "gp-registration"}


async def test_an_own_organisation_that_answers_about_somebody_else_adds_nothing(world, give):
    world.add("RJ1", give.whole(name=[{"family": "Somebody"}], birthDate="1950-01-01"))
    world.add("RJZ", give.whole(give.allergy()))
    heard = await world.look_up()
    assert "Somebody" not in heard.text
    assert "name" not in patient_of(heard)
    assert heard.rows["RJ1-epr"].categories["demographics"].status.value == "wrong-patient"


@pytest.mark.parametrize("cut", ["in its context", "later"])
async def test_a_row_that_says_nothing_of_the_patient_goes_with_a_patient_that_holds_nothing(world, give, cut):
    before = [] if cut == "in its context" else [give.answered("Patient", *give.context)]
    world.add("RJ1", give.these(give.patient(name=[{"family": "Okafor"}]), *before, give.never), timeout=0.02)
    world.add("RJZ", give.whole(give.allergy()))
    heard = await world.look_up("demographics", "allergies")
    shown = "name" in patient_of(heard)
    assert heard.rows["RJ1-epr"].categories["demographics"].resources == int(shown)
    assert shown is (cut == "later")
