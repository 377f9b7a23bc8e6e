"""What goes with what is kept out, and what stays of what refers to it: the board's closure table, followed.

A dependant goes with what it depends on, a container loses the entry and stays, an allergy is severed: it keeps what
saves and loses where, when and by whom it was noted. Nothing that stays shows that anything went.
"""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from broker.lookup.judging.guard import PAUSE, Guarded
from broker.lookup.judging.pruning import prune
from broker.lookup.judging.reading import Item, is_one_of
from broker.lookup.judging.targets import Target
from policies.tables import Tables
from policies.values import Coding, Edge

__all__ = ["Closure", "key_of", "objects_of"]

_Node = tuple[str, ...]
"""A target, or an identifier that stands between those that have it and those that refer to it: so that many of each
make as many edges as there are of them, and not a product."""


class Closure:
    """What goes with what is kept out: edges between resources, from the board's closure table.

    Attributes:
        out: what is kept out.
        medicines: those that something refers to and that are not at hand, wherever they are.
    """

    def __init__(
        self,
        guarded: Guarded,
        tables: Tables,
        excluded: frozenset[Coding],
        *,
        runs_excluded: bool,
        final: bool,
        unread: Collection[str] = (),
        copies: Iterable[Item] = (),
    ) -> None:
        self._tables = tables
        self._deciding = tables.deciding
        self._excluded = excluded
        self._runs_excluded = runs_excluded
        self._final = final
        self._unread = frozenset(unread)
        self._local = guarded.targets
        self._all = [*guarded.unusable, *copies, *guarded.items]
        self._items = {(item.type, item.id): item for item in self._all}
        self._met: set[str | None] = {None}
        self._lacks: set[Target] = set()
        self._severed: set[Target] = set()
        self._named_out: set[_Node] = set()
        self._loses_entries = False
        self.out: set[Target] = set()
        self.medicines: set[Target] = set()

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

    def lacking(self, asked: Iterable[str]) -> Generator[None, None, set[str]]:
        """What lacks and may decide on something asked for: the rest could change nothing that is shown."""
        if not self._lacks:
            return set()
        types = frozenset[str]().union(*(self._tables.types_of(name) for name in asked))
        ways: dict[_Node, list[_Node]] = defaultdict(list)
        for n, item in enumerate(self._all):
            if not n % PAUSE:
                yield
            if item.type in types or item.type in self._tables.supporting:
                # Whatever is shown may have to lose what it says of something.
                told = (self._leads_to(node) for node in objects_of(item.data))
                ways[item.type, item.id].extend(node for node in told if node is not None)
        yield from self._add_ways(ways, forward=True)
        met = yield from _reached({target for target in self._items if target[0] in types}, ways)
        return {f"{type_}/{id_}" for type_, id_ in self._lacks if (type_, id_) in met}

    def keep_out(self, item: Item) -> None:
        """This resource is out, or severed where its type is."""
        target = (item.type, item.id)
        if item.type in self._tables.severed:
            self._severed.add(target)
        else:
            self.out.add(target)

    def spread(self, alone: Collection[str] = ()) -> Generator[None, None, None]:
        """Follow the edges from all that is out until nothing more follows: from what is of a type `alone`, nothing."""
        if not self.out:
            return
        follows: dict[_Node, list[_Node]] = defaultdict(list)
        yield from self._add_ways(follows, forward=False)
        # Nothing follows what is severed, for it stays.
        for target in self._items:
            if target[0] in self._tables.severed and target not in self.out:
                follows.pop(target, None)
        for node in [one for one in follows if one[0] in alone]:
            del follows[node]
        for node in (yield from _reached(self.out, follows)):
            if len(node) != _TARGET or node in self.out:
                continue
            target = (node[0], node[1])
            if target in self._items:
                self.keep_out(self._items[target])
            elif node[0] != "Patient":
                self.out.add(target)  # not at hand, but nothing may lead there

    def apply(self) -> Generator[None, None, None]:
        """Sever and remove in the resources that stay."""
        if self._severed:
            for item in self._all:
                if (item.type, item.id) in self._severed:
                    self._sever(item)
        if not (self.out or self._loses_entries):
            return
        self._named_out = {name for item in self._all if (item.type, item.id) in self.out for name in _names(item.data)}
        for n, (target, item) in enumerate(self._items.items()):
            if not n % PAUSE:
                yield
            if target not in self.out and self._trim(item.data, self._tables.containers.get(item.type, frozenset())):
                prune(item.data)
                _collect_again(item)

    def forget_labels(self) -> None:
        """Take the last of what tells where a severed resource was noted: kept until its labels were judged."""
        if self._severed:
            for item in self._all:
                if (item.type, item.id) in self._severed and item.data.pop("meta", None) is not None:
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
        for element in item.elements_with(self._excluded):
            if element in containers:
                self._loses_entries = True
            elif keep is not None and (element not in keep or element == "meta"):
                # A label says where it was noted, not what it is.
                self._severed.add(target)
            else:
                self.out.add(target)

    def _find_lacking(self, item: Item) -> None:
        """References that decide and don't resolve are named; at last they are judged as the organisation is known.

        Whatever element they stand in: what is not at hand may have to be taken out of what refers to it.
        """
        met = self._met
        for element, reference in item.references:
            literal = reference.get("reference")
            if literal in met:
                continue
            met.add(literal)
            target = self._target_of(reference)
            if target is None or target in self._items:
                continue
            if target[0] == "Medication" or element == "medicationReference":
                self.medicines.add(target)
            if not self._may_decide(target, reference):
                continue
            if target[0] and not self._final:
                self._lacks.add(target)
            elif self._runs_excluded or ("/".join(target) in self._unread and target not in self.medicines):
                # A prescription without its medicine stays, and says so: to hide it would hide that there is one.
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

    def _add_ways(self, ways: dict[_Node, list[_Node]], *, forward: bool) -> Generator[None, None, None]:
        """Add the edges: from what goes to what it goes with (`forward`), or back."""

        def add(goes: _Node, goes_with: _Node) -> None:
            if forward:
                ways[goes].append(goes_with)
            else:
                ways[goes_with].append(goes)

        named = False
        for n, item in enumerate(self._all):
            if not n % PAUSE:
                yield
            source = (item.type, item.id)
            for node, edge in self._edges_of(item.data):
                by_name = len(node) > _TARGET
                named = named or by_name
                if edge in _FOLLOWS:
                    add(source, node)
                if edge in (Edge.GOVERNS, Edge.BOTH):
                    # Whoever has the identifier goes with what governs it, not with another who has it.
                    add((*node, "governed") if by_name else node, source)
        if not (named or forward):
            return
        for n, item in enumerate(self._all):
            if not n % PAUSE:
                yield
            for name in _names(item.data):
                add(name, (item.type, item.id))
                add((item.type, item.id), (*name, "governed"))

    def _edges_of(self, resource: Mapping[str, Any]) -> Iterator[tuple[_Node, Edge]]:
        """Where a resource, and what is contained in it, leads to. It depends on what its contained ones contain."""
        edges: Mapping[str, Edge] = self._tables.edges.get(str(resource.get("resourceType")), {})
        for element in edges.keys() & resource.keys():
            for part in objects_of(resource[element]):
                node = self._leads_to(part)
                if node is not None:
                    yield node, edges[element]
        contained = resource.get("contained")
        for inner in contained if isinstance(contained, list) else ():
            if isinstance(inner, dict):
                for node, edge in self._edges_of(inner):
                    yield node, Edge.DEPENDANT if edge is Edge.CONTAINER else edge

    def _leads_to(self, part: Mapping[str, Any]) -> _Node | None:
        """What one object leads to, if it is a Reference: by address, else by an identifier."""
        if isinstance(part.get("reference"), str):
            return self._target_of(part)
        identifier = part.get("identifier")
        return _name(identifier) if isinstance(identifier, dict) else None

    def _sever(self, item: Item) -> None:
        """Leave what may be told of it, and nothing of where, when and by whom it was noted."""
        keep = self._tables.severed[item.type]
        for element in [name for name in item.data if name not in keep and name not in _ALWAYS]:
            del item.data[element]
        meta = item.data.get("meta")
        labels = meta.get("security") if isinstance(meta, dict) else None
        if isinstance(labels, list):
            labels[:] = [one for one in labels if not (isinstance(one, dict) and is_one_of(one, self._excluded))]
        for node in list(objects_of(item.data)):
            for element in [name for name in node if name.lstrip("_") in _WORDS]:
                del node[element]
        _collect_again(item)

    def _trim(self, part: Any, entries: Collection[str] = ()) -> bool:
        """Empty the entries, extensions and references that lead to what is kept out, in one walk from the inside.

        Args:
            part: of a resource; no deeper than reading lets it be.
            entries: elements of this object that lose what leads there.

        Returns:
            Whether anything in it was excluded, or led there.
        """
        if isinstance(part, list):
            leading = [self._trim(one) for one in part]  # every one of them
            return any(leading)
        if not isinstance(part, dict):
            return False
        node = self._leads_to(part)
        refers = node in self.out or node in self._named_out
        found = refers or is_one_of(part, self._excluded)
        for element, value in part.items():
            if not isinstance(value, (dict, list)):
                continue
            inner = value if isinstance(value, list) else [value]
            gone = [one for one in inner if self._trim(one)]
            found = found or bool(gone)
            if gone and (element in _EXTENSIONS or element in entries):
                _take_out(inner, [one for one in gone if isinstance(one, dict)])
        if refers:
            part.clear()
        return found


