"""What a server says of itself, and how it says no."""

from typing import Any, Final

from broker.demo.world.organisations import Site

__all__ = ["BY_ID_ONLY", "Refusal", "capability", "outcome"]

Resource = dict[str, Any]
BY_ID_ONLY: Final = ("HealthcareService", "Location", "Organization", "Practitioner", "PractitionerRole")
"""Types of no patient: read by id, or found by `_id`."""


class Refusal(Exception):
    """An answer that is an OperationOutcome."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.outcome = outcome("error", code, text)


def outcome(severity: str, code: str, text: str) -> Resource:
    """An OperationOutcome with one issue."""
    return {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": severity, "code": code, "diagnostics": text}],
    }


def capability(site: Site, base: str) -> Resource:
    """The CapabilityStatement: what is declared is what works."""
    operations = [{"name": "everything", "definition": "http://hl7.org/fhir/OperationDefinition/Patient-everything"}]
    interactions = [{"code": "read"}, {"code": "search-type"}]
    own = [
        {
            "type": "Patient",
            "interaction": interactions,
            "searchParam": _parameters("_id", "identifier"),
            **({"operation": operations} if site.habits.everything else {}),
        }
    ]
    own += [
        {"type": kind, "interaction": interactions, "searchParam": _parameters("_id", "patient")} for kind in site.types
    ]
    own += [{"type": kind, "interaction": interactions, "searchParam": _parameters("_id")} for kind in BY_ID_ONLY]
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": "2026-11-01",
        "kind": "instance",
        "implementation": {"description": "A server of the demo world", "url": base},
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [
            {
                "mode": "server",
                "resource": own,
                **({"interaction": [{"code": "batch"}]} if site.habits.batch else {}),
            }
        ],
    }


def _parameters(*names: str) -> list[Resource]:
    """Search parameters, as a CapabilityStatement lists them."""
    kinds = {"_id": "token", "identifier": "token", "patient": "reference"}
    return [{"name": name, "type": kinds[name]} for name in names]
