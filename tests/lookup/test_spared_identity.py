"""An identity service that is down is left alone, and never believed to have said something."""

import asyncio

import pytest
import structlog

from broker.errors import IdentityNotConfirmed
from broker.identity import Person
from broker.lookup import SparedIdentity

NUMBER, BORN = "9990000018", "1948-03-02"


class Service:
    """An identity service whose answers are set; an exception is raised."""

    def __init__(self):
        self.asked = 0
        self.status = "answered"
        self.retry_after = None
        self.error = None

    async def resolve(self, number, birth_date, _deadline, _organisation):
        self.asked += 1
        if self.error is not None:
            raise self.error
        return Person.unconfirmed(number, birth_date, self.status, 1, retry_after=self.retry_after)


@pytest.fixture
def service():
    return Service()


@pytest.fixture
def spared(service):
    return SparedIdentity(service, base_url="https://pds.example/FHIR/R4", timeout=1.0)


async def ask(spared, within=5.0):
    return await spared.resolve(NUMBER, BORN, asyncio.get_running_loop().time() + within, "RJ1")


@pytest.mark.parametrize("status", ["failed", "unreachable", "timed-out"])
async def test_a_service_that_is_down_is_paused_after_some_failures(service, spared, status):
    service.status = status
    with structlog.testing.capture_logs() as said:
        seen = [(await ask(spared)).status for _ in range(20)]
    assert seen == [status] * 5 + ["paused"] * 15
    assert service.asked == 5
    assert [(one["event"], one["source"], one["status"]) for one in said] == [("source.failed", "identity", status)]
    person = await ask(spared)
    assert 0 < person.retry_after <= 1
    assert (person.restricted, person.practice, person.patient) == ("unknown", None, None)
    assert person.identity.numbers == (NUMBER,)


@pytest.mark.parametrize("status", ["answered", "patient-not-found", "malformed", "refused", "busy"])
async def test_a_service_that_speaks_is_not_paused(service, spared, status):
    service.status = status
    assert [(await ask(spared)).status for _ in range(20)] == [status] * 20


async def test_a_wrong_birth_date_says_that_the_service_is_well(service, spared):
    service.status = "failed"
    for _ in range(4):
        await ask(spared)
    service.error = IdentityNotConfirmed()
    with pytest.raises(IdentityNotConfirmed):
        await ask(spared)
    service.error = None
    assert [(await ask(spared)).status for _ in range(5)] == ["failed"] * 5


async def test_a_caller_in_a_hurry_says_nothing_of_the_service(service, spared):
    service.status = "timed-out"
    assert [(await ask(spared, within=0.2)).status for _ in range(20)] == ["timed-out"] * 20


async def test_a_service_that_says_when_to_come_back_is_not_asked_before(service, spared):
    service.status, service.retry_after = "busy", 30.0
    assert (await ask(spared)).status == "busy"
    service.status, service.retry_after = "answered", None
    person = await ask(spared)
    assert person.status == "busy"
    assert 29 < person.retry_after <= 30
    assert service.asked == 1


async def test_a_caller_that_leaves_says_nothing_of_the_service(service, spared):
    service.error = asyncio.CancelledError()
    for _ in range(20):
        with pytest.raises(asyncio.CancelledError):
            await ask(spared)
    service.error = None
    assert (await ask(spared)).status == "answered"
