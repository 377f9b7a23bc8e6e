"""What is known of each category, and of all: derived in one place, from findings alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.findings import Finding
from broker.errors import SourcesFailed, SourcesTimedOut
from broker.lookup.rows import (
    DEFINITE,
    FAILED,
    STATUS_OF,
    category_row,
    is_complete,
    nothing_answered,
    require_met,
    row_status,
    worst,
)
from broker.lookup.values import CategoryRow, Row, Status


def _category(findings, *, types=("Condition",), resources=0, unusable=(), withheld=False, cut=Status.TIMED_OUT):
    return category_row(types, findings, resources=resources, unusable=unusable, withheld=withheld, cut=cut)


def _row(*statuses, organisation="RJ1", source="RJ1-epr", resources=0, **more):
    categories = {f"c{n}": CategoryRow(status=status) for n, status in enumerate(statuses)}
    return Row(
        source=source,
        organisation=organisation,
        name="x",
        service_type="acute",
        status=row_status(categories),
        categories=categories,
        resources=resources,
        **more,
    )


def test_the_order_of_the_closed_set_is_that_of_the_design():
    assert [status.value for status in Status] == [
        "wrong-patient", "malformed", "failed", "refused", "unreachable", "timed-out", "busy", "paused", "truncated",
        "agreement-lapsed", "practice-not-asked", "patient-not-found", "withheld-by-source", "withheld", "answered",
        "no-record-found", "not-provided", "waiting",
    ]  # fmt: skip
    assert {Status.ANSWERED, Status.NO_RECORD_FOUND, Status.NOT_PROVIDED} == DEFINITE
    assert [status for status in Status if status in FAILED] == list(Status)[:8]


def test_every_finding_that_leaves_something_open_has_its_status():
    assert {*Finding} - {*STATUS_OF} == {Finding.ANSWERED, Finding.NOT_PROVIDED}
    assert not DEFINITE & {*STATUS_OF.values()}


@pytest.mark.parametrize("finding", [*STATUS_OF])
@pytest.mark.parametrize("resources", [0, 3])
def test_a_finding_shows_whatever_else_came(finding, resources):
    row = _category({"Condition": Finding.ANSWERED, "Flag": finding}, types=("Condition", "Flag"), resources=resources)
    assert (row.status, row.resources) == (STATUS_OF[finding], resources)


@pytest.mark.parametrize(
    ("findings", "more", "status"),
    [
        ({"Condition": Finding.ANSWERED}, {"resources": 1}, Status.ANSWERED),
        ({"Condition": Finding.ANSWERED}, {}, Status.NO_RECORD_FOUND),
        ({"Condition": Finding.NOT_PROVIDED}, {}, Status.NOT_PROVIDED),
        ({"Condition": Finding.NOT_PROVIDED, "Flag": Finding.ANSWERED}, {"types": ("Condition", "Flag")}, Status.NO_RECORD_FOUND),
        ({}, {}, Status.TIMED_OUT),
        ({"Condition": None}, {"cut": Status.UNREACHABLE}, Status.UNREACHABLE),
        ({}, {"resources": 2}, Status.TIMED_OUT),
        ({"Flag": Finding.FAILED, "Condition": Finding.ANSWERED}, {}, Status.NO_RECORD_FOUND),
        ({"Condition": Finding.ANSWERED}, {"unusable": ["Condition"], "resources": 1}, Status.TRUNCATED),
        ({"Condition": Finding.ANSWERED}, {"unusable": [""]}, Status.TRUNCATED),
        ({"Condition": Finding.ANSWERED}, {"unusable": ["Flag"]}, Status.NO_RECORD_FOUND),
        ({"Condition": Finding.ANSWERED}, {"withheld": True}, Status.WITHHELD),
        ({"Condition": Finding.ANSWERED}, {"withheld": True, "resources": 1}, Status.WITHHELD),
        ({"Condition": Finding.WITHHELD_BY_SOURCE}, {"withheld": True}, Status.WITHHELD_BY_SOURCE),
        ({"Condition": Finding.TRUNCATED}, {"withheld": True}, Status.TRUNCATED),
    ],
)  # fmt: skip
def test_a_categorys_status_is_the_first_that_is_true_of_any_part(findings, more, status):
    assert _category(findings, **more).status is status


@given(
    st.dictionaries(st.sampled_from(["A", "B", "C"]), st.none() | st.sampled_from(Finding)),
    st.integers(0, 3),
    st.booleans(),
    st.lists(st.sampled_from(["A", "B", "C", "D", ""])),
    st.sampled_from(sorted(FAILED)),
)
def test_nothing_that_is_open_ever_looks_definite(findings, resources, withheld, unusable, cut):
    types = ("A", "B")
    row = _category(findings, types=types, resources=resources, withheld=withheld, unusable=unusable, cut=cut)
    whole = all(findings.get(one) in (Finding.ANSWERED, Finding.NOT_PROVIDED) for one in types)
    closed = whole and not withheld and not {*unusable} & {"A", "B", ""}
    assert (row.status in DEFINITE) == closed
    assert row.status is not Status.WAITING


@given(st.lists(st.sampled_from(Status), min_size=1))
def test_the_worst_is_the_first_of_the_set_in_any_order(statuses):
    assert worst(statuses) is worst(reversed(statuses)) is next(status for status in Status if status in statuses)


def test_a_row_without_a_category_has_its_own_status():
    assert row_status({}, Status.FAILED) is Status.FAILED
    assert row_status({}) is Status.NOT_PROVIDED


@given(st.lists(st.lists(st.sampled_from(Status), max_size=3).map(lambda each: _row(*each)), max_size=4))
def test_complete_is_at_least_one_row_and_every_status_definite(rows):
    said = [one.status for row in rows for one in row.categories.values()] + [row.status for row in rows]
    assert is_complete(rows) == (bool(rows) and {*said} <= DEFINITE)


def test_complete_depends_on_nothing_else():
    row = _row(Status.NO_RECORD_FOUND, notes=("warning",), retry_after_s=5, elapsed_ms=9_000, currency="up to 24 h old")
    assert is_complete([row])
    assert not is_complete([])


def test_required_organisations_were_asked_and_are_definite_in_all_their_sources():
    rows = [
        _row(Status.ANSWERED),
        _row(Status.TIMED_OUT, source="RJ1-lab"),
        _row(Status.NO_RECORD_FOUND, organisation="RJZ", source="RJZ-epr"),
        _row(Status.PRACTICE_NOT_ASKED, organisation=None, source=None),
    ]
    assert require_met(rows, ())
    assert require_met(rows, ["RJZ"])
    assert not require_met(rows, ["RJ1"])
    assert not require_met(rows, ["RJZ", "RJ1"])
    assert not require_met(rows, ["G85001"])


def _error(*rows, asked=None):
    return nothing_answered(rows, {row.source for row in rows} if asked is None else asked, rows)


def test_if_every_source_timed_out_that_is_an_error_and_not_an_empty_success():
    error = _error(_row(Status.TIMED_OUT), _row(Status.TIMED_OUT, Status.NOT_PROVIDED, source="b"))
    assert isinstance(error, SourcesTimedOut)
    assert error.status == 504


@pytest.mark.parametrize("status", sorted(FAILED - {Status.TIMED_OUT}))
def test_if_every_source_failed_that_is_an_error_and_not_an_empty_success(status):
    for rows in ([_row(status)], [_row(status), _row(Status.TIMED_OUT, source="b")]):
        error = _error(*rows)
        assert isinstance(error, SourcesFailed)
        assert error.status == 502


@pytest.mark.parametrize(
    "status", [status for status in Status if status not in FAILED and status is not Status.NOT_PROVIDED]
)
def test_if_any_category_of_any_source_did_not_fail_there_is_an_answer(status):
    assert _error(_row(Status.FAILED), _row(status, source="b")) is None
    assert _error(_row(Status.FAILED, status)) is None


def test_what_was_given_before_a_failure_is_an_answer():
    assert _error(_row(Status.TIMED_OUT, resources=2)) is None


def test_where_nobody_was_asked_there_is_no_error():
    assert _error() is None
    assert _error(_row(Status.FAILED), asked=set()) is None
    assert _error(_row(Status.FAILED), _row(Status.AGREEMENT_LAPSED, source="b"), asked={"RJ1-epr"}) is not None


def test_the_error_says_when_another_try_may_help():
    error = _error(_row(Status.BUSY, retry_after_s=30), _row(Status.PAUSED, source="b", retry_after_s=4))
    assert error.retry_after == 4
