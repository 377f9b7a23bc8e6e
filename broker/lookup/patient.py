"""The one Patient: the broker's own, under a sealed id.

Number and date of birth as asked; the rest from the identity service, else from the reader's own organisation. No
field of another source's Patient is released, and of no source a previous name or another number: gender history
leaks by them.
"""

from collections.abc import Mapping
from typing import Any

from broker.lookup.judging.hiding import Hiding
from broker.lookup.judging.release import encode
from broker.lookup.values import Entry

__all__ = ["from_own_organisation", "one_patient"]

_BROKER = "urn:care-record-broker:source:broker"
_NHS_NUMBER = "https://fhir.nhs.uk/Id/nhs-number"
_WHERE = ("address", "telecom", "contact")
_SAID_ONCE = ("gender", "deceasedBoolean", "deceasedDateTime")
_SAID_OFTEN = ("name", "address", "telecom")


def one_patient(
    patient_id: str, number: str, birth_date: str, known: Mapping[str, Any] | None, hiding: Hiding
) -> Entry:
    """The Patient entry of a reply.

    Args:
        patient_id: sealed.
        number: as asked.
        birth_date: as asked.
        known: what may be shown beside, as a FHIR R4 Patient; None where nobody says.
        hiding: what must not show.
    """
    resource: dict[str, Any] = {
        **(known or {}),
        "resourceType": "Patient",
        "id": patient_id,
        "meta": {"source": _BROKER},
        "identifier": [{"system": _NHS_NUMBER, "value": number}],
        "birthDate": birth_date,
    }
    if hiding is not Hiding.NOTHING:
        for element in _WHERE:
            resource.pop(element, None)
    if hiding is Hiding.PLACES:
        for element in ("generalPractitioner", "managingOrganization"):
            resource.pop(element, None)
    return Entry((-2, "Patient", "", patient_id), "Patient", patient_id, encode(resource))


def from_own_organisation(patient: Mapping[str, Any]) -> dict[str, Any]:
    """What the reader's own organisation's Patient may add: the current name, and how to reach them."""
    known: dict[str, Any] = {one: patient[one] for one in _SAID_ONCE if isinstance(patient.get(one), str | bool)}
    for element in _SAID_OFTEN:
        said = patient.get(element)
        entries = [one for one in said if isinstance(one, dict)] if isinstance(said, list) else []
        current = [plain for one in entries if _is_current(one) and (plain := _plain(one))]
        if current:
            known[element] = current[:1] if element == "name" else current
    return known


def _is_current(one: Mapping[str, Any]) -> bool:
    period = one.get("period")
    ended = isinstance(period, dict) and "end" in period
    return not ended and one.get("use") not in ("old", "maiden", "anonymous")


def _plain(one: Mapping[str, Any]) -> dict[str, Any]:
    """Words and numbers alone: no extension, no reference, nothing that would have to be judged first."""
    return {key: value for key, value in one.items() if key != "id" and _is_plain(value)}


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(isinstance(one, str) for one in value)
    return isinstance(value, str | int)
