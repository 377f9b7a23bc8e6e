"""Records that others wrote, split over several organisations: what goes in comes out, whole and unchanged."""

import json
from collections import Counter
from decimal import Decimal

import pytest

from broker import nhs_number
from broker.keys import Keys
from broker.lookup.ids import Ids

pytestmark = pytest.mark.blocking

PATIENTS = (
    "Adalberto_Hartmann",  # three organisations, goals and plans
    "Dusty_Stracke",  # seven allergies
    "Tasha_Miller",  # imaging, and an organisation that most of it comes from
    "Frances_Mann",  # four organisations
)
CODES = ("RJ1", "RJZ", "R1H", "RD8")
HABITS = (
    {"everything": True, "references": "urn", "page": 20, "links": "base", "total": False},
    {"post": False, "page": 7},
    {"batch": True, "references": "absolute"},
    {"get": False, "page": 30, "obeys_count": False},
)
ASKED = frozenset({
    *("AllergyIntolerance", "CarePlan", "Condition", "DiagnosticReport", "Encounter", "Goal", "ImagingStudy"),
    *("Immunization", "MedicationRequest", "Observation", "Procedure"),
})
NOBODYS = frozenset({"Organization", "Practitioner"})
ADDRESS = "http://broker.test/fhir"


def walk(node, change):
    """Every Reference in `node`, passed through `change`, which may return another one or none."""
    if isinstance(node, list):
        return [walk(one, change) for one in node]
    if not isinstance(node, dict):
        return node
    node = {key: walk(value, change) for key, value in node.items()}
    return change(node) if isinstance(node.get("reference"), str) else node


def read(file, serial):
    """A patient and their resources, references made `Type/id`, by organisation."""
    entries = json.loads(file.read_text(), parse_float=Decimal)["entry"]
    named = {one["fullUrl"]: f"{one['resource']['resourceType']}/{one['resource']['id']}" for one in entries}

    def relative(reference):
        return reference | {"reference": named.get(reference["reference"], reference["reference"])}

    resources = {named[one["fullUrl"]]: walk(one["resource"], relative) for one in entries}
    at = {
        name: one["serviceProvider"]["reference"]
        for name, one in resources.items()
        if one["resourceType"] == "Encounter"
    }
    first = next(iter(at.values()))
    for name, one in resources.items():
        attended = one.get("encounter", one.get("context"))
        if one["resourceType"] in ASKED - {"Encounter"}:
            at[name] = at[attended["reference"]] if attended else first
    for name, one in resources.items():
        for goal in one.get("goal", ()) if one["resourceType"] == "CarePlan" else ():
            at[goal["reference"]] = at[name]
    (patient,) = [one for one in resources.values() if one["resourceType"] == "Patient"]
    number = nhs_number.make(serial)
    patient["identifier"].insert(0, {"system": "https://fhir.nhs.uk/Id/nhs-number", "value": number})
    places = list(dict.fromkeys(at.values()))
    common = [one for one in resources.values() if one["resourceType"] in NOBODYS]
    split = {
        place: [patient, *common, *(resources[name] for name, where in at.items() if where == place)]
        for place in places
    }
    return number, patient, split


@pytest.fixture
async def synthea(shared_data, open_world, house):
    """Four patients over four organisations, each with servers of its own habits."""
    organisations = [house.Organisation(code, **habits) for code, habits in zip(CODES, HABITS, strict=True)]
    patients = {}
    for serial, name in enumerate(PATIENTS, 1000):
        (file,) = (shared_data / "synthea-r4").glob(f"{name}_*.json")
        number, patient, split = read(file, serial)
        held = {}
        for organisation, resources in zip(organisations, split.values(), strict=False):
            organisation.holds(*json.loads(json.dumps(resources, default=float)))
            held[organisation.source] = resources
        patients[name] = (house.Patient(number, patient["birthDate"]), held)
    world = await open_world(*organisations)
    return world, patients


