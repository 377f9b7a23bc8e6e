"""The simulator forgives nothing: what it took from a broker that asks badly would prove nothing."""

import uuid

import aiohttp
import pytest

from .conftest import ASKED, CURRENT, pds_patient
from .simulator import BASE, KEY, simulated

KEPT = {
    "apikey": KEY,
    "Accept": "application/fhir+json",
    "X-Request-ID": "60e0b220-8136-4ca5-ae46-1d97ef59d068",
    "NHSD-End-User-Organisation-ODS": "RJ1",
}


@pytest.fixture
async def pds():
    async with simulated({ASKED: pds_patient()}) as service:
        yield service


async def ask(pds, headers, *, method="GET", path=f"/Patient/{ASKED}"):
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"{pds.base_url}{path}", headers=headers, skip_auto_headers=["Accept"]) as response,
    ):
        return response.status, await response.json(content_type="application/fhir+json")


async def test_whoever_keeps_the_contract_is_answered(pds):
    status, answer = await ask(pds, KEPT)
    assert (status, answer["id"]) == (200, ASKED)


@pytest.mark.parametrize(
    ("name", "value", "status", "code"),
    [
        ("apikey", None, 401, "ACCESS_DENIED"),
        ("apikey", "another", 403, "ACCESS_DENIED"),
        ("X-Request-ID", None, 400, "MISSING_VALUE"),
        ("X-Request-ID", "1", 400, "INVALID_VALUE"),
        ("X-Request-ID", "60e0b22081364ca5ae461d97ef59d068", 400, "INVALID_VALUE"),
        ("Accept", None, 400, "INVALID_VALUE"),
        ("Accept", "application/json", 400, "INVALID_VALUE"),
        ("NHSD-End-User-Organisation-ODS", None, 400, "MISSING_VALUE"),
        ("NHSD-End-User-Organisation-ODS", "rj1", 400, "INVALID_VALUE"),
    ],
)
async def test_whoever_does_not_is_refused(pds, name, value, status, code):
    headers = {**KEPT, name: value}
    got, answer = await ask(pds, {key: one for key, one in headers.items() if one is not None})
    assert (got, answer["issue"][0]["details"]["coding"][0]["code"]) == (status, code)
    assert pds.asked == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/Patient/9990000000", 400),
        ("GET", "/Patient/999", 400),
        ("GET", f"/Patient?identifier={ASKED}", 404),
        ("GET", f"/Patient/{ASKED}?birthdate=1948-03-02", 404),
        ("GET", f"/Patient/{ASKED}/RelatedPerson", 404),
        ("POST", f"/Patient/{ASKED}", 405),
    ],
)
async def test_there_is_nothing_else_to_ask(pds, method, path, status):
    assert (await ask(pds, KEPT, method=method, path=path))[0] == status
    assert pds.asked == []


async def test_one_request_id_is_for_one_number(pds):
    assert (await ask(pds, KEPT))[0] == 200
    assert (await ask(pds, KEPT))[0] == 200  # sent once more
    assert (await ask(pds, KEPT, path=f"/Patient/{CURRENT}"))[0] == 400
    assert (await ask(pds, KEPT | {"X-Request-ID": str(uuid.uuid4())}, path=f"/Patient/{CURRENT}"))[0] == 404


async def test_it_is_below_its_own_base_alone(pds):
    headers = {**KEPT}
    status, _ = await ask(pds, headers, path=f"/..{BASE}x/Patient/{ASKED}")
    assert status == 404
