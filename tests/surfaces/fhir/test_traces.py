"""What is never shared leaves no trace on any surface: searches, batches, reads, pages and events, and the journal.

Records are made up: a clinic that is never shared, and what hangs on it by references of many kinds, among a record that
is shared. With it and without it everything that leaves the broker, and everything that is written down, is the same.
"""

import json
import random
import re

import pytest

from broker.keys import Keys
from broker.lookup.ids import Ids

FUNCTION = "https://fhir.nhs.uk/CodeSystem/NHSDataModelAndDictionary-treatment-function"
CLINIC = {"serviceType": {"coding": [{"system": FUNCTION, "code": "360"}]}}
HANGS = {
    "Condition": ("encounter",),
    "Observation": ("encounter", "hasMember", "derivedFrom"),
    "DiagnosticReport": ("encounter", "result"),
    "Procedure": ("encounter", "partOf", "reasonReference"),
    "MedicationRequest": ("encounter", "reasonReference"),
    "DocumentReference": ("context",),
    "CarePlan": ("addresses",),
    "ServiceRequest": ("encounter", "reasonReference"),
    "Encounter": ("partOf",),
    "Flag": ("encounter",),
}
"""Types, and elements by which they may hang on something."""

LEADS_TO = {
    "encounter": ("Encounter",),
    "partOf": ("Encounter",),
    "context": ("Encounter",),
    "hasMember": ("Observation",),
    "derivedFrom": ("Observation",),
    "result": ("Observation",),
    "addresses": ("Condition",),
    "reasonReference": ("Condition",),
}
SINGLE = {"encounter"}
FORMS = ("{0}", "{0}/_history/3")


def linked(kind, element, target, draw):
    """`element` of a resource of this type, referring to `target`."""
    reference = {"reference": draw.choice(FORMS).format(target)}
    if element == "context":
        return {"context": {"encounter": [reference]}}
    single = element in SINGLE or (kind == "Encounter" and element == "partOf")
    return {element: reference if single else [reference]}


def world_of_one(house, seed):
    """What is shared of the patient, and what is not: the second hangs on the clinic, and nothing of the first does."""
    draw = random.Random(seed)
    shared, kept_out = [], [house.record("Encounter", "c0", status="finished", **CLINIC)]
    shared.append(house.record("Encounter", "e0", status="finished"))
    shared.append(house.record("Condition", "s0", code="38341003"))
    shared.append(house.record("AllergyIntolerance", "a0", code="91936005", criticality="high"))
    for n in range(12):
        for held, letter in ((shared, "s"), (kept_out, "c")):
            kind = draw.choice(sorted(HANGS))
            element = draw.choice(HANGS[kind])
            behind = [one for one in held if one["resourceType"] in LEADS_TO[element]]
            if not behind:
                kind, element, behind = "Flag", "encounter", [held[0]]
            target = draw.choice(behind)
            name = f"{target['resourceType']}/{target['id']}"
            more = {"status": "active"} | linked(kind, element, name, draw)
            held.append(house.record(kind, f"{letter}{kind.lower()}{n}", code=f"{4000 + n}", **more))
    return shared, kept_out


TYPES = (*HANGS, "AllergyIntolerance", "Appointment", "Immunization", "Patient")


async def everything(plugin, doctor, house, unknown):
    """All that a plugin can get and what was written down about it, without times."""
    world, told = plugin.world, []
    begun = len(world.journal())
    patient = await plugin.patient_id()
    for kind in TYPES:
        for headers in (None, {"Prefer": "partial-results"}):
            answer = await plugin.search(kind, headers=headers)
            told.append((kind, answer.status, same(house.plain(answer.json))))
    pages = await plugin.every_page(f"Observation?patient={patient}&_count=2")
    told.append([(page.status, same([one["resource"] for one in page.json.get("entry", ())])) for page in pages])
    batch = await plugin.batch(*(f"{kind}?patient={patient}" for kind in TYPES))
    told.append(same(house.plain(batch.json)))
    for path in unknown:
        answer = await plugin.ask(path)
        told.append((answer.status, same(answer.json)))
    for accept in ("application/json", "application/x-ndjson", "text/event-stream"):
        reply = await doctor.look_up(house.mrs_okafor, accept=accept)
        told.append(reply.status)
        told.append(
            same(house.plain(reply.json)) if accept == "application/json" else sorted(map(timeless, lines_of(reply)))
        )
    lookups = world.lookups()
    await house.eventually(lambda: all("lookup.outcome" in world.told(one) for one in lookups))
    await house.eventually(lambda: world.told(lookups[-1])[-1] == "lookup.delivered")
    return told, [timeless_record(one) for one in world.journal()[begun:]]


def same(answer):
    """A reply without what differs between any two: times, and the made-up addresses of outcomes."""
    return re.sub(r"urn:uuid:[0-9a-f-]+", "urn:uuid:", json.dumps(answer))


def lines_of(reply):
    return [line for line in reply.text.splitlines() if line and not line.startswith(":")]


def timeless(line):
    """A line of a stream without what differs between any two lookups."""
    line = re.sub(r'"(elapsed_ms|lookup_id)":("[^"]*"|\d+)', "", line)
    return json.dumps(line)


def timeless_record(record):
    own = {"lookup_id", "seq", "time", "previous", "elapsed_ms", "jti", "count"}
    if isinstance(record, dict):
        return {key: timeless_record(one) for key, one in record.items() if key not in own}
    return [timeless_record(one) for one in record] if isinstance(record, list) else record


@pytest.mark.parametrize("seed", range(6))
async def test_with_it_and_without_it_every_surface_says_the_same(open_world, plugin_of, house, seed):
    """Seed question 5; hazards excluded-visit-leaks, leak-round-the-side, presence-shown-by-silence."""
    shared, kept_out = world_of_one(house, seed)
    hospital = house.Organisation("RJ1", everything=seed % 2 == 0).holds(
        house.mrs_okafor.at("1000"), *shared, *kept_out
    )
    world = await open_world(hospital)
    plugin, doctor = plugin_of(world), world.doctor()
    ids = Ids(Keys.open(world.settings.audit.keys).id_check_key, house.mrs_okafor.nhs_number)
    paths = [f"{one['resourceType']}/{ids.make('RJ1-epr', one['id'])}" for one in kept_out]
    never = [f"{one['resourceType']}/{ids.make('RJ1-epr', 'nothing')}" for one in kept_out]

    with_it, recorded = await everything(plugin, doctor, house, paths)
    for one in kept_out:
        assert f".{one['id']}." not in str(with_it)
    assert "38341003" in str(with_it)
    hospital.loses(*(f"{one['resourceType']}/{one['id']}" for one in kept_out))
    without, recorded_without = await everything(plugin, doctor, house, paths)
    assert with_it == without
    assert recorded == recorded_without
    # An id of what is kept out is answered as one that never was.
    for path, other in zip(paths, never, strict=True):
        one, two = await plugin.ask(path), await plugin.ask(other)
        assert (one.status, same(one.json)) == (two.status, same(two.json))
        assert one.status == 404