def expected(resource, source, ids, patient):
    """What a resource must have become on its way."""

    def address(literal):
        kind, _, own = literal.partition("/")
        return patient if kind == "Patient" else f"{kind}/{ids.make(source, own)}"

    def change(reference):
        literal = reference["reference"]
        return reference if literal.startswith("#") else reference | {"reference": address(literal)}

    subject = "patient" if resource["resourceType"] in {"AllergyIntolerance", "Immunization"} else "subject"
    became = walk({key: value for key, value in resource.items() if key not in {"text", "meta"}}, change)
    became["id"] = ids.make(source, resource["id"])
    if resource["resourceType"] not in NOBODYS:
        became[subject] = {"reference": patient}
    return became


@pytest.mark.parametrize("name", PATIENTS)
async def test_everything_that_goes_in_comes_out(synthea, name):
    """Seed questions 2 and 4: more detail, not less; hazard over-withholding."""
    world, patients = synthea
    patient, held = patients[name]
    reply = await world.doctor().look_up(patient)
    assert reply.complete, reply.rows
    body = json.loads(reply.text, parse_float=Decimal)
    entries = [entry["resource"] for entry in body["bundle"]["entry"]]
    here = f"Patient/{body['patient']['id']}"
    ids = Ids(Keys.open(world.settings.audit.keys).id_check_key, patient.nhs_number)
    came = {one["id"]: one for one in entries if one["resourceType"] in ASKED}

    for source, resources in held.items():
        wanted = {one["id"]: one for one in (expected(r, source, ids, here) for r in resources) if one["id"]}
        clinical = {key: one for key, one in wanted.items() if one["resourceType"] in ASKED}
        there = {key: one for key, one in came.items() if one["meta"]["source"].endswith(f":{source}")}
        assert Counter(one["resourceType"] for one in there.values()) == Counter(
            one["resourceType"] for one in clinical.values()
        )
        for key, one in clinical.items():
            assert {element: value for element, value in there[key].items() if element != "meta"} == one
            assert there[key]["meta"]["tag"] == [
                {"system": "https://fhir.nhs.uk/Id/ods-organization-code", "code": source.partition("-")[0]}
            ]
        assert reply.row(source)["resources"] == len(clinical)
    assert sum(len(resources) for resources in held.values()) > len(came) > 40


@pytest.mark.parametrize("name", PATIENTS)
async def test_every_reference_of_a_reply_resolves_in_it_or_leads_home(synthea, name):
    world, patients = synthea
    patient, held = patients[name]
    reply = await world.doctor().look_up(patient)
    ids = Ids(Keys.open(world.settings.audit.keys).id_check_key, patient.nhs_number)
    there = {f"{one['resourceType']}/{one['id']}" for one in reply.resources()}
    own = {source: {f"{one['resourceType']}/{one['id']}" for one in resources} for source, resources in held.items()}
    elsewhere = []

    def look(reference):
        literal = reference["reference"]
        if not literal.startswith("#") and literal not in there:
            elsewhere.append(literal)
        return reference

    walk(reply.resources(), look)
    assert "urn:uuid:" not in json.dumps([one.get("subject") for one in reply.resources()])
    for literal in elsewhere:
        kind, _, key = literal.partition("/")
        home = ids.home(key)
        assert home is not None
        assert home.source in own
        # Staff and places that a server did not send along; and Synthea's illnesses, which are treated in two places.
        holders = {source for source, names in own.items() if f"{kind}/{home.id}" in names}
        assert home.source in holders if kind in NOBODYS else kind == "Condition" and holders


async def test_the_ids_of_one_patients_reply_mean_nothing_in_anothers(synthea):
    """Hazard wrong-patient."""
    world, patients = synthea
    key = Keys.open(world.settings.audit.keys).id_check_key
    (one, _), (other, _), *_ = patients.values()
    reply = await world.doctor().look_up(one)
    for resource in reply.resources():
        if resource["resourceType"] not in {"Patient", "Linkage", "DetectedIssue"}:
            assert Ids(key, one.nhs_number).home(resource["id"]) is not None
            assert Ids(key, other.nhs_number).home(resource["id"]) is None
