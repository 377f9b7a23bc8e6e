"""Value sets: taken whole, in every form in which they come, or refused in words."""

import json
import re
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import Policies
from policies.loading.rf2 import members
from policies.values import PolicyError

SNOMED = "http://snomed.info/sct"
LOINC = "http://loinc.org"
STD = "999004381000000103"
HEADER = "id\teffectiveTime\tactive\tmoduleId\trefsetId\treferencedComponentId\n"


@pytest.fixture
def sexual_health(board):
    """Writes a value set of the rule and gives what it adds to it."""
    before = {rule.id: rule.codings for rule in Policies.load(board).tables.exclusions}["sexual-health"]

    def load(content, *, ending="json"):
        text = content if isinstance(content, str) else json.dumps(content)
        (board / "value-sets" / f"{STD}.{ending}").write_text(text, encoding="utf-8")
        rules = {rule.id: rule.codings for rule in Policies.load(board).tables.exclusions}
        return rules["sexual-health"] - before

    return load


def of(*codes):
    return [{"code": code} for code in codes]


def test_the_concepts_that_a_value_set_lists_are_its_members(sexual_health):
    include = [{"system": SNOMED, "concept": of("100000001")}, {"system": LOINC, "concept": of("1-8", "2-6")}]
    added = sexual_health({"resourceType": "ValueSet", "status": "active", "compose": {"include": include}})
    assert added == {(SNOMED, "100000001"), (LOINC, "1-8"), (LOINC, "2-6")}


def test_an_expansion_is_taken_to_any_depth_and_in_place_of_its_definition(sexual_health):
    inner = {
        "system": SNOMED,
        "code": "100000002",
        "inactive": True,
        "contains": [{"system": SNOMED, "code": "100000003"}],
    }
    expansion = {
        "total": 3,
        "contains": [{"display": "a heading", "contains": [inner]}, {"system": SNOMED, "code": "100000004"}],
    }
    compose = {"include": [{"system": SNOMED, "filter": [{"property": "concept", "op": "is-a", "value": "8098009"}]}]}
    added = sexual_health({"resourceType": "ValueSet", "compose": compose, "expansion": expansion})
    assert added == {(SNOMED, "100000002"), (SNOMED, "100000003"), (SNOMED, "100000004")}


def test_codes_count_however_the_value_set_spells_their_system(sexual_health):
    include = [{"system": "urn:oid:2.16.840.1.113883.6.96", "concept": of("100000001")}]
    assert sexual_health({"resourceType": "ValueSet", "compose": {"include": include}}) == {(SNOMED, "100000001")}


def test_an_empty_list_of_exceptions_leaves_out_nothing(sexual_health):
    compose = {"include": [{"system": SNOMED, "concept": of("100000001"), "filter": []}], "exclude": []}
    assert sexual_health({"resourceType": "ValueSet", "compose": compose}) == {(SNOMED, "100000001")}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not JSON: "),
        ("[]", "not a FHIR ValueSet"),
        ({"resourceType": "CodeSystem"}, "not a FHIR ValueSet"),
        ({"resourceType": "ValueSet"}, "compose is missing"),
        ('{"resourceType": "ValueSet", "compose": {}, "compose": {}}', "a key stands twice"),
        ({"compose": {"include": [{"system": SNOMED}]}}, "compose.include[0] names a whole code system"),
        (
            {"compose": {"include": [{"system": SNOMED, "filter": [{}]}]}},
            "compose.include[0].filter needs a terminology",
        ),
        ({"compose": {"include": [{"valueSet": ["http://x"]}]}}, "compose.include[0].valueSet needs a terminology"),
        ({"compose": {"include": [{"concept": [{"code": "1"}]}]}}, "compose.include[0] lacks `system`"),
        ({"compose": {"include": [{"system": SNOMED, "concept": [{}]}]}}, "concept[0] lacks `code`"),
        (
            {"compose": {"include": [{"system": SNOMED, "concept": of("1")}], "exclude": [{"system": SNOMED}]}},
            "compose.exclude can't be worked out here",
        ),
        ({"compose": {"include": {}}}, "compose.include must be a list"),
        ({"compose": {"include": []}}, "no active member"),
        ({"expansion": {"contains": []}}, "no active member"),
        ({"expansion": {"contains": [{"system": SNOMED}]}}, "expansion.contains[0] lacks `code`"),
        ({"expansion": {"total": 2, "contains": [{"system": SNOMED, "code": "1"}]}}, "one page of several"),
        ({"expansion": {"total": "1", "contains": [{"system": SNOMED, "code": "1"}]}}, "total must be a number"),
        ({"expansion": {"total": True, "contains": [{"system": SNOMED, "code": "1"}]}}, "total must be a number"),
        ({"expansion": {"total": 0, "contains": [{"system": SNOMED, "code": "1"}]}}, "total says 0, and there are 1"),
        ({"expansion": {"offset": 1, "contains": [{"system": SNOMED, "code": "1"}]}}, "one page of several"),
        (
            {
                "expansion": {
                    "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/valueset-unclosed"}],
                    "contains": [{"system": SNOMED, "code": "1"}],
                }
            },
            "marked as not whole",
        ),
    ],
)
def test_what_can_not_be_expanded_faithfully_is_refused_in_words(sexual_health, content, message):
    whole = (
        content if isinstance(content, str) or "resourceType" in content else {"resourceType": "ValueSet", **content}
    )
    with pytest.raises(PolicyError, match=re.escape(message)) as caught:
        sexual_health(whole)
    assert caught.value.file == f"value-sets/{STD}.json"


