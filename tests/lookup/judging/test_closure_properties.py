"""A record with what is never shared in it, and the same record without: nobody can tell them apart.

Records are generated as graphs: resources, and references among them by the elements of the closure table and by
others, in every form that a reference has. What must go is worked out here by itself, from the table alone.
"""

from dataclasses import dataclass, replace
from itertools import count

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract import Resource
from broker.lookup.ids import Ids
from broker.lookup.judging.release import encode
from broker.lookup.merging.merge import merge
from policies.values import Edge

SNOMED = "http://snomed.info/sct"
FUNCTION = "https://fhir.nhs.uk/CodeSystem/NHSDataModelAndDictionary-treatment-function"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
SENSITIVITY = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
BASE = "http://127.0.0.1:1/fhir"

PATIENT = {"reference": "Patient/p1"}
OWNER = dict.fromkeys(["AllergyIntolerance", "EpisodeOfCare", "Immunization", "DetectedIssue"], "patient")
NOBODYS = {"HealthcareService", "Location", "Medication", "Organization", "Practitioner", "PractitionerRole"}
CODED = {
    "AllergyIntolerance": "code",
    "Condition": "code",
    "DiagnosticReport": "code",
    "Encounter": "serviceType",
    "HealthcareService": "specialty",
    "Location": "type",
    "Medication": "code",
    "MedicationRequest": "medicationCodeableConcept",
    "Observation": "code",
    "PractitionerRole": "specialty",
    "Procedure": "code",
    "ServiceRequest": "code",
}
STAFF = ("Practitioner", "PractitionerRole", "Organization")
ANYTHING = ("Condition", "Observation", "Encounter", "DocumentReference", "Location", "Practitioner")


def single(ref, _mark):
    return ref


def entry(name, **more):
    """An entry with more in it than the reference: all of it goes."""

    def made(ref, mark):
        return [{name: ref} | {key: value.format(mark) for key, value in more.items()}]

    return made


def many(ref, _mark):
    return [ref]


def held(name, *, as_list):
    def made(ref, _mark):
        return {name: [ref] if as_list else ref}

    return made


def extension(ref, mark):
    inner = [{"url": "where", "valueReference": ref}, {"url": "words", "valueString": mark}]
    return [{"url": "urn:x", "extension": inner}]


NOTE = ("note", entry("authorReference", text="said {}"), ("Practitioner", "PractitionerRole"))
EXTENSION = ("extension", extension, ANYTHING)
ENCOUNTER = ("encounter", single, ("Encounter",))
COMMON = (NOTE, EXTENSION)

