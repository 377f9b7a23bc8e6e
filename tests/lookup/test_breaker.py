"""A source that is down costs nobody time, and comes back by one call."""

import asyncio
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.errors import SourceUnreachable
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

    def call(self, status, url=URL):
        self.breakers.enter(url)
        self.breakers.note(url, status)

    def is_open(self, url=URL):
        try:
            self.breakers.enter(url)
        except Paused:
            return True
        self.breakers.note(url, None)
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
    for _ in range(40):
        node.breakers.enter(URL)
    for _ in range(40):
        node.breakers.note(URL, Status.TIMED_OUT)
    assert node.pause() <= 1.0


def test_after_the_pause_one_call_probes_and_the_others_wait(node):
    node.fail()
    node.time += 2
    node.breakers.enter(URL)
    assert node.is_open()
    node.breakers.note(URL, Status.ANSWERED)
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
    node.breakers.enter(URL)
    node.breakers.note(URL, None)
    node.breakers.enter(URL)
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
        node.breakers.enter(URL)
        node.breakers.note(URL, Status.UNREACHABLE, connected=True)
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
    node.breakers.enter(BESIDE)
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
    early = node.breakers.enter(URL)
    node.fail(Status.UNREACHABLE)
    node.time += 100
    assert node.breakers.enter(URL)
    node.breakers.note(URL, None, probe=early)
    with pytest.raises(Paused):
        node.breakers.enter(URL)
