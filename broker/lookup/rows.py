"""The one place where it is decided what is known.

Statuses from what was learned, rows from statuses, `complete` from rows.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from adapters.findings import Finding
from broker.errors import NothingAnswered, SourcesFailed, SourcesTimedOut
from broker.lookup.values import CategoryRow, Row, Status

__all__ = [
    "DEFINITE",
    "FAILED",
    "RUNS_EXCLUDED",
    "STATUS_OF",
    "category_row",
    "in_order",
    "is_complete",
    "nothing_answered",
    "of_type",
    "require_met",
    "row_status",
    "worst",
]

_ORDER = {status: rank for rank, status in enumerate(Status)}

DEFINITE = frozenset({Status.ANSWERED, Status.NO_RECORD_FOUND, Status.NOT_PROVIDED})
"""Statuses that leave nothing open."""

FAILED = frozenset({
    Status.WRONG_PATIENT,
    Status.MALFORMED,
    Status.FAILED,
    Status.REFUSED,
    Status.UNREACHABLE,
    Status.TIMED_OUT,
    Status.BUSY,
    Status.PAUSED,
})
"""Statuses of a source that was asked and did not answer."""

STATUS_OF: Mapping[Finding, Status] = {
    Finding.WITHHELD_BY_SOURCE: Status.WITHHELD_BY_SOURCE,
    Finding.TRUNCATED: Status.TRUNCATED,
    Finding.BUSY: Status.BUSY,
    Finding.TIMED_OUT: Status.TIMED_OUT,
    Finding.UNREACHABLE: Status.UNREACHABLE,
    Finding.REFUSED: Status.REFUSED,
    Finding.FAILED: Status.FAILED,
    Finding.MALFORMED: Status.MALFORMED,
}
"""What each finding that is not definite becomes."""


RUNS_EXCLUDED = "What can't be told apart from a service that is never shared is left out here."
"""Said of an organisation that runs such a service for every patient, whether or not anything was left out."""


def worst(statuses: Iterable[Status]) -> Status:
    """The first of the closed set that is true of any part."""
    return min(statuses, key=_ORDER.__getitem__)


_ALL_ANSWERED: frozenset[Finding | None] = frozenset({Finding.ANSWERED})


def category_row(
    types: Collection[str],
    findings: Mapping[str, Finding | None],
    *,
    resources: int,
    unusable: Collection[str],
    withheld: bool,
    cut: Status,
) -> CategoryRow:
    """The status of one category at one source that was asked.

    Args:
        types: the FHIR types that may carry it.
        findings: what was learned of each; a type that is missing, or None, was not answered.
        resources: how many are shown, after screening.
        unusable: types of resources that could not be read or used; `""` where the type can't be told.
        withheld: something of it is held back, for a reason that this reader may know.
        cut: what a type that was not answered takes.
    """
    learned = {findings.get(one) for one in types}
    if learned == _ALL_ANSWERED and not unusable and not withheld:
        return CategoryRow(status=Status.ANSWERED if resources else Status.NO_RECORD_FOUND, resources=resources)
    parts: set[Status] = set()
    for finding in learned:
        if finding is None:
            parts.add(cut)
        elif finding in STATUS_OF:
            parts.add(STATUS_OF[finding])
    if "" in unusable or any(one in unusable for one in types):
        parts.add(Status.TRUNCATED)
    if withheld:
        parts.add(Status.WITHHELD)
    if resources:
        parts.add(Status.ANSWERED)
    elif learned == {Finding.NOT_PROVIDED}:
        parts.add(Status.NOT_PROVIDED)
    else:
        parts.add(Status.NO_RECORD_FOUND)
    return CategoryRow(status=worst(parts), resources=resources)


def row_status(categories: Mapping[str, CategoryRow], own: Status = Status.NOT_PROVIDED) -> Status:
    """A row's status: the worst of its categories; its own where it has none."""
    return worst(row.status for row in categories.values()) if categories else own


def is_complete(rows: Sequence[Row]) -> bool:
    """At least one row, and nothing in any of them is open."""
    return bool(rows) and all(
        row.status in DEFINITE and all(one.status in DEFINITE for one in row.categories.values()) for row in rows
    )


def of_type(row: Row, type_: str) -> CategoryRow:
    """What is known of one FHIR type at a source, in the answer to a query that names types.

    A row that was settled before anybody was asked says the same of every type.
    """
    return row.types.get(type_) or CategoryRow(status=row.status)


def require_met(rows: Sequence[Row], required: Collection[str]) -> bool:
    """Every organisation that the caller would not decide without was asked and is definite."""
    return all(
        any(row.organisation == code for row in rows) and is_complete([row for row in rows if row.organisation == code])
        for code in required
    )


def nothing_answered(rows: Sequence[Row], asked: Collection[str], shown: Sequence[Row]) -> NothingAnswered | None:
    """The error that stands for an empty success: sources were asked, and every one of them failed.

    Args:
        rows: all rows.
        asked: names of the sources that were asked, or would have been but for a breaker or a cap.
        shown: the rows as the reader may see them.
    """
    statuses = [_whole(row) for row in rows if row.source in asked]
    if not statuses or any(status is None for status in statuses):
        return None
    as_json = [row.as_json() for row in shown]
    if all(status is Status.TIMED_OUT for status in statuses):
        return SourcesTimedOut(sources=as_json)
    retry = [row.retry_after_s for row in rows if row.retry_after_s is not None]
    return SourcesFailed(sources=as_json, retry_after=min(retry, default=None))


def _whole(row: Row) -> Status | None:
    """The status of a source that failed as a whole; None where any category of it was answered."""
    statuses = [one.status for one in row.categories.values()] or [row.status]
    failed = [status for status in statuses if status is not Status.NOT_PROVIDED]
    if not failed or row.resources or any(status not in FAILED for status in failed):
        return None
    return worst(failed)


def in_order(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Rows in the fixed order of every reply: the identity service, then sources by name, then rows of none."""
    return tuple(
        sorted(
            rows,
            key=lambda row: (
                row.service_type != "identity",
                row.source is None,
                row.organisation or "",
                row.source or "",
            ),
        )
    )