LINKS = {
    "AllergyIntolerance": (ENCOUNTER, ("recorder", single, STAFF[:2]), ("asserter", single, STAFF[:2]), *COMMON),
    "Appointment": (
        ("participant", entry("actor", status="accepted"), ("HealthcareService", "Location", *STAFF[:2])),
        ("basedOn", many, ("ServiceRequest",)),
        ("reasonReference", many, ("Condition", "Procedure", "Observation")),
        ("supportingInformation", many, ANYTHING),
        EXTENSION,
    ),
    "CarePlan": (
        ENCOUNTER,
        ("addresses", many, ("Condition",)),
        ("activity", entry("reference", text="do {}"), ("Appointment", "MedicationRequest", "ServiceRequest")),
        ("supportingInfo", many, ANYTHING),
        ("goal", many, ("Goal",)),
        ("careTeam", many, ("CareTeam",)),
        *COMMON,
    ),
    "CareTeam": (
        ENCOUNTER,
        ("participant", entry("member", text="role {}"), STAFF),
        ("reasonReference", many, ("Condition",)),
    ),
    "Condition": (
        ENCOUNTER,
        ("recorder", single, STAFF[:2]),
        ("evidence", entry("detail", text="by {}"), ANYTHING),
        ("stage", entry("assessment", text="by {}"), ("Observation", "DiagnosticReport")),
        *COMMON,
    ),
    "DiagnosticReport": (
        ENCOUNTER,
        ("basedOn", many, ("ServiceRequest",)),
        ("performer", many, STAFF),
        ("result", many, ("Observation",)),
        ("contained", None, ("Encounter",)),
        EXTENSION,
    ),
    "DocumentReference": (
        ("context", held("encounter", as_list=True), ("Encounter",)),
        ("relatesTo", entry("target", code="appends"), ("DocumentReference",)),
        ("author", many, STAFF),
        EXTENSION,
    ),
    "Encounter": (
        ("appointment", many, ("Appointment",)),
        ("basedOn", many, ("ServiceRequest",)),
        ("partOf", single, ("Encounter",)),
        ("location", entry("location", status="{}"), ("Location",)),
        ("participant", entry("individual", words="{}"), STAFF[:2]),
        ("diagnosis", entry("condition", words="{}"), ("Condition", "Procedure")),
        ("reasonReference", many, ("Condition", "Observation")),
        ("episodeOfCare", many, ("EpisodeOfCare",)),
        ("hospitalization", held("origin", as_list=False), ("Location", "Organization")),
        EXTENSION,
    ),
    "EpisodeOfCare": (
        ("diagnosis", entry("condition", words="{}"), ("Condition",)),
        ("referralRequest", many, ("ServiceRequest",)),
        ("team", many, ("CareTeam",)),
        ("managingOrganization", single, ("Organization",)),
    ),
    "Flag": (ENCOUNTER, ("author", single, STAFF), EXTENSION),
    "Goal": (("addresses", many, ("Condition",)), ("outcomeReference", many, ("Observation",)), NOTE),
    "HealthcareService": (("providedBy", single, ("Organization",)), ("location", many, ("Location",))),
    "Immunization": (ENCOUNTER, ("reaction", entry("detail", date="{}"), ("Observation",)), *COMMON),
    "Location": (("partOf", single, ("Location",)), ("managingOrganization", single, ("Organization",))),
    "Medication": (("ingredient", entry("itemReference"), ("Medication",)),),
    "MedicationRequest": (
        ENCOUNTER,
        ("medicationReference", single, ("Medication",)),
        ("reasonReference", many, ("Condition", "Observation")),
        ("requester", single, STAFF),
        ("basedOn", many, ("CarePlan", "ServiceRequest", "MedicationRequest")),
        ("supportingInformation", many, ANYTHING),
        *COMMON,
    ),
    "MedicationDispense": (
        ("context", single, ("Encounter",)),
        ("authorizingPrescription", many, ("MedicationRequest",)),
        ("location", single, ("Location",)),
        NOTE,
    ),
    "Observation": (
        ENCOUNTER,
        ("basedOn", many, ("ServiceRequest", "CarePlan")),
        ("partOf", many, ("Procedure", "Immunization")),
        ("hasMember", many, ("Observation",)),
        ("derivedFrom", many, ("Observation", "DocumentReference")),
        ("focus", many, ("Condition",)),
        ("performer", many, STAFF),
        *COMMON,
    ),
    "Organization": (("partOf", single, ("Organization",)),),
    "PractitionerRole": (
        ("practitioner", single, ("Practitioner",)),
        ("healthcareService", many, ("HealthcareService",)),
        ("location", many, ("Location",)),
    ),
    "Procedure": (
        ENCOUNTER,
        ("report", many, ("DiagnosticReport", "DocumentReference")),
        ("reasonReference", many, ("Condition",)),
        ("performer", entry("actor", words="{}"), STAFF),
        ("complicationDetail", many, ("Condition",)),
        *COMMON,
    ),
    "ServiceRequest": (
        ENCOUNTER,
        ("performer", many, (*STAFF, "HealthcareService")),
        ("reasonReference", many, ("Condition",)),
        ("supportingInfo", many, ANYTHING),
        *COMMON,
    ),
}
KINDS = sorted({*LINKS, "Practitioner"})
FORMS = ("relative", "versioned", "absolute", "urn", "logical")
CODES = {
    "excluded": (FUNCTION, "360"),
    "plain": (SNOMED, "195967001"),
    "depression": (SNOMED, "35489007"),
}
LABELS = {"": None, "V": (CONFIDENTIALITY, "V"), "PSY": (SENSITIVITY, "PSY"), "STD": (SENSITIVITY, "STD")}


