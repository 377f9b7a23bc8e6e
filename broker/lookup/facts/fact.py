"""What merging needs of a released resource, taken before its dicts are freed."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec

from broker.lookup.facts.concepts import (
    NO_CODES,
    SNOMED,
    codes_of,
    day_of,
    first,
    key_of,
    keys_of,
    names_of,
    status_codes,
)
from broker.lookup.facts.medicines import Medications, course_of, qualifiers_of, referred, standing_of
from broker.lookup.facts.natures import nature_of
from broker.lookup.facts.negatives import UNNAMING, none_known, says_nothing
from policies.values import Coding

__all__ = ["RECORDED", "Fact", "fact_of"]


class Fact(msgspec.Struct, frozen=True, gc=False):
    """One recorded allergy, medication, condition, immunisation or procedure.

    Attributes:
        kind: `allergy`, `medication`, `condition`, `immunisation` or `procedure`.
        reference: `Type/id`, the broker's.
        source: name of the source.
        where: the organisation as the row names it.
        codes: of the thing itself, in their usual spelling; empty where only words name it.
        names: what the source calls it, the first of them best.
        qualifiers: what must agree, None where it is not said.
        standing: the FHIR code of whether it still holds, where that can contradict another's; else empty.
        since: the day on which it began, where it is said.
        until: the day on which it ended, where it is said.
        none_known: an allergy record that says there are none: of which kind (`""` for all kinds).
        nature: for an allergen, its FHIR categories (`medication`, `food` ...), empty where nobody can tell.
        severities: (scale, how bad on it): `criticality`, `reaction` (the worst), `severity`.
    """

    kind: str
    reference: str
    source: str
    where: str
    codes: frozenset[Coding]
    names: tuple[str, ...]
    qualifiers: tuple[str | None, ...] = ()
    standing: str = ""
    since: str | None = None
    until: str | None = None
    none_known: str | None = None
    nature: frozenset[str] = frozenset()
    severities: tuple[tuple[str, str], ...] = ()

    @property
    def current(self) -> bool:
        """Not resolved, inactive or refuted, nor stopped."""
        return self.standing in {"", "active"}


_NO_FACT = ("entered-in-error", "not-done", "not-taken")


def fact_of(
    type_: str, data: Mapping[str, Any], reference: str, origin: tuple[str, str], medications: Medications
) -> Fact | None:
    """The fact that a released resource of one of the types `RECORDED` records.

    None for one entered in error, for what was not done or is not to be, and for one with a `modifierExtension`: what
    that makes of it can't be known here (FHIR R4, `Element.modifierExtension`).

    Args:
        type_: FHIR type.
        data: the resource, before it is rewritten.
        reference: the broker's `Type/id`.
        origin: name of the source, and the organisation as links and contradictions name it.
        medications: what came with it.
    """
    if data.get("status") in _NO_FACT or "modifierExtension" in data or data.get("doNotPerform") is True:
        return None
    return _READERS[type_](data, reference, origin, medications)


def _named(concept: Mapping[str, Any]) -> tuple[frozenset[Coding], tuple[str, ...]]:
    """Codes and names of a thing: a code that does not name it is none, and only the text is what it is called."""
    codes = codes_of(concept)
    if codes.isdisjoint(UNNAMING):
        return codes, names_of(concept)
    codes -= UNNAMING
    return codes, names_of(concept if codes else {"text": concept.get("text")})


# --- allergies


def _allergy(data: Mapping[str, Any], reference: str, origin: tuple[str, str], _: Medications) -> Fact | None:
    verification = _statuses(data, "verificationStatus")
    if "entered-in-error" in verification:
        return None
    concept = data.get("code")
    if concept.__class__ is not dict:
        concept = {}
    written, called = codes_of(concept), names_of(concept)
    negative = none_known(written, called)
    codes, names = (written, called) if written.isdisjoint(UNNAMING) else _named(concept)
    reactions = data.get("reaction")
    if not codes and negative is None and reactions:
        # Allergic to something: to what, the reaction says. Without a code at all it is still an allergy.
        substance = first(reactions).get("substance")
        if substance.__class__ is dict:
            codes, more = _named(substance)
            names, written = names + more, written | codes
    if negative is None and says_nothing(written, names):
        return None
    return Fact(
        "allergy",
        reference,
        *origin,
        codes,
        names,
        (),
        _clinical_standing(data, verification),
        None,
        None,
        negative,
        nature_of(written, names, data.get("category")) if negative is None else frozenset(),
        _allergy_severities(data.get("criticality"), reactions),
    )


_CRITICALITIES = ("high", "low")
_REACTIONS = ("severe", "moderate", "mild")


def _allergy_severities(criticality: Any, reactions: Any) -> tuple[tuple[str, str], ...]:
    """How bad it may be, and the worst that happened. `unable-to-assess` says neither high nor low."""
    said = [("criticality", criticality)] if criticality in _CRITICALITIES else []
    if isinstance(reactions, list):
        stated = [one.get("severity") for one in reactions if isinstance(one, dict)]
        said += [("reaction", worst) for worst in _REACTIONS if worst in stated][:1]
    return tuple(said)


# --- conditions


def _condition(data: Mapping[str, Any], reference: str, origin: tuple[str, str], _: Medications) -> Fact | None:
    verification = _statuses(data, "verificationStatus")
    concept = data.get("code")
    if concept.__class__ is not dict or "entered-in-error" in verification:
        return None
    codes, names = _named(concept)
    standing = _clinical_standing(data, verification)
    onset = data["onsetDateTime"] if "onsetDateTime" in data else first(data.get("onsetPeriod")).get("start")
    return Fact(
        "condition",
        reference,
        *origin,
        codes,
        names,
        (keys_of(data["bodySite"]),) if "bodySite" in data else _SITE_NOT_SAID,
        standing,
        day_of(onset),
        _condition_end(data, standing),
        severities=_condition_severity(data["severity"]) if "severity" in data else (),
    )


_SITE_NOT_SAID = (None,)
_STANDINGS = {
    "active": "active",
    "recurrence": "active",
    "relapse": "active",
    "resolved": "resolved",
    "inactive": "inactive",
}
"""`allergyintolerance-clinical` and `condition-clinical`, where a recurrence and a relapse are kinds of active."""


def _clinical_standing(data: Mapping[str, Any], verification: Collection[str]) -> str:
    """Remission is neither: who lists a problem as active may know of it."""
    if "refuted" in verification:
        return "refuted"
    said = _statuses(data, "clinicalStatus")
    return next((standing for one, standing in _STANDINGS.items() if one in said), "") if said else ""


_SEVERITIES: Mapping[Coding, str] = {
    (SNOMED, "24484000"): "severe",
    (SNOMED, "6736007"): "moderate",
    (SNOMED, "255604002"): "mild",
    ("http://loinc.org", "LA6750-9"): "severe",
    ("http://loinc.org", "LA6751-7"): "moderate",
    ("http://loinc.org", "LA6752-5"): "mild",
}
"""Value set `condition-severity`, and LOINC's answers as the International Patient Summary has them."""


