"""The values that cross the door of this room: questions in states, never about whom; decisions with their reasons."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple

__all__ = [
    "Act",
    "Asked",
    "Coding",
    "Decision",
    "Edge",
    "Objection",
    "Officer",
    "PolicyError",
    "Reader",
    "Reason",
    "Restricted",
    "Sight",
    "SourceState",
]

Coding = tuple[str, str]
"""(system, code)."""

Restricted = Literal["yes", "no", "unknown"]
"""Whether nobody may find out where a patient lives or is seen."""


class PolicyError(Exception):
    """A policy file or table with a fault; `file`, `line` (or None) and what to write instead."""

    def __init__(self, file: str, message: str, *, line: int | None = None) -> None:
        self.file = file
        self.line = line
        self.message = message
        super().__init__(f"{file}:{line}: {message}" if line else f"{file}: {message}")


class Objection(StrEnum):
    """How a patient's objection stands towards one organisation's records and this reader."""

    NONE = "none"
    UNDECIDED = "undecided"
    UPHELD = "upheld"
    NOT_UPHELD = "not-upheld"


class Reason(StrEnum):
    """Why something is forbidden: the first of these that holds. The words are the broker's stable codes."""

    ORGANISATION_NOT_TAKING_PART = "organisation-not-taking-part"
    PURPOSE_NOT_PERMITTED = "purpose-not-permitted"
    ROLE_NOT_PERMITTED = "role-not-permitted"
    RELATIONSHIP_NEEDED = "relationship-needed"
    AGREEMENT_LAPSED = "agreement-lapsed"
    OBJECTION = "objection"
    CATEGORY_NOT_PERMITTED = "category-not-permitted"
    LABEL = "label"
    RESTRICTED = "restricted"
    """Where the patient lives, or is seen, must not show."""
    UNDECIDABLE = "undecidable"
    """The engine gave no decision: counts as forbidden."""


class Sight(StrEnum):
    """What a reader may do with a labelled item of a category."""

    SHOW = "show"
    MARK = "mark"
    WITHHOLD = "withhold"


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads, as a state.

    Attributes:
        role: a row of the role table, or None where the job-role code maps to none.
        purpose: v3-ActReason code.
        relationship: `encounter`, `referral`, `registration`, `caseload`, `self-declared`, or None.
        taking_part: the reader's organisation is registered and live, and its agreement and DSP Toolkit status are in
            date today.
        override: the reader has broken the glass for this patient, in a role that may.
    """

    role: str | None
    purpose: str
    relationship: str | None
    taking_part: bool
    override: bool = False


class Asked(NamedTuple):
    """May this reader see items of this category with these labels, while the patient objects to it so?"""

    category: str
    labels: frozenset[str]
    objection: Objection = Objection.NONE


class Act(StrEnum):
    """What somebody may do beside looking: the actions of the policies that are about an officer, not a reader."""

    RECORD_OBJECTION = "record-objection"
    DECIDE_OBJECTION = "decide-objection"
    SEE_OBJECTION = "see-objection"
    AUDIT = "audit"
    REGISTER = "register"


@dataclass(frozen=True, slots=True)
class Officer:
    """Who acts on the registers or the journal, as a state.

    Attributes:
        role: a row of the role table, or None.
        operator: the token comes from one of the operator's own issuers.
        lead: works for the lead controller.
        concerned: works for the organisation that it is about; False where it is about more than one.
        general: it is about no single organisation (a whole objection, one to a category or to a person).
        recorder: recorded it.
        same_organisation: works where it was recorded.
        named: it is to them that the patient objects.
    """

    role: str | None
    operator: bool = False
    lead: bool = False
    concerned: bool = False
    general: bool = False
    recorder: bool = False
    same_organisation: bool = False
    named: bool = False


@dataclass(frozen=True, slots=True)
class SourceState:
    """An organisation as a source, as a state.

    Attributes:
        agreement: its information sharing agreement and DSP Toolkit status are in date today.
        own: it is the reader's own organisation.
        objection: how the patient's objection stands towards it.
    """

    agreement: bool
    own: bool
    objection: Objection


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided, and by which policies.

    Attributes:
        permitted: whether it may be.
        policies: ids (`@id`) of the Cedar policies that determined it; empty where none permits.
        reason: why not; None where permitted.
        sight: for `may_see`: how it may be shown.
    """

    permitted: bool
    policies: tuple[str, ...]
    reason: Reason | None = None
    sight: Sight = Sight.SHOW


class Edge(StrEnum):
    """What a reference from A to B means when one of the two is kept out."""

    CONTAINER = "container"
    """B out: the entry of A that names B is removed; A stays. A out: nothing follows."""
    DEPENDANT = "dependant"
    """B out: A goes. (A report of, a result of, a letter about, a member of an encounter.)"""
    GOVERNS = "governs"
    """A out: B goes. (The results that a report lists.)"""
    BOTH = "both"
    """Either out: the other goes. (A report and its results; an attendance and its appointment.)"""


Edges = Mapping[str, Mapping[str, Edge]]
"""Type, then top-level element that holds the reference, then what it means."""
