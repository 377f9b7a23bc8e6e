"""What references point to: every form in which a source may write them, and whose server they mean."""

import json

import pytest

from adapters.contract import Arrival, Resource
from broker.lookup.judging.targets import Targets
from broker.lookup.judging.whose import WrongPatient

BASES = ("https://epr.example/fhir", "https://Proxy.example/r4/")
OURS = {"reference": "Patient/ours"}
INSIDE = "https://inside.example:8080/fhir"


def _came(resource, base, arrival=Arrival.RECORD):
    url = None if base is None else f"{base}/{resource['resourceType']}/{resource['id']}"
    return Resource(json.dumps(resource).encode(), arrival, url)


def _observation(id_="1", **more):
    return {"resourceType": "Observation", "id": id_, "subject": OURS, **more}


@pytest.mark.parametrize(
    "reference",
    [
        "Encounter/7",
        " Encounter/7\n",
        "/Encounter/7",
        "/Encounter/7/_history/2",
        "HTTPS://EPR.example/fhir/Encounter/7",
        "https://proxy.example/r4/Encounter/7/_history/2",
    ],
)
def test_a_reference_is_local_however_it_is_written(reference):
    assert Targets((), BASES).of(reference) == ("Encounter", "7")


@pytest.mark.parametrize(
    "reference",
    [
        "https://epr.example/FHIR/Encounter/7",
        "//Encounter/7",
        "encounter/7",
        "https://epr.example.org/fhir/Encounter/7",
    ],
)
def test_a_reference_that_is_written_otherwise_is_elsewhere(reference):
    assert Targets((), BASES).of(reference) is None


@pytest.mark.parametrize(
    ("full_url", "reference"),
    [
        ("https://old.example/Encounter/7", "https://OLD.example/Encounter/7/_history/2"),
        ("https://old.example/Encounter/7", " https://old.example/Encounter/7"),
        ("urn:uuid:AAAAAAAA-2222-2222-2222-222222222222", "urn:uuid:aaaaaaaa-2222-2222-2222-222222222222"),
    ],
)
def test_the_address_of_an_entry_is_known_however_it_is_written(passage, full_url, reference):
    items, _ = passage.read(Resource(b'{"resourceType":"Encounter","id":"7"}', full_url=full_url))
    assert Targets(items, BASES).of(reference) == ("Encounter", "7")


def test_the_patient_of_another_server_is_another_patient_though_the_reference_is_relative(passage):
    patient = _came(passage.patient(), passage.base, Arrival.PATIENT)
    with pytest.raises(WrongPatient):
        passage.guard(patient, _came(_observation(), "http://other.example/fhir"), patient=False)


def test_what_another_server_refers_to_is_not_taken_for_what_is_here(passage):
    patient = _came(passage.patient(), passage.base, Arrival.PATIENT)
    foreign = _came({"resourceType": "PractitionerRole", "id": "1", "practitioner": {"reference": "Practitioner/9"}}, "http://other.example/fhir")  # fmt: skip
    here = _came({"resourceType": "Practitioner", "id": "9"}, passage.base)
    passed = passage.whole(patient, foreign, here, patient=False)
    assert "practitioner" not in passed.content["PractitionerRole/1"]


@pytest.mark.parametrize("first", [INSIDE, None])
def test_a_server_behind_a_proxy_may_name_another_base_in_all_its_entries(passage, first):
    patient = _came(passage.patient(), first, Arrival.PATIENT)
    assert passage.guard(patient, _came(_observation(), INSIDE), patient=False).items