def test_two_files_for_one_set_are_refused(sexual_health, board):
    (board / "value-sets" / f"{STD}.txt").write_text("100000001\n")
    with pytest.raises(PolicyError, match="lies beside it: keep one"):
        sexual_health({"resourceType": "ValueSet", "compose": {"include": [{"system": SNOMED, "concept": of("1")}]}})


def test_a_member_that_was_retired_in_a_full_release_is_none(sexual_health):
    rows = f"a\t20200101\t1\tm\t{STD}\t100000001\nb\t20200101\t1\tm\t{STD}\t100000002\na\t20230101\t0\tm\t{STD}\t100000001\n"
    assert sexual_health(HEADER + rows, ending="txt") == {(SNOMED, "100000002")}


def test_a_release_cut_in_mid_line_is_refused_with_its_line(sexual_health):
    with pytest.raises(PolicyError, match=r"txt:3: 3 columns on this line, of 6"):
        sexual_health(f"{HEADER}a\t20200101\t1\tm\t{STD}\t100000001\nb\t20200101\t1", ending="txt")


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (f"b\t20200101\t1\tm\t{STD}\t100000002", "txt:3: the last line does not end"),
        (f"b\t20200101\t1\tm\t{STD}\t2405\n", "txt:3: not a row of RF2"),
        (f"b\t20200101\t1\tm\t{STD}\t\u0661\u0660\u0660\u0660\u0660\u0660\u0660\n", "txt:3: not a row of RF2"),
    ],
    ids=["no line end", "a short code", "digits of another script"],
)
def test_a_member_that_may_have_been_cut_is_refused(sexual_health, last, words):
    with pytest.raises(PolicyError, match=re.escape(words)):
        sexual_health(f"{HEADER}a\t20200101\t1\tm\t{STD}\t100000001\n{last}", ending="txt")


def test_what_takes_effect_on_a_day_to_come_does_not_count_yet():
    rows = ["a\t20200101\t1\tm\t9\t100000001\n", "a\t20270101\t0\tm\t9\t100000001\n"]
    for today, expected in ((date(2026, 12, 31), {"9": {"100000001": "20200101"}}), (date(2027, 1, 1), {"9": {}})):
        assert members([HEADER, *rows], {"9"}, file="f", today=today) == expected


def test_a_value_set_of_systems_that_no_table_knows_counts_as_not_loaded(board, sexual_health):
    contains = [{"system": "http://example.com/codes", "code": "240542006"}]
    assert sexual_health({"resourceType": "ValueSet", "expansion": {"contains": contains}}) == set()
    assert any(f"reference set {STD}" in notice for notice in Policies.load(board).notices)


ROWS = st.lists(
    st.tuples(
        st.sampled_from("abcdef"),
        st.sampled_from(["20200101", "20210101", "20220101"]),
        st.booleans(),
        st.sampled_from("12"),
    ),
    max_size=12,
    unique_by=lambda row: row[:2],
)


@given(rows=ROWS)
def test_the_latest_version_of_a_member_counts_in_whatever_order_it_stands(rows):
    """Each row id is one member of one set; a set without any row is not in the file."""
    lines = [HEADER, *(f"{i}\t{t}\t{int(on)}\tm\t9\t{100_000_000 + ord(i)}\n" for i, t, on, _ in rows)]
    expected = {
        str(100_000_000 + ord(i)) for i, t, on, _ in rows if on and t == max(row[1] for row in rows if row[0] == i)
    }
    found = members(lines, {"9"}, file="f")
    assert set(found.get("9", ())) == expected
    assert ("9" in found) == bool(rows)
    assert members([HEADER, *lines[:0:-1]], {"9", "8"}, file="f") == found
