"""However much comes, and however it was made to be alike, merging gives the loop its turns and takes linear time."""

import random
import sys
from itertools import chain

import pytest

from broker.lookup.facts import Fact
from broker.lookup.ids import Ids
from broker.lookup.merging.merge import merge
from broker.lookup.sorting import in_order

SNOMED = "http://snomed.info/sct"
IDS = Ids(b"k" * 32, "9990000018")
MANY = 4_000
STRETCH = 1_200
"""Calls between two pauses, at most: a walk over all records would be more."""


def _fact(n, kind="condition", codes=(), names=("thing",), qualifiers=(None,), **more):
    source = "AB"[n % 2]
    return Fact(
        kind,
        f"Condition/{source}.{n:06}.check",
        source,
        f"Trust {source}",
        frozenset((SNOMED, str(code)) for code in codes),
        names,
        qualifiers,
        **more,
    )


def _some(n, seed):
    """Of three qualifiers some, each of few values."""
    chosen = random.Random(seed * 1_000_003 + n)
    return tuple(str(chosen.randrange(30)) if chosen.random() < 0.6 else None for _ in range(3))


def _either(n, one, other):
    return other if n % 2 else one


WORLDS = {
    "plain": lambda n: _fact(n, codes=[n // 2]),
    "one allergy": lambda n: _fact(
        n,
        "allergy",
        [1],
        qualifiers=(),
        standing=_either(n, "active", "resolved"),
        severities=(("criticality", _either(n, "high", "low")), ("reaction", _either(n, "severe", "mild"))),
    ),
    "one problem": lambda n: _fact(
        n, codes=[1], standing=_either(n, "active", "resolved"), since="2020-01-01", until="2021-01-01"
    ),
    "one medicine, said in part": lambda n: _fact(n, "medication", [1], qualifiers=_some(n, 1), standing="active"),
    "one text": _fact,
    "one text, said in part": lambda n: _fact(n, "medication", qualifiers=_some(n, 2)),
    "one text of many codes": lambda n: _fact(n, codes=_either(n // 2, [n // 4], [])),
    "a chain of codes": lambda n: _fact(n, codes=[n, n + 1]),
    "one code of many names": lambda n: _fact(n, codes=_either(n // 2, [1], []), names=(f"{n // 4}",)),
    "none known, and many allergens": lambda n: _fact(
        n, "allergy", [n], (f"allergen {n}",), (), none_known=None if n % 50 else "", standing="active"
    ),
}


def _calls(work):
    """All calls that a generator makes, and the most between two of its pauses."""
    calls = [0]
    longest = before = 0

    def count(_frame, event, _argument):
        if event in {"call", "c_call"}:
            calls[0] += 1

    while True:
        sys.setprofile(count)
        try:
            next(work)
        except StopIteration:
            return calls[0], max(longest, calls[0] - before)
        finally:
            sys.setprofile(None)
        longest, before = max(longest, calls[0] - before), calls[0]


def _merging(world, many):
    facts = [WORLDS[world](n) for n in range(many)]
    random.Random(7).shuffle(facts)
    return _calls(merge(facts, IDS, "sealed"))


@pytest.fixture(scope="module")
def plain():
    return _merging("plain", MANY)[0]


@pytest.mark.parametrize("world", WORLDS)
def test_no_stretch_of_merging_holds_the_loop_and_its_time_is_linear(world, plain):
    calls, longest = _merging(world, MANY)
    assert longest < STRETCH
    assert calls < 4 * plain
    assert calls < 2.6 * _merging(world, MANY // 2)[0]


def test_sorting_pauses_and_sorts():
    items = list(chain(range(5_000, 0, -1), range(3_000)))
    found = []

    def work():
        found.extend((yield from in_order(items, lambda one: -one)))

    assert _calls(work())[1] < STRETCH
    assert found == sorted(items, reverse=True)
