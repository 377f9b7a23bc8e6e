"""The closure table, followed a second time as simply as can be, on generated graphs and on real records.

The model here works on JSON and on the table as it stands in its file, and goes over everything again and again until
nothing more follows. What is released must be exactly what it leaves: nothing that leads to or depends on what is
excluded, and nothing else gone.
"""

import copy
import json
import random
import re
import tomllib
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract import Arrival, Resource
from broker.lookup.judging.compartment import PARTICIPANTS, SUBJECT

FUNCTION = "https://fhir.nhs.uk/CodeSystem/NHSDataModelAndDictionary-treatment-function"
GUM = (FUNCTION, "360")
BASE = "http://127.0.0.1:1/fhir"
PATIENT = {"reference": "Patient/p1"}
WORDS = {"extension", "modifierExtension", "note", "description"}

FILE = tomllib.loads(files("policies").joinpath("closure.toml").read_text(encoding="utf-8"))
TABLE = FILE["type"]


def objects(part):
    """Every object in a part of a resource."""
    if isinstance(part, dict):
        yield part
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from objects(inner)


def key(resource):
    return resource["resourceType"], resource["id"]


class Model:
    """What goes of a record, what is severed, and what that leaves.

    Args:
        record: resources with, where they have one, the `fullUrl` of their entry.
        excluded: codings.
        deciding: types of which one that is not there counts as out; none unless the organisation runs such a service.
    """

    def __init__(self, record, excluded, deciding=()):
        self.excluded = excluded
        self.deciding = deciding
        self.resources = {key(resource): resource for resource, _ in record}
        self.addresses = {url: key(resource) for resource, url in record if url}
        self.names = {}
        for resource, _ in record:
            for one in objects(resource.get("identifier", [])):
                if "value" in one:
                    self.names.setdefault((one.get("system"), one["value"]), set()).add(key(resource))
        self.out = set()
        self.severed = set()
        self._seed()
        while self._grow():
            pass

    def has_code(self, part):
        return any(
            (one.get("system"), one["code"]) in self.excluded
            for one in objects(part)
            if isinstance(one.get("code"), str)
        )

    def leads_to(self, part):
        """The resources that one object names, if it is a reference."""
        literal = part.get("reference")
        if isinstance(literal, str):
            if literal in self.addresses:
                return {self.addresses[literal]}
            found = re.fullmatch(r"([A-Z][A-Za-z]+)/([^/]+)(/_history/.+)?", literal.removeprefix(f"{BASE}/"))
            return {(found[1], found[2])} if found else set()
        name = part.get("identifier")
        return self.names.get((name.get("system"), name.get("value")), set()) if isinstance(name, dict) else set()

    def edges(self, resource, *, contained=False):
        """(kind, resources named) of each reference in an element of the table, in contained resources too."""
        row = TABLE.get(resource["resourceType"], {})
        for kind in ("container", "dependant", "governs", "both"):
            for element in row.get(kind, ()):
                for one in objects(resource.get(element)):
                    yield "dependant" if contained and kind == "container" else kind, self.leads_to(one)
        for inner in resource.get("contained", ()):
            yield from self.edges(inner, contained=True)

    def gone(self, target):
        """Whether it is out. What is not there may be so as well: what depends on it, or leads to it, tells of it."""
        return target in self.out or (target not in self.resources and target[0] in self.deciding)

    def keep_out(self, target):
        """Whether this is news."""
        stays = target in self.resources and "keeps" in TABLE.get(target[0], {})
        where = self.severed if stays else self.out
        if target in self.out | where:
            return False
        where.add(target)
        return True

    def _seed(self):
        for target, resource in self.resources.items():
            row = TABLE.get(target[0], {})
            for element, value in resource.items():
                if element in row.get("container", ()) or not self.has_code(value):
                    continue
                if "keeps" in row and (element not in row["keeps"] or element == "meta"):
                    self.severed.add(target)
                else:
                    self.out.add(target)
            if self.deciding and target[0] == "DocumentReference":
                self.out.add(target)  # none here says of what service it is

    def _grow(self):
        grown = False
        for target, resource in self.resources.items():
            for kind, named in self.edges(resource):
                if kind in ("dependant", "both") and any(map(self.gone, named)):
                    grown |= self.keep_out(target)
                if kind in ("governs", "both") and target in self.out:
                    for one in named:
                        grown |= self.keep_out(one)
        return grown

    def leads_out(self, part):
        return any(any(map(self.gone, self.leads_to(one))) for one in objects(part))

    def left(self, target):
        """A resource that stays, without what leads to what is out."""
        resource = copy.deepcopy(self.resources[target])
        row = TABLE.get(target[0], {})
        if target in self.severed:
            resource = {element: value for element, value in resource.items() if element in row["keeps"]}
            for one in objects(resource):
                for element in WORDS & one.keys():
                    del one[element]
        self._trim(resource, row.get("container", ()))
        return resource

    def _trim(self, part, containers=()):
        for element, value in part.items() if isinstance(part, dict) else ():
            if element in containers or element in ("extension", "modifierExtension"):
                entries = value if isinstance(value, list) else [value]
                entries[:] = [one for one in entries if not (self.leads_out(one) or self.has_code(one))]
                part[element] = entries
        for one in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
            self._trim(one)
        if isinstance(part, dict) and any(map(self.gone, self.leads_to(part))):
            part.clear()

    def released(self, counted, supporting):
        """What leaves: all that counts by itself, and what belongs to nobody and something that leaves refers to."""
        found = {target for target in counted if target not in self.out}
        waiting = list(found)
        while waiting:
            for one in objects(self.left(waiting.pop())):
                named = self.leads_to(one) if isinstance(one.get("reference"), str) else set()
                more = (named & supporting) - self.out - found
                found |= more
                waiting.extend(more)
        return found


