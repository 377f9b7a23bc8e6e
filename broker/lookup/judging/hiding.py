"""Where may the patient not be found? What says where they live, or are seen, is taken out of a resource here."""

import re
from collections.abc import Generator, Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any

from broker.lookup.judging.closure import objects_of
from broker.lookup.judging.compartment import SUBJECT
from broker.lookup.judging.pruning import prune
from broker.lookup.judging.reading import Item
from broker.lookup.judging.targets import Target, Targets

__all__ = ["Hider", "Hiding", "homes"]


class Hiding(StrEnum):
    """How much of where the patient is must not show."""

    NOTHING = "nothing"
    HOME = "home"
    """Where they live or can be reached."""
    PLACES = "places"
    """Also where they are seen, and by whom."""


_PLACES = frozenset({
    "CareTeam",
    "Endpoint",
    "HealthcareService",
    "Location",
    "Organization",
    "OrganizationAffiliation",
    "Practitioner",
    "PractitionerRole",
})

_THINGS = frozenset({
    "BiologicallyDerivedProduct",
    "Device",
    "DeviceDefinition",
    "Medication",
    "MedicationKnowledge",
    "Specimen",
    "Substance",
})
"""What a reference to one of these calls it says what was given or used: a prescription without it is of nothing."""

_KEPT = (SUBJECT.keys() | _THINGS | {"Appointment", "Patient"}) - _PLACES
"""What may be referred to: what is in no list is taken for a place."""

_OF_NO_PLACE = frozenset({
    # Of a thing
    "additiveReference",
    "codeReference",
    "device",
    "itemReference",
    "manipulated",
    "medicationReference",
    "productReference",
    "specimen",
    "substance",
    "substanceReference",
    "usedReference",
    # Of a finding
    "addresses",
    "complicationDetail",
    "condition",
    "diagnosisReference",
    "goal",
    "hasMember",
    "problem",
    "reasonReference",
    "result",
})
"""Elements whose References can be to no place and nobody (FHIR R4): one of words alone says what, not where."""


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
        if item.type == "RelatedPerson":
            for element in ("address", "telecom"):
                item.data.pop(element, None)
        if item.type == "Location" and _is_home(item.data):
            return False
        if item.type == "Encounter" and _is_home_visit(item.data):
            _take(item.data, "location")
        if "contained" in item.data:
            self._hide_contained(item)
        if self._hiding is Hiding.HOME:
            return True
        if item.type in _PLACES:
            return False
        data = item.data
        subject = SUBJECT.get(item.type)
        self._hide_places(data, besides=subject)
        prune(data)
        return True

    def hide_reach(self, data: dict[str, Any]) -> None:
        """Take out the addresses and numbers that an extension gives, wherever it stands: rare, so looked for last."""
        for node in list(objects_of(data)):
            for element in ("extension", "modifierExtension"):
                stated = node.get(element)
                for one in stated if isinstance(stated, list) else ():
                    if isinstance(one, dict) and ("valueAddress" in one or "valueContactPoint" in one):
                        one.clear()
        prune(data)

    def _hide_contained(self, item: Item) -> None:
        """Take out contained homes, and where all places must not show contained places, with what refers to them."""
        kept, gone = [], set()
        for inner in item.data["contained"]:
            kind = inner.get("resourceType")
            if _is_home_visit(inner):
                _take(inner, "location")
            home = kind == "Location" and (_is_home(inner) or _is_home_visit(item.data))
            if home or (self._hiding is Hiding.PLACES and kind in _PLACES):
                gone.add(f"#{inner.get('id')}")
                continue
            if kind == "RelatedPerson":
                for element in ("address", "telecom"):
                    inner.pop(element, None)
            kept.append(inner)
        item.data["contained"] = kept
        for _, reference in item.references:
            if reference.get("reference") in gone:
                reference.clear()
        if gone:
            prune(item.data)

    def _hide_places(self, node: dict[str, Any], within: str = "", *, besides: str | None = None) -> None:
        """Take out of one object, and all below it, what says where or who.

        `within` is the element that it stands in; `besides` the one that names the patient.
        """
        if _is_reference(node) or (within in _OF_NO_PLACE and node.keys() <= _REFERENCE_KEYS):
            self._hide_reference(node, within)
            return
        if _is_business_identifier(node) or _is_local_coding(node):
            node.clear()
            return
        _hide_local_codings(node)
        for element in list(node):
            value = node[element]
            if element == besides:
                continue
            if element == "meta":
                node[element] = {key: said for key, said in value.items() if key in _META} if _is_object(value) else {}
            elif element == "modifierExtension":
                # That something changes what this means must stay, so that nobody reads it without.
                node[element] = [dict(_MODIFIER)]
                continue
            elif element == "url" and isinstance(value, str):
                target = self._targets.of(value)
                node[element] = {} if target is None else f"{target[0]}/{target[1]}"
            elif _TELLING.fullmatch(element) or _is_local_address(element, value):
                _take(node, element)
                continue
            for one in value if isinstance(value, list) else [node[element]]:
                if isinstance(one, dict):
                    self._hide_places(one, element)

    def _hide_reference(self, node: dict[str, Any], within: str) -> None:
        """A Reference to anything but the patient, another part of the record or a thing says where or who."""
        identifier = _shared(node.get("identifier"))
        for element in [one for one, said in node.items() if one not in _SAID or not isinstance(said, str)]:
            del node[element]
        literal = node.get("reference", "")
        if literal.startswith("#"):
            return
        target = self._targets.of(literal) if literal else None
        kind = node.get("type") if target is None else target[0]
        if kind in _THINGS or (within in _OF_NO_PLACE and (kind is None or kind in _KEPT)):
            if identifier:
                node["identifier"] = identifier
        elif target is None or kind not in _KEPT:
            node.clear()
        else:
            node.pop("display", None)


