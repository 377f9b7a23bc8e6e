"""The one Patient: the broker's own, under a sealed id.

Number and date of birth as asked; the rest from the identity service, else from the reader's own organisation. No
field of another source's Patient is released, and of no source a previous name or another number: gender history
leaks by them.
"""

from collections.abc import Mapping
from typing import Any

from broker.lookup.release import Hiding, encode
from broker.lookup.values import Entry

__all__ = ["from_own_organisation", "one_patient"]

_BROKER = "urn:care-record-broker:source:broker"
_NHS_NUMBER = "https://fhir.nhs.uk/Id/nhs-number"
_WHERE = ("address", "telecom", "contact")
_FROM_OWN = ("gender", "deceasedBoolean", "deceasedDateTime", "address", "telecom")


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
    known = {element: patient[element] for element in _FROM_OWN if element in patient}
    for element in ("name", "address", "telecom"):
        current = [_plain(one) for one in patient.get(element) or () if isinstance(one, dict) and _is_current(one)]
        if element == "name":
            current = current[:1]
        if current:
            known[element] = current
        else:
            known.pop(element, None)
    return known


def _is_current(one: Mapping[str, Any]) -> bool:
    period = one.get("period")
    ended = isinstance(period, dict) and "end" in period
    return not ended and one.get("use") not in ("old", "maiden", "anonymous")


def _plain(one: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in one.items() if key not in ("extension", "id", "period")}
