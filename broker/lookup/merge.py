"""What do several sources say of the same thing, and where do they contradict each other?

Nothing is dropped as a duplicate and no source wins: records of one thing in several places are linked (`Linkage`),
contradictions are shown (`DetectedIssue`), in an order that does not depend on which source answered first.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from broker.lookup.facts import Fact
from broker.lookup.ids import Ids
from broker.lookup.release import encode
from broker.lookup.values import Entry
from policies.values import Coding

__all__ = ["merge"]

_DATED = frozenset({"immunisation", "procedure"})
"""Kinds that happen on a day: without the same day they are not the same."""

_BROKER = "urn:care-record-broker:source:broker"


def merge(facts: Iterable[Fact], ids: Ids, patient_id: str) -> list[Entry]:
    """Link what is the same and show what contradicts; entered-in-error has no part in either.

    Args:
        facts: of everything released.
        ids: of this patient's reply.
        patient_id: of the one Patient.
    """
    ordered = sorted(facts, key=lambda fact: (fact.kind, fact.reference))
    return [*_links(ordered, ids), *_contradictions(ordered, ids, patient_id)]


def _links(facts: Sequence[Fact], ids: Ids) -> list[Entry]:
    entries = []
    for group in _same(facts):
        references = [fact.reference for fact in group]
        resource = {
            "resourceType": "Linkage",
            "id": ids.of_set("linkage", references),
            "meta": {"source": _BROKER},
            "active": True,
            # Alternates only: none of them is chosen as the one that counts.
            "item": [{"type": "alternate", "resource": {"reference": reference}} for reference in references],
        }
        entries.append(_entry(resource))
    return sorted(entries, key=lambda entry: entry.order)


def _same(facts: Sequence[Fact]) -> list[list[Fact]]:
    """Groups of records of one thing, each in at least two sources."""
    groups: list[list[Fact]] = []
    for cluster in _by_code([fact for fact in facts if fact.codes and fact.none_known is None]):
        groups.extend(
            sorted(agreeing, key=lambda fact: fact.reference)
            for agreeing in _by_qualifiers(cluster)
            if len({fact.source for fact in agreeing}) > 1
        )
    return groups


def _by_code(facts: Sequence[Fact]) -> list[list[Fact]]:
    """Facts of a kind that share a code, directly or through another."""
    parent = list(range(len(facts)))

    def root(n: int) -> int:
        while parent[n] != n:
            parent[n] = parent[parent[n]]
            n = parent[n]
        return n

    first: dict[tuple[str, Coding], int] = {}
    for n, fact in enumerate(facts):
        for code in fact.codes:
            parent[root(n)] = root(first.setdefault((fact.kind, code), n))
    clusters: dict[int, list[Fact]] = defaultdict(list)
    for n, fact in enumerate(facts):
        clusters[root(n)].append(fact)
    return [cluster for cluster in clusters.values() if len(cluster) > 1]


def _by_qualifiers(cluster: Sequence[Fact]) -> list[list[Fact]]:
    """Split by what must agree. What is not said agrees with what is, as long as it agrees with only one."""
    groups: list[list[Fact]] = []
    # The fullest first, so that those that say less find the group they belong to.
    for fact in sorted(cluster, key=lambda fact: (sum(q is None for q in fact.qualifiers), fact.reference)):
        if fact.kind in _DATED and fact.qualifiers[0] is None:
            continue
        fitting = [group for group in groups if all(_agree(fact, other) for other in group)]
        if len(fitting) == 1:
            fitting[0].append(fact)
        elif not fitting:
            groups.append([fact])
    return groups


def _agree(one: Fact, other: Fact) -> bool:
    return all(a is None or b is None or a == b for a, b in zip(one.qualifiers, other.qualifiers, strict=True))


def _contradictions(facts: Sequence[Fact], ids: Ids, patient_id: str) -> list[Entry]:
    """None-known against an allergen: the contradiction that hurts most."""
    allergies = [fact for fact in facts if fact.kind == "allergy"]
    allergens = [fact for fact in allergies if fact.none_known is None and fact.current]
    by_scope: dict[str, list[Fact]] = defaultdict(list)
    for fact in allergies:
        if fact.none_known is not None and fact.current:
            by_scope[fact.none_known].append(fact)
    entries = []
    for scope, negatives in sorted(by_scope.items()):
        against = [fact for fact in allergens if not scope or not fact.nature or scope in fact.nature]
        if against:
            entries.append(_entry(_issue(scope, negatives, against, ids, patient_id)))
    return entries


def _issue(scope: str, negatives: Sequence[Fact], against: Sequence[Fact], ids: Ids, patient_id: str) -> dict[str, Any]:
    references = [fact.reference for fact in (*negatives, *against)]
    said = _and(sorted({fact.where for fact in negatives}))
    places: dict[str, set[str]] = defaultdict(set)
    for fact in against:
        places[fact.words or "an allergy"].add(fact.where)
    recorded = _and([f"{words} ({_and(sorted(where))})" for words, where in sorted(places.items())])
    kind = {"": "known allergies", "medication": "known drug allergies", "food": "known food allergies"}.get(
        scope, "known environmental allergies"
    )
    return {
        "resourceType": "DetectedIssue",
        "id": ids.of_set("detected-issue", references),
        "meta": {"source": _BROKER},
        "status": "final",
        "code": {"text": "Contradicting allergy records"},
        "severity": "high",
        "patient": {"reference": f"Patient/{patient_id}"},
        "implicated": [{"reference": reference} for reference in references],
        "detail": f"No {kind}: {said}. But recorded: {recorded}. Ask the patient.",
    }


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _entry(resource: dict[str, Any]) -> Entry:
    # After the Patient, before everything that came from sources: what a reader must see first.
    rank = -1 if resource["resourceType"] == "DetectedIssue" else 1_000
    order = (rank, resource["resourceType"], "", resource["id"])
    return Entry(order, resource["resourceType"], resource["id"], encode(resource), "include")
