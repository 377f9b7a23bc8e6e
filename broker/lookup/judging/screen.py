"""What may be released of what is this patient's, and what must not be told apart from nothing being there.

In this order: what the law and the promise keep out, with all that would show it (closure); what a label keeps from
this role, with the same closure; what the patient objects to, with less of it; what the role may not see. Pure: what it
lacks to judge it names, the service reads that once, and it judges again. Counts, links and contradictions are made
from what is left, never from what came.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from broker.lookup.judging.closure import Closure, key_of, objects_of
from broker.lookup.judging.guard import PAUSE, Guarded
from broker.lookup.judging.reading import Item
from broker.lookup.judging.targets import Target
from policies.tables import Tables
from policies.values import Coding, Reason, Sight

__all__ = ["Kept", "Scope", "Screened", "Seen", "screen"]

_ASKED = 32
"""Questions put to the policies at once: each costs tens of microseconds."""

Seen = Sight | Literal[Reason.OBJECTION] | None
"""How an item may be shown: withheld is what a label keeps back, None what the role may not see in that category."""

See = Callable[[frozenset[tuple[str, frozenset[str]]]], Mapping[tuple[str, frozenset[str]], Seen]]
"""Asks the policies about (category, labels)."""

_ATTENDANCES = frozenset({"Encounter", "EpisodeOfCare"})
"""What else was found and done when somebody was seen refers to these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What one source was asked, and what its organisation is known for.

    Attributes:
        asked: the categories asked of it that the role may see.
        offered: all categories that it offers, asked or not.
        excluded: codes, services, specialties and labels that are kept out today.
        services: categories that are this kind of service itself: what a mental health trust records is mental health,
            whatever its codes.
        runs_excluded: the organisation also runs a service that is never shared: what can't be told apart stays out.
        types: of the categories only these FHIR types were asked; None for all.
    """

    asked: Collection[str]
    offered: Collection[str]
    excluded: frozenset[Coding]
    runs_excluded: bool
    services: frozenset[str] = frozenset()
    types: frozenset[str] | None = None


@dataclass(slots=True)
class Kept:
    """One resource to release: in which of the asked categories it counts (none: it only supports another)."""

    item: Item
    categories: tuple[str, ...]


@dataclass(slots=True)
class Screened:
    """What is left.

    Attributes:
        kept: to release.
        out: targets that nothing released may refer to.
        withheld: categories of which the role may know that something is held back.
        withheld_types: FHIR types of which it may.
        lacks: references, of things that decide and did not come, to be read once; medicines last, which are many.
        medicines: medicines that did not come, and that something kept refers to.
        without_medicine: FHIR types of what refers to them.
    """

    kept: list[Kept] = field(default_factory=list)
    out: set[Target] = field(default_factory=set)
    withheld: set[str] = field(default_factory=set)
    withheld_types: set[str] = field(default_factory=set)
    lacks: list[str] = field(default_factory=list)
    medicines: set[Target] = field(default_factory=set)
    without_medicine: set[str] = field(default_factory=set)

    def hold_back(self, item: Item, known: Collection[str]) -> None:
        """Say of `item`, which is not released, as much as the role may know: its categories, if any."""
        if known:
            self.withheld.update(known)
            self.withheld_types.add(item.type)


def screen(
    guarded: Guarded,
    tables: Tables,
    scope: Scope,
    see: See,
    *,
    final: bool,
    unread: Collection[str] = (),
    copies: Sequence[Item] = (),
) -> Generator[None, None, Screened]:
    """Judge every resource, pausing between them.

    Args:
        guarded: what is this patient's at one source. Severed resources and removed entries change in place.
        tables: the board's tables.
        scope: what was asked.
        see: the role's decisions.
        final: no further reading: what still lacks is judged as the organisation is known.
        copies: more of what is guarded, under the same type and id: never released, but each decides on it.
        unread: what lacks and was not even asked for: what depends on it stays out everywhere.
    """
    closure = Closure(
        guarded,
        tables,
        scope.excluded,
        runs_excluded=scope.runs_excluded,
        final=final,
        unread=unread,
        copies=copies,
    )
    yield from closure.seed()
    lacks = yield from closure.lacking(scope.asked)
    screened = Screened(lacks=sorted(lacks, key=lambda one: (one.startswith("Medication/"), one)))
    if screened.lacks and not final:
        return screened
    yield from closure.spread()
    yield from closure.apply()
    out = closure.out
    left = [item for item in guarded.items if (item.type, item.id) not in out] if out else guarded.items
    kinds = _Kinds(tables, scope)
    kind_of = []
    told = [*left, *(item for item in copies if (item.type, item.id) not in out)]
    for n, item in enumerate(told):
        if not n % PAUSE:
            yield
        kind_of.append(kinds.of(item))
    yield from kinds.decide(see)

    hidden: set[Target] = set()
    if any(kind.labelled or kind.objected or kind.barred for kind in kinds.met):
        labelled = Closure(
            guarded, tables, scope.excluded, runs_excluded=scope.runs_excluded, final=True, copies=copies
        )
        hidden = yield from _hide(list(zip(told, kind_of, strict=True)), labelled, screened)
    closure.forget_labels()

    screened.out = out | hidden
    supporting: dict[Target, Item] = {}
    for n, (item, kind) in enumerate(zip(left, kind_of, strict=False)):
        if not n % PAUSE:
            yield
        if hidden and (item.type, item.id) in hidden:
            continue
        if kind.counted:
            screened.kept.append(Kept(item, kind.counted))
        elif not kind.type and item.type in tables.supporting:
            supporting[item.type, item.id] = item
    screened.kept.extend((yield from _supporters(screened.kept, supporting, guarded)))
    if closure.medicines:
        yield from _miss(closure.medicines, screened, guarded)
    return screened


def _hide(
    told: Sequence[tuple[Item, "_Kind"]], labelled: Closure, screened: Screened
) -> Generator[None, None, set[Target]]:
    """What this role may not see, with what goes with what is kept from it; `screened` holds it back.

    With what a label or an objection keeps from it goes what would show it: with an illness its medicine. But an
    attendance goes by itself where it is the patient who objects, or where it only goes along with what they object
    to: a label says that a visit was of a kind that must not show, and so what was found there; who objects to showing
    that they were seen, or where, does not object to their allergies, which are judged by what they are themselves.
    """
    hidden: set[Target] = set()
    objected: set[Target] = set()
    for n, (item, kind) in enumerate(told):
        if not n % PAUSE:
            yield
        if kind.labelled:
            labelled.out.add((item.type, item.id))
        elif kind.objected:
            objected.add((item.type, item.id))
        elif kind.barred:
            hidden.add((item.type, item.id))
            screened.hold_back(item, kind.known)
    if labelled.out or objected:
        yield from labelled.spread()
        if objected:
            labelled.out |= objected
            yield from labelled.spread(alone=_ATTENDANCES)
        yield from labelled.apply()
        for item, kind in told:
            if (item.type, item.id) in labelled.out:
                screened.hold_back(item, kind.known)
        hidden |= labelled.out
        labelled.forget_labels()
    return hidden


class _Kind:
    """What a decision of sight depends on, and what it came to: alike for all resources of one kind.

    Attributes:
        type: FHIR type; `""` for one without a home.
        names: every category.
        labels: as the board's table names them.
        labelled: a label keeps it from this role; what it shows follows it.
        objected: the patient objects to one of its categories; what it shows follows it, except of an attendance.
        barred: the role may not see one of its categories; it is left out by itself.
        known: categories of which the role may know that something is held back.
        counted: the asked categories in which it is given.
    """

    __slots__ = ("barred", "counted", "known", "labelled", "labels", "names", "objected", "type")

    def __init__(self, type_: str, names: frozenset[str], labels: frozenset[str]) -> None:
        self.type = type_
        self.names = names
        self.labels = labels
        self.labelled = False
        self.objected = False
        self.barred = False
        self.known: set[str] = set()
        self.counted: tuple[str, ...] = ()

    def decide(self, sights: Mapping[tuple[str, frozenset[str]], Seen], tables: Tables, scope: Scope) -> None:
        """Put down what the decisions mean for it."""
        home = tables.home.get(self.type)
        seen = {name: sights[name, self.labels] for name in self.names}
        self.labelled = Sight.WITHHOLD in seen.values()
        self.objected = Reason.OBJECTION in seen.values()
        self.barred = None in seen.values()
        if scope.types is not None and self.type not in scope.types:
            return  # context, or what a server sent unasked
        # Under an added category stands only what asking for it alone would fetch.
        shown = sorted(
            (name for name in self.names if name == home or self.type in tables.types_of(name)),
            key=tables.categories.index,
        )
        self.known = {name for name in shown if seen[name] is not None}
        self.counted = tuple(name for name in shown if name in scope.asked and (name == home or name in scope.offered))


class _Kinds:
    """Sorts resources by what decides whether they may be seen, so that each question is asked once."""

    def __init__(self, tables: Tables, scope: Scope) -> None:
        self._tables = tables
        self._scope = scope
        self._unlabelled = tables.labels_of(())
        self._usual: dict[str, _Kind] = {}
        """By FHIR type: without a label of its own, and in no category beside its home."""
        self._homeless = _Kind("", frozenset(), self._unlabelled)
        self._special: dict[tuple[str, frozenset[str], frozenset[str]], _Kind] = {}
        self._coded = tables.added_by_coding.keys()
        self._profiled = tables.added_by_profile.keys()

    @property
    def met(self) -> Iterable[_Kind]:
        """Every kind of what was sorted, and maybe more."""
        return (self._homeless, *self._usual.values(), *self._special.values())

    def of(self, item: Item) -> _Kind:
        """The kind of one resource."""
        data = item.data
        usual = self._usual.get(item.type) or self._make_usual(item.type)
        names, labels = usual.names, usual.labels
        meta = data.get("meta")
        profiles = None
        if meta.__class__ is dict:
            profiles = meta.get("profile")
            if "security" in meta:
                labels = self._labels(item)
        if "securityLabel" in data:
            labels = self._labels(item)
        if labels is not usual.labels and not usual.type:
            # What belongs to nobody is labelled for whatever it is shown with.
            names = frozenset(self._scope.asked)
        if usual.type and (profiles or not self._coded.isdisjoint(item.codes)):
            stated = [one for one in profiles if one.__class__ is str] if profiles.__class__ is list else ()
            names |= self._tables.added(usual.type, item.codes, stated)
        if names == usual.names and labels is usual.labels:
            return usual
        parts = (usual.type, names, labels)
        return self._special.get(parts) or self._special.setdefault(parts, _Kind(*parts))

    def decide(self, see: See) -> Generator[None, None, None]:
        """Ask once about every (category, labels), a few at a time, and tell each kind."""
        met = self.met
        questions = list({(name, kind.labels) for kind in met for name in kind.names})
        sights: dict[tuple[str, frozenset[str]], Seen] = {}
        for n in range(0, len(questions), _ASKED):
            yield
            sights.update(see(frozenset(questions[n : n + _ASKED])))
        for kind in met:
            kind.decide(sights, self._tables, self._scope)

    def _labels(self, item: Item) -> frozenset[str]:
        return self._tables.labels_of([*item.security, *_security_labels(item.data)])

    def _make_usual(self, type_: str) -> _Kind:
        tables = self._tables
        home = tables.home.get(type_)
        if home is None:
            return self._homeless
        names = {home, *(name for name in self._scope.services if type_ in tables.types_of(name))}
        made = self._usual[type_] = _Kind(type_, frozenset(names), self._unlabelled)
        return made


def _supporters(
    kept: Iterable[Kept], supporting: Mapping[Target, Item], guarded: Guarded
) -> Generator[None, None, list[Kept]]:
    """Resources that belong to nobody, kept because something released refers to them."""
    found: dict[Target, Kept] = {}
    met: set[str] = set()
    waiting = [one.item for one in kept] if supporting else []
    while waiting:
        if not len(waiting) % PAUSE:
            yield
        for _, reference in waiting.pop().references:
            literal = reference.get("reference")
            if literal is None or literal in met:
                continue
            met.add(literal)
            target = guarded.targets.of(literal)
            if target is not None and target in supporting and target not in found:
                found[target] = Kept(supporting[target], ())
                waiting.append(supporting[target])
    return [found[target] for target in sorted(found)]


def _miss(medicines: Collection[Target], screened: Screened, guarded: Guarded) -> Generator[None, None, None]:
    """Put down which of these medicines something kept refers to, itself or by a medicine that they are part of."""
    referring: dict[Target, list[Item]] = defaultdict(list)
    shown = {one.item.type for one in screened.kept if one.categories}
    for n, one in enumerate(screened.kept):
        if not n % PAUSE:
            yield
        for _, reference in one.item.references:
            if literal := reference.get("reference"):
                referring[guarded.targets.of(literal) or ("", literal)].append(one.item)
    screened.medicines = referring.keys() & medicines
    waiting = list(screened.medicines)
    while waiting:
        for item in referring.pop(waiting.pop(), ()):
            if item.type in shown:
                screened.without_medicine.add(item.type)
            else:
                waiting.append((item.type, item.id))


def _security_labels(data: Mapping[str, Any]) -> list[Coding]:
    """A document says in an element of its own what `meta.security` says of others (FHIR R4, DocumentReference)."""
    return [key_of(node, "code") for node in objects_of(data.get("securityLabel")) if "system" in node]
