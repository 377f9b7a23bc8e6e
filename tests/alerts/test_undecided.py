"""Policies without a decision are heard of, once a minute for each act, and never in every question of every lookup."""

import structlog

from broker.alerts import Alert, Kind, Undecided


class Told:
    def __init__(self):
        self.alerts = []

    def raise_alert(self, alert):
        self.alerts.append(alert)
        return "a-1"


def test_the_first_is_told_with_the_policies_that_failed_and_the_next_a_minute_later():
    now, told = [0.0], Told()
    undecided = Undecided(told, to=("QKK",), clock=lambda: now[0])
    with structlog.testing.capture_logs() as logged:
        for second in range(0, 120, 5):
            now[0] = float(second)
            undecided("see", ("a-rule", "another"))
    assert told.alerts == [Alert(kind=Kind.UNDECIDABLE, to=("QKK",))] * 2
    assert [line["event"] for line in logged] == ["policies.undecidable"] * 2
    assert logged[0]["policies"] == ["a-rule", "another"]


def test_another_act_is_another_matter():
    told = Told()
    undecided = Undecided(told, clock=lambda: 0.0)
    undecided("see", ())
    undecided("answer", ())
    assert len(told.alerts) == 2
