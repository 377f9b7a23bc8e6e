"""What may be released of what is this patient's, and what must not be told apart from nothing being there.

In this order: what the law and the promise keep out, with all that would show it (closure); what a label keeps from
this role, with the same closure; what the role may not see. Pure: what it lacks to judge it names, the service reads
that once, and it judges again. Counts, links and contradictions are made from what is left, never from what came.
"""

import re
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
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
    kinds = _Kinds(tables, scope)
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

    def __init__(self, tables: Tables, scope: Scope) -> None:
        self._tables = tables
        self._asked = frozenset(scope.asked)
        unlabelled = tables.labels_of(())
        self._usual: dict[str, _Kind] = {
            type_: (home, frozenset({home}), unlabelled) for type_, home in tables.home.items()
        }
        self._none: _Kind = ("", frozenset(), unlabelled)
        self._seen: set[_Kind] = set()

    def of(self, item: Item) -> _Kind:
        """The kind of one resource."""
        kind = self._usual.get(item.type, self._none)
        home, names, labels = kind
        meta = item.data.get("meta")
        if (meta.__class__ is dict and "security" in meta) or "securityLabel" in item.data:
            labels = self._tables.labels_of([*item.security, *_security_labels(item.data)])
            if not home:
                # What belongs to nobody is labelled for whatever it is shown with.
                names = self._asked
        if home:
            profiles = meta.get("profile") if meta.__class__ is dict else None
            stated = [one for one in profiles if one.__class__ is str] if profiles.__class__ is list else ()
            added = self._tables.added(item.type, item.codes, stated)
            if added:
                names |= added
        if names is not kind[1] or labels is not kind[2]:
            kind = (home, names, labels)
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
        self.known = {name for name, sight in seen.items() if sight is not None} if home else set()
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
        self._all = [*guarded.unusable, *guarded.items]
        self._tables = tables
        self._deciding = tables.deciding
        self._scope = scope
        self._final = final
        self._items = {(item.type, item.id): item for item in self._all}
        self._named: dict[tuple[str, str], list[Target]] = {}
        self._met: set[str | None] = {None}
        self.out: set[Target] = set()
        self.lacks: set[str] = set()
        self._severed: dict[Target, Item] = {}
        self._loses_entries = False

    def seed(self) -> Generator[None, None, None]:
        """Find what is kept out by itself, and what lacks for a judgement."""
        excluded = self._scope.excluded
        for n, item in enumerate(self._all):
            if not n % PAUSE:
                yield
            if not excluded.isdisjoint(item.codes):
                self._exclude(item)
            self._find_lacking(item)
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
        for item in self._all:
            for key in _identifiers(item.data):
                self._named.setdefault(key, []).append((item.type, item.id))
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
        if not (self._scope.runs_excluded and self._tables.leave_out_uncoded_documents):
            return False
        context = document.get("context")
        service = context.get("practiceSetting") if isinstance(context, dict) else None
        return not (_is_coded(document.get("type")) and _is_coded(service))

    def _exclude(self, item: Item) -> None:
        """An excluded code in a container's entry costs the entry; anywhere else it is the resource's own."""
        containers = self._tables.containers.get(item.type, frozenset())
        keep = self._tables.severed.get(item.type)
        target = (item.type, item.id)
        for element, _ in item.spots_of(self._scope.excluded):
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
                self.lacks.add(f"{target[0]}/{target[1]}")
            elif self._scope.runs_excluded:
                self.out.add(target)

    def _may_decide(self, target: Target, reference: Mapping[str, Any]) -> bool:
        """Whether something that is not at hand may be of a type that decides."""
        type_, literal = target
        if type_:
            return type_ in self._deciding
        if literal.startswith("urn:"):
            return "type" not in reference or reference["type"] in self._deciding
        return not self._deciding.isdisjoint(_WORD.findall(literal))

    def _target_of(self, reference: Mapping[str, Any]) -> Target | None:
        """What a literal reference leads to: `("", literal)` where it is not at this source; None if contained."""
        literal = reference["reference"]
        return self._guarded.targets.of(literal) or (None if literal.startswith("#") else ("", literal))

    def _edges_of(self, resource: Mapping[str, Any]) -> Iterator[tuple[Target, Edge]]:
        """Where a resource, and what is contained in it, leads to. It depends on what its contained ones contain."""
        edges: Mapping[str, Edge] = self._tables.edges.get(str(resource.get("resourceType")), {})
        for element in edges.keys() & resource.keys():
            for node in _objects(resource[element]):
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
        return self._named.get(_key(identifier), ()) if isinstance(identifier, dict) else ()

    def _leads_out(self, part: Any) -> bool:
        """Whether anything in this part of a resource is excluded, or leads to what is kept out."""
        return any(
            _key(node, "code") in self._scope.excluded or not self.out.isdisjoint(self._targets(node))
            for node in _objects(part)
        )

    def _sever(self, item: Item) -> None:
        """Leave what may be told of it, and nothing of where, when and by whom it was noted."""
        keep = self._tables.severed[item.type]
        for element in [name for name in item.data if name not in keep and name not in _ALWAYS]:
            del item.data[element]
        item.data.pop("meta", None)
        for node in list(_objects(item.data)):
            for element in [name for name in node if name.lstrip("_") in _WORDS]:
                del node[element]
        _collect_again(item)

    def _trim(self, item: Item) -> bool:
        """Empty the entries and the references that lead to what is kept out; whether there were any."""
        trimmed = False
        containers = self._tables.containers.get(item.type, frozenset())
        for node in list(_objects(item.data)):
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


def _objects(node: Any) -> Iterator[dict[str, Any]]:
    """Every object in a part of a resource, itself first."""
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)


def _key(node: Mapping[str, Any], of: str = "value") -> tuple[str, str]:
    """A coding or an identifier as something to compare."""
    return str(node.get("system")), str(node.get(of))


def _identifiers(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What others may call this resource by."""
    stated = data.get("identifier")
    for one in stated if isinstance(stated, list) else [stated]:
        if isinstance(one, dict) and "value" in one:
            yield _key(one)


def _security_labels(data: Mapping[str, Any]) -> list[Coding]:
    """A document says in an element of its own what `meta.security` says of others (FHIR R4, DocumentReference)."""
    return [_key(node, "code") for node in _objects(data.get("securityLabel")) if "system" in node]


def _is_coded(concept: Any) -> bool:
    """Whether a concept has a code that a rule could know."""
    return any("system" in node and isinstance(node.get("code"), str) for node in _objects(concept))


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
