"""Where do records of the same thing contradict each other, and in which words is a clinician told?

A closed list: `KINDS`. No side wins, nothing is advised beyond asking and checking. What is only *possibly* the same
(`links`) contradicts nothing, save that an allergen in words alone is an allergen.

- **None known against an allergen**, also within one source: whoever reads either record alone is misled. A negative
  for drugs is contradicted by a medication or a biologic, one for food by a food, one for the environment by what is of
  it; one for all kinds by every allergen; and each of them by an allergen whose nature nobody can tell
  (`facts.natures`), in words that say so. Words that deny but leave a doubt, and negatives that are narrower than a
  kind, are no side of it (`facts.negatives`). Allergies are what is recorded as AllergyIntolerance: an allergy that a
  source has in its problem list (a Condition, an Observation) is compared with problems alone, and does not contradict
  that none is known. Such lists hold what is past, in the family or ruled out as well, and do not say which.
- **Active against ended**, between sources: a source that lists the thing as active as well has moved on, and its older
  entry is history. A problem that ended before the others say it began came back: no contradiction. Remission is none.
- **A medicine active against stopped**, between sources: stopped or on hold, as `medicines.standing_of` reads them. A
  completed course is none; nor is one that ended a year or more before what is active began. Less than a year is: a
  repeat that was issued once more after the hospital stopped it is what must be seen.
- **Severity**, between sources, of what nobody says has ended: criticality high against low; the worst reaction at each
  source, and the severity of a problem, severe against less. Mild against moderate is the ordinary difference between
  two observers, and more alerts would be read less.
"""

from collections import defaultdict
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from broker.lookup.facts import Fact
from broker.lookup.facts.negatives import NONE_KNOWN
from broker.lookup.merging.links import Same
from broker.lookup.sorting import in_order, pieces

