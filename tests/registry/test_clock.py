"""An agreement ends with its last day in London, whatever zone the node is in."""

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from broker.clock import london_day, london_today
from broker.registry import Agreement

AGREEMENT = Agreement(isa_signed=date(2025, 4, 1), isa_expires=date(2027, 3, 31), dspt_expires=date(2027, 10, 31))


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        (datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC), date(2026, 12, 31)),
        (datetime(2027, 1, 1, 0, 0, tzinfo=UTC), date(2027, 1, 1)),
        (datetime(2026, 6, 30, 22, 59, 59, tzinfo=UTC), date(2026, 6, 30)),
        (datetime(2026, 6, 30, 23, 0, tzinfo=UTC), date(2026, 7, 1)),
        # The clocks go forward on 28 March 2027 at 01:00 UTC, and back on 31 October 2027 at 01:00 UTC.
        (datetime(2027, 3, 27, 23, 30, tzinfo=UTC), date(2027, 3, 27)),
        (datetime(2027, 3, 28, 23, 30, tzinfo=UTC), date(2027, 3, 29)),
        (datetime(2027, 10, 30, 23, 30, tzinfo=UTC), date(2027, 10, 31)),
        (datetime(2027, 10, 31, 23, 30, tzinfo=UTC), date(2027, 10, 31)),
        (datetime(2026, 7, 1, 8, 0, tzinfo=timezone(timedelta(hours=9))), date(2026, 7, 1)),
    ],
)
def test_the_day_is_that_of_london(moment, day):
    assert london_day(moment) == day


def test_the_last_day_counts_to_midnight_in_london():
    last_second, after = datetime(2027, 3, 31, 22, 59, 59, tzinfo=UTC), datetime(2027, 3, 31, 23, 0, tzinfo=UTC)
    assert AGREEMENT.in_date(london_day(last_second))
    assert not AGREEMENT.in_date(london_day(after))


def test_the_first_day_counts_from_midnight_in_london():
    before, first_second = datetime(2025, 3, 31, 22, 59, 59, tzinfo=UTC), datetime(2025, 3, 31, 23, 0, tzinfo=UTC)
    assert not AGREEMENT.in_date(london_day(before))
    assert AGREEMENT.in_date(london_day(first_second))


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago", "UTC"])
def test_a_node_in_another_zone_has_the_same_day(zone):
    script = "from datetime import *; from broker.clock import *; print(london_today())"
    before = london_today()
    ran = subprocess.run(
        [sys.executable, "-c", script], env={"TZ": zone}, capture_output=True, text=True, check=True, timeout=60
    )
    assert before <= date.fromisoformat(ran.stdout.strip()) <= london_today()
