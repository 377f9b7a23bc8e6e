"""What policies cost in one lookup: every question of 24 sources by 16 categories."""

import os
import statistics
import time
from collections.abc import Callable, Iterator
from itertools import product

from policies import Policies
from policies.values import Asked, Objection, Reader, SourceState
from tests.bench.world import World

__all__ = ["measure"]

_SOURCES = 24
_PLAIN = (frozenset[str](),)
_LABELLED = (*_PLAIN, frozenset({"R"}), frozenset({"PSY"}))
"""What sources put on what they give."""
_ROUNDS = {False: 200, True: 50}
_TARGET_MS = 3.0


async def measure(_: World, core: int, _load_core: int, *, quick: bool, say: Callable[[str], None]) -> None:
    """Print the table."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        _measure(quick=quick, say=say)
    finally:
        os.sched_setaffinity(0, before)


def _measure(*, quick: bool, say: Callable[[str], None]) -> None:
    policies, others = Policies.load(None), Policies.load(None)
    categories = len(policies.tables.categories)
    plain = [_lookup(others, reader, _PLAIN) for reader in _readers(others)]
    labelled = [_lookup(policies, reader, _LABELLED) for reader in _readers(policies)]
    kept = [_lookup(policies, next(_readers(policies)), _LABELLED) for _ in range(_ROUNDS[quick])]
    say(f"{_SOURCES} sources x {categories} categories; ms for all of one lookup")
    say(f"{'':<52}{'p50':>8}{'p99':>8}{'worst':>8}{'n':>6}")
    for name, taken in (
        ("a reader in a state never met before, no labels", plain),
        (f"the same, with {len(_LABELLED)} labels", labelled),
        ("one whose decisions are kept, with labels", kept),
    ):
        taken.sort()
        say(
            f"{name:<52}{statistics.median(taken):>8.2f}{taken[int(0.99 * (len(taken) - 1))]:>8.2f}{taken[-1]:>8.2f}"
            f"{len(taken):>6}"
        )
    verdict = "target met" if statistics.median(kept) < _TARGET_MS else "MISSED"
    say(f"kept, below {_TARGET_MS:g} ms a lookup: {verdict}")


def _readers(policies: Policies) -> Iterator[Reader]:
    """Every state there is of somebody who may ask: each is met once in the life of a node."""
    purposes = (("TREAT", "encounter"), ("TREAT", "referral"), ("ETREAT", "registration"))
    for role, (purpose, relationship) in product(policies.tables.roles, purposes):
        reader = Reader(role=role, purpose=purpose, relationship=relationship, taking_part=True)
        if policies.tables.roles[role].sees:
            yield reader


def _lookup(policies: Policies, reader: Reader, labels: tuple[frozenset[str], ...]) -> float:
    """Ask all that one lookup asks, as it asks it; milliseconds."""
    began = time.perf_counter()
    policies.may_ask(reader)
    policies.may_locate("unknown", reader=reader, sensitive=False)
    states = [SourceState(agreement=True, own=n == 0, objection=Objection.NONE) for n in range(_SOURCES)]
    policies.may_answer(reader, states)
    for _ in range(_SOURCES):
        questions = [Asked(category, found) for category, found in product(policies.tables.categories, labels)]
        policies.may_see(reader, questions)
    return 1000 * (time.perf_counter() - began)
