"""A source that fails is told of once, and so is that it is back."""

import pytest
import structlog

from broker.lookup.values import Status
from broker.lookup.watch import Watch


class Node:
    """A watch and its clock."""

    def __init__(self):
        self.time = 1_000.0
        self.watch = Watch(lambda: self.time)

    def note(self, *statuses, source="RJ1-epr", every=2.0):
        """What is logged while a source has these statuses, one after the other."""
        with structlog.testing.capture_logs() as said:
            for status in statuses:
                self.time += every
                self.watch.note(source, status)
        return [(line["event"], line["source"], line["status"]) for line in said]


@pytest.fixture
def node():
    return Node()


@pytest.mark.parametrize("status", ["unreachable", "failed", "timed-out", "refused", "malformed", "wrong-patient"])
def test_a_source_that_fails_is_told_of_once_and_so_is_that_it_is_back(node, status):
    failing = [Status(status)] * 3
    assert node.note(*failing) == [("source.failed", "RJ1-epr", status)]
    assert node.note(Status.ANSWERED, Status.NO_RECORD_FOUND) == [("source.back", "RJ1-epr", "answered")]
    assert node.note(*failing) == [("source.failed", "RJ1-epr", status)]


def test_a_source_that_was_never_down_is_not_back(node):
    assert node.note(Status.ANSWERED, Status.BUSY, Status.PAUSED) == []


@pytest.mark.parametrize("status", [Status.BUSY, Status.PAUSED, Status.WAITING])
def test_one_that_asks_to_be_left_alone_is_neither(node, status):
    node.note(Status.FAILED)
    assert node.note(status) == []


def test_one_that_fails_now_and_then_does_not_fill_the_log(node):
    said = node.note(*[Status.FAILED, Status.ANSWERED] * 100, every=0.1)
    assert said == [("source.failed", "RJ1-epr", "failed")]


def test_each_source_is_told_of_by_itself(node):
    node.note(Status.FAILED)
    assert node.note(Status.UNREACHABLE, source="RJZ-epr") == [("source.failed", "RJZ-epr", "unreachable")]
