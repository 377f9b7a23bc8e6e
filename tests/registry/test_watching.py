"""A registrar hears of an agreement that ends once a day in London, whatever starts, stops and restarts."""

import asyncio
from datetime import UTC, datetime

import pytest
import structlog
from sqlalchemy.exc import OperationalError

from broker.alerts import Alert, Kind
from broker.registry import Registry, RegistryWatch
from broker.settings import IssuerSettings, Settings

SETTINGS = Settings(issuers=(IssuerSettings(iss="https://idp.example", demo=True),))


class Told:
    """Alerts that remember what was said once, over all that share it."""

    def __init__(self):
        self.alerts: dict[str, Alert] = {}
        self.asked = asyncio.Event()
        self.broken = False

    async def raise_once(self, alert, mark):
        self.asked.set()
        if self.broken:
            raise OperationalError("", {}, Exception())
        self.alerts.setdefault(mark, alert)


class Clock:
    def __init__(self, *when):
        self.time = datetime(*when, tzinfo=UTC)

    def __call__(self):
        return self.time


@pytest.fixture
def registry(directory, write, manifest):
    write("a.toml", RJ1="RRV", **{"2027-03-31": "2028-03-31", "2027-06-30": "2028-06-30"})
    write("b.toml")
    return Registry.load(directory, known_kinds={"fhir-r4"})


async def watched(registry, told, clock, turns=1):
    """What a watch logs, having looked at least so often."""
    with structlog.testing.capture_logs() as logged:
        async with RegistryWatch(registry, SETTINGS, told, every=0.001, now=clock):
            for _ in range(turns):
                told.asked.clear()
                await asyncio.sleep(0.01)
    return [line for line in logged if line["event"].startswith("registry.")]


async def test_it_is_said_at_the_start_and_raised_for_the_organisation_it_is_about(registry):
    told = Told()
    (line,) = await watched(registry, told, Clock(2027, 3, 10), turns=3)
    assert line["event"] == "registry.notice"
    assert "b.toml: agreement.isa_expires is 2027-03-31" in line["message"]
    assert told.alerts == {"agreement-ending/RJ1/2027-03-10": Alert(kind=Kind.AGREEMENT_ENDING, to=("RJ1",))}


async def test_far_from_its_end_and_after_it_nothing_is_raised(registry):
    told = Told()
    assert await watched(registry, told, Clock(2027, 1, 10)) == []
    assert len(await watched(registry, told, Clock(2027, 4, 10))) == 1  # a note that it has ended
    assert told.alerts == {}


async def test_the_next_day_begins_at_midnight_in_london(registry):
    """On 28 March 2027 the clocks go forward: the 31st begins there at 23:00 UTC of the 30th."""
    told, clock = Told(), Clock(2027, 3, 30, 22, 59, 59)
    with structlog.testing.capture_logs() as logged:
        async with RegistryWatch(registry, SETTINGS, told, every=0.001, now=clock):
            while not told.alerts:
                await asyncio.sleep(0.001)
            assert list(told.alerts) == ["agreement-ending/RJ1/2027-03-30"]
            clock.time = datetime(2027, 3, 30, 23, 0, tzinfo=UTC)
            async with asyncio.timeout(5):
                while len(told.alerts) < 2:
                    await asyncio.sleep(0.001)
    assert list(told.alerts)[1] == "agreement-ending/RJ1/2027-03-31"
    assert ["1 day is left" in line["message"] for line in logged] == [True, False]


async def test_a_store_that_can_not_say_whether_it_was_said_is_asked_again(registry):
    told = Told()
    told.broken = True
    with structlog.testing.capture_logs() as logged:
        async with RegistryWatch(registry, SETTINGS, told, every=0.001, now=Clock(2027, 3, 10)):
            await told.asked.wait()
            told.broken = False
            async with asyncio.timeout(5):
                while not told.alerts:
                    await asyncio.sleep(0.001)
    assert "registry.untold" in [line["event"] for line in logged]