_META = frozenset({"versionId", "lastUpdated", "security"})
_MODIFIER: Mapping[str, Any] = {"url": "urn:care-record-broker:hidden", "valueBoolean": True}

_TELLING = re.compile(r".*[iI]dentifier|requisition|extension|facilityType|authorString|locationCode|telecom|address")
"""Elements that say who has the record, where or by whom it was made."""

_WELL_KNOWN = re.compile(
    r"https?://(?:[\w-]+\.)*(?:hl7\.org|snomed\.info|loinc\.org|unitsofmeasure\.org|fhir\.nhs\.uk|fhir\.hl7\.org\.uk"
    r"|dmd\.nhs\.uk|read\.info)(?:/(?!Id/).*)?|urn:oid:2\.16\.840\.1\.113883\.(?!2\.1\.4\.|2\.1\.3\.2\.4\.19\.).*|urn:(?:ietf|iso):.*"
)
"""Systems that all of the NHS uses: any other is somebody's own. The NHS's own systems of identifiers, and the OIDs
of organisations, name an organisation."""


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_well_known(system: Any) -> bool:
    return not isinstance(system, str) or _WELL_KNOWN.fullmatch(system) is not None


def _is_local_address(element: str, value: Any) -> bool:
    """An address of the source's own: of a questionnaire, a protocol, rules."""
    said = value if isinstance(value, list) else [value]
    return element != "system" and any(
        isinstance(one, str) and one.startswith(("http:", "https:")) and not _is_well_known(one) for one in said
    )


def _is_business_identifier(node: Mapping[str, Any]) -> bool:
    """An Identifier or a ContactPoint: a Quantity has a number for its value, a Coding has none."""
    return isinstance(node.get("system"), str) and isinstance(node.get("value"), str)


def _shared(identifier: Any) -> dict[str, str]:
    """What stays of an Identifier: of a system that all use, as dm+d, it says what something is, not whose."""
    if _is_object(identifier) and _is_business_identifier(identifier) and _is_well_known(identifier["system"]):
        return {key: identifier[key] for key in ("system", "value")}
    return {}


def _is_local_coding(node: dict[str, Any]) -> bool:
    """A Coding of somebody's own system. A Quantity in somebody's own units keeps the words for them."""
    if _is_well_known(node.get("system")):
        return False
    if "value" in node or "unit" in node:
        for element in ("system", "code"):
            node.pop(element, None)
        return False
    return "code" in node or "display" in node


def _hide_local_codings(concept: dict[str, Any]) -> None:
    """Take the codings of somebody's own systems out of a concept; their words stay where nothing else says it."""
    codings = concept.get("coding")
    if not isinstance(codings, list):
        return
    kept = [one for one in codings if isinstance(one, dict) and _is_well_known(one.get("system"))]
    words = [one["display"] for one in codings if isinstance(one, dict) and isinstance(one.get("display"), str)]
    if not kept and words and "text" not in concept:
        concept["text"] = words[0]
    concept["coding"] = kept


def _take(node: dict[str, Any], element: str) -> None:
    """Take an element out, and empty what was in it: no reference there counts any more."""
    for one in list(objects_of(node.pop(element, None))):
        one.clear()


_SAID = frozenset({"reference", "type", "display"})
_REFERENCE_KEYS = _SAID | {f"_{one}" for one in _SAID} | {"identifier", "id", "extension"}


def _is_reference(node: Mapping[str, Any]) -> bool:
    """A FHIR Reference: a literal or logical one, or only a display (which no other datatype stands with alone)."""
    return isinstance(node.get("reference"), str) or (
        node.keys() <= _REFERENCE_KEYS and ("display" in node or isinstance(node.get("type"), str))
    )


def _code_of(coding: Any) -> str | None:
    code = coding.get("code") if isinstance(coding, dict) else None
    return code if isinstance(code, str) else None


def _is_home_visit(data: Mapping[str, Any]) -> bool:
    return data.get("resourceType") == "Encounter" and _code_of(data.get("class")) == "HH"


_PAUSE = 16
"""Resources between two pauses."""


def homes(items: Iterable[Item], targets: Targets) -> Generator[None, None, set[Target]]:
    """The Locations that are the patient's home: typed as one, or where a home visit was."""
    found: set[Target] = set()
    for n, item in enumerate(items):
        if not n % _PAUSE:
            yield
        if item.type == "Location" and _is_home(item.data):
            found.add((item.type, item.id))
        elif item.type == "Encounter" or "contained" in item.data:
            visits = [one for one in (item.data, *item.data.get("contained", ())) if _is_home_visit(one)]
            found.update(target for visit in visits for target in _places_of(visit, targets))
    return found


def _places_of(visit: Mapping[str, Any], targets: Targets) -> Iterator[Target]:
    for node in objects_of(visit.get("location")):
        literal = node.get("reference")
        target = targets.of(literal) if isinstance(literal, str) else None
        if target is not None and target[0] == "Location":
            yield target


def _is_home(location: Mapping[str, Any]) -> bool:
    """A Location that is somebody's home: type PTRES (v3-RoleCode) or physical type house."""
    types = location.get("type")
    concepts = [*(types if isinstance(types, list) else ()), location.get("physicalType")]
    codings = [concept.get("coding") for concept in concepts if isinstance(concept, dict)]
    codes = {_code_of(coding) for listed in codings if isinstance(listed, list) for coding in listed}
    return not codes.isdisjoint({"PTRES", "ho"})
