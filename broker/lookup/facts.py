"""What merging needs of a released resource, taken before its dicts are freed."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from policies.values import Coding

__all__ = ["RECORDED", "Fact", "fact_of"]


class Fact(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One recorded allergy, medication, condition, immunisation or procedure.

    Attributes:
        kind: `allergy`, `medication`, `condition`, `immunisation` or `procedure`.
        reference: `Type/id`, the broker's.
        source: name of the source.
        where: the organisation as the row names it.
        codes: of the thing itself.
        words: what the source calls it.
        qualifiers: what must agree, None where it is not said.
        none_known: an allergy record that says there are none: of which kind (`""` for all kinds).
        current: not resolved, inactive or refuted.
        nature: for an allergen, its FHIR categories (`medication`, `food` ...), empty where not said.
    """

    kind: str
    reference: str
    source: str
    where: str
    codes: frozenset[Coding]
    words: str
    qualifiers: tuple[str | None, ...] = ()
    none_known: str | None = None
    current: bool = True
    nature: frozenset[str] = frozenset()


Medications = Callable[[str], Mapping[str, Any] | None]
"""Gives the Medication that a literal reference points to."""

_SNOMED = "http://snomed.info/sct"
_NONE_KNOWN: Mapping[Coding, str] = {
    (_SNOMED, "716186003"): "",  # No known allergy
    (_SNOMED, "160244002"): "",  # No known allergies, the older concept
    (_SNOMED, "409137002"): "medication",  # No known drug allergy
    (_SNOMED, "429625007"): "food",  # No known food allergy
    (_SNOMED, "428607008"): "environment",  # No known environmental allergy
}
_CODED = {
    "AllergyIntolerance": ("allergy", "code"),
    "Condition": ("condition", "code"),
    "Immunization": ("immunisation", "vaccineCode"),
    "MedicationDispense": ("medication", "medicationCodeableConcept"),
    "MedicationRequest": ("medication", "medicationCodeableConcept"),
    "MedicationStatement": ("medication", "medicationCodeableConcept"),
    "Procedure": ("procedure", "code"),
}


_NO_FACT = ("entered-in-error", "not-done", "not-taken")

RECORDED = frozenset(_CODED)
"""Types that record a fact which may stand, or be contradicted, elsewhere."""


def fact_of(
    type_: str, data: Mapping[str, Any], reference: str, origin: tuple[str, str], medications: Medications
) -> Fact | None:
    """The fact that a released resource of one of the types `RECORDED` records.

    None for one entered in error, and for what was not done.

    Args:
        type_: FHIR type.
        data: the resource, before it is rewritten.
        reference: the broker's `Type/id`.
        origin: name of the source, and the organisation as links and contradictions name it.
        medications: what came with it.
    """
    coded = _CODED[type_]
    verification = _statuses(data, "verificationStatus")
    if data.get("status") in _NO_FACT or "entered-in-error" in verification:
        return None
    kind, element = coded
    concept = data.get(element)
    if kind == "allergy" and not isinstance(concept, dict):
        # Without a code it is still an allergy, and contradicts that there is none.
        concept = _first(data.get("reaction")).get("substance", {})
    medication: Mapping[str, Any] = {}
    if kind == "medication" and not isinstance(concept, dict):
        medication = _medication(data, medications)
        concept = medication.get("code")
    if not isinstance(concept, dict):
        return None
    codes = _codes(concept)
    none_known = (
        next((_NONE_KNOWN[code] for code in sorted(codes) if code in _NONE_KNOWN), None) if kind == "allergy" else None
    )
    past = _statuses(data, "clinicalStatus") & {"resolved", "inactive", "remission"}
    nature = data.get("category") if kind == "allergy" else None
    return Fact(
        kind=kind,
        reference=reference,
        source=origin[0],
        where=origin[1],
        codes=codes,
        words=_words(concept),
        qualifiers=_qualifiers(kind, data, medication),
        none_known=none_known,
        current=not past and "refuted" not in verification,
        nature=frozenset(n for n in nature if isinstance(n, str)) if isinstance(nature, list) else frozenset(),
    )


