"""The values of one lookup: what is asked, the rows, and the events that it gives."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from operator import attrgetter
from typing import Any

import msgspec

__all__ = [
    "STATEMENT",
    "CategoryRow",
    "Entry",
    "Event",
    "Failed",
    "Override",
    "Part",
    "Query",
    "Restrictions",
    "Row",
    "Started",
    "Status",
    "Summary",
    "order_of",
]

STATEMENT = "Some kinds of information are never shared here. Ask the patient."
"""Said in every reply, for every patient, in the same words."""


class Status(StrEnum):
    """What is known of a category at a source: the closed set, worst first. The order is the rule."""

    WRONG_PATIENT = "wrong-patient"
    MALFORMED = "malformed"
    FAILED = "failed"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    TIMED_OUT = "timed-out"
    BUSY = "busy"
    PAUSED = "paused"
    TRUNCATED = "truncated"
    AGREEMENT_LAPSED = "agreement-lapsed"
    PRACTICE_NOT_ASKED = "practice-not-asked"
    PATIENT_NOT_FOUND = "patient-not-found"
    WITHHELD_BY_SOURCE = "withheld-by-source"
    WITHHELD = "withheld"
    ANSWERED = "answered"
    NO_RECORD_FOUND = "no-record-found"
    NOT_PROVIDED = "not-provided"
    WAITING = "waiting"
    """Not final: in the `started` event of a stream only."""


@dataclass(frozen=True, slots=True)
class Override:
    """Breaking the glass: why.

    Attributes:
        reason: Spine AccessReasonCode, `01` to `06`.
        text: in the reader's own words.
    """

    reason: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What a caller asks, checked in form.

    Attributes:
        nhs_number: ten digits, Modulus 11 checked.
        birth_date: `YYYY-MM-DD`.
        categories: those asked, or None for all that the role may see.
        timeout: seconds, or None; already known to be no longer than the deadline.
        require: ODS codes without which the caller would not decide.
        types: of the categories only these FHIR types, or None for all of them.
        only: names of the sources that are asked, of those in scope, or None for all; None among them stands for the
            row that has no source.
        declared: the reader's own words for why they are caring for this patient, where nothing else says so.
        override: the glass is broken here and now.
        override_id: it was broken before: what the reply said then, sealed.
    """

    nhs_number: str
    birth_date: str
    categories: frozenset[str] | None = None
    timeout: float | None = None
    require: frozenset[str] = frozenset()
    types: frozenset[str] | None = None
    only: frozenset[str | None] | None = None
    declared: str | None = None
    override: Override | None = None
    override_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryRow:
    """One category at one source, after screening."""

    status: Status
    resources: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One source in scope. `source` and `organisation` are None where there is none (`practice-not-asked`).

    `types` is no part of the row in the reply: the status of each FHIR type, where the query names types.
    """

    source: str | None
    organisation: str | None
    name: str
    service_type: str
    status: Status
    categories: Mapping[str, CategoryRow] = field(default_factory=dict)
    resources: int = 0
    currency: str = "live"
    elapsed_ms: int | None = None
    retry_after_s: int | None = None
    notes: tuple[str, ...] = ()
    types: Mapping[str, CategoryRow] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The row in the form of the reply."""
        return {
            "source": self.source,
            "organisation": self.organisation,
            "name": self.name,
            "service_type": self.service_type,
            "status": self.status.value,
            "elapsed_ms": self.elapsed_ms,
            "resources": self.resources,
            "currency": self.currency,
            "retry_after_s": self.retry_after_s,
            "notes": list(self.notes),
            "categories": {
                name: {"status": row.status.value, "resources": row.resources} for name, row in self.categories.items()
            },
        }


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One released resource.

    Attributes:
        order: sorts entries of a reply, whatever came first.
        type: FHIR type.
        id: the broker's id.
        content: the bytes of the resource as JSON, encoded by the broker.
        mode: `match`, or `include` for what only supports a match.
    """

    order: tuple[Any, ...]
    type: str
    id: str
    content: bytes
    mode: str = "match"


order_of = attrgetter("order")
"""Of an entry: what it is sorted by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restrictions:
    """What bounded this reply, as far as this reader may know."""

    categories_not_permitted: tuple[str, ...] = ()
    objection: bool = False
    override_available: bool = False
    location_hidden: bool = False

    def as_json(self) -> dict[str, Any]:
        """In the form of the reply."""
        return {
            "categories_not_permitted": list(self.categories_not_permitted),
            "objection": self.objection,
            "override_available": self.override_available,
            "location_hidden": self.location_hidden,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The plan: every row, those asked as `waiting`."""

    lookup_id: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One source, finished or cut: its row and what it gave, judged, in a fixed order."""

    row: Row
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The whole, without the parts' entries.

    Attributes:
        lookup_id: as in the journal.
        complete: at least one row, and every status in the rows is definite.
        required_met: every required organisation is definite; True where none was required.
        patient_id: the sealed id of the one Patient.
        nhs_number: as asked.
        birth_date: as asked.
        rows: every row, in a fixed order.
        restrictions: what bounded the reply.
        entries: the one Patient, links and contradictions.
        definite: whether anything in it is: not where the patient objects to some sharing, or it would tell to what.
        override_id: with which further requests of this reader about this patient have the glass broken, for a while.
    """

    lookup_id: str
    complete: bool
    required_met: bool
    patient_id: str
    nhs_number: str
    birth_date: str
    rows: tuple[Row, ...]
    restrictions: Restrictions
    entries: tuple[Entry, ...]
    definite: bool = True
    override_id: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The reply without its bundle."""
        return {
            "lookup_id": self.lookup_id,
            "complete": self.complete,
            "required_met": self.required_met,
            "patient": {"id": self.patient_id, "nhs_number": self.nhs_number, "birth_date": self.birth_date},
            "sources": [row.as_json() for row in self.rows],
            "restrictions": self.restrictions.as_json(),
            "override_id": self.override_id,
            "statement": STATEMENT,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """Nothing can be given: the last event of a stream. `error` is a `broker.errors.BrokerError`."""

    error: Exception
    rows: tuple[Row, ...] = ()


Event = Started | Part | Summary | Failed