# Generated graphs: any type, any element of the table, any target, in every form

TYPES = sorted({*TABLE, *FILE["supporting"], "QuestionnaireResponse", "RelatedPerson", "Media"})
FORMS = ("relative", "versioned", "absolute", "urn", "logical")
SHAPES = ("plain", "entry", "deep", "contained", "contained chain", "extension", "extension in an entry")


@st.composite
def records(draw):
    """Resources and the references among them, to some that are not there too."""
    kinds = draw(st.lists(st.sampled_from(TYPES), min_size=2, max_size=9))
    nodes = [make(kind, str(n), excluded=draw(st.integers(0, 3)) == 0) for n, kind in enumerate(kinds)]
    targets = [*map(key, nodes), (draw(st.sampled_from(TYPES)), "gone")]
    for _ in range(draw(st.integers(0, 14))):
        node = draw(st.sampled_from(nodes))
        shape, form = draw(st.sampled_from(SHAPES)), draw(st.sampled_from(FORMS))
        link(draw, node, draw(st.sampled_from(targets)), shape, form)
    return [(node, f"urn:uuid:{node['id']}") for node in nodes]


def make(kind, id_, *, excluded=False):
    """A resource of this patient; with an excluded code where its own codes stand, or in an entry."""
    data = {"resourceType": kind, "id": id_, "identifier": [{"system": "urn:ids", "value": f"name-{id_}"}]}
    if kind in SUBJECT:
        data[SUBJECT[kind]] = PATIENT
    if kind in PARTICIPANTS:
        data[PARTICIPANTS[kind][0]] = [{PARTICIPANTS[kind][1]: PATIENT}]
    if excluded:
        data["code"] = {"coding": [dict(zip(("system", "code"), GUM, strict=True))]}
    return data


def elements_of(kind):
    row = TABLE.get(kind, {})
    listed = [element for edges in ("container", "dependant", "governs", "both") for element in row.get(edges, ())]
    return [*listed, *listed, *listed, "somewhere"]


def link(draw, node, target, shape, form):
    """Let `node` refer to `target`."""
    reference = referring(target, form)
    element = draw(st.sampled_from(elements_of(node["resourceType"])))
    entries = node.setdefault(element, []) if "contained" not in shape and shape != "extension" else []
    match shape:
        case "plain":
            entries.append(reference)
        case "entry":
            entries.append({"item": reference, "words": "beside it"})
        case "deep":
            entries.append({"one": {"two": [{"three": reference}]}})
        case "extension":
            node.setdefault("extension", []).append({"url": "urn:x", "extension": [{"valueReference": reference}]})
        case "extension in an entry":
            entries.append({"words": "stays", "extension": [{"url": "urn:x", "valueReference": reference}]})
        case _:
            contained = node.setdefault("contained", [])
            inner = draw(st.sampled_from(sorted(TABLE)))
            element = draw(st.sampled_from(elements_of(inner)))
            name = f"c{len(contained)}"
            contained.append({"resourceType": inner, "id": name, element: [reference]})
            if shape == "contained chain":
                outer = {"resourceType": "Observation", "id": f"{name}x", "hasMember": [{"reference": f"#{name}"}]}
                contained.append(outer)


def referring(target, form):
    kind, id_ = target
    if id_ == "gone" and form in ("urn", "logical"):
        form = "relative"  # what can't be told to be of a type that decides is another story
    if form == "logical":
        return {"identifier": {"system": "urn:ids", "value": f"name-{id_}"}}
    literal = {
        "relative": f"{kind}/{id_}",
        "versioned": f"{kind}/{id_}/_history/2",
        "absolute": f"{BASE}/{kind}/{id_}",
        "urn": f"urn:uuid:{id_}",
    }[form]
    return {"reference": literal, "display": f"told-{id_}."}


def given_as(record):
    return [
        Resource(json.dumps(resource).encode(), Arrival.RECORD, url) if url else Resource(json.dumps(resource).encode())
        for resource, url in record
    ]


