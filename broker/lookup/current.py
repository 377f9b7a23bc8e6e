"""Does what a record holds go on today? An encounter, a referral, a caseload, a registration at a GP practice."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final

from broker.lookup.judging.reading import Item

__all__ = ["CURRENT", "Basis", "is_current", "is_registered"]

Basis = str
"""`encounter`, `referral`, `registration` or `caseload`: in this order, where several hold."""

_ODS: Final = "https://fhir.nhs.uk/Id/ods-organization-code"

CURRENT: Final[Mapping[str, tuple[Basis, frozenset[str]]]] = {
    "Encounter": ("encounter", frozenset({"arrived", "triaged", "in-progress", "onleave"})),
    "ServiceRequest": ("referral", frozenset({"active"})),
    "EpisodeOfCare": ("caseload", frozenset({"active"})),
    "CareTeam": ("caseload", frozenset({"active"})),
}
"""Type, what it confirms, and in which statuses (FHIR R4). `planned` is none: nobody has come yet."""
_WISHES: Final = frozenset({"proposal", "plan", "option"})
"""Intents of a ServiceRequest that nobody has ordered."""
_SHOW_LIFE: Final = frozenset({"Encounter", "ServiceRequest"})
"""Of these, those which are often never closed. An episode and a care team may well last for years."""
_NO_LIFE: Final = timedelta(days=365)
"""An open encounter or referral that is older was more likely left open than is still going on: the wait for treatment
is meant to be 18 weeks, and few stays last a year. Whoever does care for the patient can say so."""


def is_current(kind: str, data: Mapping[str, Any], today: date) -> bool:
    """Whether a resource of one of the types in `CURRENT` goes on: it has begun, is not over, and shows life."""
    if data.get("status") not in CURRENT[kind][1] or data.get("intent") in _WISHES:
        return False
    if _is_over(data.get("period"), today) or _is_over(data.get("occurrencePeriod"), today):
        return False
    if _is_to_come(data.get("period"), today):
        return False
    return kind not in _SHOW_LIFE or _shows_life(data, today)


def _shows_life(data: Mapping[str, Any], today: date) -> bool:
    """Whether its last date is not long past; one without any date is not known to be old."""
    starts = [_stated(data.get(name), "start") for name in ("period", "occurrencePeriod")]
    stated = [data.get("authoredOn"), data.get("occurrenceDateTime"), *starts]
    days = [one[:10] for one in stated if isinstance(one, str) and one]
    return not days or any(_compared(day, today - _NO_LIFE) >= 0 for day in days)


def _is_over(period: Any, today: date) -> bool:
    end = _stated(period, "end")
    return bool(end) and _compared(end, today) < 0


def _is_to_come(period: Any, today: date) -> bool:
    start = _stated(period, "start")
    return bool(start) and _compared(start, today) > 0


def _stated(period: Any, edge: str) -> str:
    day = period.get(edge) if isinstance(period, dict) else None
    return day if isinstance(day, str) else ""


def _compared(stated: str, day: date) -> int:
    """Negative before that day, 0 on it, positive after it; as far as is stated, which may be a year."""
    stated = stated[:10]
    bound = day.isoformat()[: len(stated)]
    return (stated > bound) - (stated < bound)


def is_registered(patient: Mapping[str, Any], items: Sequence[Item], code: str, today: date) -> bool:
    """Whether a practice's own Patient names that practice as theirs, now."""
    stated = patient.get("generalPractitioner")
    if patient.get("active") is False or not isinstance(stated, list):
        return False
    codes = {f"Organization/{item.id}": item.data for item in items if item.type == "Organization"}
    for one in stated:
        if not isinstance(one, dict):
            continue
        named = codes.get(str(one.get("reference")))
        if _has_code([one.get("identifier")], code, today) or (named and _has_code(named.get("identifier"), code)):
            return True
    return False


def _has_code(identifiers: Any, code: str, today: date | None = None) -> bool:
    """Whether one of them is this ODS code; with `today`, one in use on that day."""
    return isinstance(identifiers, list) and any(
        isinstance(one, dict)
        and one.get("system") == _ODS
        and one.get("value") == code
        and (today is None or not (_is_over(one.get("period"), today) or _is_to_come(one.get("period"), today)))
        for one in identifiers
    )
