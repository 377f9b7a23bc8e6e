"""Synthea's patients: who they are, how a record is split over two servers, and what it says."""

import json
import runpy
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

SHARED = Path(__file__).parents[3] / "shared"
LOADER = SHARED / "servers" / "hapi" / "load-synthea.py"
"""Puts a patient into a server, under an NHS number that it makes from the file's name."""
SYNTHEA = SHARED / "data" / "synthea-r4"
NHS = "https://fhir.nhs.uk/Id/nhs-number"
CLINICAL = (
    *("AllergyIntolerance", "CarePlan", "CareTeam", "Condition", "DiagnosticReport", "Encounter", "Goal"),
    *("ImagingStudy", "Immunization", "MedicationRequest", "Observation", "Procedure"),
)
"""What Synthea writes and a lookup gives."""
STAFF = ("Organization", "Practitioner", "Location")
"""What may accompany it."""


@dataclass(frozen=True)
class Patient:
    """Somebody who is looked up."""

    nhs_number: str
    birth_date: str

    @property
    def claimed(self):
        return {"nhs_number": self.nhs_number, "birth_date": self.birth_date}

    def pds(self):
        """Their Patient as the national service answers: not restricted."""
        label = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "U"}
        return {
            "resourceType": "Patient",
            "id": self.nhs_number,
            "identifier": [{"system": NHS, "value": self.nhs_number}],
            "birthDate": self.birth_date,
            "name": [{"use": "usual", "family": "Synthetic", "period": {"start": self.birth_date}}],
            "meta": {"security": [label]},
        }


def synthea(name):
    """The file of one of Synthea's patients."""
    (file,) = SYNTHEA.glob(f"{name}_*.json")
    return file


def patient_of(name):
    """One of Synthea's patients, under the NHS number that the loader gives."""
    resources = [entry["resource"] for entry in json.loads(synthea(name).read_text())["entry"]]
    born = next(one["birthDate"] for one in resources if one["resourceType"] == "Patient")
    return Patient(runpy.run_path(str(LOADER))["nhs_number"](synthea(name).name), born)


def split(bundle):
    """One patient's transaction as two: every other encounter with what belongs to it, and the rest.

    What belongs to no encounter (the patient, staff, places) is in both. Where something refers to what the other has,
    it names it by an identifier alone, as one organisation's system does of another's.
    """
    entries = bundle["entry"]
    encounters = [entry["fullUrl"] for entry in entries if entry["resource"]["resourceType"] == "Encounter"]
    at = {url: n % 2 for n, url in enumerate(encounters)}
    nobodys = {"Patient", *STAFF}
    shared = {entry["fullUrl"] for entry in entries if entry["resource"]["resourceType"] in nobodys}
    while left := [entry for entry in entries if entry["fullUrl"] not in at.keys() | shared]:
        found = {entry["fullUrl"]: next((at[one] for one in references(entry) if one in at), None) for entry in left}
        at |= {url: n for url, n in found.items() if n is not None} or {left[0]["fullUrl"]: 0}
    for n in range(2):
        mine = {url for url, half in at.items() if half == n} | shared
        yield bundle | {"entry": [foreign(entry, mine) for entry in entries if entry["fullUrl"] in mine]}


def foreign(node, mine):
    """References to what is not here, as identifiers."""
    if isinstance(node, list):
        return [foreign(one, mine) for one in node]
    if not isinstance(node, dict):
        return node
    literal = node.get("reference")
    if isinstance(literal, str) and literal.startswith("urn:uuid:") and literal not in mine:
        return {"identifier": {"system": "urn:ietf:rfc:3986", "value": literal}}
    return {key: foreign(value, mine) for key, value in node.items()}


def references(node):
    if isinstance(node, list):
        for one in node:
            yield from references(one)
    elif isinstance(node, dict):
        if isinstance(node.get("reference"), str):
            yield node["reference"]
        for one in node.values():
            yield from references(one)


def content(resource, there, *, deep=True):
    """What a resource says, whatever ids were given to it and to what it refers to.

    A reference is what it leads to in `there`, so two resources are equal only if theirs lead to the same things.
    """

    def walk(node):
        if isinstance(node, list):
            return [walk(one) for one in node]
        if not isinstance(node, dict):
            return node
        literal = node.get("reference")
        if not isinstance(literal, str) or literal.startswith("#"):
            return {key: walk(value) for key, value in node.items()}
        kind = literal.partition("/")[0]
        if not deep or kind in {"Patient", *STAFF}:
            return kind
        return content(there[literal], there, deep=False) if literal in there else f"{kind}, not in the reply"

    own = {key: value for key, value in resource.items() if key not in {"id", "meta", "text"}}
    return json.dumps(walk(own), sort_keys=True)


def contents(record):
    """How often each thing is said in a clinical record, `Type/id` to resource."""
    return Counter(content(one, record) for one in record.values() if one["resourceType"] in CLINICAL)
