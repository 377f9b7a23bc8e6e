"""A program that has run away meets its bounds; a ward that is busy never does."""

from dataclasses import replace

import pytest
import structlog

from adapters.contract import Requester
from broker.errors import TooManyRequests
from broker.lookup import Quota, Quotas

DOCTOR = Requester(
    issuer="https://ehr.example",
    subject="1",
    name="Dr A Example",
    organisation="RJ1",
    organisation_name="",
    role_system="",
    role_code="R8000",
    purpose="TREAT",
    client="",
    token_id="",
)
NURSE = replace(DOCTOR, subject="2")
NAMESAKE = replace(DOCTOR, issuer="https://other.example", organisation="RJZ")


class Node:
    """Bounds and their clock."""

    def __init__(self, user=(60, 3), organisation=(600, 10)):
        self.time = 1_000.0
        quotas = [Quota(per_minute=minute, at_once=once) for minute, once in (user, organisation)]
        self.quotas = Quotas(user=quotas[0], organisation=quotas[1], now=lambda: self.time)

    def one(self, who=DOCTOR):
        """A lookup that is over at once."""
        self.quotas.enter(who)()

    def many(self, most, who=DOCTOR):
        """How many of these are let in, one after the other."""
        for n in range(most):
            try:
                self.one(who)
            except TooManyRequests:
                return n
        return most


def test_as_many_at_once_as_one_person_may_and_then_none():
    node = Node()
    leave = [node.quotas.enter(DOCTOR) for _ in range(3)]
    with pytest.raises(TooManyRequests) as refused:
        node.quotas.enter(DOCTOR)
    assert (refused.value.code, refused.value.status) == ("too-many-requests", 429)
    assert refused.value.retry_after
    leave[0]()
    node.quotas.enter(DOCTOR)


def test_one_person_is_told_from_another_by_issuer_and_subject():
    node = Node()
    for _ in range(3):
        node.quotas.enter(DOCTOR)
    node.one(NURSE)
    node.one(NAMESAKE)


def test_a_minutes_worth_may_be_used_at_one_go_and_comes_back_evenly():
    node = Node()
    assert node.many(1000) == 60
    node.time += 10
    assert node.many(1000) == 10
    node.time += 3600
    assert node.many(1000) == 60, "no more than a minute's worth is saved"


def test_a_refusal_says_when_the_next_is_let_in_and_takes_nothing():
    node = Node()
    node.many(60)
    for _ in range(100):
        with pytest.raises(TooManyRequests) as refused:
            node.one()
    node.time += refused.value.retry_after
    node.one()


def test_an_organisation_has_bounds_of_its_own_over_all_its_staff():
    node = Node(organisation=(4, 10))
    for n in range(4):
        node.one(replace(DOCTOR, subject=str(n)))
    with pytest.raises(TooManyRequests, match="one organisation"):
        node.one(replace(DOCTOR, subject="somebody who has asked for nothing yet"))
    node.one(NAMESAKE)


def test_who_meets_the_bounds_of_their_organisation_has_used_nothing_of_their_own():
    node = Node(user=(2, 3), organisation=(1, 10))
    node.one(NURSE)
    for _ in range(10):
        assert node.many(1) == 0
    node.time += 60
    node.one()


def test_the_operator_is_told_once_a_second_and_never_of_whom():
    node = Node()
    node.many(60)
    with structlog.testing.capture_logs() as said:
        for _ in range(100):
            assert node.many(1) == 0
        node.time += 0.5
        node.many(1)
        node.time += 0.6
        node.many(2)
    counts = [line["count"] for line in said]
    assert said[0] == {"event": "lookup.too-many", "whose": "person", "count": 1, "log_level": "warning"}
    assert len(counts) == 2
    assert counts[1] >= 100


def test_a_steady_ward_is_never_held_up():
    """Ten people of one organisation, each with a lookup every second, for an hour: far above what people do."""
    node = Node(user=(120, 16), organisation=(3000, 64))
    for _ in range(3600):
        node.time += 1
        for n in range(10):
            node.one(replace(DOCTOR, subject=str(n)))


def test_only_those_who_are_bounded_at_present_are_remembered():
    node = Node(organisation=(1_000_000, 100_000))
    for n in range(30_000):
        node.one(replace(DOCTOR, subject=str(n)))
    assert len(node.quotas._user._buckets) <= 20_000
    assert not node.quotas._user._running
