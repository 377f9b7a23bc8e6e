"""What is said of rows and errors: the OperationOutcome of FHIR R4.

In a searchset severities are warning and information only: errors belong to an HTTP status (FHIR R4, 3.1.0.1.4).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from broker.errors import (
    BrokerError,
    SourcesFailed,
    SourcesTimedOut,
    SourcesUnavailable,
    Withheld,
)
from broker.lookup.rows import DEFINITE, RUNS_EXCLUDED
from broker.lookup.values import STATEMENT, Status
from broker.surfaces.replies import error_body

__all__ = [
    "END",
    "GONE",
    "NAMELESS",
    "NOTHING",
    "Shown",
    "error_outcome",
    "is_open",
    "nothing_found",
    "restriction",
    "search_outcome",
]

_ERROR: Final = "urn:care-record-broker:error"
_STATUS: Final = "urn:care-record-broker:status"
_RESTRICTION: Final = "urn:care-record-broker:restriction"
_ODS: Final = "https://fhir.nhs.uk/Id/ods-organization-code"

_INCOMPLETE: Final = (
    "Not every source that may hold something could be asked, or answered: there may be more than this."
)
NOTHING: Final = "Nothing was found, and not every source could be asked, or answered: this is not an empty record."
"""Said of a search."""
END: Final = "This is the end of what was heard, and not every source was: what you have is a part."
"""Said where the last `next` of an answer with matches is followed."""
GONE: Final = "The source of this id could not be asked, or did not answer: whether it still exists is not known."
"""Said of a read."""
NAMELESS: Final = "Whoever would say the patient's name and address could not be asked, or did not answer."
"""Said where the Patient would be no more than the token."""
_AGAIN_SECONDS: Final = 5.0
"""Where no source said when to try again."""

_SAID: Final[Mapping[Status, tuple[str, str, str]]] = {
    Status.WRONG_PATIENT: ("warning", "invariant", "{} answered about somebody else: all of it was left out."),
    Status.MALFORMED: ("warning", "structure", "The answer of {} can't be read, or stops half way."),
    Status.FAILED: ("warning", "exception", "{} could not answer."),
    Status.REFUSED: ("warning", "forbidden", "{} refused the broker: its access there is out of order."),
    Status.UNREACHABLE: ("warning", "transient", "{} could not be reached."),
    Status.TIMED_OUT: ("warning", "timeout", "{} gave no full answer in its time."),
    Status.BUSY: ("warning", "throttled", "{} has too many requests at present."),
    Status.PAUSED: ("warning", "throttled", "{} failed several times in a row, and is left alone for a while."),
    Status.TRUNCATED: ("warning", "incomplete", "What {} gave is not the whole."),
    Status.AGREEMENT_LAPSED: ("warning", "business-rule", "{} was not asked: its sharing agreement is out of date."),
    Status.PRACTICE_NOT_ASKED: ("warning", "incomplete", "{} was not asked: it is not known, or takes no part."),
    Status.PATIENT_NOT_FOUND: ("warning", "not-found", "{} does not know the patient: check the number."),
    Status.WITHHELD_BY_SOURCE: ("information", "suppressed", "{} says that it holds something back."),
    Status.WITHHELD: ("information", "suppressed", "Something of {} is withheld, or may be: ask the patient."),
}
"""Severity, issue type and words for each status that is not definite."""

_ISSUE_TYPE: Final[Mapping[str, str]] = {
    "patient-required": "required",
    "invalid-nhs-number": "value",
    "invalid-birth-date": "value",
    "not-supported": "not-supported",
    "not-authenticated": "login",
    "withheld": "suppressed",
    "not-found": "not-found",
    "method-not-allowed": "not-supported",
    "identity-not-confirmed": "business-rule",
    "conflict": "conflict",
    "page-expired": "expired",
    "too-large": "too-long",
    "too-many-requests": "throttled",
    "failed": "exception",
    "sources-failed": "exception",
    "sources-timed-out": "timeout",
}
_BY_STATUS: Final[Mapping[int, str]] = {400: "invalid", 403: "forbidden", 503: "transient"}

_HELD_BACK: Final = frozenset({Status.WITHHELD, Status.WITHHELD_BY_SOURCE})
_TRY_AGAIN: Final = frozenset({Status.UNREACHABLE, Status.TIMED_OUT, Status.BUSY, Status.PAUSED})

Shown = Mapping[str, Any]
"""A row in the form of the reply. Its `status` is the one that is meant."""


def is_open(row: Shown) -> bool:
    """The row leaves something open."""
    return row["status"] not in DEFINITE


def nothing_found(rows: Iterable[Shown], words: str = NOTHING) -> BrokerError:
    """The error that stands for an empty success, where these rows leave something open, or there is none.

    Args:
        rows: those and others.
        words: what is said; of what is withheld, only at the end of pages.
    """
    left = [row for row in rows if is_open(row)]
    statuses = {Status(row["status"]) for row in left}
    if left and statuses <= _HELD_BACK:
        return Withheld(words if words.startswith(END) else None, sources=left)
    if statuses == {Status.TIMED_OUT}:
        return SourcesTimedOut(words, sources=left)
    said = [row["retry_after_s"] for row in left if row["retry_after_s"] is not None]
    if said or statuses & _TRY_AGAIN:
        return SourcesUnavailable(words, sources=left, retry_after=min(said, default=_AGAIN_SECONDS))
    return SourcesFailed(words, sources=left)


_RESTRICTED: Final[Mapping[str, str]] = {
    "objection": "The patient has objected to sharing: ask the patient.",
    "location-hidden": "Where this patient lives, and how to reach them, is not shown here: ask the patient.",
    "override-available": "A role such as this may break the glass: send POST /lookups with override, saying why.",
    "demographics-left-out": "Name and address are left out: nobody who answered says them.",
}
"""What bounds an answer, in a word for programs and in fixed words for people."""


def restriction(code: str, words: str | None = None) -> dict[str, Any]:
    """The issue that says what bounds an answer; `words` where they are not fixed."""
    coding = [{"system": _RESTRICTION, "code": code}]
    text = words or _RESTRICTED[code]
    return {"severity": "information", "code": "suppressed", "details": {"coding": coding, "text": text}}


def search_outcome(
    left: Sequence[Shown],
    every: Sequence[Shown],
    restrictions: Sequence[dict[str, Any]] = (),
    *,
    definite: bool = True,
) -> dict[str, Any]:
    """The first entry of a searchset.

    Args:
        left: rows that leave something open for the type that was searched.
        every: all rows; where there is none, nobody was asked.
        restrictions: issues of what bounds the answer, whoever was heard from.
        definite: whether what the rows say is.
    """
    issues = []
    if left or not every or not definite:
        issues.append({"severity": "warning", "code": "incomplete", "details": {"text": _INCOMPLETE}})
    issues.extend(map(_issue, left))
    issues.extend(restrictions)
    statement = {"severity": "information", "code": "informational", "details": {"text": STATEMENT}}
    if left_out := sorted({row["name"] for row in every if RUNS_EXCLUDED in row["notes"]}):
        statement["diagnostics"] = f"{', '.join(left_out)}: {RUNS_EXCLUDED}"
    issues.append(statement)
    return {"resourceType": "OperationOutcome", "issue": issues}


def error_outcome(error: Exception) -> dict[str, Any]:
    """What a client learns of `error`, with an issue for each of its rows that leaves something open."""
    said = error_body(error)
    code, message = said["error"]["code"], said["error"]["message"]
    status = error.status if isinstance(error, BrokerError) else BrokerError.status
    issue = {
        "severity": "error",
        "code": _ISSUE_TYPE.get(code) or _BY_STATUS.get(status, "processing"),
        "details": {"coding": [{"system": _ERROR, "code": code}], "text": message},
    }
    return {"resourceType": "OperationOutcome", "issue": [issue, *map(_issue, filter(is_open, said["sources"]))]}


def _issue(row: Shown) -> dict[str, Any]:
    severity, code, words = _SAID[Status(row["status"])]
    codings = [{"system": _STATUS, "code": row["status"]}]
    if row["organisation"] is not None:
        codings.append({"system": _ODS, "code": row["organisation"]})
    issue = {
        "severity": severity,
        "code": code,
        "details": {"coding": codings, "text": _sentence(words.format(row["name"]))},
    }
    notes = [note for note in row["notes"] if note != RUNS_EXCLUDED]
    if row["retry_after_s"] is not None:
        notes.append(f"try again in {row['retry_after_s']} s")
    if notes and row["source"] is not None:
        issue["diagnostics"] = f"{row['source']}: {'; '.join(notes)}"
    return issue


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]