@dataclass(frozen=True)
class Node:
    kind: str
    n: int
    code: str
    label: str

    @property
    def mark(self):
        """Stands in all that this resource says, and in all that is said of it."""
        return f"mark-{self.n}."

    @property
    def excluded(self):
        return self.code == "excluded" or (self.label == "STD" and self.kind != "AllergyIntolerance")


@dataclass(frozen=True)
class Link:
    source: Node
    element: str
    shape: object
    target: Node
    form: str


@st.composite
def graphs(draw):
    """Resources and the references among them."""
    numbers = count()
    code = st.sampled_from(["plain", "plain", "plain", "excluded", "depression"])
    label = st.sampled_from(["", "", "", "", "V", "PSY", "STD"])
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=3, max_size=10))
    nodes = [Node(kind, next(numbers), draw(code) if kind in CODED else "plain", draw(label)) for kind in kinds]
    nodes.append(Node("Encounter", next(numbers), "excluded", ""))
    possible = [
        (source, element, shape, target)
        for source in nodes
        for element, shape, targets in LINKS.get(source.kind, ())
        for target in nodes
        if target.kind in targets
    ]
    links, taken = [], set()
    for source, element, shape, target in draw(st.lists(st.sampled_from(possible), max_size=20)) if possible else ():
        if shape is None or isinstance(shape({}, ""), list) or (source, element) not in taken:
            links.append(Link(source, element, shape, target, draw(st.sampled_from(FORMS))))
            taken.add((source, element))
    return draw(st.permutations(nodes)), links


def goes(nodes, links, tables):
    """What goes, and what is severed: the table read by itself, again and again until nothing more follows."""
    out, severed = {node for node in nodes if node.excluded}, set()
    severed |= {node for node in nodes if node.kind == "AllergyIntolerance" and node.label == "STD"} - out
    while True:
        more = set()
        for link in links:
            edge = tables.edges.get(link.source.kind, {}).get(link.element)
            if link.element == "contained":
                edge = Edge.DEPENDANT
            if link.target in out and edge in (Edge.DEPENDANT, Edge.BOTH):
                more.add(link.source)
            if link.source in out and edge in (Edge.GOVERNS, Edge.BOTH):
                more.add(link.target)
        more -= out | severed
        if not more:
            return out, severed
        severed |= {node for node in more if node.kind in tables.severed}
        out |= {node for node in more if node.kind not in tables.severed}


def reference(link):
    """A reference in one of its forms, with a display that tells."""
    kind, n = link.target.kind, link.target.n
    if link.form == "logical":
        return {"identifier": {"system": "urn:ids", "value": f"{link.target.mark}id"}, "display": link.target.mark}
    literal = {
        "relative": f"{kind}/{n}",
        "versioned": f"{kind}/{n}/_history/1",
        "absolute": f"{BASE}/{kind}/{n}",
        "urn": f"urn:uuid:{n}",
    }[link.form]
    return {"reference": literal, "display": link.target.mark}


