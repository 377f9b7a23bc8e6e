"""Where may the patient not be found? What says where they live, or are seen, is taken out of a resource here."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from broker.lookup.compartment import SUBJECT
from broker.lookup.guard import prune
from broker.lookup.reading import Item
from broker.lookup.targets import Targets

__all__ = ["Hider", "Hiding", "is_home"]


class Hiding(StrEnum):
    """How much of where the patient is must not show."""

    NOTHING = "nothing"
    HOME = "home"
    """Where they live or can be reached."""
    PLACES = "places"
    """Also where they are seen, and by whom."""


_PLACES = frozenset({"Organization", "Location", "Practitioner", "PractitionerRole", "HealthcareService", "CareTeam"})


class Hider:
    """Hides in the resources of one source.

    Args:
        targets: what references point to.
        hiding: how much.
    """

    def __init__(self, targets: Targets, hiding: Hiding) -> None:
        self._targets = targets
        self._hiding = hiding

    def hide(self, item: Item) -> bool:
        """Take out where the patient can be found; False where the whole resource says so."""
        data = item.data
        if item.type == "RelatedPerson":
            for element in ("address", "telecom"):
                data.pop(element, None)
        if item.type == "Location" and is_home(data):
            return False
        if _is_home_visit(data):
            data.pop("location", None)
            item.references = [one for one in item.references if one[0] != "location"]
        if "contained" in data:
            self._hide_contained(item)
        if self._hiding is Hiding.HOME:
            return True
        if item.type in _PLACES:
            return False
        data.pop("identifier", None)
        self._hide_places(list(data.values()))
        prune(data)
        return True

    def _hide_contained(self, item: Item) -> None:
        """Take out contained homes, and where all places must not show contained places, with what refers to them."""
        kept, gone = [], set()
        for inner in item.data["contained"]:
            kind = inner.get("resourceType")
            home = kind == "Location" and (is_home(inner) or _is_home_visit(item.data))
            if home or (self._hiding is Hiding.PLACES and kind in _PLACES):
                gone.add(f"#{inner.get('id')}")
                continue
            if kind == "RelatedPerson":
                for element in ("address", "telecom"):
                    inner.pop(element, None)
            kept.append(inner)
        item.data["contained"] = kept
        for _, _, reference in item.references:
            if reference.get("reference") in gone:
                reference.clear()
        if gone:
            prune(item.data)

    def _hide_places(self, node: Any) -> None:
        """A Reference to anything but the patient or another part of the record says where or who."""
        if isinstance(node, list):
            for one in node:
                self._hide_places(one)
        elif isinstance(node, dict):
            if _is_reference(node):
                literal = node.get("reference")
                target = self._targets.of(literal) if isinstance(literal, str) else None
                if target is None or (target[0] not in SUBJECT and target[0] != "Patient") or target[0] in _PLACES:
                    if not (isinstance(literal, str) and literal.startswith("#")):
                        node.clear()
                else:
                    node.pop("display", None)
                return
            node.pop("authorString", None)
            for one in node.values():
                self._hide_places(one)


_REFERENCE_KEYS = frozenset({"reference", "type", "identifier", "display", "id", "extension"})


def _is_reference(node: Mapping[str, Any]) -> bool:
    """A FHIR Reference: a literal or logical one, or only a display (which no other datatype stands with alone)."""
    return isinstance(node.get("reference"), str) or (
        node.keys() <= _REFERENCE_KEYS and ("display" in node or isinstance(node.get("type"), str))
    )


def _code_of(coding: Any) -> str | None:
    code = coding.get("code") if isinstance(coding, dict) else None
    return code if isinstance(code, str) else None


def _is_home_visit(data: Mapping[str, Any]) -> bool:
    return data["resourceType"] == "Encounter" and _code_of(data.get("class")) == "HH"


def is_home(location: Mapping[str, Any]) -> bool:
    """A Location that is somebody's home: type PTRES (v3-RoleCode) or physical type house."""
    types = location.get("type")
    concepts = [*(types if isinstance(types, list) else ()), location.get("physicalType")]
    codings = [concept.get("coding") for concept in concepts if isinstance(concept, dict)]
    codes = {_code_of(coding) for listed in codings if isinstance(listed, list) for coding in listed}
    return not codes.isdisjoint({"PTRES", "ho"})