_FOLLOWS = frozenset({Edge.DEPENDANT, Edge.BOTH})
"""Edges by which a resource goes with what it refers to."""

_TARGET = 2
"""Parts of a node that is a target."""

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


def _name(identifier: Mapping[str, Any]) -> _Node:
    return ("", *key_of(identifier))


def _names(data: Mapping[str, Any]) -> Iterator[_Node]:
    """What others may call this resource by."""
    stated = data.get("identifier")
    for one in stated if isinstance(stated, list) else [stated]:
        if isinstance(one, dict) and "value" in one:
            yield _name(one)


def _reached(start: Iterable[_Node], ways: Mapping[_Node, Sequence[_Node]]) -> Generator[None, None, set[_Node]]:
    """All that can be reached."""
    met = set(start)
    waiting = list(met)
    while waiting:
        if not len(waiting) % PAUSE:
            yield
        for n, node in enumerate(ways.get(waiting.pop(), ()), start=1):
            if not n % PAUSE:
                yield
            if node not in met:
                met.add(node)
                waiting.append(node)
    return met


def _is_coded(concept: Any) -> bool:
    """Whether a concept has a code that a rule could know."""
    return any("system" in node and isinstance(node.get("code"), str) for node in objects_of(concept))


def _take_out(parts: Iterable[Any], gone: Iterable[dict[str, Any]]) -> None:
    """Empty these, and close ranks: what ranked below moves up, for a gap would tell (FHIR R4, Encounter.diagnosis)."""
    ranks: dict[bytes, set[int]] = defaultdict(set)
    for part in gone:
        if isinstance(part.get("rank"), int):
            ranks[_use(part)].add(part["rank"])
        part.clear()
    if not ranks:
        return
    in_order = {use: sorted(taken) for use, taken in ranks.items()}
    for part in parts:
        rank = part.get("rank") if isinstance(part, dict) else None
        if isinstance(rank, int):
            part["rank"] = rank - bisect_left(in_order.get(_use(part), ()), rank)


def _use(part: Mapping[str, Any]) -> bytes:
    """Each use of an entry has ranks of its own."""
    return msgspec.json.encode(part.get("use"), order="deterministic")


def _collect_again(item: Item) -> None:
    """What was taken out of a resource counts no more, for nothing."""
    left = Item(item.data, item.arrival, item.full_url)
    item.references, item.codes, item.numbers = left.references, left.codes, left.numbers