def rendered(node, links, *, bare=False):
    """A resource with its references; bare, as a severed one would have been recorded."""
    data = {"resourceType": node.kind, "id": str(node.n)}
    if node.kind == "Appointment":
        data["participant"] = [{"actor": PATIENT, "status": "accepted"}]
    elif node.kind not in NOBODYS:
        data[OWNER.get(node.kind, "subject")] = PATIENT
    system, code = CODES[node.code]
    if node.kind in CODED:
        concept = {"coding": [{"system": system, "code": code}]}
        data[CODED[node.kind]] = [concept] if CODED[node.kind] in ("specialty", "type") else concept
    if node.kind == "AllergyIntolerance":
        data |= {"criticality": "high", "reaction": [{"manifestation": [{"text": "rash"}]}]}
    if bare:
        return dict(sorted(data.items()))
    data["identifier"] = [{"system": "urn:ids", "value": f"{node.mark}id"}]
    data["comment"] = node.mark
    if LABELS[node.label]:
        system, code = LABELS[node.label]
        data["meta"] = {"security": [{"system": system, "code": code}], "lastUpdated": "2024-02-03T09:00:00Z"}
    ranks = count(1)
    for link in links:
        if link.source is not node:
            continue
        if link.element == "contained":
            inner = data.setdefault("contained", [])
            inner.append({"resourceType": "Observation", "id": f"c{len(inner)}", "encounter": reference(link)})
            continue
        value = link.shape(reference(link), link.target.mark)
        if isinstance(value, list):
            if link.element == "diagnosis":
                value[0]["rank"] = next(ranks)
            data.setdefault(link.element, []).extend(value)
        else:
            data[link.element] = value
    return dict(sorted(data.items()))  # the order of elements is the source's, and tells nothing


def records(nodes, links, tables):
    """The record, the same without what goes, and what must not be mentioned."""
    out, severed = goes(nodes, links, tables)
    left = [link for link in links if link.source not in out | severed and link.target not in out]
    # The label of a severed one is judged and then left out: it has none here, but for one that severs.
    whole = [resource(node, links, labelled=node not in severed or node.label in ("", "STD")) for node in nodes]
    without = [resource(node, left, bare=node in severed) for node in nodes if node not in out]
    return whole, without, out, severed


def resource(node, links, *, bare=False, labelled=True):
    data = rendered(node, links, bare=bare)
    if not labelled:
        del data["meta"]
    return Resource(encode(data), full_url=f"urn:uuid:{node.n}")


ROLES = st.sampled_from(["clinician", "nurse", "pharmacist", "health-professional", "social-worker"])


def told(seen):
    """All that anybody learns from one source."""
    ids = Ids(b"k" * 32, "9990000018")
    twice = [*seen.judged.facts, *(msgspec.structs.replace(fact, source="other") for fact in seen.judged.facts)]
    merging = merge(twice, ids, "patient-id")
    try:
        while True:
            next(merging)
    except StopIteration as end:
        return seen.judged.entries, seen.row, seen.judged.facts, end.value, seen.reads


@given(graph=graphs(), role=ROLES, runs_excluded=st.booleans(), asked=st.none() | st.integers(0, 15))
async def test_a_record_with_and_without_what_is_never_shared_gives_the_same(
    judging, graph, role, runs_excluded, asked
):
    whole, without, out, severed = records(*graph, judging.tables)
    only = None if asked is None else [judging.tables.categories[asked]]
    scope = {"role": role, "runs_excluded": runs_excluded, "asked": only}
    patient = Resource(encode(judging.patient()))
    one = await judging.judge(answer=judging.answer([patient, *whole]), **scope)
    other = await judging.judge(answer=judging.answer([patient, *without]), **scope)
    assert told(one) == told(other)
    for node in out | severed:
        assert node.mark.encode() not in one.bytes


@given(graph=graphs(), runs_excluded=st.booleans())
async def test_nothing_else_is_lost(judging, graph, runs_excluded):
    nodes, links = graph
    nodes = [replace(node, label="") for node in nodes]
    links = [
        replace(link, source=replace(link.source, label=""), target=replace(link.target, label="")) for link in links
    ]
    by_number = {node.n: node for node in nodes}
    links = [replace(link, source=by_number[link.source.n], target=by_number[link.target.n]) for link in links]
    whole, _, out, _ = records(nodes, links, judging.tables)
    seen = await judging.judge(
        answer=judging.answer([Resource(encode(judging.patient())), *whole]), runs_excluded=runs_excluded
    )
    kept = {node for node in nodes if node not in out and node.kind not in NOBODYS}
    if runs_excluded:
        kept = {node for node in kept if node.kind != "DocumentReference"}
        kept -= _dependants(links, {node for node in nodes if node.kind == "DocumentReference"}, judging.tables)
    assert {(node.kind, str(node.n)) for node in kept} <= seen.ids


