"""A source that is down costs nobody time, and comes back by one call."""

import asyncio
import contextlib
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract import Learned
from adapters.errors import SourceUnreachable
from adapters.findings import Finding
from broker.lookup.breaker import Breakers, Paused
from broker.lookup.fanout import ask
from broker.lookup.values import Status

URL = "https://proxy.example/practice-1/fhir"
BESIDE = "https://proxy.example/practice-2/fhir"
ELSEWHERE = "https://other.example/fhir"


class Node:
    """Breakers and their clock."""

    def __init__(self):
        self.time = 1_000.0
        self.breakers = Breakers(lambda: self.time)

    def enter(self, url=URL):
        return self.breakers.enter(url)

    def note(self, call, status, **how):
        self.breakers.note(call, status, **how)

    def call(self, status, url=URL, **how):
        self.note(self.enter(url), status, **how)

    def is_open(self, url=URL):
        try:
            call = self.enter(url)
        except Paused:
            return True
        self.note(call, None)
        return False

    def pause(self, url=URL):
        with pytest.raises(Paused) as paused:
            self.breakers.enter(url)
        return paused.value.retry_after

    def fail(self, status=Status.FAILED, url=URL, times=5):
        for _ in range(times):
            self.call(status, url)


@pytest.fixture
def node():
    return Node()


@pytest.mark.parametrize("status", [Status.FAILED, Status.TIMED_OUT, Status.UNREACHABLE])
def test_failures_in_a_row_pause_a_source(node, status):
    node.fail(status, times=4)
    assert not node.is_open()
    node.call(status)
    assert node.is_open()


@pytest.mark.parametrize(
    "status",
    [Status.ANSWERED, Status.REFUSED, Status.BUSY, Status.MALFORMED, Status.WRONG_PATIENT, Status.PATIENT_NOT_FOUND],
)
def test_an_answer_of_any_kind_forgets_them(node, status):
    node.fail(times=4)
    node.call(status)
    node.fail(times=4)
    assert not node.is_open()


def test_a_call_that_its_caller_left_says_nothing(node):
    node.fail(times=4)
    for _ in range(10):
        node.call(None)
    assert not node.is_open()
    node.call(Status.FAILED)
    assert node.is_open()


def test_a_paused_source_says_when_it_is_tried_again_and_it_is(node):
    node.fail()
    node.time += node.pause() - 0.001
    assert node.is_open()
    node.time += 0.001
    assert not node.is_open()


def test_the_pause_doubles_with_jitter_up_to_a_cap(node):
    node.fail()
    pauses = [node.pause()]
    for _ in range(12):
        node.time += node.pause()
        node.call(Status.FAILED)
        pauses.append(node.pause())
    for n, pause in enumerate(pauses):
        span = min(60.0, 2.0**n)
        assert span / 2 <= pause <= span + 1e-6
    assert len({round(pause, 6) for pause in pauses[7:]}) > 1


def test_calls_that_fail_side_by_side_count_as_one_outage(node):
    for call in [node.enter() for _ in range(40)]:
        node.note(call, Status.TIMED_OUT)
    assert node.pause() <= 1.0


def test_after_the_pause_one_call_probes_and_the_others_wait(node):
    node.fail()
    node.time += 2
    probe = node.enter()
    assert node.is_open()
    node.note(probe, Status.ANSWERED)
    assert not node.is_open()
    node.fail(times=4)
    assert not node.is_open()


def test_a_probe_that_fails_pauses_for_longer_at_once(node):
    node.fail()
    node.time += 2
    node.call(Status.FAILED)
    assert 1.0 <= node.pause() <= 2.0


def test_a_probe_that_was_cancelled_leaves_the_next_to_probe(node):
    node.fail()
    node.time += 2
    node.note(node.enter(), None)
    node.enter()
    assert node.is_open()


def test_failures_to_connect_count_for_the_whole_host(node):
    node.fail(Status.UNREACHABLE)
    assert node.is_open(BESIDE)
    assert not node.is_open(ELSEWHERE)


def test_failures_to_connect_from_many_practices_behind_one_proxy_add_up(node):
    for n in range(5):
        node.call(Status.UNREACHABLE, f"https://proxy.example/practice-{n}/fhir")
    assert node.is_open("https://proxy.example/practice-9/fhir")


@pytest.mark.parametrize("status", [Status.FAILED, Status.TIMED_OUT])
def test_other_failures_count_for_the_source_alone(node, status):
    node.fail(status)
    assert node.is_open()
    assert not node.is_open(BESIDE)


def test_a_source_that_is_connected_to_and_drops_the_connection_pauses_itself_alone(node):
    for _ in range(5):
        node.call(Status.UNREACHABLE, connected=True)
    assert node.is_open()
    assert not node.is_open(BESIDE)


@pytest.mark.parametrize("connected", [True, False])
async def test_an_answer_tells_the_breaker_whether_the_source_was_connected_to(connected):
    class Dropping:
        async def fetch(self, _request):
            raise SourceUnreachable(connected=connected)
            yield

    request = SimpleNamespace(deadline=asyncio.get_running_loop().time() + 4)
    answer = await ask(Dropping(), request)
    assert (answer.failure, answer.connected) == (Status.UNREACHABLE, connected)


def test_another_port_is_another_host(node):
    node.fail(Status.UNREACHABLE)
    assert not node.is_open("https://proxy.example:8443/practice-1/fhir")


def test_one_practice_that_can_be_connected_to_brings_the_host_back(node):
    node.fail(Status.UNREACHABLE)
    node.time += 2
    node.call(Status.ANSWERED, BESIDE)
    assert not node.is_open("https://proxy.example/practice-3/fhir")


