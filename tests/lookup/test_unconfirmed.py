"""Whoever tries dates of birth or numbers learns a few times that they were wrong, and then nothing."""

from dataclasses import replace

import pytest

from adapters.contract import Requester
from broker.errors import TooManyRequests
from broker.lookup import Quota, Quotas
from broker.lookup.quotas import Unconfirmed

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
COLLEAGUE = replace(DOCTOR, subject="2")
NAMESAKE = replace(DOCTOR, issuer="https://other.example")


class Clock:
    time = 1_000.0

    def __call__(self):
        return self.time


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def unconfirmed(clock):
    return Unconfirmed(3, clock)


def test_a_mistake_or_two_costs_nothing(unconfirmed):
    for _ in range(2):
        unconfirmed.note(DOCTOR)
        unconfirmed.check(DOCTOR)


def test_after_the_last_that_is_told_nothing_is_answered_to_this_person(unconfirmed):
    for _ in range(3):
        unconfirmed.note(DOCTOR)
    for act in (unconfirmed.check, unconfirmed.note):
        with pytest.raises(TooManyRequests):
            act(DOCTOR)
    unconfirmed.check(COLLEAGUE)
    unconfirmed.check(NAMESAKE)


def test_it_says_when_the_oldest_is_forgotten_and_then_answers_again(unconfirmed, clock):
    for _ in range(3):
        unconfirmed.note(DOCTOR)
        clock.time += 60
    with pytest.raises(TooManyRequests) as refused:
        unconfirmed.check(DOCTOR)
    assert refused.value.retry_after == 900 - 180
    clock.time += 720
    unconfirmed.check(DOCTOR)
    unconfirmed.note(DOCTOR)
    with pytest.raises(TooManyRequests):
        unconfirmed.check(DOCTOR)


def test_asking_on_makes_it_neither_worse_nor_better(unconfirmed, clock):
    for _ in range(3):
        unconfirmed.note(DOCTOR)
    for _ in range(100):
        clock.time += 8
        with pytest.raises(TooManyRequests):
            unconfirmed.note(DOCTOR)
    clock.time += 101
    unconfirmed.check(DOCTOR)


def test_a_lookup_is_not_begun_and_takes_nothing_from_the_other_bounds(clock):
    plenty = Quota(per_minute=60, at_once=1)
    quotas = Quotas(user=plenty, organisation=plenty, unconfirmed=1, now=clock)
    quotas.unconfirmed.note(DOCTOR)
    for _ in range(100):
        with pytest.raises(TooManyRequests, match="15 minutes"):
            quotas.enter(DOCTOR)
    quotas.enter(COLLEAGUE)()


def test_a_refusal_names_nobody(unconfirmed):
    for _ in range(3):
        unconfirmed.note(DOCTOR)
    with pytest.raises(TooManyRequests) as refused:
        unconfirmed.check(DOCTOR)
    assert "Example" not in str(refused.value)


def test_of_one_number_only_a_few_birth_dates_are_taken_whatever_is_said_of_them(unconfirmed, clock):
    for _ in range(2):
        for day in "1234":
            unconfirmed.take(DOCTOR, "9990000018", f"1948-03-0{day}")
    with pytest.raises(TooManyRequests):
        unconfirmed.take(DOCTOR, "9990000018", "1948-03-05")
    unconfirmed.take(DOCTOR, "9990000018", "1948-03-04")
    unconfirmed.take(DOCTOR, "9990000026", "1948-03-05")
    unconfirmed.take(COLLEAGUE, "9990000018", "1948-03-05")
    clock.time += 901
    unconfirmed.take(DOCTOR, "9990000018", "1948-03-05")


def test_of_whose_birth_dates_were_tried_nothing_legible_is_kept(unconfirmed):
    unconfirmed.take(DOCTOR, "9990000018", "1948-03-02")
    kept = repr(list(unconfirmed._tried.items()))
    assert "9990000018" not in kept
    assert "1948-03-02" not in kept
