"""The records that the sources hold: Synthea patients cut to a size, each with a valid test NHS number."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from broker import nhs_number

__all__ = ["BIRTH_DATE", "SIZE", "SYNTHEA", "Record", "have_synthea", "number_of", "records"]

SYNTHEA = Path(__file__).resolve().parents[3] / "shared" / "data" / "synthea-r4"
"""Beside the checkout. Where it is not there, records of the same size are generated."""

BIRTH_DATE = "1948-03-02"
SIZE = 60_000
"""Bytes of a record, as a Bundle, unless something else is asked for."""

_NHS = "https://fhir.nhs.uk/Id/nhs-number"
_BILLS = {"Claim", "ExplanationOfBenefit"}
"""No NHS organisation holds these, and the broker drops them; they are half of a Synthea file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What one source holds of one patient. The first resource is the Patient."""

    local_id: str
    resources: tuple[dict[str, Any], ...]


def number_of(patient: int) -> str:
    """The NHS number of a patient of the benchmark."""
    return nhs_number.make(900 + patient)


def have_synthea() -> bool:
    """Whether the Synthea records are beside the checkout."""
    return any(SYNTHEA.glob("*.json"))


def records(sources: int, patients: int, *, size: int = SIZE, bills: bool = False) -> list[list[Record]]:
    """For each source, its record of each patient, with or without bills; no two alike until all files are used."""
    files = sorted(path for path in SYNTHEA.glob("*_*-*.json") if path.is_file())
    return [
        [
            _record(
                _from_files(files, patient * 8 + source, bills=bills) if files else _generated(patient * 100 + source),
                number_of(patient),
                size,
            )
            for patient in range(patients)
        ]
        for source in range(sources)
    ]


def _record(resources: Iterator[dict[str, Any]], number: str, wanted: int) -> Record:
    """The Patient, and what comes after it, until the record is large enough."""
    patient = next(resources)
    patient["birthDate"] = BIRTH_DATE
    patient.setdefault("identifier", []).insert(0, {"system": _NHS, "value": number})
    kept = [patient]
    size = len(_compact(patient))
    for resource in resources:
        size += len(_compact(resource)) + 120  # the entry around it
        if size > wanted:
            break
        kept.append(resource)
    return Record(local_id=patient["id"], resources=tuple(kept))


def _from_files(files: Sequence[Path], first: int, *, bills: bool) -> Iterator[dict[str, Any]]:
    """A file's resources, its Patient first; then those of every eighth file after it, as if they were this Patient's."""
    patient, *rest = _from_file(files[first % len(files)], None, bills=bills)
    yield patient
    yield from rest
    for n in range(first + 8, first + 8 * len(files), 8):
        yield from _from_file(files[n % len(files)], patient["id"], bills=bills)[1:]


def _from_file(path: Path, patient: str | None, *, bills: bool) -> list[dict[str, Any]]:
    """The resources of one transaction Bundle, with references as a server writes them; the Patient is the first.

    With `patient`, all of it is of the Patient with that id.
    """
    text = path.read_text(encoding="utf-8")
    entries = json.loads(text)["entry"]
    addresses = {
        f'"{entry["fullUrl"]}"': f'"{entry["resource"]["resourceType"]}/{entry["resource"]["id"]}"' for entry in entries
    }
    if patient is not None:
        addresses[f'"{entries[0]["fullUrl"]}"'] = f'"Patient/{patient}"'
    text = re.sub(r'"urn:uuid:[^"]+"', lambda found: addresses.get(found[0], found[0]), text)
    resources = [entry["resource"] for entry in json.loads(text)["entry"]]
    return [resource for resource in resources if bills or resource["resourceType"] not in _BILLS]


def _generated(serial: int) -> Iterator[dict[str, Any]]:
    """A record in the shape of a Synthea one: an encounter, its problem, five results and a report, again and again."""
    subject = f"p{serial}"
    yield {"resourceType": "Patient", "id": subject, "name": [{"family": "Example", "given": ["Alex"]}]}
    for visit in range(1000):
        day = f"20{visit // 300 % 20:02d}-{visit % 12 + 1:02d}-{visit % 28 + 1:02d}T09:30:00+00:00"
        encounter = f"e{serial}-{visit}"
        common = {"subject": {"reference": f"Patient/{subject}"}, "encounter": {"reference": f"Encounter/{encounter}"}}
        yield {
            "resourceType": "Encounter",
            "id": encounter,
            "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
            "type": [_concept("http://snomed.info/sct", "185347001", "Encounter for problem")],
            "subject": common["subject"],
            "period": {"start": day, "end": day},
        }
        yield {
            "resourceType": "Condition",
            "id": f"c{serial}-{visit}",
            "clinicalStatus": _concept("http://terminology.hl7.org/CodeSystem/condition-clinical", "active", "Active"),
            "code": _concept("http://snomed.info/sct", str(59621000 + visit), "Essential hypertension"),
            "recordedDate": day,
            **common,
        }
        results = [f"o{serial}-{visit}-{n}" for n in range(5)]
        for n, name in enumerate(results):
            yield {
                "resourceType": "Observation",
                "id": name,
                "status": "final",
                "category": [
                    _concept("http://terminology.hl7.org/CodeSystem/observation-category", "vital-signs", "vital-signs")
                ],
                "code": _concept("http://loinc.org", f"{8302 + n}-2", "Body Height"),
                "effectiveDateTime": day,
                "issued": day,
                "valueQuantity": {
                    "value": 170.123456789 + n,
                    "unit": "cm",
                    "system": "http://unitsofmeasure.org",
                    "code": "cm",
                },
                **common,
            }
        yield {
            "resourceType": "DiagnosticReport",
            "id": f"d{serial}-{visit}",
            "status": "final",
            "code": _concept("http://loinc.org", "51990-0", "Basic Metabolic Panel"),
            "effectiveDateTime": day,
            "result": [{"reference": f"Observation/{name}", "display": "Body Height"} for name in results],
            **common,
        }


def _concept(system: str, code: str, display: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code, "display": display}], "text": display}


def _compact(resource: dict[str, Any]) -> str:
    return json.dumps(resource, separators=(",", ":"))
