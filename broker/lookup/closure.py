"""What goes with what is kept out, and what stays of what refers to it: the board's closure table, followed.

A dependant goes with what it depends on, a container loses the entry and stays, an allergy is severed: it keeps what
saves and loses where, when and by whom it was noted. Nothing that stays shows that anything went.
"""

import re
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any

from broker.lookup.guard import PAUSE, Guarded, prune
from broker.lookup.reading import Item
from broker.lookup.targets import Target
from policies.tables import Tables
from policies.values import Coding, Edge

__all__ = ["Closure", "key_of", "objects_of"]


class Closure:
    """What goes with what is kept out: edges between resources, from the board's closure table."""

    def __init__(
        self, guarded: Guarded, tables: Tables, excluded: frozenset[Coding], *, runs_excluded: bool, final: bool
    ) -> None:
        self._tables = tables
        self._deciding = tables.deciding
        self._excluded = excluded
        self._runs_excluded = runs_excluded
        self._final = final
        self._local = guarded.targets
        self._all = [*guarded.unusable, *guarded.items]
        self._items = {(item.type, item.id): item for item in self._all}
        self._names: dict[tuple[str, str], list[Target]] | None = None
        self._met: set[str | None] = {None}
        self._lacks: set[Target] = set()
        self._severed: dict[Target, Item] = {}
        self._loses_entries = False
        self.out: set[Target] = set()

    def seed(self) -> Generator[None, None, None]:
        """Find what is kept out by itself, and what lacks for a judgement."""
        excluded = self._excluded
        for n, item in enumerate(self._all):
            if not n % PAUSE:
                yield
            if not excluded.isdisjoint(item.codes):
                self._exclude(item)
            self._find_lacking(item)
            if item.type == "DocumentReference" and self._cannot_be_told(item.data):
                self.keep_out(item)

    def lacking(self, asked: Iterable[str]) -> set[str]:
        """What lacks and may decide on something asked for: the rest could change nothing that is shown."""
        if not self._lacks:
            return set()
        types = frozenset[str]().union(*(self._tables.types_of(name) for name in asked))
        ways: dict[Target, list[Target]] = {}
        for item in self._all:
            source = (item.type, item.id)
            if item.type in types or item.type in self._tables.supporting:
                # Whatever is shown may have to lose what it says of something.
                told = (target for node in objects_of(item.data) for target in self._targets(node))
                ways.setdefault(source, []).extend(told)
            for target, edge in self._edges_of(item.data):
                if edge in _FOLLOWS:
                    ways.setdefault(source, []).append(target)
                if edge in (Edge.GOVERNS, Edge.BOTH):
                    ways.setdefault(target, []).append(source)
        waiting = [target for target in self._items if target[0] in types]
        met = set(waiting)
        while waiting:
            for target in ways.get(waiting.pop(), ()):
                if target not in met:
                    met.add(target)
                    waiting.append(target)
        return {f"{type_}/{id_}" for type_, id_ in met & self._lacks}

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
        for item in self._all:
            source = (item.type, item.id)
            for target, edge in self._edges_of(item.data):
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
            self._sever(item)
        if self.out or self._loses_entries:
            for target, item in self._items.items():
                if target not in self.out and self._trim(item):
                    prune(item.data)
                    _collect_again(item)

    def _cannot_be_told(self, document: Mapping[str, Any]) -> bool:
        """A letter without a coded type and service, where it may be from a service that is never shared."""
        if not (self._runs_excluded and self._tables.leave_out_uncoded_documents):
            return False
        context = document.get("context")
        service = context.get("practiceSetting") if isinstance(context, dict) else None
        return not (_is_coded(document.get("type")) and _is_coded(service))

    def _exclude(self, item: Item) -> None:
        """An excluded code in a container's entry costs the entry; anywhere else it is the resource's own."""
        containers = self._tables.containers.get(item.type, frozenset())
        keep = self._tables.severed.get(item.type)
        target = (item.type, item.id)
        for element, _ in item.spots_of(self._excluded):
            if element in containers:
                self._loses_entries = True
            elif keep is not None and (element not in keep or element == "meta"):
                # A label says where it was noted, not what it is.
                self._severed[target] = item
            else:
                self.out.add(target)

    def _find_lacking(self, item: Item) -> None:
        """References that decide and don't resolve are named; at last they are judged as the organisation is known.

        Whatever element they stand in: what is not at hand may have to be taken out of what refers to it.
        """
        met = self._met
        for _, _, reference in item.references:
            literal = reference.get("reference")
            if literal in met:
                continue
            met.add(literal)
            target = self._target_of(reference)
            if target is None or target in self._items or not self._may_decide(target, reference):
                continue
            if target[0] and not self._final:
                self._lacks.add(target)
            elif self._runs_excluded:
                self.out.add(target)

    def _may_decide(self, target: Target, reference: Mapping[str, Any]) -> bool:
        """Whether something that is not at hand may be of a type that decides."""
        type_, literal = target
        if type_:
            return type_ in self._deciding
        if literal.startswith("urn:"):
            named = reference.get("type")
            return not isinstance(named, str) or named in self._deciding
        return not self._deciding.isdisjoint(_WORD.findall(literal))

    def _target_of(self, reference: Mapping[str, Any]) -> Target | None:
        """What a literal reference leads to: `("", literal)` where it is not at this source; None if contained."""
        literal = reference["reference"]
        return self._local.of(literal) or (None if literal.startswith("#") else ("", literal))

    def _edges_of(self, resource: Mapping[str, Any]) -> Iterator[tuple[Target, Edge]]:
        """Where a resource, and what is contained in it, leads to. It depends on what its contained ones contain."""
        edges: Mapping[str, Edge] = self._tables.edges.get(str(resource.get("resourceType")), {})
        for element in edges.keys() & resource.keys():
            for node in objects_of(resource[element]):
                for target in self._targets(node):
                    yield target, edges[element]
        contained = resource.get("contained")
        for inner in contained if isinstance(contained, list) else ():
            if isinstance(inner, dict):
                for target, edge in self._edges_of(inner):
                    yield target, Edge.DEPENDANT if edge is Edge.CONTAINER else edge

    def _targets(self, node: Mapping[str, Any]) -> Sequence[Target]:
        """What one object leads to, if it is a Reference: by address, else by an identifier that something here has."""
        if isinstance(node.get("reference"), str):
            target = self._target_of(node)
            return () if target is None else (target,)
        identifier = node.get("identifier")
        return self._named(key_of(identifier)) if isinstance(identifier, dict) else ()

    def _named(self, key: tuple[str, str]) -> Sequence[Target]:
        if self._names is None:
            self._names = {}
            for item in self._all:
                for one in _identifiers(item.data):
                    self._names.setdefault(one, []).append((item.type, item.id))
        return self._names.get(key, ())

    def _leads_out(self, part: Any) -> bool:
        """Whether anything in this part of a resource is excluded, or leads to what is kept out."""
        return any(
            key_of(node, "code") in self._excluded or not self.out.isdisjoint(self._targets(node))
            for node in objects_of(part)
        )

    def _sever(self, item: Item) -> None:
        """Leave what may be told of it, and nothing of where, when and by whom it was noted."""
        keep = self._tables.severed[item.type]
        for element in [name for name in item.data if name not in keep and name not in _ALWAYS]:
            del item.data[element]
        item.data.pop("meta", None)
        for node in list(objects_of(item.data)):
            for element in [name for name in node if name.lstrip("_") in _WORDS]:
                del node[element]
        _collect_again(item)

    def _trim(self, item: Item) -> bool:
        """Empty the entries and the references that lead to what is kept out; whether there were any."""
        trimmed = False
        containers = self._tables.containers.get(item.type, frozenset())
        for node in list(objects_of(item.data)):
            for element in _EXTENSIONS | containers if node is item.data else _EXTENSIONS:
                value = node.get(element)
                parts = value if isinstance(value, list) else [value]
                for part in parts:
                    if isinstance(part, dict) and part and self._leads_out(part):
                        _close_ranks(parts, part)
                        part.clear()
                        trimmed = True
            if not self.out.isdisjoint(self._targets(node)):
                node.clear()
                trimmed = True
        return trimmed


