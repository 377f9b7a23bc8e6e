"""What a record says about sharing it: which codes are honoured, and which of them when two disagree."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import Policies
from policies.values import PolicyError

SNOMED = "http://snomed.info/sct"
READ = "http://read.info/readv2"
REFUSED = (SNOMED, "416409005")
GIVEN = (SNOMED, "417528008")


@pytest.fixture(scope="module")
def dissent(policies):
    return policies.tables.dissent


@pytest.mark.parametrize(
    "coding",
    [
        REFUSED,
        (READ, "93C1"),
        (READ, "93C1."),
        (READ, "93C1.00"),
        ("urn:oid:2.16.840.1.113883.2.1.6.2", "93C1.00"),
    ],
)
def test_a_local_refusal_is_known_however_it_is_spelled(dissent, coding):
    assert coding in dissent.refused
    assert dissent.standing([(coding, "2020-01-01")]) == "refused"


@pytest.mark.parametrize(
    "coding",
    [
        (SNOMED, "416308001"),
        (SNOMED, "417370002"),
        (READ, "93C3"),
        (READ, "93C3.00"),
        (READ, "9Ndo"),
        (READ, "9Ndo.00"),
        (READ, "9Nu0.00"),
        (READ, "9Nu4.00"),
    ],
)
def test_what_is_said_to_the_nation_or_about_research_is_never_a_refusal_here(dissent, coding):
    assert coding not in dissent.codings
    assert dissent.standing([(coding, "2020-01-01")]) == "none"


def test_what_needs_reading_goes_to_the_privacy_officer_and_decides_nothing(dissent):
    assert dissent.referred == {(SNOMED, "320011000000108")}
    assert dissent.standing([((SNOMED, "320011000000108"), None)]) == "none"


def test_every_type_that_may_carry_it_is_named(dissent):
    assert {"Observation", "Consent"} <= set(dissent.types)


@pytest.mark.parametrize(
    ("refused", "consented", "standing"),
    [
        ("2020-01-01", "2020-01-02", "refused"),
        ("2020-01-01", "2020-01-03", "none"),
        ("2020", "2020-06-01", "refused"),
        ("2020", "2021-06-01", "none"),
        ("2020-03", "2020", "refused"),
        ("2020-03", "2020-05", "none"),
        ("2020-01-01T09:00:00Z", "2020-01-01T10:00:00+00:00", "none"),
        ("2020-01-01T09:00:00Z", "2020-01-01T10:00:00+02:00", "refused"),
        ("2020-01-01T09:00:00Z", "2020-01-01T10:00:00", "refused"),
        ("2020-01-01T09:00:00Z", "2020-01-01T09:00:00Z", "refused"),
        (None, "2020-01-01", "refused"),
        ("some day", "2020-01-01", "refused"),
        ("2019-01-01", None, "refused"),
        ("2019-01-01", "some day", "refused"),
        (None, None, "refused"),
        ("9999", "0000", "refused"),
    ],
)
def test_a_consent_ends_a_refusal_only_if_it_certainly_came_later(dissent, refused, consented, standing):
    both = [(REFUSED, refused), (GIVEN, consented)]
    assert dissent.standing(both) == dissent.standing(both[::-1]) == standing


@pytest.mark.parametrize(
    ("consented", "standing"),
    [
        ("2026-01-15", "none"),
        ("2026", "none"),
        ("2026-01-16", "refused"),
        ("2099", "refused"),
        ("9999-12-31", "refused"),
    ],
)
def test_a_consent_dated_in_the_future_is_not_given_yet_and_a_refusal_is(dissent, consented, standing):
    today = date(2026, 1, 15)
    assert dissent.standing([(REFUSED, "2020-01-01"), (GIVEN, consented)], today) == standing
    assert dissent.standing([(REFUSED, "2099-01-01"), (GIVEN, "2021-01-01")], today) == "refused"


DATES = st.none() | st.text(max_size=12) | st.dates().map(str) | st.datetimes().map(lambda moment: moment.isoformat())


@given(found=st.lists(st.tuples(st.sampled_from([REFUSED, GIVEN, (SNOMED, "1")]), DATES), max_size=6), when=DATES)
def test_a_further_refusal_never_opens_a_record_and_order_never_matters(policies, found, when):
    dissent = policies.tables.dissent
    assert dissent.standing(found) == dissent.standing(found[::-1])
    if dissent.standing(found) == "refused":
        assert dissent.standing([*found, (REFUSED, when)]) == "refused"
    assert dissent.standing([*found, (REFUSED, None)]) == "refused"


def test_a_board_adds_a_code_of_its_own(board, edit):
    edit(
        "dissent.toml",
        "[refused.codes.read-v2]\n",
        '[refused.codes.ctv3]\nXaKRy = "Local refusal"\n[refused.codes.read-v2]\n',
    )
    assert ("http://read.info/ctv3", "XaKRy") in Policies.load(board).tables.dissent.refused


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('types = ["Observation"', 'types = ["Observaton"', "`Observaton` is not a type that a source is asked for"),
        ("[refused.codes.snomed]", "[refused.codes.snowmed]", "`snowmed` is not a system"),
        ('why = "Questions 13', 'reason = "Questions 13', "lacks `why`"),
        ("[[refused]]\nwhy", "[[refuse]]\nwhy", "unknown table [refuse]"),
        ("417528008 =", "416409005 =", "code 416409005 stands in two kinds"),
        ("[given.codes.snomed]\n417528008 =", "[given.extra]\n417528008 =", "unknown key `extra`"),
    ],
)
def test_a_fault_in_the_table_names_file_and_line(board, edit, old, new, message):
    edit("dissent.toml", old, new)
    with pytest.raises(PolicyError) as caught:
        Policies.load(board)
    assert caught.value.file == "dissent.toml"
    assert message in caught.value.message
    assert caught.value.line is not None
