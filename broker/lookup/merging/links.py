"""Which records are of the same thing, surely or possibly?

*Surely*: a code in common, in its usual spelling, directly or through a third record, and nothing that must agree
(dose, strength, form, route, site, day) contradicts. *Possibly*: one of them has no code at all, the whole of its words
is what the other is called too, and nothing contradicts. What could be either of two that are surely different is
linked to neither.
"""

from collections import defaultdict
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from itertools import islice, product

from broker.lookup.facts import Fact
from broker.lookup.facts.concepts import normal
from broker.lookup.sorting import in_order, pieces
from policies.values import Coding

__all__ = ["Same", "same"]

_DATED = frozenset({"immunisation", "procedure"})
"""Kinds that happen on a day: without the same day they are not the same."""


_FEW = 8
"""Records between two pauses, where one may have many codes or names."""


@dataclass(frozen=True, slots=True)
class Same:
    """Records of one thing, of at least two sources, by their reference.

    `possibly`: nothing but their words says so.
    """

    facts: Sequence[Fact]
    possibly: bool = False


def same(facts: Sequence[Fact]) -> Generator[None, None, list[Same]]:
    """Groups of records of one thing, pausing. A record is surely the same as those of one group at most.

    Args:
        facts: of everything released, in whatever order.
    """
    coded: list[Fact] = []
    in_words: list[Fact] = []
    for piece in pieces(facts):
        yield
        for fact in piece:
            if fact.none_known is None and (fact.kind not in _DATED or fact.qualifiers[0] is not None):
                (coded if fact.codes else in_words).append(fact)
    groups: list[_Group] = []
    for cluster in (yield from _by_code(coded)):
        yield
        if len(cluster) == 1:
            groups.append(_Group(cluster, cluster[0].qualifiers))
        elif in_words or _are_many(cluster):
            groups.extend((yield from _by_qualifiers(cluster)))
    found = []
    for group in groups:
        yield
        if _are_many(group.facts):
            found.append(Same((yield from in_order(group.facts, _reference))))
    found.extend((yield from _possibly(groups, in_words)))
    return found


def _reference(fact: Fact) -> str:
    return fact.reference


def _are_many(facts: Sequence[Fact]) -> bool:
    """Whether they are of more than one source."""
    return len({fact.source for fact in facts}) > 1


def _by_code(facts: Sequence[Fact]) -> Generator[None, None, list[list[Fact]]]:
    """Facts of a kind that share a code, directly or through another."""
    parent = list(range(len(facts)))

    def root(n: int) -> int:
        while parent[n] != n:
            parent[n] = parent[parent[n]]
            n = parent[n]
        return n

    known: dict[tuple[str, Coding], int] = {}
    for piece in pieces(range(len(facts)), _FEW):
        yield
        for n in piece:
            for code in facts[n].codes:
                parent[root(n)] = root(known.setdefault((facts[n].kind, code), n))
    clusters: dict[int, list[Fact]] = defaultdict(list)
    for piece in pieces(range(len(facts))):
        yield
        for n in piece:
            clusters[root(n)].append(facts[n])
    return list(clusters.values())


def _by_qualifiers(cluster: Sequence[Fact]) -> Generator[None, None, "list[_Group]"]:
    """Split by what must agree. What is not said agrees with what is, as long as it agrees with only one."""
    groups = _Groups()
    yield from groups.add_all(cluster)
    return groups.members


def _fullest_first(fact: Fact) -> tuple[int, str]:
    return (fact.qualifiers.count(None), fact.reference)


def _possibly(groups: Sequence["_Group"], in_words: Sequence[Fact]) -> Generator[None, None, list[Same]]:
    """Records without a code, with those that are called the same and which they do not contradict.

    Groups that have codes stay apart: what is only possibly the same never joins two of them.
    """
    by_words: dict[tuple[str, str], list[Fact]] = defaultdict(list)
    for piece in pieces(in_words, _FEW):
        yield
        for fact in piece:
            for words in _words(fact)[:1]:
                by_words[fact.kind, words].append(fact)
    coded: dict[tuple[str, str], dict[int, list[Fact]]] = defaultdict(lambda: defaultdict(list))
    for number, group in enumerate(groups if by_words else ()):
        for piece in pieces(group.facts, _FEW):
            yield
            for fact in piece:
                for words in set(_words(fact)):
                    if (fact.kind, words) in by_words:
                        coded[fact.kind, words][number].append(fact)
    found = []
    for key, facts in by_words.items():
        yield
        together = _Groups()
        for number, called in coded[key].items() if key in coded else ():
            yield
            together.enter(_Group(called, groups[number].said))
        yield from together.add_all(facts)
        for group in together.members:
            yield
            # What no record without a code has joined is what it was before.
            if not group.facts[-1].codes and _are_many(group.facts):
                found.append(Same((yield from in_order(group.facts, _reference)), possibly=True))
    return found


def _words(fact: Fact) -> list[str]:
    """What a record is called, to be compared. One without a code is called what comes first, its text."""
    return [words for name in fact.names if (words := normal(name))]


_Said = tuple[str | None, ...]
"""Qualifiers, None where one is not said."""


@dataclass(slots=True)
class _Group:
    """Facts that agree, and what they say together."""

    facts: list[Fact]
    said: _Said


class _Groups:
    """Groups of facts that agree, found by what they say together: never by comparing one with all the others."""

    def __init__(self) -> None:
        self.members: list[_Group] = []
        self._index: dict[tuple[tuple[bool, ...], _Said], dict[int, None]] = defaultdict(dict)
        """Numbers of groups, by which qualifiers each says and any part of what it says."""
        self._masks: dict[tuple[bool, ...], None] = {}

    def add_all(self, facts: Sequence[Fact]) -> Generator[None, None, None]:
        """Each to its group, pausing; the fullest first, so that those that say less find where they belong."""
        for piece in pieces((yield from in_order(facts, _fullest_first)), _FEW):
            yield
            for fact in piece:
                self._add(fact)

    def _add(self, fact: Fact) -> None:
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
            self.enter(_Group([fact], said))
        elif len(fitting) == 1:
            (n,) = fitting
            group = self.members[n]
            group.facts.append(fact)
            together = tuple(a if b is None else b for a, b in zip(said, group.said, strict=True))
            if together != group.said:
                for key in _keys(group.said):
                    del self._index[key][n]
                group.said = together
                self._write(n)

    def enter(self, group: _Group) -> None:
        """Another group, whatever it agrees with."""
        self.members.append(group)
        self._write(len(self.members) - 1)

    def _write(self, n: int) -> None:
        for key in _keys(self.members[n].said):
            self._index[key][n] = None
            self._masks[key[0]] = None


def _keys(said: _Said) -> set[tuple[tuple[bool, ...], _Said]]:
    mask = tuple(q is not None for q in said)
    return {(mask, part) for part in product(*((q, None) for q in said))}