_FOLLOWS = frozenset({Edge.DEPENDANT, Edge.BOTH})
"""Edges by which a resource goes with what it refers to."""

_ALWAYS = frozenset({"resourceType", "id", "meta"})

_EXTENSIONS = frozenset({"extension", "modifierExtension"})
"""An extension is what it says: without its value nothing of it may stay (FHIR R4, ext-1)."""

_WORDS = _EXTENSIONS | {"note", "description"}
"""What could tell, inside what a severed resource keeps, where it was noted."""

_WORD = re.compile("[A-Za-z]+")


def objects_of(node: Any) -> Iterator[dict[str, Any]]:
    """Every object in a part of a resource, itself first."""
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)


def key_of(node: Mapping[str, Any], of: str = "value") -> tuple[str, str]:
    """A coding or an identifier as something to compare."""
    return str(node.get("system")), str(node.get(of))


def _identifiers(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What others may call this resource by."""
    stated = data.get("identifier")
    for one in stated if isinstance(stated, list) else [stated]:
        if isinstance(one, dict) and "value" in one:
            yield key_of(one)


def _is_coded(concept: Any) -> bool:
    """Whether a concept has a code that a rule could know."""
    return any("system" in node and isinstance(node.get("code"), str) for node in objects_of(concept))


def _close_ranks(parts: Iterable[Any], gone: Mapping[str, Any]) -> None:
    """What ranked below an entry that goes moves up: a gap would tell (FHIR R4, Encounter.diagnosis.rank)."""
    rank = gone.get("rank")
    if isinstance(rank, int):
        for part in parts:
            if isinstance(part, dict) and part.get("use") == gone.get("use"):
                below = part.get("rank")
                if isinstance(below, int) and below > rank:
                    part["rank"] = below - 1


def _collect_again(item: Item) -> None:
    """What was taken out of a resource counts no more, for nothing."""
    left = Item(item.data, item.arrival, item.full_url)
    item.references, item.codes, item.numbers = left.references, left.codes, left.numbers
