"""What came, read: each resource decoded alone, and everything in it that judging needs, collected in one walk.

A resource that can't be decoded costs itself. Numbers stay as they were written (`0.010` is not `0.01`). Narrative is
taken out here, once: it repeats in prose what structure may have to hide (FHIR R4, Narrative).
"""

from collections.abc import Generator, Iterable
from collections.abc import Set as AbstractSet
from decimal import Decimal
from typing import Any

import msgspec

from adapters.contract import Arrival, Resource
from broker.lookup.judging.weight import LIGHT, is_too_much, type_of_long
from policies.codings import is_usual, usual
from policies.values import Coding

__all__ = ["NHS_NUMBER_SYSTEMS", "PAUSE", "Item", "Reference", "is_one_of", "let_go", "read"]

NHS_NUMBER_SYSTEMS = frozenset({
    "https://fhir.nhs.uk/Id/nhs-number",
    "http://fhir.nhs.net/Id/nhs-number",
    "urn:oid:2.16.840.1.113883.2.1.4.1",
})

Reference = tuple[str, dict[str, Any]]
"""A FHIR Reference with a literal `reference`, or of type Patient without one: the top-level element it stands under,
and the Reference itself."""

_DEPTH = 64
"""Deeper than any real resource; beyond it a resource counts as one that can't be read."""

_decode = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode

_encode = msgspec.json.Encoder(decimal_format="number").encode

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ArithmeticError)


class _Head(msgspec.Struct):
    resourceType: str = ""  # noqa: N815 - FHIR's own name


_decode_head = msgspec.json.Decoder(_Head).decode


class Item:
    """One resource, decoded, with what judging needs of it.

    Attributes:
        type: FHIR type.
        id: the source's id.
        data: the resource; changed only by those who release it.
        arrival: how it came.
        full_url: the entry's `fullUrl`.
        references: every literal Reference in it, and those to a Patient without a literal.
        codes: every coding in it, in its usual spelling.
        numbers: every identifier in it that is an NHS number, with the top-level element.
    """

    __slots__ = ("arrival", "codes", "data", "full_url", "id", "numbers", "references", "type")

    def __init__(self, data: dict[str, Any], arrival: Arrival, full_url: str | None) -> None:
        self.type: str = data["resourceType"]
        self.id: str = data["id"]
        self.data = data
        self.arrival = arrival
        self.full_url = full_url
        self.references: list[Reference] = []
        self.codes: list[Coding] = []
        self.numbers: list[tuple[str, dict[str, Any]]] = []
        self._collect()

    @property
    def security(self) -> list[Coding]:
        """The codings of `meta.security`."""
        meta = self.data.get("meta")
        labels = meta.get("security", ()) if isinstance(meta, dict) else ()
        return [coding for one in labels for coding in usual(one.get("system"), one.get("code"))]

    def elements_with(self, codings: AbstractSet[Coding]) -> list[str]:
        """The top-level elements in which any of these codings stands, however it is spelled there."""
        return [element for element, value in self.data.items() if _has_any(value, codings)]

    def _collect(self) -> None:
        data = self.data
        if "text" in data:
            del data["text"]
        if "contained" in data:
            _check_contained(data["contained"])
            _drop_narratives(data["contained"])
        if self.type == "Composition":
            _drop_narratives(data.get("section"))
        if "meta" in data:
            _check_labels(data["meta"])
        for element, value in data.items():
            kind = value.__class__
            if kind is dict:
                if "reference" in value and len(value) == 1 and value["reference"].__class__ is str:
                    self.references.append((element, value))
                else:
                    self._walk(element, value)
            elif kind is list:
                for inner in value:
                    if inner.__class__ is dict:
                        self._walk(element, inner)
                    elif inner.__class__ is list:
                        raise ValueError(_NESTED)
        if len(self.references) > _MOST_REFERENCES:
            raise ValueError("more references than any real resource has")

    def _walk(self, element: str, root: dict[str, Any]) -> None:  # noqa: C901, PLR0912 - calls cost
        """Go through all below `root`. The tightest loop of the broker: every object of every answer passes here."""
        stack = [root]
        push = stack.append
        pop = stack.pop
        size = 0
        while stack:
            node = pop()
            size += 1
            if "resourceType" in node and (node is not root or element != "contained"):
                raise ValueError("a resource in a place where none is judged")
            if "reference" in node:
                if node["reference"].__class__ is str:
                    self.references.append((element, node))
                    if len(node) == 1:
                        continue
            elif "type" in node and node["type"] == "Patient":
                self.references.append((element, node))
            if "system" in node:
                system = node["system"]
                code = node.get("code")
                if code.__class__ is str and system.__class__ is str and is_usual(system, code):
                    self.codes.append((system, code))
                    if len(node) == _CODING and node.get("display").__class__ is str:
                        continue
                elif code is not None:
                    self.codes += usual(system, code)
                if system in NHS_NUMBER_SYSTEMS:
                    self.numbers.append((element, node))
            elif "code" in node and node["code"].__class__ is not dict:
                self.codes += usual(None, node["code"])
            for value in node.values():
                kind = value.__class__
                if kind is dict:
                    push(value)
                elif kind is list:
                    for inner in value:
                        if inner.__class__ is dict:
                            push(inner)
                        elif inner.__class__ is list:
                            raise ValueError(_NESTED)
        if size > _DEPTH and _is_deep(root):
            raise ValueError("nested too deeply")