@given(record=records(), runs_excluded=st.booleans())
async def test_exactly_what_the_table_lets_stay_is_released(judging, record, runs_excluded):
    tables = judging.tables
    model = Model(record, {GUM}, tables.deciding if runs_excluded else ())
    patient = Resource(json.dumps(judging.patient()).encode(), Arrival.PATIENT)
    seen = await judging.judge(answer=judging.answer([patient, *given_as(record)]), runs_excluded=runs_excluded)
    counted = {target for target in model.resources if target[0] in tables.home}
    supporting = {target for target in model.resources if target[0] in tables.supporting}
    assert seen.ids == model.released(counted, supporting)
    for one in seen.by_id.values():
        assert all(code != GUM[1] for code in (part.get("code") for part in objects(one)))
    for kind, id_ in model.out:
        assert f"told-{id_}." not in seen.bytes.decode(), (kind, id_)
    for kind, id_ in model.severed - model.out:
        assert seen.by_id[id_].keys() <= {*TABLE[kind]["keeps"], "meta"}


async def test_a_document_bundle_is_not_looked_into_and_costs_nothing_else(judging):
    """What is in it could not be told apart from what else the source holds."""
    inner = make("Condition", "inner")
    bundle = {"resourceType": "Bundle", "id": "b", "type": "document", "entry": [{"resource": inner}]}
    seen = await judging.judge([bundle, make("Condition", "c"), inner | {"id": "alone"}])
    assert seen.ids == {("Condition", "c"), ("Condition", "alone")}
    assert seen.statuses["problems"] == "answered"


# Real records

MARKED = {
    "AllergyIntolerance": "code",
    "Condition": "code",
    "DiagnosticReport": "code",
    "Encounter": "serviceType",
    "Immunization": "vaccineCode",
    "MedicationRequest": "medicationCodeableConcept",
    "MedicationStatement": "medicationCodeableConcept",
    "Observation": "code",
    "Procedure": "code",
    "ServiceRequest": "code",
}
"""Type, then the element that takes the excluded code."""
EACH = 6
"""Items of a record that are excluded, one after the other."""
LARGEST = 400_000
"""Bytes of a file: a larger one takes longer than it tells."""


def bundles(shared_data, pattern, every):
    found = sorted(path for path in shared_data.glob(pattern) if path.stat().st_size < LARGEST)
    for path in found[::every]:
        bundle = json.loads(path.read_text(encoding="utf-8"))
        entries = [one for one in bundle.get("entry", ()) if isinstance(one.get("resource"), dict)]
        if any(one["resource"]["resourceType"] == "Patient" for one in entries):
            yield path.name, entries


def as_theirs(judging, entries):
    """The record as a source would give it of the patient of these tests."""
    record = []
    for entry in entries:
        resource = copy.deepcopy(entry["resource"])
        resource.pop("text", None)
        url = entry.get("fullUrl")
        resource.setdefault("id", (url or "").rsplit(":", 1)[-1])
        if resource["resourceType"] == "Patient":
            theirs = judging.patient()
            resource |= {"identifier": theirs["identifier"], "birthDate": theirs["birthDate"]}
            record.insert(0, (resource, url))
        else:
            record.append((resource, url))
    return record


@pytest.mark.parametrize(
    ("pattern", "every"),
    [
        ("synthea-r4/*_*-*.json", 12),
        ("ips-r4/*.json", 1),
        ("gpconnect-stu3/uat/*full*.json", 2),
    ],
)
async def test_of_a_real_record_exactly_what_the_table_says_goes_with_one_item(judging, shared_data, pattern, every):
    """Hazards exclusion-leak, over-withholding."""
    tables = judging.tables
    chance = random.Random(5)
    told = 0
    excluded = {*tables.excluded_codings(judging.today), GUM}
    for name, entries in bundles(shared_data, pattern, every):
        record = as_theirs(judging, entries)
        whole = await judging.judge(answer=judging.answer(given_as_found(record)))
        if whole.judged.wrong_patient:
            continue
        before = Model(record, excluded)
        items = [n for n, (resource, _) in enumerate(record) if key(resource) in whole.ids - before.out]
        items = [n for n in items if record[n][0]["resourceType"] in MARKED]
        for n in chance.sample(items, min(EACH, len(items))):
            marked = mark(record, n)
            model = Model(marked, excluded)
            assert key(record[n][0]) in model.out
            seen = await judging.judge(answer=judging.answer(given_as_found(marked)))
            counted = {target for target in whole.ids if target[0] in tables.home}
            supporting = {target for target in whole.ids if target[0] in tables.supporting}
            assert seen.ids == model.released(counted, supporting), (name, key(record[n][0]))
            told += 1
    assert told


def given_as_found(record):
    first, *rest = given_as(record)
    return [Resource(first.content, Arrival.PATIENT, first.full_url), *rest]


def mark(record, n):
    """The record with an excluded code on one item."""
    resource, url = copy.deepcopy(record[n])
    concept = resource.setdefault(MARKED[resource["resourceType"]], {})
    concept.setdefault("coding", []).append(dict(zip(("system", "code"), GUM, strict=True)))
    return [*record[:n], (resource, url), *record[n + 1 :]]
