"""How does a resource leave? Its id and its references rewritten, its origin marked, encoded again by the broker.

Where the patient lives or is seen is taken out here, where it must not show. No byte of a source goes out that did not
pass through here.
"""

import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from broker.lookup.facts import RECORDED, Fact, fact_of
from broker.lookup.ids import Ids
from broker.lookup.judging.compartment import SUBJECT
from broker.lookup.judging.hiding import Hider, Hiding, homes
from broker.lookup.judging.pruning import prune
from broker.lookup.judging.reading import NHS_NUMBER_SYSTEMS, PAUSE, Item
from broker.lookup.judging.screen import Kept
from broker.lookup.judging.targets import Target, Targets
from broker.lookup.sorting import in_order
from broker.lookup.values import Entry, order_of

__all__ = ["ODS_SYSTEM", "Origin", "encode", "release"]

ODS_SYSTEM = "https://fhir.nhs.uk/Id/ods-organization-code"
_FEW = 4
"""Resources between two pauses, where one may have to be gone through."""

_SOURCE_URN = "urn:care-record-broker:source:"

encode = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What released resources say of where they came from.

    Attributes:
        source: the source's name, as in ids.
        place: the source as its row names it, for the order of entries.
        label: what `meta.source` says: the name, or the kind of service where places are hidden.
        organisation: ODS code for the tag, or None where places are hidden.
    """

    source: str
    place: str
    label: str
    organisation: str | None

    def named(self, name: str) -> str:
        """The organisation, as links and contradictions name it, of what its row says."""
        if self.organisation is not None:
            return name
        # A kind of service is no name: with the number of the row one is told from another.
        return f"{name[:1].lower()}{name[1:]} ({self.place})"


_ATTACHMENTS: Mapping[str, tuple[str, ...]] = {
    "DocumentReference": ("content", "attachment"),
    "DiagnosticReport": ("presentedForm",),
    "HealthcareService": ("photo",),
    "Media": ("content",),
    "Practitioner": ("photo",),
    "RelatedPerson": ("photo",),
}


def release(
    kept: Sequence[Kept],
    *,
    out: set[Target],
    targets: Targets,
    origin: Origin,
    ids: Ids,
    patient_id: str,
    hiding: Hiding,
    order: Mapping[str, int],
    where: str,
) -> Generator[None, None, tuple[list[Entry], list[Fact]]]:
    """Rewrite and encode what is released of one source, pausing after every few; its dicts are free afterwards.

    Args:
        kept: what screening left.
        out: what nothing released may refer to.
        targets: what references point to.
        origin: what is said of where it came from.
        ids: of this patient's reply.
        patient_id: of the one Patient.
        hiding: what must not show.
        order: rank of each category, for the order of the reply.
        where: the name of the row, for links and contradictions.

    Returns:
        The entries, in order, and what merging needs of them.
    """
    kept_out = out | targets.dropped
    hider = None
    if hiding is not Hiding.NOTHING:
        # Also by what is not released: a visit that was not asked for tells all the same whose home it is.
        at_home = yield from homes(targets.items, targets)
        kept_out |= at_home
        hider = Hider(targets, hiding)
        left = yield from _hide(kept, hider, at_home)
        kept = _referred_to(left, targets, kept_out) if at_home or hiding is Hiding.PLACES else left
    rewriter = _Rewriter(kept_out, targets, origin.source, ids, patient_id)
    meta_source = _SOURCE_URN + origin.label
    tag = [] if origin.organisation is None else [{"system": ODS_SYSTEM, "code": origin.organisation}]
    entries: list[Entry] = []
    facts: list[Fact] = []
    medications = {one.item.id: one.item.data for one in kept if one.item.type == "Medication"}

    def medication(literal: str) -> Mapping[str, Any] | None:
        target = targets.of(literal)
        return medications.get(target[1]) if target is not None and target[0] == "Medication" else None

    ranks: dict[tuple[str, ...], int] = {}
    size = 0
    for one in kept:
        if size >= PAUSE:
            size = 0
            yield
        item = one.item
        data = item.data
        new = rewriter.id_of(item.id)
        if one.categories and item.type in RECORDED:
            fact = fact_of(item.type, data, f"{item.type}/{new}", (origin.source, origin.named(where)), medication)
            if fact is not None:
                facts.append(fact)
        rank = ranks.get(one.categories)
        if rank is None:
            rank = ranks[one.categories] = min((order[name] for name in one.categories), default=len(order))
        rewriter.rewrite(item)
        data["id"] = new
        meta = data.get("meta")
        if meta.__class__ is not dict:
            meta = {}
        elif not meta.keys() <= _META:
            meta = {k: v for k, v in meta.items() if k in _META}
        meta["source"] = meta_source
        if tag:
            meta["tag"] = tag
        data["meta"] = meta
        content = encode(data)
        size += len(content)
        if hider is not None and (b'"valueAddress"' in content or b'"valueContactPoint"' in content):
            # To look through what is written costs far less than to walk every resource for what is rare.
            hider.hide_reach(data)
            content = encode(data)
        entries.append(
            Entry(
                (rank, item.type, origin.place, new),
                item.type,
                new,
                content,
                "match" if one.categories else "include",
            )
        )
        item.data = {}
    return (yield from in_order(entries, order_of)), facts


def _hide(kept: Sequence[Kept], hider: Hider, at_home: set[Target]) -> Generator[None, None, list[Kept]]:
    """What is left where homes, at least, must not show."""
    left = []
    for n, one in enumerate(kept):
        if not n % _FEW:
            yield
        item = one.item
        if (item.type, item.id) not in at_home and hider.hide(item):
            left.append(one)
    return left


def _referred_to(kept: Sequence[Kept], targets: Targets, out: set[Target]) -> list[Kept]:
    """What counts by itself, and what something that leaves still refers to."""
    supporting = {(one.item.type, one.item.id): one for one in kept if not one.categories}
    found = [one for one in kept if one.categories]
    for one in found:  # grows as it goes
        for _, reference in one.item.references:
            literal = reference.get("reference")
            target = targets.of(literal) if literal else None
            if target is not None and target not in out and target in supporting:
                found.append(supporting.pop(target))
    return found


_META = frozenset({"versionId", "lastUpdated", "profile", "security"})


_SOMEWHERE = re.compile(r"https?://|[A-Z][A-Za-z]+[/?]")
"""A reference that says what it is to. Any other may be to a patient, and says what they are called."""


class _Rewriter:
    def __init__(self, out: set[Target], targets: Targets, source: str, ids: Ids, patient_id: str) -> None:
        self._out = out
        self._targets = targets
        self._source = source
        self._ids = ids
        self._patient = f"Patient/{patient_id}"
        self._made: dict[str, str] = {}
        self._written: dict[str, str | None] = {}

    def id_of(self, own: str) -> str:
        made = self._made.get(own)
        if made is None:
            made = self._made[own] = self._ids.make(self._source, own)
        return made

    def rewrite(self, item: Item) -> None:
        """Point every reference to where the broker can follow it; one to something kept out is gone."""
        gone = False
        data = item.data
        subject = SUBJECT.get(item.type)
        written = self._written
        patient = self._patient
        contained = self._contained(data) if "contained" in data else {}
        for element, reference in item.references:
            if element == subject or "reference" not in reference:
                continue
            literal = reference["reference"]
            new: str | None
            inside = literal[:1] == "#"
            if inside:
                new = contained.get(literal)
            else:
                try:
                    new = written[literal]
                except KeyError:
                    new = written[literal] = self._rewritten(literal)
            if new is patient:
                # Only that it is the patient: what they are called there is not for here (gender history).
                reference.clear()
            if new is not None:
                reference["reference"] = new
            elif not inside and self._targets.of(literal) is None:
                # Somewhere else: what it is called may stay, but nothing here could follow it.
                del reference["reference"]
                if not _SOMEWHERE.match(literal) or "patient" in literal.lower() or reference.get("type") == "Patient":
                    reference.pop("display", None)
                gone = True
            else:
                reference.clear()
                gone = True
        if item.numbers:
            self._by_number(list(data.values()))
        if subject is not None and subject in data:
            stated = {"reference": patient}
            data[subject] = [stated] if isinstance(data[subject], list) else stated
        path = _ATTACHMENTS.get(item.type)
        if path:
            gone = self._attachments(data.get(path[0]), path[1:]) or gone
        if gone:
            prune(data)

    def _rewritten(self, literal: str) -> str | None:
        target = self._targets.of(literal)
        if target is None or target in self._out:
            return None
        if target[0] == "Patient":
            return self._patient
        return f"{target[0]}/{self.id_of(target[1])}"

    def _contained(self, data: dict[str, Any]) -> dict[str, str]:
        """Take out what the source calls the patient (no other is left), and the addresses of contained attachments.

        Gives what each reference to something contained becomes.
        """
        written = {"#": "#"}
        kept = []
        for one in data["contained"]:
            literal = f"#{one.get('id')}"
            if one.get("resourceType") == "Patient":
                written[literal] = self._patient
                continue
            written[literal] = literal
            kept.append(one)
            path = _ATTACHMENTS.get(str(one.get("resourceType")))
            if path:
                self._attachments(one.get(path[0]), path[1:])
        data["contained"] = kept
        if not kept:
            del data["contained"]
        return written

    def _by_number(self, node: Any) -> None:
        """A Reference that names the patient by number (no other number is left) is one like all others."""
        if isinstance(node, list):
            for one in node:
                self._by_number(one)
        elif isinstance(node, dict):
            carried = node.get("identifier")
            if "resourceType" not in node and isinstance(carried, dict) and carried.get("system") in NHS_NUMBER_SYSTEMS:
                node.clear()
                node["reference"] = self._patient
            for one in node.values():
                self._by_number(one)

    def _attachments(self, node: Any, path: tuple[str, ...]) -> bool:
        """Attachments are fetched through the broker or not at all. True where an address was taken out."""
        if isinstance(node, list):
            removed = [self._attachments(one, path) for one in node]  # every one of them
            return any(removed)
        if not isinstance(node, dict):
            return False
        if path:
            return self._attachments(node.get(path[0]), path[1:])
        url = node.get("url")
        if not isinstance(url, str):
            return False
        new = self._rewritten(url)
        if new is None:
            del node["url"]
            return True
        node["url"] = new
        return False
