"""What may be released of what is this patient's, and what must not be told apart from nothing being there.

In this order: what the law and the promise keep out, with all that would show it (closure); what a label keeps from
this role, with the same closure; what the role may not see. Pure: what it lacks to judge it names, the service reads
that once, and it judges again. Counts, links and contradictions are made from what is left, never from what came.
"""

from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from broker.lookup.closure import Closure, key_of, objects_of
from broker.lookup.guard import PAUSE, Guarded
from broker.lookup.reading import Item
from broker.lookup.targets import Target
from policies.tables import Tables
from policies.values import Coding, Sight

__all__ = ["Kept", "Scope", "Screened", "screen"]

See = Callable[[frozenset[tuple[str, frozenset[str]]]], Mapping[tuple[str, frozenset[str]], Sight | None]]
"""Asks the policies about (category, labels): how it may be shown, or None where the role may not see the category."""


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
        lacks: references, of things that decide and did not come, to be read once.
    """

    kept: list[Kept] = field(default_factory=list)
    out: set[Target] = field(default_factory=set)
    withheld: set[str] = field(default_factory=set)
    withheld_types: set[str] = field(default_factory=set)
    lacks: list[str] = field(default_factory=list)

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
    screened = Screened(lacks=sorted((yield from closure.lacking(scope.asked))))
    if screened.lacks and not final:
        return screened
    yield from closure.spread()
    yield from closure.apply()
    left = [item for item in guarded.items if (item.type, item.id) not in closure.out]
    kinds = _Kinds(tables, scope)
    kind_of = []
    told = [*left, *(item for item in copies if (item.type, item.id) not in closure.out)]
    for n, item in enumerate(told):
        if not n % PAUSE:
            yield
        kind_of.append(kinds.of(item))
    sights = see(kinds.questions())

    labelled = Closure(guarded, tables, scope.excluded, runs_excluded=scope.runs_excluded, final=True, copies=copies)
    hidden: set[Target] = set()
    verdicts = {kind: _Verdict(*kind, sights, tables, scope) for kind in set(kind_of)}
    for n, (item, kind) in enumerate(zip(told, kind_of, strict=True)):
        if not n % PAUSE:
            yield
        if verdicts[kind].labelled:
            labelled.out.add((item.type, item.id))
        elif verdicts[kind].barred:
            hidden.add((item.type, item.id))
            screened.hold_back(item, verdicts[kind].known)
    if labelled.out:
        yield from labelled.spread()
        yield from labelled.apply()
        for item, kind in zip(told, kind_of, strict=True):
            if (item.type, item.id) in labelled.out:
                screened.hold_back(item, verdicts[kind].known)
        hidden |= labelled.out
        labelled.forget_labels()
    closure.forget_labels()

    screened.out = closure.out | hidden
    supporting: dict[Target, Item] = {}
    for n, (item, kind) in enumerate(zip(left, kind_of, strict=False)):
        if not n % PAUSE:
            yield
        if hidden and (item.type, item.id) in hidden:
            continue
        counted = verdicts[kind].counted
        if counted:
            screened.kept.append(Kept(item, counted))
        elif not kind[0] and item.type in tables.supporting:
            supporting[item.type, item.id] = item
    screened.kept.extend((yield from _supporters(screened.kept, supporting, guarded)))
    return screened


_Kind = tuple[str, frozenset[str], frozenset[str]]
"""FHIR type (`""` for one without a home), every category, labels: all that a decision of sight depends on."""


class _Kinds:
    """Sorts resources by what decides whether they may be seen, so that each question is asked once."""

    def __init__(self, tables: Tables, scope: Scope) -> None:
        self._tables = tables
        self._asked = frozenset(scope.asked)
        unlabelled = tables.labels_of(())
        self._usual: dict[str, _Kind] = {
            type_: (
                type_,
                frozenset({home, *(name for name in scope.services if type_ in tables.types_of(name))}),
                unlabelled,
            )
            for type_, home in tables.home.items()
        }
        self._none: _Kind = ("", frozenset(), unlabelled)
        self._seen: set[_Kind] = set()

    def of(self, item: Item) -> _Kind:
        """The kind of one resource."""
        kind = self._usual.get(item.type, self._none)
        type_, names, labels = kind
        meta = item.data.get("meta")
        if (meta.__class__ is dict and "security" in meta) or "securityLabel" in item.data:
            labels = self._tables.labels_of([*item.security, *_security_labels(item.data)])
            if not type_:
                # What belongs to nobody is labelled for whatever it is shown with.
                names = self._asked
        if type_:
            profiles = meta.get("profile") if meta.__class__ is dict else None
            stated = [one for one in profiles if one.__class__ is str] if profiles.__class__ is list else ()
            added = self._tables.added(type_, item.codes, stated)
            if added:
                names |= added
        if names is not kind[1] or labels is not kind[2]:
            kind = (type_, names, labels)
        self._seen.add(kind)
        return kind

    def questions(self) -> frozenset[tuple[str, frozenset[str]]]:
        """Every (category, labels) that must be decided."""
        return frozenset((name, labels) for _, names, labels in self._seen for name in names)


class _Verdict:
    """What the decisions mean for one kind of resource.

    Attributes:
        labelled: a label keeps it from this role; what it shows follows it.
        barred: the role may not see one of its categories; it is left out by itself.
        known: categories of which the role may know that something is held back.
        counted: the asked categories in which it is given.
    """

    def __init__(
        self,
        type_: str,
        names: frozenset[str],
        labels: frozenset[str],
        sights: Mapping[tuple[str, frozenset[str]], Sight | None],
        tables: Tables,
        scope: Scope,
    ) -> None:
        home = tables.home.get(type_)
        seen = {name: sights[name, labels] for name in names}
        # Under an added category stands only what asking for it alone would fetch.
        shown = [
            name for name in tables.categories if name == home or (name in names and type_ in tables.types_of(name))
        ]
        self.labelled = Sight.WITHHOLD in seen.values()
        self.barred = None in seen.values()
        if scope.types is not None and type_ not in scope.types:
            shown = []  # context, or what a server sent unasked
        self.known = {name for name in shown if seen[name] is not None}
        self.counted = tuple(name for name in shown if name in scope.asked and (name == home or name in scope.offered))


def _supporters(
    kept: Iterable[Kept], supporting: Mapping[Target, Item], guarded: Guarded
) -> Generator[None, None, list[Kept]]:
    """Resources that belong to nobody, kept because something released refers to them."""
    found: dict[Target, Kept] = {}
    waiting = [one.item for one in kept]
    while waiting:
        if not len(waiting) % PAUSE:
            yield
        for _, _, reference in waiting.pop().references:
            target = guarded.targets.of(reference["reference"]) if "reference" in reference else None
            if target is not None and target in supporting and target not in found:
                found[target] = Kept(supporting[target], ())
                waiting.append(supporting[target])
    return [found[target] for target in sorted(found)]


def _security_labels(data: Mapping[str, Any]) -> list[Coding]:
    """A document says in an element of its own what `meta.security` says of others (FHIR R4, DocumentReference)."""
    return [key_of(node, "code") for node in objects_of(data.get("securityLabel")) if "system" in node]