__all__ = ["KINDS", "Contradiction", "Kind", "against_none_known", "between_sources"]


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the closed list: its code in our system, its words, and how much harm believing one side may do."""

    code: str
    text: str
    severity: str


_NONE_KNOWN = Kind("none-known-against-allergen", "None known against an allergen", "high")
_ENDED = {
    "allergy": Kind("allergy-active-and-ended", "Allergy active at one place, ended at another", "high"),
    "condition": Kind("problem-active-and-ended", "Problem active at one place, ended at another", "moderate"),
    "medication": Kind("medication-active-and-stopped", "Medicine active at one place, stopped at another", "moderate"),
}
_DIFFERS = {
    "criticality": Kind("allergy-criticality-differs", "Allergy of differing criticality", "moderate"),
    "reaction": Kind("reaction-severity-differs", "Reactions of differing severity", "moderate"),
    "severity": Kind("problem-severity-differs", "Problem of differing severity", "low"),
}

KINDS = (_NONE_KNOWN, *_ENDED.values(), *_DIFFERS.values())
"""All contradictions that are shown."""


@dataclass(frozen=True, slots=True)
class Contradiction:
    """What contradicts, and how it is said.

    Attributes:
        kind: which of the closed list.
        facts: both sides, by their reference within each.
        detail: for a clinician, naming the sources.
    """

    kind: Kind
    facts: Sequence[Fact]
    detail: str


# --- none known against an allergen

_CONTRADICTED_BY: Mapping[str, frozenset[str]] = {
    "medication": frozenset({"medication", "biologic"}),
    "food": frozenset({"food"}),
    "environment": frozenset({"environment"}),
}
_NEGATIVES = {
    "": "No known allergies",
    "medication": "No known drug allergies",
    "food": "No known food allergies",
    "environment": "No known environmental allergies",
}


def against_none_known(facts: Sequence[Fact]) -> Generator[None, None, list[Contradiction]]:
    """Records that there is no allergy, of a kind or at all, against the allergens that are of it."""
    negatives: dict[str, list[Fact]] = defaultdict(list)
    allergens: list[Fact] = []
    for piece in pieces(facts):
        yield
        for fact in piece:
            if fact.kind == "allergy" and fact.current:
                (allergens if fact.none_known is None else negatives[fact.none_known]).append(fact)
    found = []
    for scope, denying in sorted(negatives.items()) if allergens else ():
        against: list[Fact] = []
        places: dict[str, set[str]] = defaultdict(set)
        for piece in pieces(allergens):
            yield
            for fact in piece:
                if not scope or not fact.nature or not fact.nature.isdisjoint(_CONTRADICTED_BY[scope]):
                    against.append(fact)
                    untold = ", of a kind that is not recorded" if scope and not fact.nature else ""
                    places[f"{_called(fact)}{untold}"].add(fact.where)
        if against:
            denied = yield from in_order(denying, _reference)
            against = yield from in_order(against, _reference)
            yield
            where = sorted({fact.where if _is_coded(fact) else f"{fact.where} (in words only)" for fact in denied})
            yield
            named = yield from in_order(places, str)
            recorded = [f"{words}, recorded at {_and(sorted(places[words]))}" for words in named[:_MOST_NAMED]]
            if len(named) > _MOST_NAMED:
                recorded.append(f"and {len(named) - _MOST_NAMED} more")
            detail = (
                f"{_NEGATIVES[scope]}: recorded at {_and(where)}. Against it: {'; '.join(recorded)}. Ask the patient."
            )
            found.append(Contradiction(_NONE_KNOWN, [*denied, *against], detail))
    return found


def _is_coded(negative: Fact) -> bool:
    return not negative.codes.isdisjoint(NONE_KNOWN)


# --- between sources that record the same


def between_sources(groups: Sequence[Same]) -> Generator[None, None, list[Contradiction]]:
    """Where sources that surely record the same thing do not agree whether it holds, or how bad it is."""
    found: list[Contradiction] = []
    for group in groups:
        yield
        if group.possibly or group.facts[0].kind not in _ENDED:
            continue
        active: list[Fact] = []
        ended: list[Fact] = []
        by_scale: dict[str, list[tuple[int, Fact]]] = defaultdict(list)
        for piece in pieces(group.facts):
            yield
            for fact in piece:
                if fact.standing:
                    (active if fact.standing == "active" else ended).append(fact)
                if fact.current:
                    for scale, said in fact.severities:
                        by_scale[scale].append((_WORST_FIRST.index(said), fact))
        if active and ended:
            found.extend((yield from _still(active, ended)))
        for scale, facts in sorted(by_scale.items()):
            found.extend((yield from _differing(scale, facts)))
    return found


_ADVICE = {
    "allergy": "Ask the patient.",
    "condition": "Ask the patient.",
    "medication": "Check with the prescribers, and ask the patient.",
}
_SAID_AS = {"on-hold": "on hold"}


def _still(active: Sequence[Fact], ended: Sequence[Fact]) -> Generator[None, None, list[Contradiction]]:
    """Active at some sources, ended at others."""
    kind = active[0].kind
    sources: set[str] = set()
    days: set[str | None] = set()
    for piece in pieces(active):
        yield
        sources.update(fact.source for fact in piece)
        days.update(fact.since for fact in piece)
    # Where one does not say when it began, nothing was over before.
    begun = None if None in days else min(filter(None, days), default=None)
    over = _over_before(kind, begun)
    by_standing: dict[str, list[Fact]] = defaultdict(list)
    for piece in pieces(ended):
        yield
        for fact in piece:
            if fact.source not in sources and not (over and fact.until and fact.until < over):
                by_standing[fact.standing].append(fact)
    if not by_standing:
        return []
    no_longer = []
    both = list(active)
    for standing, facts in sorted(by_standing.items()):
        yield
        no_longer.append(f"as {_SAID_AS.get(standing, standing)} at {_places(facts)}")
        both += facts
    yield
    detail = f"{_called(active[0])}: recorded as active at {_places(active)}, and {_and(no_longer)}. {_ADVICE[kind]}"
    return [Contradiction(_ENDED[kind], both, detail)]


def _over_before(kind: str, begun: str | None) -> str | None:
    """The day: what ended before it was over when what is active began. None where there is none."""
    if begun is None or kind == "allergy":
        return None  # allergies do not come and go
    if kind == "condition":
        return begun
    try:
        return (date.fromisoformat(begun) - _ANOTHER_COURSE).isoformat()
    except (ValueError, OverflowError):
        return None


_ANOTHER_COURSE = timedelta(days=364)
"""Between the end of one course of a medicine and the beginning of another, at least."""

_WORST_FIRST = ("high", "severe", "moderate", "mild", "low")
_HIGHEST = frozenset({"high", "severe"})
_SCALES = {
    "criticality": "criticality recorded as",
    "reaction": "worst reaction recorded as",
    "severity": "recorded as",
}


def _differing(scale: str, ranked: Sequence[tuple[int, Fact]]) -> Generator[None, None, list[Contradiction]]:
    """The highest of a scale at some sources, less at the worst of others."""
    worst: dict[str, int] = {}
    for piece in pieces(ranked):
        yield
        for rank, fact in piece:
            worst[fact.source] = min(rank, worst.get(fact.source, rank))
    ranks = sorted(set(worst.values()))
    if len(ranks) == 1 or _WORST_FIRST[ranks[0]] not in _HIGHEST:
        return []
    by_rank: dict[int, list[Fact]] = {rank: [] for rank in ranks}
    for piece in pieces(ranked):
        yield
        for rank, fact in piece:
            if rank == worst[fact.source]:
                by_rank[rank].append(fact)
    sides = []
    for rank, facts in by_rank.items():
        yield
        sides.append(f"{_WORST_FIRST[rank]} at {_places(facts)}")
    both = [fact for facts in by_rank.values() for fact in facts]
    detail = f"{_called(both[0])}: {_SCALES[scale]} {sides[0]}, and as {_and(sides[1:])}. Ask the patient."
    return [Contradiction(_DIFFERS[scale], both, detail)]


# --- words

_MOST_NAMED = 10
"""Of a long list, so many are named; all of them are implicated."""

_LONGEST = 100
_UNCALLED = {"allergy": "An allergy", "condition": "A problem", "medication": "A medicine"}


def _called(fact: Fact) -> str:
    words = " ".join(fact.names[0][: 2 * _LONGEST].split()) if fact.names else ""
    if len(words) > _LONGEST:
        words = f"{words[:_LONGEST].rstrip()}…"
    return words or _UNCALLED[fact.kind]


def _places(facts: Iterable[Fact]) -> str:
    return _and(sorted({fact.where for fact in facts}))


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _reference(fact: Fact) -> str:
    return fact.reference