def test_one_practice_behind_a_proxy_probes_for_the_host_while_others_wait(node):
    node.fail(Status.UNREACHABLE)
    node.time += 2
    node.enter(BESIDE)
    assert node.is_open()
    assert node.is_open("https://proxy.example/practice-3/fhir")


_steps = st.lists(
    st.tuples(st.sampled_from([URL, BESIDE]), st.none() | st.sampled_from(Status), st.floats(0, 90)), max_size=60
)


@given(_steps)
def test_no_history_pauses_a_source_for_longer_than_the_cap(steps):
    node = Node()
    told = []
    for url, status, passes in steps:
        try:
            node.call(status, url)
        except Paused as paused:
            told.append(paused.retry_after)
        node.time += passes
    assert all(0 < pause <= 60.0 for pause in told)
    node.time += 60.0
    assert not node.is_open(URL)
    assert not node.is_open(BESIDE)


def test_a_call_from_before_the_outage_that_leaves_does_not_let_a_second_probe_in(node):
    early = node.enter()
    node.fail(Status.UNREACHABLE)
    node.time += 100
    node.enter()
    node.note(early, None)
    assert node.is_open()


@pytest.mark.parametrize("status", [Status.TIMED_OUT, Status.FAILED, Status.UNREACHABLE])
def test_a_call_from_before_the_outage_that_fails_decides_nothing_while_another_probes(node, status):
    early = node.enter()
    node.fail(status)
    node.time += 100
    probe = node.enter()
    node.note(early, status)
    assert node.pause() == 1.0, "the probe is still out: it is not paused for longer"
    node.note(probe, Status.ANSWERED)
    assert not node.is_open()


def test_a_probe_of_one_practice_that_leaves_is_no_word_about_the_probe_of_its_host(node):
    """Each breaker knows its own probe."""
    node.fail(Status.FAILED)
    node.time += 2
    own = node.enter()
    node.fail(Status.UNREACHABLE, BESIDE)
    node.time += 2
    node.enter(BESIDE)
    node.note(own, None)
    assert node.is_open("https://proxy.example/practice-3/fhir")
    assert node.is_open(BESIDE)


def test_the_probe_of_an_outage_that_is_over_says_nothing_of_the_next(node):
    node.fail()
    node.time += 2
    late = node.enter()
    node.note(late, Status.ANSWERED)
    node.fail()
    node.time += 2
    node.enter()
    node.note(late, None)
    assert node.is_open()


_moves = st.lists(
    st.tuples(
        st.sampled_from(["begin", "end"]),
        st.sampled_from([URL, BESIDE]),
        st.none() | st.sampled_from([Status.UNREACHABLE, Status.TIMED_OUT]),
        st.integers(0, 7),
        st.floats(0, 3),
    ),
    max_size=80,
)


@given(_moves)
def test_after_a_pause_never_more_than_one_call_is_out(moves):
    """Whoever overlaps with whom, leaves or fails, while nobody is reached: a 500 would show that the host is there."""
    node = Node()
    node.fail()
    node.fail(Status.UNREACHABLE, BESIDE)
    out = []
    for move, url, status, which, passes in moves:
        if move == "begin":
            with contextlib.suppress(Paused):
                out.append(node.enter(url))
        elif out:
            node.note(out.pop(which % len(out)), status)
        node.time += passes
        assert len(out) <= 1, "both addresses are behind one host that is down"


@pytest.mark.parametrize(("busy", "status"), [(True, Status.BUSY), (False, Status.PAUSED)])
def test_a_source_that_says_when_to_come_back_is_not_asked_before(node, busy, status):
    node.call(Status.BUSY if busy else Status.FAILED, retry_after=30.0, busy=busy)
    with pytest.raises(Paused) as paused:
        node.enter()
    assert (paused.value.status, paused.value.retry_after) == (status, 30.0)
    node.time += 29.9
    assert node.is_open()
    assert not node.is_open(BESIDE), "it spoke for itself"
    node.time += 0.2
    calls = [node.enter() for _ in range(3)]
    assert len(calls) == 3, "it was not down: nobody has to probe"


def test_a_source_is_left_alone_for_five_minutes_at_most(node):
    node.call(Status.BUSY, retry_after=86_400.0, busy=True)
    assert node.pause() == 300.0


def test_the_longest_time_that_a_source_asked_for_counts(node):
    first, second, third = node.enter(), node.enter(), node.enter()
    node.note(first, Status.BUSY, retry_after=60.0, busy=True)
    node.note(second, Status.BUSY, retry_after=1.0, busy=True)
    node.note(third, Status.ANSWERED)
    assert node.pause() == 60.0


async def test_an_answer_tells_what_the_source_asked_for_in_a_part_of_it():
    class Throttling:
        async def fetch(self, _request):
            yield Learned(frozenset({"Condition"}), Finding.BUSY, retry_after=7.0)
            yield Learned(frozenset({"AllergyIntolerance"}), Finding.ANSWERED)

    request = SimpleNamespace(deadline=asyncio.get_running_loop().time() + 4)
    answer = await ask(Throttling(), request)
    assert (answer.failure, answer.busy, answer.rest) == (None, True, 7.0)


def test_a_probe_whose_word_can_not_be_taken_down_leaves_the_next_to_probe(node):
    node.fail()
    node.time += 2
    with pytest.raises(TypeError):
        node.note(node.enter(), Status.BUSY, retry_after="5")
    with pytest.raises(TypeError):
        node.note(node.enter(), [])
    assert not node.is_open()
