"""What do several sources say of the same thing, and where do they contradict each other?

Nothing is dropped as a duplicate and no source wins: records of one thing in several places are linked (`Linkage`),
contradictions are shown (`DetectedIssue`), in an order that does not depend on which source answered first.
"""

from collections import defaultdict
from collections.abc import Generator, Iterable, Sequence
from itertools import islice, product
from typing import Any

from broker.lookup.facts import Fact
from broker.lookup.guard import PAUSE
from broker.lookup.ids import Ids
from broker.lookup.release import encode
from broker.lookup.values import Entry
from policies.values import Coding

__all__ = ["merge"]

_DATED = frozenset({"immunisation", "procedure"})
"""Kinds that happen on a day: without the same day they are not the same."""

_BROKER = "urn:care-record-broker:source:broker"


def merge(facts: Iterable[Fact], ids: Ids, patient_id: str) -> Generator[None, None, list[Entry]]:
    """Link what is the same and show what contradicts, pausing; entered-in-error has no part in either.

    Args:
        facts: of everything released.
        ids: of this patient's reply.
        patient_id: of the one Patient.
    """
    ordered = sorted(facts, key=lambda fact: (fact.kind, fact.reference))
    yield
    links = yield from _links(ordered, ids)
    return [*links, *_contradictions(ordered, ids, patient_id)]


def _links(facts: Sequence[Fact], ids: Ids) -> Generator[None, None, list[Entry]]:
    entries = []
    for group in (yield from _same(facts)):
        yield
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


def _same(facts: Sequence[Fact]) -> Generator[None, None, list[list[Fact]]]:
    """Groups of records of one thing, each in at least two sources."""
    groups: list[list[Fact]] = []
    clusters = yield from _by_code([fact for fact in facts if fact.codes and fact.none_known is None])
    for cluster in clusters:
        if _are_many(cluster):
            found = yield from _by_qualifiers(cluster)
            groups.extend(sorted(one, key=lambda fact: fact.reference) for one in found if _are_many(one))
    return groups


def _are_many(facts: Sequence[Fact]) -> bool:
    """Whether they are of more than one source."""
    return any(fact.source != facts[0].source for fact in facts)


def _by_code(facts: Sequence[Fact]) -> Generator[None, None, list[list[Fact]]]:
    """Facts of a kind that share a code, directly or through another."""
    parent = list(range(len(facts)))

    def root(n: int) -> int:
        while parent[n] != n:
            parent[n] = parent[parent[n]]
            n = parent[n]
        return n

    first: dict[tuple[str, Coding], int] = {}
    for n, fact in enumerate(facts):
        if not n % PAUSE:
            yield
        for code in fact.codes:
            parent[root(n)] = root(first.setdefault((fact.kind, code), n))
    clusters: dict[int, list[Fact]] = defaultdict(list)
    for n, fact in enumerate(facts):
        clusters[root(n)].append(fact)
    return list(clusters.values())


def _by_qualifiers(cluster: Sequence[Fact]) -> Generator[None, None, list[list[Fact]]]:
    """Split by what must agree. What is not said agrees with what is, as long as it agrees with only one."""
    groups = _Groups()
    # The fullest first, so that those that say less find the group they belong to.
    ordered = sorted(cluster, key=lambda fact: (sum(q is None for q in fact.qualifiers), fact.reference))
    for n, fact in enumerate(ordered):
        if not n % PAUSE:
            yield
        if fact.kind not in _DATED or fact.qualifiers[0] is not None:
            groups.add(fact)
    return groups.members


_Said = tuple[str | None, ...]
"""Qualifiers, None where one is not said."""


class _Groups:
    """Groups of facts that agree, found by what they say together: never by comparing one with all the others."""

    def __init__(self) -> None:
        self.members: list[list[Fact]] = []
        self._said: list[_Said] = []
        self._index: dict[tuple[tuple[bool, ...], _Said], dict[int, None]] = defaultdict(dict)
        """Numbers of groups, by which qualifiers each says and any part of what it says."""
        self._masks: dict[tuple[bool, ...], None] = {}

    def add(self, fact: Fact) -> None:
        """To the one group that it agrees with; to a new one where there is none; to none where there are several."""
        said = fact.qualifiers
        agreeing = (
            n
            for mask in self._masks
            for n in self._index.get(
                (mask, tuple(q if known else None for q, known in zip(said, mask, strict=True))), ()
            )
        )
        fitting = list(islice(agreeing, 2))
        if not fitting:
            self.members.append([fact])
            self._said.append(said)
            self._enter(len(self._said) - 1)
        elif len(fitting) == 1:
            (n,) = fitting
            self.members[n].append(fact)
            together = tuple(a if b is None else b for a, b in zip(said, self._said[n], strict=True))
            if together != self._said[n]:
                self._leave(n)
                self._said[n] = together
                self._enter(n)

    def _enter(self, n: int) -> None:
        for key in self._keys(n):
            self._index[key][n] = None
            self._masks[key[0]] = None

    def _leave(self, n: int) -> None:
        for key in self._keys(n):
            del self._index[key][n]

    def _keys(self, n: int) -> set[tuple[tuple[bool, ...], _Said]]:
        said = self._said[n]
        mask = tuple(q is not None for q in said)
        return {(mask, part) for part in product(*((q, None) for q in said))}


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
