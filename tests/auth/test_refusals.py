"""A flood of bad tokens is counted whole and recorded seldom."""

from broker.auth import Refusals

from .conftest import Clock


def test_an_address_costs_one_record_a_second_and_the_next_says_how_many_there_were():
    timer = Clock(0.0)
    refusals = Refusals(timer=timer)
    assert refusals.due("192.0.2.1") == 1
    assert [refusals.due("192.0.2.1") for _ in range(999)] == [None] * 999
    timer.now = 0.9
    assert refusals.due("192.0.2.1") is None
    timer.now = 1.0
    assert refusals.due("192.0.2.1") == 1001


def test_a_second_address_has_its_own_record():
    refusals = Refusals(timer=Clock(0.0))
    assert refusals.due("192.0.2.1") == 1
    assert refusals.due("192.0.2.2") == 1
    assert refusals.due("192.0.2.1") is None


def test_a_flood_from_everywhere_is_bounded_in_records_and_in_memory_and_none_is_lost():
    timer = Clock(0.0)
    refusals = Refusals(timer=timer, most=10)
    recorded = []
    for second in range(5):
        timer.now = float(second)
        due = [refusals.due(f"2001:db8::{number:x}") for number in range(1000)]
        recorded += [count for count in due if count is not None]
        assert len(refusals._recorded) <= 10
    assert len(recorded) == 50
    assert sum(recorded) + refusals.outstanding() == 5000
    assert refusals.outstanding() == 0