def _dependants(links, letters, tables):
    """Letters that can't be told apart count as out, and take what depends on them."""
    out = set(letters)
    while True:
        more = {
            link.source
            for link in links
            if link.target in out
            and tables.edges.get(link.source.kind, {}).get(link.element) in (Edge.DEPENDANT, Edge.BOTH)
            and link.source.kind not in tables.severed
        } | {
            link.target
            for link in links
            if link.source in out
            and tables.edges.get(link.source.kind, {}).get(link.element) in (Edge.GOVERNS, Edge.BOTH)
            and link.target.kind not in tables.severed
        }
        if more <= out:
            return out
        out |= more


def parted(nodes, links, tables, asked):
    """What a question for these types fetches, and what is only read: in one step, so what follows from that comes."""
    fetched = tables.context | asked | tables.supporting - tables.by_reference
    behind = {node for node in nodes if node.kind not in fetched}
    further = {link.target for link in links if link.source in behind and link.target.kind in tables.by_reference}
    behind -= further
    return (
        [resource(node, links) for node in nodes if node not in behind],
        [rendered(node, links) for node in nodes if node in behind],
    )


@given(graph=graphs(), role=ROLES, which=st.integers(0, 15))
async def test_asking_for_one_category_gives_what_asking_for_all_gives_in_it(judging, graph, role, which):
    """What one question fetches is less; what lacks to judge it is read."""
    tables = judging.tables
    nodes, links = graph
    # What is read comes without an address of its own, and an identifier can't be read.
    links = [replace(link, form="relative" if link.form in ("urn", "logical") else link.form) for link in links]
    name = tables.categories[which]
    patient = Resource(encode(judging.patient()))
    some, behind = parted(nodes, links, tables, tables.types_of(name))
    whole = [patient, *(resource(node, links) for node in nodes)]
    every = await judging.judge(answer=judging.answer(whole), role=role)
    alone = await judging.judge(answer=judging.answer([patient, *some]), role=role, asked=[name], behind=behind)
    assert alone.row.categories == {name: every.row.categories[name]}
    there = {entry.id: entry.content for entry in every.judged.entries}
    matches = {entry.id: entry.content for entry in alone.judged.entries if entry.mode == "match"}
    assert matches.items() <= there.items()
    assert len(matches) == alone.row.categories[name].resources - (name == "demographics")


@given(graph=graphs(), role=ROLES, data=st.data())
async def test_asking_for_one_type_gives_what_asking_for_all_gives_of_it(judging, graph, role, data):
    """A search by FHIR type is judged on no less than the whole record is."""
    tables = judging.tables
    nodes, links = graph
    links = [replace(link, form="relative" if link.form in ("urn", "logical") else link.form) for link in links]
    type_ = data.draw(st.sampled_from(sorted(set(tables.home) - {"Patient"})))
    patient = Resource(encode(judging.patient()))
    some, behind = parted(nodes, links, tables, {type_})
    every = await judging.judge(answer=judging.answer([patient, *(resource(node, links) for node in nodes)]), role=role)
    names = [name for name in tables.categories if type_ in tables.types_of(name)]
    alone = await judging.judge(
        answer=judging.answer([patient, *some]), role=role, asked=names, types=[type_], behind=behind
    )
    there = {entry.id: entry.content for entry in every.judged.entries if entry.type == type_ and entry.mode == "match"}
    matches = {entry.id: entry.content for entry in alone.judged.entries if entry.mode == "match"}
    assert matches == there
    assert alone.row.types[type_].resources == len(matches)


@pytest.mark.parametrize("kind", sorted(CODED))
async def test_the_generated_codes_exclude_wherever_they_stand(judging, kind):
    node = Node(kind, 1, "excluded", "")
    holder = Link(Node("Observation", 2, "plain", ""), "extension", extension, node, "relative")
    seen = await judging.judge(
        answer=judging.answer([
            Resource(encode(judging.patient())),
            resource(node, []),
            resource(holder.source, [holder]),
        ])
    )
    assert seen.ids == {("Observation", "2")}
    assert b"mark-1." not in seen.bytes
