"""What the broker answers, judged by two validators that it does not itself use: Lantana's and Medplum's."""

import json
from collections import Counter

import pytest

from broker.demo.world import STORIES
from tests.interop.asking import node
from tests.interop.records import CLINICAL, Patient

pytestmark = [pytest.mark.blocking, pytest.mark.timeout(400)]


async def ask(broker, patient, method, path, body=None, *, token=True):
    """The status and the text of one answer: numbers as they were written are part of what is judged."""
    headers = {"Authorization": f"Bearer {broker.token(patient)}"} if token else {}
    async with broker.session.request(method, broker.address + path, json=body, headers=headers) as response:
        return response.status, await response.text()


async def errors(*texts):
    """What either validator has against each of these texts: who, where, why."""
    return [{tuple(one) for one in found} for found in await node("validators.mjs", texts=texts)]


async def looked_up(broker, patient):
    """The Bundle of a lookup, and each resource in it."""
    status, text = await ask(broker, patient, "POST", "/lookups", {"patient": patient.claimed})
    assert status == 200
    bundle = json.loads(text)["bundle"]
    return bundle, [entry["resource"] for entry in bundle["entry"]]


def batch(*urls):
    return {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [{"request": {"method": "GET", "url": url}} for url in urls],
    }


async def test_every_resource_and_bundle_of_the_demo_world_is_valid(demo):
    texts = []
    for person in (story.person for story in STORIES):
        bundle, released = await looked_up(demo.broker, Patient(person.nhs_number, person.birth_date))
        texts += map(json.dumps, (bundle, *released))
    assert await errors(*texts) == [set()] * len(texts)


async def test_everything_that_fhir_answers_is_valid(demo):
    """Pages, batches, errors and the statement of what can be asked; the whole, and with a source down."""
    broker, patient = demo.broker, demo.patient
    _, released = await looked_up(broker, patient)
    (me,) = [one["id"] for one in released if one["resourceType"] == "Patient"]
    entries = batch(f"Observation?patient={me}", f"Flag?patient={me}&_count=1", f"Patient/{me}", "Flag/nothing", "Nope")
    asked = {
        ("GET", "/fhir/metadata"): 200,
        ("GET", f"/fhir/AllergyIntolerance?patient={me}"): 200,
        ("GET", f"/fhir/MedicationRequest?patient={me}&_count=2"): 200,
        ("GET", f"/fhir/ImagingStudy?patient={me}"): 200,
        ("GET", f"/fhir/Patient/{me}"): 200,
        ("POST", "/fhir"): 200,
        ("GET", "/fhir/Condition"): 400,
        ("GET", f"/fhir/Condition?patient={me}&_include=*"): 400,
        ("GET", "/fhir/Condition/nothing"): 404,
        ("GET", f"/fhir/Patient/{me}/$everything"): 501,
        ("DELETE", "/fhir/Condition/nothing"): 405,
    }
    texts = []

    async def collect(expected):
        for (method, path), status in expected.items():
            answered, text = await ask(broker, patient, method, path, entries if method == "POST" else None)
            assert answered == status, (method, path)
            texts.append(text)

    await collect(asked)
    texts.append((await ask(broker, patient, "GET", f"/fhir/Condition?patient={me}", token=False))[1])
    await demo.stop("RJZ-epr")
    down = {("GET", f"/fhir/AllergyIntolerance?patient={me}"): 200, ("GET", f"/fhir/ImagingStudy?patient={me}"): 503}
    await collect(down | {("POST", "/fhir"): 200})
    kinds = {json.loads(text)["resourceType"] for text in texts}
    assert kinds == {"Bundle", "CapabilityStatement", "OperationOutcome", "Patient"}
    assert await errors(*texts) == [set()] * len(texts)


@pytest.mark.parametrize("name", ["Louis_Erdman", "Jeffry_Jenkins"])
async def test_nothing_of_hapis_becomes_invalid_on_its_way(hapis, broker, name):
    """Each resource has no fault that its source's own did not have."""
    patient = hapis.patients[name]
    bundle, released = await looked_up(broker, patient)
    whole, *found = await errors(*map(json.dumps, (bundle | {"entry": bundle["entry"][:1]}, *released)))
    assert not whole
    for resource, faults in zip(released, found, strict=True):
        if faults:
            home = next(one for one in hapis if resource["id"].startswith(one.source))
            original = f"{home.base}/{resource['resourceType']}/{resource['id'].split('.')[1]}"
            async with broker.session.get(original) as response:
                (own,) = await errors(await response.text())
            assert faults <= own
    clinical = [one for one in released if one["resourceType"] in CLINICAL]
    assert len(clinical) == sum(map(Counter.total, hapis.loaded[name]))


BROKEN = {
    "a type that it should not have": {"code": {"text": 7}},
    "an element that there is not": {"colour": "blue"},
    "a date that is none": {"onsetDateTime": "yesterday"},
    "one where a list must be": {"category": {"text": "problem"}},
    "without what it must have": {"subject": None},
    "a code that there is not": {"clinicalStatus": {"coding": [{"code": 1}]}},
}


@pytest.mark.parametrize("fault", BROKEN)
async def test_what_is_broken_on_purpose_is_caught(demo, fault):
    """Without this the tests above would prove nothing."""
    _, released = await looked_up(demo.broker, demo.patient)
    condition = next(one for one in released if one["resourceType"] == "Condition")
    broken = {key: value for key, value in (condition | BROKEN[fault]).items() if value is not None}
    entry = {"fullUrl": "http://broker.test/fhir/Condition/1", "resource": broken, "search": {"mode": "match"}}
    bundle = {"resourceType": "Bundle", "type": "searchset", "entry": [entry]}
    whole, alone, inside = await errors(*map(json.dumps, (condition, broken, bundle)))
    assert not whole
    assert alone
    assert inside
