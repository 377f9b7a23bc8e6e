"""Reads closure.toml."""

from collections.abc import Mapping

from policies.reading import Document, Row
from policies.values import Edge

__all__ = ["Closure"]


class Closure:
    """closure.toml."""

    def __init__(self, document: Document, home: Mapping[str, str]) -> None:
        document.only(["type"])
        top = document.top
        self.context = frozenset(top.words("context", home, what="a type with a home in categories.toml"))
        self.by_reference = frozenset(top.texts("by_reference"))
        self.supporting = frozenset(top.texts("supporting"))
        for key, types in (("by_reference", self.by_reference), ("supporting", self.supporting)):
            if homely := sorted(types & home.keys()):
                raise top.fault(f"{', '.join(homely)} has a home in categories.toml: it is of a patient", key)
        top.done()
        self.edges: dict[str, dict[str, Edge]] = {}
        self.severed: dict[str, frozenset[str]] = {}
        self.containers: dict[str, frozenset[str]] = {}
        for kind, row in document.named("type"):
            self._type(kind, row)

    def _type(self, kind: str, row: Row) -> None:
        row.text("why")
        edges: dict[str, Edge] = {}
        for edge in Edge:
            for element in row.texts(edge.value, []):
                if element in edges:
                    raise row.fault(f"{element} is already {edges[element].value}: one kind for each", edge.value)
                edges[element] = edge
        self.edges[kind] = edges
        if contained := frozenset(element for element, edge in edges.items() if edge is Edge.CONTAINER):
            self.containers[kind] = contained
        if row.has("keeps"):
            self.severed[kind] = frozenset(row.texts("keeps"))
            if lost := sorted(self.severed[kind] & edges.keys()):
                raise row.fault(f"{', '.join(lost)} leads to what is kept out: a severed item can't keep it", "keeps")
        row.done()
