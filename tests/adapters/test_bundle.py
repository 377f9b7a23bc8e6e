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


@pytest.mark.parametrize("beside", ["letter", "inside", "numbers"])
def test_half_an_emoji_costs_what_holds_it_whatever_stands_beside_it(beside):
    letter = ',"data":"' + "QUJD" * 200_000 + '"'
    numbers = ',"y":[' + "1.50," * 100_000 + "1]"
    half = r',"x":"\ud83d"'
    more = {"letter": (half, letter), "inside": (half + letter, ""), "numbers": (half + numbers, numbers)}[beside]
    page = page_of(large([entry(0), entry(1, more[0]), entry(2, more[1]), entry(3)]), all_count=True)
    assert [one.full_url for one in page.resources] == ["urn:x:0", "urn:x:2", "urn:x:3"]
    assert page.notes == ("1 entries without a readable resource",)
    assert bytes(page.resources[1].content) in large([entry(2, more[1])])


def test_only_a_half_is_lost_and_not_a_whole_emoji_or_an_escaped_backslash():
    texts = [
        r"\ud83d\ude00",
        r"\\ud83d",
        r"\\\ud83d\ude00\ud83d",
        r"\ude00\ud83d",
        r"\\\\ude00",
        r"\ud83d\ud83d\ude00",
        r"\uD83D x",
    ]
    whole = page_of(large([entry(n, f',"x":"{text}"') for n, text in enumerate(texts)]), all_count=True)
    assert [one.full_url for one in whole.resources] == ["urn:x:0", "urn:x:1", "urn:x:4"]


def test_more_halves_than_any_text_holds_are_not_sorted_out():
    with pytest.raises(SourceMalformed):
        page_of(large([entry(0, ',"x":"' + r"\ud83d" * 60_000 + '"')]))


@pytest.mark.parametrize("n", [1, 900], ids=["small", "large"])
def test_what_follows_the_entries_may_be_full_of_brackets(n):
    links = [{"relation": one, "url": "?a[]=1&b[]=2&c[]=3"} for one in ("self", "first", "last", "next")]
    meta = {"tag": [], "security": [], "extension": [{"url": "a", "extension": [{"url": "b", "extension": []}]}]}
    own = {"link": links, "meta": meta, "signature": {"type": [{"code": "x"}], "extension": [{}]}, "total": n}
    body = large([entry(i, ',"x":"' + "y" * 900 + '"') for i in range(n)], "," + json.dumps(own)[1:-1])
    page = page_of(body, all_count=True)
    assert (len(page.resources), page.next, page.total) == (n, "?a[]=1&b[]=2&c[]=3", n)


LETTER = ',"data":"' + "QUJD" * 50_000 + '"'


def test_a_long_resource_says_what_it_is_wherever_it_says_it():
    late = '{"resource":{"id":"1"' + LETTER + ',"resourceType":"DocumentReference"}}'
    page = page_of(large([late, late], ',"total":2'), kind="DocumentReference")
    assert page.finding == "answered"
    assert page.names == {"DocumentReference/1"}, "one that is given twice counts once"


@pytest.mark.parametrize(
    "body",
    [
        {"resourceType": "Bundle"},
        {"resourceType": "Bundle", "entry": []},
        {"resourceType": "Bundle", "total": 3},
        {"resourceType": "Bundle", "type": "collection", "entry": []},
        {"resourceType": "Bundle", "type": "batch-response"},
        {"resourceType": "Bundle", "type": "searchset", "entry": None},
        {"resourceType": "Bundle", "type": "searchset", "total": 0, "entry": None},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["Condition", None], ids=["search", "everything"])
def test_a_bundle_without_entries_that_does_not_say_it_is_a_search_is_malformed(body, kind):
    with pytest.raises(SourceMalformed):
        page_of(json.dumps(body).encode(), kind=kind, all_count=kind is None)


@pytest.mark.parametrize("said", [{"type": "searchset"}, {"type": "searchset", "total": 0, "entry": []}, {"total": 0}])
def test_an_empty_answer_of_a_search_is_one(said):
    assert page_of(json.dumps({"resourceType": "Bundle"} | said).encode(), kind="Condition").finding == "answered"


@pytest.mark.parametrize(("kind", "finding"), [("Observation", "truncated"), (None, "answered")])
def test_a_collection_is_an_answer_for_a_whole_record_and_not_for_a_search(kind, finding):
    page = page_of(large([entry(1)]).replace(b"searchset", b"collection"), kind=kind)
    assert (len(page.resources), page.finding) == (1, finding)
