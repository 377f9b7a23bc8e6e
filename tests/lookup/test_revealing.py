"""What a row may reveal, and to whom."""

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.lookup.revealing import FIELDS, REVEALED, Reader, State, bare, is_silent, narrowed, withheld
from broker.lookup.rows import FAILED, RUNS_EXCLUDED, row_status
from broker.lookup.values import CategoryRow, Row, Status

FINAL = [status for status in Status if status is not Status.WAITING]
TOLD_APART = {Status.ANSWERED, Status.WITHHELD, Status.NO_RECORD_FOUND, Status.NOT_PROVIDED, Status.TRUNCATED}
ROW = Row(
    source="RJZ-epr",
    organisation="RJZ",
    name="King's",
    service_type="acute",
    status=Status.ANSWERED,
    categories={"allergies": CategoryRow(status=Status.ANSWERED, resources=2)},
    resources=2,
    elapsed_ms=182,
    retry_after_s=5,
    notes=("a note", RUNS_EXCLUDED),
)


def test_every_state_and_reader_has_a_place_in_the_table():
    assert REVEALED.keys() == set(State)
    assert all(line.keys() == set(Reader) for line in REVEALED.values())
    assert all(shown <= FIELDS for line in REVEALED.values() for shown in line.values())


def test_who_may_lift_an_objection_learns_from_no_row_where_it_lies():
    assert all(line[Reader.OVERRIDER] == line[Reader.OTHER] for line in REVEALED.values())


def test_ones_own_row_is_bounded_by_a_restriction_alone():
    assert [state for state, line in REVEALED.items() if line[Reader.OWN] != FIELDS] == [State.RESTRICTED]


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("reader", Reader)
def test_a_row_holds_what_the_table_says_and_nothing_else(state, reader):
    shown = REVEALED[state][reader]
    row = bare(ROW, shown, source="acute-1", name="An acute hospital")
    assert (row.organisation == "RJZ") is ("organisation" in shown)
    assert (row.source, row.name) == (
        ROW.source if "source" in shown else "acute-1",
        ROW.name if "name" in shown else "An acute hospital",
    )
    assert (row.elapsed_ms is not None) is ("elapsed_ms" in shown)
    assert (row.retry_after_s is not None) is ("retry_after_s" in shown)
    assert ("a note" in row.notes) is ("notes" in shown)
    assert (RUNS_EXCLUDED in row.notes) is ("services" in shown)
    assert (row.resources, row.categories["allergies"].resources) == ((2, 2) if "counts" in shown else (0, 0))
    assert (row.status, row.service_type, row.currency) == (ROW.status, ROW.service_type, ROW.currency)
    assert {one.name for one in fields(Row)} - {"types"} == {
        *("source", "organisation", "name", "service_type", "status", "categories", "resources", "currency"),
        *("elapsed_ms", "retry_after_s", "notes"),
    }


def rows():
    """Rows of another organisation, as judging makes them."""

    def make(categories, notes):
        resources = sum(one.resources for one in categories.values())
        return replace(ROW, categories=categories, status=row_status(categories), resources=resources, notes=notes)

    def consistent(pair):
        status, resources = pair
        return CategoryRow(status=status, resources=resources if status not in FAILED else 0)

    category = st.tuples(st.sampled_from(FINAL), st.integers(0, 3)).map(consistent)
    names = st.sampled_from(["allergies", "problems", "results"])
    return st.builds(make, st.dictionaries(names, category, min_size=1), st.just(("a note",)))


@given(rows())
def test_under_a_narrower_objection_a_category_shows_something_or_failed_or_is_withheld(row):
    told = narrowed(row, "RJ1")
    for name, one in told.categories.items():
        before = row.categories[name]
        if before.status in TOLD_APART:
            assert one.status is (Status.ANSWERED if before.resources else Status.WITHHELD)
        else:
            assert one == before
    if is_silent(told):
        assert (told.elapsed_ms, told.notes, told.retry_after_s, told.resources) == (None, (), None, 0)
        # Nothing tells it from one that is objected to, and was not asked.
        held = dict.fromkeys(row.categories, CategoryRow(status=Status.WITHHELD))
        barred = replace(ROW, status=Status.WITHHELD, categories=held, resources=0, elapsed_ms=None, notes=())
        assert told == narrowed(replace(barred, retry_after_s=None), "RJ1")


HEARD = {"allergies": CategoryRow(status=Status.WITHHELD), "problems": CategoryRow(status=Status.ANSWERED, resources=1)}


@pytest.mark.parametrize("found", [status for status in FINAL if status is not Status.ANSWERED])
def test_what_became_of_a_category_that_is_objected_to_does_not_show_beside_one_that_answered(found):
    made = replace(
        ROW,
        status=found,
        categories=HEARD | {"allergies": CategoryRow(status=found)},
        types={"AllergyIntolerance": CategoryRow(status=found), "Condition": HEARD["problems"]},
        notes=("AllergyIntolerance: says 38, gave 1", "2 resources could not be read or used", RUNS_EXCLUDED),
    )
    told = narrowed(made, "RJ1", {"allergies"})
    assert (told.status, told.categories) == (Status.WITHHELD, HEARD)
    assert told.notes == (RUNS_EXCLUDED,)
    assert told.retry_after_s is None
    assert told.types == {"AllergyIntolerance": HEARD["allergies"], "Condition": HEARD["problems"]}


@pytest.mark.parametrize("found", [*FAILED, Status.PATIENT_NOT_FOUND, Status.WITHHELD_BY_SOURCE])
def test_a_source_that_failed_as_a_whole_says_so_of_what_is_objected_to_as_well(found):
    all_alike = dict.fromkeys(HEARD, CategoryRow(status=found))
    made = replace(ROW, status=found, categories=all_alike, resources=0, notes=("a note",))
    told = narrowed(made, "RJ1", {"allergies"})
    assert (told.status, told.categories, told.notes) == (found, all_alike, ())


@given(rows())
def test_ones_own_row_stays_as_it_is(row):
    assert narrowed(row, "RJZ", row.categories) == withheld(row, "RJZ") == row


@given(rows())
def test_under_a_whole_objection_all_rows_of_others_are_alike(row):
    held = dict.fromkeys(row.categories, CategoryRow(status=Status.WITHHELD))
    told = withheld(row, "RJ1")
    assert (told.status, told.categories) == (Status.WITHHELD, held)
    assert (told.elapsed_ms, told.notes, told.retry_after_s, told.resources) == (None, (), None, 0)
