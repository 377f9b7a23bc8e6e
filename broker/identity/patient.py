"""The one Patient: what may be shown of the person, and nothing else.

No previous name, no number but the one asked for, no dates of names or addresses (a date at which a name began tells
that there was another), no extension. Where the patient may be restricted, not where they live or how they can be
reached; where they are, not their practice either.
"""

import datetime as dt
from typing import Any

import msgspec

from broker.identity import pds

__all__ = ["one_patient"]

_NAMES = ("usual", "official", None, "temp")
"""Uses of a name that may be shown, best first; `old`, `maiden` and the rest may not."""


def one_patient(found: pds.Patient, number: str, birth_date: str, today: dt.date) -> dict[str, Any]:
    """A FHIR R4 Patient without id, for `number` and `birth_date` as asked, as things stand on `today`."""
    shown: dict[str, Any] = {
        "resourceType": "Patient",
        "identifier": [{"system": pds.NHS_NUMBER, "value": number}],
        "name": _current_name(found, today),
    }
    if found.restricted == "no":
        shown["telecom"] = [_plain(one) for one in found.telecom if one.use != "old" and one.period.holds(today)]
    shown["gender"] = found.gender
    shown["birthDate"] = birth_date
    if found.deceased is not None:
        shown["deceasedBoolean" if isinstance(found.deceased, bool) else "deceasedDateTime"] = found.deceased
    if found.restricted == "no":
        shown["address"] = [_plain(one) for one in found.address if one.use != "old" and one.period.holds(today)]
    practice = found.practice(today)
    if practice is not None and found.restricted != "yes":
        shown["generalPractitioner"] = [_reference(practice)]
    return {name: value for name, value in shown.items() if value not in (None, [])}


def _current_name(found: pds.Patient, today: dt.date) -> list[dict[str, Any]]:
    current = [name for name in found.name if name.use in _NAMES and name.period.holds(today)]
    return [_plain(min(current, key=lambda name: _NAMES.index(name.use)))] if current else []


def _reference(practice: pds.Practice) -> dict[str, Any]:
    identifier = {"system": pds.ODS_CODE, "value": practice.identifier.value}
    reference: dict[str, Any] = {"type": "Organization", "identifier": identifier}
    if practice.display is not None:
        reference["display"] = practice.display
    return reference


def _plain(value: pds.Name | pds.Address | pds.Telecom) -> dict[str, Any]:
    """As JSON, without its period."""
    shown: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(value))
    shown.pop("period", None)
    return shown
