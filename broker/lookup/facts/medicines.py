"""What is said of a medicine beside its code: whether it still holds, when, and in which strength, form and route."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from broker.lookup.facts.concepts import day_of, first, key_of, status_codes

__all__ = ["Medications", "course_of", "qualifiers_of", "referred", "standing_of"]

Medications = Callable[[str], Mapping[str, Any] | None]
"""Gives the Medication that a literal reference points to."""


def standing_of(data: Mapping[str, Any]) -> str:
    """Active, or what somebody decided against it.

    A completed course is no decision against the medicine. What ends with a hospital stay, and an order that was
    withdrawn before anything was given, say something of it only where they say why. A proposal is nobody's decision.
    """
    status = data.get("status")
    if data.get("resourceType") == "MedicationDispense":
        return ""  # of the handing out, not of the medicine
    if status == "active":
        return "" if data.get("intent") in _NOT_DECIDED else "active"
    if status in _DECIDED_AGAINST:
        return str(status) if data.get("statusReason") or not _of_a_stay(data.get("category")) else ""
    return "cancelled" if status == "cancelled" and data.get("statusReason") else ""


_NOT_DECIDED = ("proposal", "option")
_DECIDED_AGAINST = ("stopped", "on-hold")


def _of_a_stay(categories: Any) -> bool:
    listed = categories if isinstance(categories, list) else [categories]
    return any("inpatient" in status_codes(one) for one in listed)


def course_of(data: Mapping[str, Any], dosage: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """When it was begun and when it ended, as far as they are said."""
    period = data.get("effectivePeriod")
    if period.__class__ is dict:
        return day_of(period.get("start")), day_of(period.get("end"))
    since = day_of(data.get("authoredOn", data.get("effectiveDateTime")))
    if "timing" not in dosage:
        return since, None
    bounds = first(first(first(dosage["timing"]).get("repeat")).get("boundsPeriod"))
    return since, day_of(bounds.get("end"))


def referred(data: Mapping[str, Any], medications: Medications) -> Mapping[str, Any]:
    """The Medication that a record refers to, contained or beside it; empty where there is none."""
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


_NOT_SAID = (None, None, None)


def qualifiers_of(medication: Mapping[str, Any], dosage: Mapping[str, Any]) -> tuple[str | None, ...]:
    """What must agree: strength, form and route, None where they are not said."""
    route = key_of(dosage["route"]) if "route" in dosage else None
    if not medication:
        return _NOT_SAID if route is None else (None, None, route)
    ingredients = medication.get("ingredient")
    strengths = [
        _ratio(one.get("strength"))
        for one in (ingredients if isinstance(ingredients, list) else ())
        if isinstance(one, dict)
    ]
    strength = " + ".join(sorted(one for one in strengths if one)) or None
    return (strength, key_of(medication.get("form")), route)


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
