"""One FHIR resource in a line of plain words: what it is, of when, and how it stands."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["HEADINGS", "Item", "describe", "source_of"]

Resource = Mapping[str, Any]

HEADINGS: Final[Mapping[str, str]] = {
    "AllergyIntolerance": "Allergies",
    "Flag": "Alerts",
    "MedicationRequest": "Medications",
    "Condition": "Problems",
    "Immunization": "Immunisations",
    "Observation": "Results",
    "DiagnosticReport": "Results",
    "Procedure": "Procedures",
    "Encounter": "Attendances and admissions",
    "EpisodeOfCare": "Attendances and admissions",
    "Appointment": "Appointments",
    "ServiceRequest": "Referrals",
    "CarePlan": "Care plans and teams",
    "CareTeam": "Care plans and teams",
    "DocumentReference": "Letters and documents",
    "RelatedPerson": "People",
}
"""Type to the heading it stands under, in the order in which they are shown. Other types only support these."""

_SETTINGS: Final = {
    "AMB": "clinic",
    "EMER": "emergency",
    "HH": "at home",
    "IMP": "inpatient",
    "VR": "by telephone or video",
}


@dataclass(frozen=True, slots=True)
class Item:
    """One resource, as it is shown.

    Attributes:
        what: the thing itself, the same words wherever it is recorded.
        how: how it stands at this source.
        when: `YYYY-MM-DD` or less; empty where nothing is said.
        standing: the status alone, for things where it matters that two sources give another.
    """

    what: str
    how: str = ""
    when: str = ""
    standing: str = ""


def source_of(resource: Resource) -> str:
    """The name of the source that a resource came from."""
    return str(resource.get("meta", {}).get("source", "")).rpartition(":")[2]


def describe(resource: Resource) -> Item:
    """The words for one resource of a type that has a heading."""
    return _DESCRIBED[resource["resourceType"]](resource)


def _words(concept: Any) -> str:
    """A CodeableConcept, by its text or its first display."""
    if not isinstance(concept, Mapping):
        return ""
    displays = [coding.get("display") for coding in concept.get("coding", ())]
    return str(concept.get("text") or next(filter(None, displays), ""))


def _code(concept: Any) -> str:
    codings = concept.get("coding", ()) if isinstance(concept, Mapping) else ()
    return str(codings[0].get("code", "")) if codings else ""


def _first(concepts: Any) -> str:
    return next(filter(None, map(_words, concepts or ())), "")


def _join(*parts: Any) -> str:
    return "; ".join(str(part) for part in parts if part)


def _allergy(resource: Resource) -> Item:
    reactions = [_words(one) for reaction in resource.get("reaction", ()) for one in reaction.get("manifestation", ())]
    status = {_code(resource.get("verificationStatus")), _code(resource.get("clinicalStatus"))}
    how = _join(
        "ENTERED IN ERROR" if "entered-in-error" in status else "",
        ", ".join(reactions),
        f"risk {resource['criticality']}" if "criticality" in resource else "",
    )
    return Item(_words(resource.get("code")), how, resource.get("recordedDate", ""))


def _flag(resource: Resource) -> Item:
    return Item(_words(resource.get("code")), _first(resource.get("category")), _start(resource))


def _medication(resource: Resource) -> Item:
    status = resource.get("status", "")
    doses = [dosage.get("text") for dosage in resource.get("dosageInstruction", ())]
    how = _join(status if status == "active" else status.upper(), _words(resource.get("statusReason")), *doses)
    what = _words(resource.get("medicationCodeableConcept")) or "A medicine"
    return Item(what, how, resource.get("authoredOn", ""), status)


def _condition(resource: Resource) -> Item:
    return Item(_words(resource.get("code")), _code(resource.get("clinicalStatus")), resource.get("onsetDateTime", ""))


def _immunisation(resource: Resource) -> Item:
    doses = [applied.get("doseNumberPositiveInt") for applied in resource.get("protocolApplied", ())]
    number = f"dose {doses[0]}" if doses and doses[0] else ""
    return Item(_words(resource.get("vaccineCode")), number, resource.get("occurrenceDateTime", ""))


def _value(resource: Resource) -> str:
    quantity = resource.get("valueQuantity")
    if quantity:
        return f"{quantity.get('value', '?')} {quantity.get('unit', '')}".strip()
    return str(resource.get("valueString", "")) or _words(resource.get("valueCodeableConcept"))


def _observation(resource: Resource) -> Item:
    parts = [f"{_words(part.get('code'))} {_value(part)}" for part in resource.get("component", ())]
    return Item(_words(resource.get("code")), _join(_value(resource), *parts), resource.get("effectiveDateTime", ""))


def _report(resource: Resource) -> Item:
    results = len(resource.get("result", ()))
    how = _join(f"{results} result{'s' if results != 1 else ''}", resource.get("conclusion"))
    return Item(f"Report: {_words(resource.get('code'))}", how, resource.get("effectiveDateTime", ""))


def _procedure(resource: Resource) -> Item:
    return Item(_words(resource.get("code")), "", resource.get("performedDateTime", ""))


def _encounter(resource: Resource) -> Item:
    period = resource.get("period", {})
    start, end = (period.get(name, "")[:10] for name in ("start", "end"))
    until = "" if end == start else f"until {end}" if end else "not ended"
    how = _join(
        _SETTINGS.get(resource.get("class", {}).get("code", ""), ""),
        _words(resource.get("serviceType")),
        _first(resource.get("reasonCode")),
        until,
    )
    return Item(_first(resource.get("type")) or "Attendance", how, period.get("start", ""))


def _episode(resource: Resource) -> Item:
    return Item(_first(resource.get("type")) or "Under a service", resource.get("status", ""), _start(resource))


def _appointment(resource: Resource) -> Item:
    how = _join(resource.get("status"), _first(resource.get("serviceType")))
    return Item(resource.get("description") or "Appointment", how, resource.get("start", ""))


def _referral(resource: Resource) -> Item:
    how = _join(resource.get("status"), _first(resource.get("reasonCode")))
    return Item(_words(resource.get("code")), how, resource.get("authoredOn", ""))


def _plan(resource: Resource) -> Item:
    steps = [activity.get("detail", {}).get("description") for activity in resource.get("activity", ())]
    return Item(resource.get("title") or _first(resource.get("category")), _join(*steps), _start(resource))


def _team(resource: Resource) -> Item:
    members = [_first(member.get("role")) for member in resource.get("participant", ())]
    return Item(resource.get("name") or "Team", ", ".join(filter(None, members)), _start(resource))


def _document(resource: Resource) -> Item:
    titles = [content.get("attachment", {}).get("title") for content in resource.get("content", ())]
    kind = _words(resource.get("type"))
    return Item(next(filter(None, titles), kind), kind if any(titles) else "", resource.get("date", ""))


def _person(resource: Resource) -> Item:
    names = [name.get("text") for name in resource.get("name", ())]
    return Item(next(filter(None, names), "Somebody close"), _first(resource.get("relationship")))


def _start(resource: Resource) -> str:
    return str(resource.get("period", {}).get("start", ""))


_DESCRIBED: Final[Mapping[str, Callable[[Resource], Item]]] = {
    "AllergyIntolerance": _allergy,
    "Appointment": _appointment,
    "CarePlan": _plan,
    "CareTeam": _team,
    "Condition": _condition,
    "DiagnosticReport": _report,
    "DocumentReference": _document,
    "Encounter": _encounter,
    "EpisodeOfCare": _episode,
    "Flag": _flag,
    "Immunization": _immunisation,
    "MedicationRequest": _medication,
    "Observation": _observation,
    "Procedure": _procedure,
    "RelatedPerson": _person,
    "ServiceRequest": _referral,
}
