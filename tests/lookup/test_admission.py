"""Who runs, who waits, and that everything which was taken is given back once."""

import asyncio
import contextlib

import pytest
import structlog
from hypothesis import example, given
from hypothesis import strategies as st

from broker.errors import Overloaded
from broker.lookup.admission import Admission

MB = 1_000_000


def soon():
    return asyncio.get_running_loop().time() + 5


async def settled():
    for _ in range(10):
        await asyncio.sleep(0)


class Order:
    """Lookups that apply, and the order in which their turn comes."""

    def __init__(self, admission):
        self.admission = admission
        self.came = []
        self.tasks = []

    def apply(self, name):
        place = self.admission.apply()

        async def wait():
            await place.admitted(soon())
            self.came.append(name)

        self.tasks.append(asyncio.create_task(wait()))
        return place

    async def end(self):
        for task in self.tasks:
            task.cancel()
        await asyncio.wait(self.tasks)


@pytest.fixture
async def order():
    orders = []

    def make(**bounds):
        orders.append(Order(Admission(**({"concurrency": 2, "memory": 1000 * MB} | bounds))))
        return orders[-1]

    yield make
    for one in orders:
        await one.end()


async def test_those_who_wait_run_in_the_order_in_which_they_came(order):
    node = order()
    places = {name: node.apply(name) for name in "abcd"}
    await settled()
    assert node.came == ["a", "b"]
    places["b"].end()
    await settled()
    assert node.came == ["a", "b", "c"]
    places["a"].settle()
    await settled()
    assert node.came == ["a", "b", "c", "d"]


async def test_a_queue_that_is_full_turns_away_at_once(order):
    node = order()
    for name in "abcd":
        node.apply(name)
    with pytest.raises(Overloaded) as refused:
        node.apply("e")
    assert refused.value.retry_after


async def test_one_who_leaves_the_queue_takes_nobodys_turn(order):
    node = order(concurrency=1)
    running, leaving = node.apply("a"), node.apply("b")
    leaving.end()
    third = node.apply("c")
    running.end()
    await settled()
    assert node.came == ["a", "c"]
    third.end()
    assert node.admission.claimed == 0


async def test_a_turn_that_does_not_come_in_time_is_given_up():
    admission = Admission(concurrency=1, memory=MB)
    running, waiting = admission.apply(), admission.apply()
    with pytest.raises(Overloaded):
        await waiting.admitted(asyncio.get_running_loop().time() + 0.01)
    running.end()
    assert admission.claimed == 0
    await admission.empty()


async def test_beyond_the_memory_new_ones_wait_and_those_that_run_go_on(order):
    node = order(concurrency=10, memory=10 * MB)
    big = node.apply("big")
    big.hold(30 * MB)
    waiting = node.apply("waiting")
    await settled()
    assert node.came == ["big"]
    big.hold(5 * MB)
    assert node.admission.claimed == 35 * MB
    big.let_go(30 * MB)
    await settled()
    assert node.came == ["big", "waiting"]
    waiting.end()


async def test_a_reply_that_has_not_left_counts_though_its_lookup_runs_no_more(order):
    node = order(concurrency=1, memory=10 * MB)
    sent = node.apply("sent")
    sent.hold(12 * MB)
    node.apply("next")
    sent.settle()
    await settled()
    assert node.came == ["sent"], "it holds what it holds until its reader has it"
    sent.end()
    await settled()
    assert node.came == ["sent", "next"]


async def test_what_lookups_took_on_average_is_reserved_so_that_many_do_not_begin_below_the_cap_together(order):
    node = order(concurrency=100, memory=100 * MB)
    for _ in range(60):
        one = node.admission.apply()
        one.hold(20 * MB)
        one.end()
    together = [node.apply(n) for n in range(20)]
    await settled()
    assert len(node.came) == 5, "each is expected to take about 20 MB, before any has taken a byte"
    for one in together[:5]:
        one.hold(20 * MB)
    assert node.admission.claimed <= 101 * MB


async def test_one_alone_always_begins_however_small_the_cap(order):
    node = order(memory=1)
    first = node.apply("a")
    node.apply("b")
    await settled()
    assert node.came == ["a"]
    first.end()
    await settled()
    assert node.came == ["a", "b"]


async def test_what_was_taken_with_a_place_is_given_back_once_when_it_ends(order):
    node, left = order(concurrency=1), []
    node.apply("running")
    place = node.admission.apply(lambda: left.append("left"))
    place.settle()
    assert not left
    place.end()
    place.end()
    assert left == ["left"]


async def test_the_operator_is_told_which_bound_was_met_once_a_second():
    crowded, small = Admission(concurrency=1, memory=1000 * MB), Admission(concurrency=3, memory=1)
    with structlog.testing.capture_logs() as said:
        for node in (crowded, crowded, crowded, crowded, small, small, small, small, small):
            with contextlib.suppress(Overloaded):
                node.apply()
    assert [(line["event"], line["setting"]) for line in said] == [
        ("lookup.overloaded", "[lookup] concurrency"),
        ("lookup.overloaded", "[lookup] memory"),
    ]


async def test_what_is_held_after_the_end_counts_no_more():
    admission = Admission(concurrency=1, memory=MB)
    place = admission.apply()
    place.end()
    place.hold(MB)
    place.let_go(3)
    assert admission.claimed == 0


_steps = st.lists(
    st.tuples(
        st.sampled_from(["apply", "wait", "hold", "let_go", "settle", "end"]), st.integers(0, 5), st.integers(0, 9)
    ),
    max_size=60,
)


@given(_steps)
@example([("apply", 0, 0), ("hold", 0, 3), ("apply", 0, 0), ("hold", 1, 1)])
def test_whatever_happens_everything_is_given_back_and_nobody_is_forgotten(steps):
    """Places end, settle, wait in vain and hold in any order, more than once."""

    async def run():
        admission = Admission(concurrency=2, memory=3 * MB)
        places, held = [], {}
        for step, which, size in steps:
            if step == "apply":
                try:
                    places.append(admission.apply())
                except Overloaded:
                    continue
            elif places:
                place = places[which % len(places)]
                if step == "wait":
                    with contextlib.suppress(Overloaded):
                        await place.admitted(0)
                elif step == "hold":
                    place.hold(size * MB)
                    held[place] = held.get(place, 0) + size * MB
                elif step == "let_go":
                    place.let_go(min(held.get(place, 0), size * MB))
                    held[place] = max(0, held.get(place, 0) - size * MB)
                else:
                    getattr(place, step)()
            assert admission.claimed >= 0
            assert admission._running <= 2
        for place in places:
            place.end()
            place.end()
        assert (admission.claimed, admission._running, len(admission._waiting)) == (0, 0, 0)
        async with asyncio.timeout(1):
            await admission.empty()

    asyncio.run(run())
