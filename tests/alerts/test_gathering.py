"""A flood of one kind is told of once a minute, with a count; what concerns one reader's doing always by itself."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from broker.alerts import Alert, Kind
from broker.alerts.message import Gathering, Message

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def message(number, kind=Kind.WRONG_PATIENT, *, to=("RJ1",), lookup="l-1", source="RJ1-epr"):
    at = NOON + timedelta(seconds=number)
    alert = Alert(kind=kind, to=to, lookup_id=lookup, source=source)
    return Message(id=f"a-{number}", alert=alert, since=at, time=at)


def test_the_first_is_told_at_once_and_the_rest_together_at_the_end_of_the_minute():
    gathering = Gathering(60.0)
    assert gathering.raised(message(1, lookup="l-1"), 0.0)
    assert not any(gathering.raised(message(n, lookup=f"l-{n}"), n / 10) for n in range(2, 500))
    assert gathering.due(59.9) == []
    (told,) = gathering.due(60.0)
    assert (told.id, told.alert.lookup_id, told.count) == ("a-499", "l-499", 498)
    assert (told.since, told.time) == (NOON + timedelta(seconds=2), NOON + timedelta(seconds=499))


def test_a_flood_that_goes_on_is_told_of_once_a_minute():
    gathering = Gathering(60.0)
    told = []
    for second in range(600):
        told += gathering.due(float(second))
        one = message(second)
        if gathering.raised(one, float(second)):
            told.append(one)
    assert len(told) == 10
    assert sum(one.count for one in [*told, *gathering.rest()]) == 600


def test_another_source_is_another_matter():
    gathering = Gathering(60.0)
    assert gathering.raised(message(1, source="RJ1-epr"), 0.0)
    assert gathering.raised(message(2, source="G85001-gp"), 0.0)


@pytest.mark.parametrize("kind", [Kind.OVERRIDE, Kind.SELF_DECLARED, Kind.CONTRADICTED, Kind.CONSENT_THIRD_PARTY])
def test_what_somebody_must_look_at_one_by_one_is_told_one_by_one(kind):
    gathering = Gathering(60.0)
    assert all(gathering.raised(message(n, kind, lookup=f"l-{n}"), 0.0) for n in range(20))


def test_policies_that_decide_nothing_are_one_matter_over_all_lookups():
    gathering = Gathering(60.0)
    told = [gathering.raised(message(n, Kind.UNDECIDABLE, to=(), lookup=f"l-{n}", source=None), 0.0) for n in range(9)]
    assert told.count(True) == 1


def test_what_was_calm_for_a_minute_is_forgotten():
    gathering = Gathering(60.0)
    gathering.raised(message(1), 0.0)
    assert gathering.next() == 60.0
    assert gathering.due(60.0) == []
    assert gathering.next() is None
    assert gathering.raised(message(2), 61.0)


def test_at_the_end_what_is_held_is_not_lost():
    gathering = Gathering(60.0)
    gathering.raised(message(1), 0.0)
    gathering.raised(message(2), 0.0)
    assert [one.id for one in gathering.rest()] == ["a-2"]
    assert gathering.rest() == []


def test_what_is_sent_holds_these_fields_and_no_other():
    assert json.loads(message(1, to=("RYR", "RJ1")).body("node-1")) == {
        "type": "wrong-patient",
        "timestamp": "2026-11-22T12:00:01Z",
        "data": {
            "id": "a-1",
            "node": "node-1",
            "to": ["RJ1", "RYR"],
            "lookup_id": "l-1",
            "source": "RJ1-epr",
            "count": 1,
            "since": "2026-11-22T12:00:01Z",
        },
    }