def _qualifiers(kind: str, data: Mapping[str, Any], medication: Mapping[str, Any]) -> tuple[str | None, ...]:
    """What must agree beside the code: date first for what happens on a day."""
    if kind == "immunisation":
        protocol = _first(data.get("protocolApplied"))
        dose = protocol.get("doseNumberPositiveInt", protocol.get("doseNumberString"))
        return (_day(data.get("occurrenceDateTime")), None if dose is None else str(dose), _key(data.get("site")))
    if kind == "procedure":
        period = data.get("performedPeriod")
        when = data.get("performedDateTime", period.get("start") if isinstance(period, dict) else None)
        return (_day(when), _keys(data.get("bodySite")))
    if kind == "condition":
        return (_keys(data.get("bodySite")),)
    if kind == "medication":
        dosage = _first(data.get("dosageInstruction", data.get("dosage")))
        ingredients = medication.get("ingredient")
        strengths = [
            _ratio(one.get("strength"))
            for one in (ingredients if isinstance(ingredients, list) else ())
            if isinstance(one, dict)
        ]
        strength = " + ".join(sorted(one for one in strengths if one)) or None
        return (strength, _key(medication.get("form")), _key(dosage.get("route")))
    return ()


def _medication(data: Mapping[str, Any], medications: Medications) -> Mapping[str, Any]:
    reference = data.get("medicationReference")
    literal = reference.get("reference") if isinstance(reference, dict) else None
    if not isinstance(literal, str):
        return {}
    if literal.startswith("#"):
        for inner in data.get("contained") or ():
            if isinstance(inner, dict) and inner.get("id") == literal[1:]:
                return inner
        return {}
    return medications(literal) or {}


def _first(value: Any) -> Mapping[str, Any]:
    first = value[0] if isinstance(value, list) and value else value
    return first if isinstance(first, dict) else {}


def _codes(concept: Any) -> frozenset[Coding]:
    codings = concept.get("coding") if isinstance(concept, dict) else None
    if not codings:
        return _NONE
    return frozenset(
        (coding["system"], coding["code"])
        for coding in (codings if isinstance(codings, list) else ())
        if isinstance(coding, dict) and isinstance(coding.get("system"), str) and isinstance(coding.get("code"), str)
    )


_NONE: frozenset[Coding] = frozenset()


def _key(concept: Any) -> str | None:
    """A concept as something to compare: its first code, else its words."""
    if concept is None:
        return None
    codes = sorted(_codes(concept))
    if codes:
        return "|".join(codes[0])
    text = concept.get("text") if isinstance(concept, dict) else None
    return text.strip().casefold() if isinstance(text, str) else None


def _keys(concepts: Any) -> str | None:
    """Several concepts as something to compare, in whatever order they stand: a knee, and which one."""
    keys = [_key(one) for one in concepts] if isinstance(concepts, list) else []
    return " + ".join(sorted(key for key in keys if key)) or None


def _ratio(strength: Any) -> str | None:
    if not isinstance(strength, dict):
        return None
    parts = [strength.get("numerator"), strength.get("denominator")]
    return "/".join(
        f"{_number(p.get('value'))} {p.get('code', p.get('unit'))}" if isinstance(p, dict) else "" for p in parts
    )


def _number(value: Any) -> str:
    """A number to compare by what it is worth: 5 and 5.0 are one strength."""
    return f"{value.normalize():f}" if isinstance(value, Decimal) and abs(value.adjusted()) < _DIGITS else str(value)


_DIGITS = 28
"""Places within which a Decimal is written out: beyond any strength."""


def _day(value: Any) -> str | None:
    return value[:10] if isinstance(value, str) and len(value) >= len("YYYY-MM-DD") else None


def _statuses(data: Mapping[str, Any], element: str) -> set[str]:
    """The codes of a status element: its own, and what a source may have translated it to."""
    if element not in data:
        return set()
    codings = _first(data[element]).get("coding")
    listed = codings if isinstance(codings, list) else [codings]
    return {one["code"] for one in listed if isinstance(one, dict) and isinstance(one.get("code"), str)}


def _words(concept: Mapping[str, Any]) -> str:
    if isinstance(concept.get("text"), str):
        return str(concept["text"])
    codings = concept.get("coding")
    return next(
        (
            c["display"]
            for c in (codings if isinstance(codings, list) else ())
            if isinstance(c, dict) and isinstance(c.get("display"), str)
        ),
        "",
    )
