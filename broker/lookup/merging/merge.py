"""What do several sources say of the same thing, and where do they contradict each other?

Nothing is dropped as a duplicate and no source wins: records of one thing in several places are linked (`Linkage`),
contradictions are shown (`DetectedIssue`), in an order that does not depend on which source answered first.

FHIR R4 has no word for a link that is only possible. Such a Linkage is not in effect (`active` is false), so that who
knows nothing more takes it for none; and a tag says why it is there: `possible`, of the code system `match-grade`,
whose definition asks for a person's review before it is used as a match.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any

from broker.lookup.facts import Fact
from broker.lookup.ids import Ids
from broker.lookup.judging.release import encode
from broker.lookup.merging.contradictions import Contradiction, against_none_known, between_sources
from broker.lookup.merging.links import Same, same
from broker.lookup.sorting import in_order, pieces
from broker.lookup.values import Entry

__all__ = ["merge"]

_BROKER = "urn:care-record-broker:source:broker"
_CONTRADICTION = "urn:care-record-broker:contradiction"
_WORST_FIRST = {"high": "1", "moderate": "2", "low": "3"}
_POSSIBLE = {
    "system": "http://terminology.hl7.org/CodeSystem/match-grade",
    "code": "possible",
    "display": "Possible Match",
}


def merge(facts: Iterable[Fact], ids: Ids, patient_id: str) -> Generator[None, None, list[Entry]]:
    """Link what is the same and show what contradicts, pausing; entered-in-error has no part in either.

    Args:
        facts: of everything released.
        ids: of this patient's reply.
        patient_id: of the one Patient.
    """
    every = list(facts)
    groups = yield from same(every)
    entries = []
    for group in groups:
        yield
        entries.append((yield from _linkage(group, ids)))
    contradictions = yield from against_none_known(every)
    contradictions += yield from between_sources(groups)
    del every, groups  # long lists take their time to go: not all in one stretch
    for one in contradictions:
        yield
        entries.append((yield from _issue(one, ids, patient_id)))
    return (yield from in_order(entries, _order))


def _order(entry: Entry) -> tuple[Any, ...]:
    return entry.order


def _linkage(group: Same, ids: Ids) -> Generator[None, None, Entry]:
    references = [fact.reference for fact in group.facts]
    yield
    meta: dict[str, Any] = {"source": _BROKER}
    if group.possibly:
        meta["tag"] = [_POSSIBLE]
    resource = {
        "resourceType": "Linkage",
        "id": ids.of_set("possible-link" if group.possibly else "linkage", references),
        "meta": meta,
        "active": not group.possibly,
    }
    # Alternates only: none of them is chosen as the one that counts.
    return (yield from _entry(resource, "item", references, _alternate))


def _alternate(reference: str) -> dict[str, Any]:
    return {"type": "alternate", "resource": {"reference": reference}}


def _issue(one: Contradiction, ids: Ids, patient_id: str) -> Generator[None, None, Entry]:
    references = [fact.reference for fact in one.facts]
    yield
    kind = one.kind
    resource = {
        "resourceType": "DetectedIssue",
        "id": ids.of_set("detected-issue", [kind.code, *references]),
        "meta": {"source": _BROKER},
        "status": "final",
        "code": {"coding": [{"system": _CONTRADICTION, "code": kind.code, "display": kind.text}], "text": kind.text},
        "severity": kind.severity,
        "patient": {"reference": f"Patient/{patient_id}"},
        "detail": one.detail,
    }
    return (yield from _entry(resource, "implicated", references, _implicated))


def _implicated(reference: str) -> dict[str, Any]:
    return {"reference": reference}


def _entry(
    resource: dict[str, Any], name: str, references: Sequence[str], member: Callable[[str], dict[str, Any]]
) -> Generator[None, None, Entry]:
    """The resource with the list of what it speaks of, which may be long: encoded piece by piece."""
    parts = []
    for piece in pieces(references):
        yield
        parts.append(encode([member(reference) for reference in piece])[1:-1])
    content = b'%b,"%b":[%b]}' % (encode(resource)[:-1], name.encode(), b",".join(parts))
    # After the Patient, before everything that came from sources, and the worst first: what a reader must see.
    severity = resource.get("severity")
    first = (1_000, "Linkage", "") if severity is None else (-1, "DetectedIssue", _WORST_FIRST[severity])
    order = (*first, resource["id"])
    return Entry(order, resource["resourceType"], resource["id"], content, "include")