def _condition_end(data: Mapping[str, Any], standing: str) -> str | None:
    """The day since when it is no more; of what was ruled out, the day of the finding."""
    if standing == "active":
        return None
    if standing == "refuted":
        return day_of(data.get("recordedDate"))
    if "abatementDateTime" in data:
        return day_of(data["abatementDateTime"])
    return day_of(first(data.get("abatementPeriod")).get("end"))


def _condition_severity(severity: Any) -> tuple[tuple[str, str], ...]:
    codes = codes_of(severity) if isinstance(severity, dict) else NO_CODES
    found = {_SEVERITIES[code] for code in codes if code in _SEVERITIES}
    return (("severity", found.pop()),) if len(found) == 1 else ()


# --- medications


def _medication(
    data: Mapping[str, Any], reference: str, origin: tuple[str, str], medications: Medications
) -> Fact | None:
    concept = data.get("medicationCodeableConcept")
    medication: Mapping[str, Any] = {}
    if concept.__class__ is not dict:
        medication = referred(data, medications)
        concept = medication.get("code")
        if concept.__class__ is not dict:
            return None
    codes, names = _named(concept)
    dosage = first(data.get("dosageInstruction", data.get("dosage")))
    said = qualifiers_of(medication, dosage)
    return Fact("medication", reference, *origin, codes, names, said, standing_of(data), *course_of(data, dosage))


def _immunisation(data: Mapping[str, Any], reference: str, origin: tuple[str, str], _: Medications) -> Fact | None:
    """What must agree: day, number of the dose, and site."""
    concept = data.get("vaccineCode")
    if concept.__class__ is not dict:
        return None
    protocol = first(data.get("protocolApplied"))
    dose = protocol.get("doseNumberPositiveInt", protocol.get("doseNumberString"))
    said = (day_of(data.get("occurrenceDateTime")), None if dose is None else str(dose), key_of(data.get("site")))
    return Fact("immunisation", reference, *origin, *_named(concept), said)


def _procedure(data: Mapping[str, Any], reference: str, origin: tuple[str, str], _: Medications) -> Fact | None:
    """What must agree: day and site."""
    concept = data.get("code")
    if concept.__class__ is not dict:
        return None
    when = data["performedDateTime"] if "performedDateTime" in data else first(data.get("performedPeriod")).get("start")
    said = (day_of(when), keys_of(data["bodySite"]) if "bodySite" in data else None)
    return Fact("procedure", reference, *origin, *_named(concept), said)


def _statuses(data: Mapping[str, Any], element: str) -> Collection[str]:
    """The codes of a status element: its own, and what a source may have translated it to."""
    return status_codes(first(data[element])) if element in data else ()


_READERS: Mapping[str, Callable[[Mapping[str, Any], str, tuple[str, str], Medications], Fact | None]] = {
    "AllergyIntolerance": _allergy,
    "Condition": _condition,
    "Immunization": _immunisation,
    "MedicationDispense": _medication,
    "MedicationRequest": _medication,
    "MedicationStatement": _medication,
    "Procedure": _procedure,
}

RECORDED = frozenset(_READERS)
"""Types that record a fact which may stand, or be contradicted, elsewhere."""