PAUSE = 8_000
"""Bytes of resources between two pauses: about a tenth of a millisecond."""

_LEAST = 200
"""Bytes that any resource counts for: even one that is empty costs something."""

_CODING = 3
"""Fields of the usual coding: system, code, display. Nothing more can be below one."""

_MOST_REFERENCES = 5_000
_MOST_CONTAINED = 500
"""In one resource: more of them is no record, but work for the broker."""

_NESTED = "a list in a list: FHIR has none, and nothing in it would be judged"


def _check_contained(contained: Any) -> None:
    """Contained resources are a list of objects and contain none themselves (FHIR R4, dom-2): else none is judged.

    Each has a type, and an id of its own if any: two by one name could not be told apart.
    """
    if not isinstance(contained, list) or len(contained) > _MOST_CONTAINED:
        raise ValueError("contained resources in a form that can't be judged")
    names: set[str] = set()
    for one in contained:
        if not isinstance(one, dict) or "contained" in one or not isinstance(one.get("resourceType"), str):
            raise ValueError("a contained resource in a form that can't be judged")
        if "id" in one:
            name = str(one["id"])
            if name in names:
                raise ValueError("one id for two contained resources")
            names.add(name)


def _check_labels(meta: Any) -> None:
    """Labels are a list of objects: in another form they would be none, and what they keep back would leave."""
    labels = meta.get("security", []) if isinstance(meta, dict) else []
    if not isinstance(labels, list) or not all(isinstance(one, dict) for one in labels):
        raise ValueError("labels in a form that can't be judged")


def _drop_narratives(parts: Any) -> None:
    """Take the narrative out of contained resources and of sections, however deep."""
    for part in parts if isinstance(parts, list) else ():
        if isinstance(part, dict):
            part.pop("text", None)
            _drop_narratives(part.get("section"))


def read(
    resources: Iterable[Resource], items: list[Item] | None = None
) -> Generator[None, None, tuple[list[Item], list[str]]]:
    """Decode and walk every resource, pausing after every few.

    Args:
        resources: as they came.
        items: where they are put, for who wants them also where this is not run to its end.

    Returns:
        The items in the order in which they came, and the type of each resource that can't be read or has no id: `""`
        where not even the type can be told.
    """
    items = [] if items is None else items
    unreadable: list[str] = []
    size = 0
    for resource in resources:
        content = resource.content
        try:
            if isinstance(content, dict):
                # What an adapter made itself goes the way of all: nothing may come that could not be encoded again.
                content = _encode(content)
            size += max(len(content), _LEAST)
            if len(content) > LIGHT and (yield from is_too_much(content)):
                raise ValueError("more than any real resource holds")  # noqa: TRY301 - the same
            data = _decode(content)
            if "id" not in data and resource.full_url:
                data["id"] = resource.full_url.rsplit("/", 1)[-1].rsplit(":", 1)[-1]
            if data["resourceType"].__class__ is not str or data["id"].__class__ is not str or not data["id"]:
                raise ValueError("no type or no id")  # noqa: TRY301 - one place for all that costs a resource
            items.append(Item(data, resource.arrival, resource.full_url))
        except (*_UNREADABLE, ValueError, KeyError, TypeError):
            unreadable.append(_type_of(content))
        if size >= PAUSE:
            size = 0
            yield
    return items, unreadable


def let_go(items: list[Item]) -> Generator[None, None, None]:
    """Free items, pausing: to free a large record takes as long as to decode it."""
    while items:
        item = items.pop()
        item.data = {}
        item.references = []
        item.codes = []
        yield


def is_one_of(node: dict[str, Any], codings: AbstractSet[Coding]) -> bool:
    """Whether an object is one of these codings, however it is spelled."""
    return "code" in node and any(coding in codings for coding in usual(node.get("system"), node["code"]))


def _has_any(node: Any, codings: AbstractSet[Coding]) -> bool:
    if isinstance(node, list):
        return any(_has_any(one, codings) for one in node)
    if not isinstance(node, dict):
        return False
    return is_one_of(node, codings) or any(_has_any(one, codings) for one in node.values())


def _is_deep(root: dict[str, Any]) -> bool:
    """Whether anything is nested beyond the limit."""
    level: list[Any] = [root]
    for _ in range(_DEPTH):
        level = [
            value
            for node in level
            for value in (node.values() if isinstance(node, dict) else node)
            if isinstance(value, (dict, list))
        ]
        if not level:
            return False
    return True


def _type_of(content: Any) -> str:
    """The type of a resource that can't be used, if even that can be told."""
    if isinstance(content, dict):
        named = content.get("resourceType")
        return named if isinstance(named, str) else ""
    if len(content) > LIGHT:
        return type_of_long(content)
    try:
        return _decode_head(content).resourceType
    except _UNREADABLE:
        return ""
