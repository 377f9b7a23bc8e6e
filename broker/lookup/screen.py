"""What may be released of what is this patient's, and what must not be told apart from nothing being there.

In this order: what the law and the promise keep out, with all that would show it (closure); what a label keeps from
this role, with the same closure; what the role may not see. Pure: what it lacks to judge it names, the service reads
that once, and it judges again. Counts, links and contradictions are made from what is left, never from what came.
"""

from collections.abc import Callable, Collection, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from broker.lookup.guard import PAUSE, Guarded, Target, prune
from broker.lookup.reading import Item
from policies.tables import Tables
from policies.values import Coding, Edge, Sight

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
        runs_excluded: the organisation also runs a service that is never shared: what can't be told apart stays out.
    """

    asked: Collection[str]
    offered: Collection[str]
    excluded: frozenset[Coding]
    runs_excluded: bool


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
        lacks: references, of things that decide and did not come, to be read once.
    """

    kept: list[Kept] = field(default_factory=list)
    out: set[Target] = field(default_factory=set)
    withheld: set[str] = field(default_factory=set)
    lacks: list[str] = field(default_factory=list)


def screen(guarded: Guarded, tables: Tables, scope: Scope, see: See, *, final: bool) -> Generator[None, None, Screened]:
    """Judge every resource, pausing between them.

    Args:
        guarded: what is this patient's at one source. Severed resources and removed entries change in place.
        tables: the board's tables.
        scope: what was asked.
        see: the role's decisions.
        final: no further reading: what still lacks is judged as the organisation is known.
    """
    closure = _Closure(guarded, tables, scope, final=final)
    yield from closure.seed()
    screened = Screened(lacks=sorted(closure.lacks))
    if screened.lacks and not final:
        return screened
    closure.spread()
    closure.apply()
    left = [item for item in guarded.items if (item.type, item.id) not in closure.out]
    kinds = _Kinds(tables)
    kind_of = []
    for n, item in enumerate(left):
        if not n % PAUSE:
            yield
        kind_of.append(kinds.of(item))
    sights = see(kinds.questions())

    labelled = _Closure(guarded, tables, scope, final=True)
    hidden: set[Target] = set()
    verdicts = {kind: _Verdict(*kind, sights, tables, scope) for kind in set(kind_of)}
    for item, kind in zip(left, kind_of, strict=True):
        if verdicts[kind].labelled:
            labelled.out.add((item.type, item.id))
        elif verdicts[kind].barred:
            hidden.add((item.type, item.id))
            screened.withheld |= verdicts[kind].known
    if labelled.out:
        labelled.spread()
        labelled.apply()
        for item, kind in zip(left, kind_of, strict=True):
            if (item.type, item.id) in labelled.out:
                screened.withheld |= verdicts[kind].known
        hidden |= labelled.out

    screened.out = closure.out | hidden
    supporting: dict[Target, Item] = {}
    for item, kind in zip(left, kind_of, strict=True):
        if hidden and (item.type, item.id) in hidden:
            continue
        counted = verdicts[kind].counted
        if counted:
            screened.kept.append(Kept(item, counted))
        elif not kind[0] and item.type in tables.supporting:
            supporting[item.type, item.id] = item
    screened.kept.extend(_supporters(screened.kept, supporting, guarded))
    return screened


_Kind = tuple[str, frozenset[str], frozenset[str]]
"""Home category (or none), every category, labels: all that a decision of sight depends on."""


