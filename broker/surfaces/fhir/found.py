"""What one lookup gave, arranged so that several questions can be answered from it."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Generator, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Final

import msgspec
from msgspec import structs

from broker.lookup.facts import RECORDED
from broker.lookup.rows import FAILED, of_type, worst
from broker.lookup.values import Entry, Part, Row, Status, Summary, order_of
from broker.surfaces.fhir.outcome import Shown, is_open

__all__ = ["OF_SEVERAL", "Found", "gathered", "made_of"]

OF_SEVERAL: Final = "DetectedIssue"
"""A type that sources record, and that the broker makes itself where they contradict each other."""

_OF_THE_TOKEN: Final = frozenset({"resourceType", "id", "meta", "identifier", "birthDate"})
"""What a Patient has where nobody who was asked says more than the caller's own token."""

_REFERENCE: Final = re.compile(rb'"reference":"([A-Z][A-Za-z]+/[A-Za-z0-9.-]{1,64})"')
"""A reference to something of the same reply, in what the broker encoded: inside a text the quotes are escaped."""


def made_of(type_: str) -> frozenset[str]:
    """The types that must be asked for, so that an answer of `type_` is whole."""
    return RECORDED | {type_} if type_ == OF_SEVERAL else frozenset({type_})


def gathered(summary: Summary, parts: Iterable[Part]) -> Generator[None, None, "Found"]:
    """What a lookup gave, arranged, pausing after each resource."""
    matches: dict[str, list[Entry]] = defaultdict(list)
    supporting: dict[str, Entry] = {}
    spanning = [entry for entry in summary.entries if entry.mode != "match"]
    own = (entry for entry in summary.entries if entry.mode == "match")
    for entry in chain(own, *(part.entries for part in parts)):
        yield
        if entry.mode == "match":
            matches[entry.type].append(entry)
        else:
            supporting[_name(entry)] = entry
    matches[OF_SEVERAL] += (structs.replace(one, mode="match") for one in spanning if one.type == OF_SEVERAL)
    for entries in matches.values():
        yield
        entries.sort(key=order_of)
    return Found(summary, matches, supporting, spanning)


class Found:
    """The answer of one lookup. Encoded resources stay as they are.

    Attributes:
        lookup_id: as in the journal.
        patient_id: sealed.
        not_permitted: categories that the role may not see.
        restrictions: what bounds every answer, each in a word.
        definite: whether anything that is known here is: where not, no answer is complete, whatever the rows say.
        rows: in the form of the reply.
    """

    def __init__(
        self,
        summary: Summary,
        matches: Mapping[str, Sequence[Entry]],
        supporting: Mapping[str, Entry],
        spanning: Sequence[Entry],
    ) -> None:
        self.lookup_id = summary.lookup_id
        self.patient_id = summary.patient_id
        self.not_permitted = frozenset(summary.restrictions.categories_not_permitted)
        said = summary.restrictions
        bounds = {
            "objection": said.objection,
            "location-hidden": said.location_hidden,
            "override-available": said.override_available,
        }
        self.restrictions = tuple(name for name, holds in bounds.items() if holds)
        self.definite = summary.definite
        self.rows: list[dict[str, Any]] = [row.as_json() for row in summary.rows]
        self._rows = summary.rows
        self._matches = matches
        self._supporting = supporting
        self._spanning = spanning

    def matches(self, type_: str) -> Sequence[Entry]:
        """What was asked for of one type, in the fixed order of a reply."""
        return self._matches.get(type_, ())

    def says_nothing(self, patient: Entry) -> bool:
        """Whether the one Patient is no more than the caller's token."""
        return msgspec.json.decode(patient.content, type=dict[str, Any]).keys() <= _OF_THE_TOKEN

    def all_of(self, type_: str) -> list[Entry]:
        """Everything of one type, asked for or not."""
        return [*self.matches(type_), *(entry for entry in self._supporting.values() if entry.type == type_)]

    def left(self, type_: str | None) -> list[Shown]:
        """The rows that leave something open for one type, with its status; None for whatever was asked."""
        if type_ is None:
            return [row for row in self.rows if is_open(row)]
        told = zip(self._rows, self.rows, strict=True)
        rows = [shown | {"status": _known(row, type_).value} for row, shown in told]
        return [row for row in rows if is_open(row)]

    def digest(self, type_: str) -> Generator[None, None, bytes]:
        """Of the whole answer for one type: what it holds, in which order, and what is known of each source.

        In which way a source failed is no part of it: one that was unreachable, and then is left alone for a while
        (`paused`), gave the same.
        """
        state = hashlib.blake2b(digest_size=16)
        for row in self._rows:
            status = _known(row, type_)
            known = Status.FAILED if status in FAILED else status
            state.update(f"{row.source}\0{known.value}\0".encode())
        for entry in self.matches(type_):
            yield
            state.update(f"{entry.id}\0{len(entry.content)}\0".encode())
            state.update(entry.content)
        return state.digest()

    def accompanying(self, matches: Sequence[Entry]) -> Generator[None, None, list[Entry]]:
        """What `matches` refer to, directly or through it, and what the broker says of them."""
        found: dict[str, Entry] = {}
        names: set[str] = set()
        for entry in matches if self._spanning else ():
            yield
            names.add(_name(entry))
        for one in self._spanning:
            yield
            if not names.isdisjoint(_referred_to(one)):
                found[_name(one)] = one
        reached = list(matches) if self._supporting else []
        for entry in reached:  # grows as it goes
            yield
            for name in _referred_to(entry):
                if name in self._supporting and name not in found:
                    found[name] = self._supporting[name]
                    reached.append(found[name])
        return sorted(found.values(), key=order_of)


def _known(row: Row, type_: str) -> Status:
    """What is known of a type at a source: the worst of all that it is made of."""
    return worst(of_type(row, one).status for one in made_of(type_))


def _referred_to(entry: Entry) -> set[str]:
    return {name.decode() for name in _REFERENCE.findall(entry.content)}


def _name(entry: Entry) -> str:
    return f"{entry.type}/{entry.id}"
