"""A Bundle cut into slices says what it says in one piece, wherever the cuts may fall."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract import Arrival
from adapters.errors import SourceMalformed
from adapters.fhir_r4 import bundle
from adapters.fhir_r4.bundle import Opening, TooDense
from adapters.fhir_r4.envelope import open_bundle, open_page


def finish(work):
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def opened(body):
    opening = Opening(body)
    entries = [entry for some in opening.entries() for entry in some]
    return entries, opening.bundle


def page_of(body, **how):
    return finish(open_page(body, Arrival.RECORD, **how))


def large(entries, tail="", *, key="resource", space=""):
    listed = f",{space}".join(entries)
    return f'{{"resourceType":"Bundle","type":"searchset","entry":{space}[{space}{listed}{space}]{tail}}}'.encode()


def entry(n, more=""):
    return f'{{"fullUrl":"urn:x:{n}","resource":{{"resourceType":"Observation","id":"{n}"{more}}}}}'


_TEXT = st.text(st.sampled_from('a"\\[]{},:é'), max_size=12)
_INSIDE = st.recursive(
    _TEXT | st.integers() | st.none(),
    lambda more: (
        st.lists(more, max_size=3)
        | st.dictionaries(st.sampled_from(["entry", "resource", "fullUrl", "total", "x"]), more, max_size=3)
    ),
    max_leaves=8,
)


@given(
    st.lists(_INSIDE, max_size=12),
    st.sampled_from([(",", ":"), (", ", ": "), (" ,\n ", " :\t")]),
    st.integers(1, 300),
    st.booleans(),
)
def test_wherever_it_is_cut_it_says_the_same(inside, separators, slice_, last):
    resources = [{"resourceType": "Basic", "id": str(n), "x": one} for n, one in enumerate(inside)]
    own = {"resourceType": "Bundle", "type": "searchset", "total": 7, "link": [{"relation": "next", "url": "?a=[]"}]}
    listed = {"entry": [{"fullUrl": f"urn:{n}", "resource": one} for n, one in enumerate(resources)]}
    body = json.dumps({**own, **listed} if last else {**listed, **own}, separators=separators).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundle, "_SLICE", slice_)
        entries, said = opened(body)
    assert [json.loads(bytes(one.resource)) for one in entries] == resources
    assert [one.full_url for one in entries] == [f"urn:{n}" for n in range(len(resources))]
    assert (said.total, said.link[0].url) == (7, "?a=[]")


def test_a_large_bundle_comes_in_many_slices():
    body = large([entry(n, ',"x":"' + "y" * 1000 + '"') for n in range(2000)], ',"total":2000')
    opening = Opening(body)
    slices = [len(some) for some in opening.entries() if some]
    assert sum(slices) == 2000
    assert max(slices) < 400
    assert opening.bundle.total == 2000


@pytest.mark.parametrize("space", ["", "\n  "])
def test_entries_that_begin_with_something_else_are_cut_too(space):
    link = '"link":[{"relation":"self","url":"a"}],'
    body = large([entry(n, ',"x":"' + "y" * 900 + '"').replace("{", "{" + link, 1) for n in range(900)], space=space)
    slices = [len(some) for some in Opening(body).entries() if some]
    assert sum(slices) == 900
    assert len(slices) > 2


def test_what_looks_like_the_end_of_an_entry_inside_one_is_only_a_wrong_guess():
    inside = ',"contained":[' + ",".join(['{"resource":{}},{"fullUrl":""}'] * 20_000) + "]"
    body = large([entry(0), entry(1, inside), entry(2)])
    assert [one.full_url for one in opened(body)[0]] == ["urn:x:0", "urn:x:1", "urn:x:2"]


def test_a_letter_of_megabytes_is_one_entry_among_others():
    letter = ',"content":[{"attachment":{"data":"' + "QUJD" * 1_500_000 + '"}}]'
    page = page_of(large([entry(0), entry(1, letter), entry(2)]), all_count=True)
    assert [one.full_url for one in page.resources] == ["urn:x:0", "urn:x:1", "urn:x:2"]
    assert page.finding == "answered"


def test_an_entry_too_dense_to_read_over_leaves_what_came_before_and_says_so():
    dense = ',"x":[' + ",".join(["[]"] * 1_000_000) + "]"
    first = [entry(n, ',"x":"' + "y" * 1000 + '"') for n in range(600)]
    page = page_of(large([*first, entry("dense", dense), entry("last")]), all_count=True)
    assert 400 < len(page.resources) <= 600
    assert page.finding == "truncated"
    assert page.notes == ("an entry that holds more than any resource does: the rest of the page is left out",)
    assert page.next is None
    with pytest.raises(TooDense):
        opened(large([entry("dense", dense)]))
    with pytest.raises(SourceMalformed):
        finish(open_bundle(large([entry("dense", dense)])))


def test_more_entries_than_any_record_has_are_left_out_and_said():
    page = page_of(large(["{}"] * 30_000 + [entry(1)]), all_count=True)
    assert page.finding == "truncated"
    assert "more than 10000 entries in one page: the rest is left out" in page.notes


def test_half_an_emoji_in_a_large_bundle_costs_what_holds_it():
    many = [entry(n, ',"x":"' + "y" * 1000 + '"') for n in range(1000)]
    many[500] = entry(500, r',"x":"\ud83d"')
    page = page_of(large(many), all_count=True)
    assert len(page.resources) == 999
    assert page.notes == ("1 entries without a readable resource",)


@pytest.mark.parametrize(
    "body",
    [
        large([entry(n) for n in range(9000)])[:-2],
        large([entry(n) for n in range(9000)])[:-1] + b"]}",
        large([entry(n) for n in range(9000)], ',"entry":[]'),
        large([entry(n) for n in range(9000)], r',"\u0065ntry":[{}]'),
        large([entry(n) for n in range(9000)], ',"type":"searchset"'),
        large([*(entry(n) for n in range(9000)), "1"]),
        b'{"resourceType":"Bundle","link":[' + b",".join([b"{}"] * 100_000) + b"]}",
        b'{"resourceType":"OperationOutcome","issue":[' + b",".join([b"{}"] * 100_000) + b"]}",
        b"<html>" * 100_000,
    ],
    ids=["cut", "beyond", "twice", "twice-escaped", "type-twice", "no-entry", "links", "outcome", "html"],
)
def test_a_large_answer_that_is_not_one_whole_bundle_is_malformed(body):
    with pytest.raises(SourceMalformed):
        page_of(body, all_count=True)


def test_a_mark_of_byte_order_is_passed_over():
    assert len(page_of(b"\xef\xbb\xbf" + large([entry(1)])).resources) == 1


def test_a_long_outcome_among_the_entries_is_one_that_cannot_be_read():
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "exception"}] * 5000}
    page = page_of(large([entry(1), msgspec.json.encode({"resource": outcome}).decode()]))
    assert page.finding == "truncated"
    assert page.notes == ("an OperationOutcome that can't be read",)