class _Kinds:
    """Sorts resources by what decides whether they may be seen, so that each question is asked once."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._usual = {type_: (home, frozenset({home}), tables.labels_of(())) for type_, home in tables.home.items()}
        self._none: _Kind = ("", frozenset(), tables.labels_of(()))
        self._seen: set[_Kind] = set()

    def of(self, item: Item) -> _Kind:
        """The kind of one resource."""
        kind = self._usual.get(item.type, self._none)
        meta = item.data.get("meta")
        labels = self._tables.labels_of(item.security) if isinstance(meta, dict) and "security" in meta else kind[2]
        added: frozenset[str] = frozenset()
        if kind[0]:
            profiles = meta.get("profile") if isinstance(meta, dict) else None
            added = self._tables.added(item.type, item.codes, profiles if profiles.__class__ is list else ())
        if added or labels is not kind[2]:
            kind = (kind[0], kind[1] | added, labels)
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
        home: str,
        names: frozenset[str],
        labels: frozenset[str],
        sights: Mapping[tuple[str, frozenset[str]], Sight | None],
        tables: Tables,
        scope: Scope,
    ) -> None:
        seen = {name: sights[name, labels] for name in names}
        self.labelled = Sight.WITHHOLD in seen.values()
        self.barred = None in seen.values()
        self.known = {name for name, sight in seen.items() if sight is not None}
        self.counted = tuple(
            name
            for name in tables.categories
            if name in names and name in scope.asked and (name == home or name in scope.offered)
        )


def _supporters(kept: Iterable[Kept], supporting: Mapping[Target, Item], guarded: Guarded) -> list[Kept]:
    """Resources that belong to nobody, kept because something released refers to them."""
    found: dict[Target, Kept] = {}
    waiting = [one.item for one in kept]
    while waiting:
        for _, _, reference in waiting.pop().references:
            target = guarded.targets.of(reference["reference"]) if "reference" in reference else None
            if target is not None and target in supporting and target not in found:
                found[target] = Kept(supporting[target], ())
                waiting.append(supporting[target])
    return [found[target] for target in sorted(found)]


class _Closure:
    """What goes with what is kept out: edges between resources, from the board's closure table."""

    def __init__(self, guarded: Guarded, tables: Tables, scope: Scope, *, final: bool) -> None:
        self._guarded = guarded
        self._tables = tables
        self._scope = scope
        self._final = final
        self._items = {(item.type, item.id): item for item in guarded.items}
        self._deciding = tables.deciding
        self._resolved: set[str] = set()
        self.out: set[Target] = set()
        self.lacks: set[str] = set()
        self._severed: dict[Target, Item] = {}
        self._entries: set[tuple[Target, str, int]] = set()

    def seed(self) -> Generator[None, None, None]:
        """Find what is kept out by itself, and what lacks for a judgement."""
        excluded = self._scope.excluded
        for n, item in enumerate(self._guarded.items):
            if not n % PAUSE:
                yield
            if not excluded.isdisjoint(item.codes):
                self._exclude(item)
            edges = self._tables.edges.get(item.type)
            if edges is not None:
                self._find_lacking(item, edges)
            if item.type == "DocumentReference" and self._cannot_be_told(item.data):
                self.keep_out(item)

    def keep_out(self, item: Item) -> None:
        """This resource is out, or severed where its type is."""
        target = (item.type, item.id)
        if item.type in self._tables.severed:
            self._severed[target] = item
        else:
            self.out.add(target)

    def spread(self) -> None:
        """Follow the edges from all that is out until nothing more follows."""
        if not self.out:
            return
        follows: dict[Target, list[Target]] = {}
        for item in self._guarded.items:
            edges = self._tables.edges.get(item.type)
            if edges is None:
                continue
            source = (item.type, item.id)
            for target, edge in self._edges_of(item, edges):
                if edge in _FOLLOWS:
                    follows.setdefault(target, []).append(source)
                if edge in (Edge.GOVERNS, Edge.BOTH):
                    follows.setdefault(source, []).append(target)
        waiting = list(self.out)
        while waiting:
            for reached in follows.get(waiting.pop(), ()):
                follower = self._items.get(reached)
                if follower is None or reached in self.out or reached in self._severed:
                    continue
                self.keep_out(follower)
                if reached in self.out:
                    waiting.append(reached)

    def apply(self) -> None:
        """Sever and remove in the resources that stay."""
        for item in self._severed.values():
            keep = self._tables.severed[item.type]
            for element in [name for name in item.data if name not in keep and name not in _ALWAYS]:
                del item.data[element]
            item.data.pop("meta", None)
            for reaction in item.data.get("reaction") or ():
                for words in ("note", "description"):
                    reaction.pop(words, None)
            item.references = [one for one in item.references if one[0] in keep]
        if self.out:
            for item in self._guarded.items:
                containers = self._tables.containers.get(item.type, frozenset())
                for element, index, reference in item.references:
                    if element not in containers or "reference" not in reference:
                        continue
                    if self._guarded.targets.of(reference["reference"]) in self.out:
                        self._entries.add(((item.type, item.id), element, index))
        for (kind, name), element, index in self._entries:
            _remove_entry(self._items[kind, name], element, index)
        for target in {target for target, _, _ in self._entries}:
            prune(self._items[target].data)

    def _cannot_be_told(self, document: Mapping[str, Any]) -> bool:
        """A letter without a coded type and service, where it may be from a service that is never shared."""
        if not (self._scope.runs_excluded and self._tables.leave_out_uncoded_documents):
            return False
        context = document.get("context")
        service = context.get("practiceSetting") if isinstance(context, dict) else None
        return not all(isinstance(one, dict) and one.get("coding") for one in (document.get("type"), service))

    def _exclude(self, item: Item) -> None:
        """An excluded code in a container's entry costs the entry; anywhere else it is the resource's own."""
        containers = self._tables.containers.get(item.type, frozenset())
        keep = self._tables.severed.get(item.type)
        target = (item.type, item.id)
        for element, index in item.spots_of(self._scope.excluded):
            if element in containers:
                self._entries.add((target, element, index))
            elif keep is not None and element not in keep:
                self._severed[target] = item
            else:
                self.out.add(target)

    def _find_lacking(self, item: Item, edges: Mapping[str, Edge]) -> None:
        """References that decide and don't resolve are named; at last they are judged as the organisation is known."""
        resolved = self._resolved
        for element, _, reference in item.references:
            if element in edges and "reference" in reference:
                literal = reference["reference"]
                if literal in resolved or edges[element] not in _FOLLOWS:
                    continue
                target = self._guarded.targets.of(literal)
                if target is None or target in self._items or target[0] not in self._deciding:
                    resolved.add(literal)
                    continue
                if not self._final:
                    self.lacks.add(f"{target[0]}/{target[1]}")
                elif self._scope.runs_excluded:
                    self.keep_out(item)

    def _edges_of(self, item: Item, edges: Mapping[str, Edge]) -> Iterable[tuple[Target, Edge]]:
        for element, _, reference in item.references:
            edge = edges.get(element)
            if edge is not None and "reference" in reference:
                target = self._guarded.targets.of(reference["reference"])
                if target is not None:
                    yield target, edge


_FOLLOWS = frozenset({Edge.DEPENDANT, Edge.BOTH})
"""Edges by which a resource goes with what it refers to."""

_ALWAYS = frozenset({"resourceType", "id", "meta"})


def _remove_entry(item: Item, element: str, index: int) -> None:
    """Empty one entry of a list element (pruned afterwards, so that positions hold until all are emptied)."""
    value: Any = item.data.get(element)
    if isinstance(value, list) and 0 <= index < len(value) and isinstance(value[index], dict):
        value[index].clear()
    elif isinstance(value, dict):
        value.clear()
    item.references = [one for one in item.references if one[:2] != (element, index)]
