"""The national service, asked as its contract says and believed exactly as far as it goes."""

import asyncio
import contextlib
import datetime as dt
import json
import logging
from pathlib import Path

import pytest
from aiohttp import web

from adapters.contract import Auth
from adapters.transport import Transport
from broker.errors import IdentityNotConfirmed
from broker.identity import PdsIdentity
from broker.identity.pds import MOST_BYTES

from .conftest import ASKED, BORN, CURRENT, OLDER, STRANGER, labelled, pds_patient
from .simulator import KEY, Simulator, hangs, outcome, resets, says, simulated, stops_half_way

TODAY = dt.date(2026, 11, 22)
PDS = Path(__file__).parents[3] / "shared" / "data" / "pds-r4"
API_KEY = Auth(kind="api-key", settings={"header": "apikey", "key": KEY})


class Broker:
    """The side of the broker."""

    def __init__(self, transport, service, **options):
        given = {"base_url": service.base_url, "auth": API_KEY, "timeout": 2.0, "today": lambda: TODAY} | options
        self.identity = PdsIdentity(transport, **given)

    async def ask(self, number=ASKED, birth_date=BORN, *, within=5.0, organisation="RJ1"):
        deadline = asyncio.get_running_loop().time() + within
        return await self.identity.resolve(number, birth_date, deadline, organisation)


@pytest.fixture
async def pds():
    async with simulated() as service:
        yield service


@pytest.fixture
async def transport():
    async with Transport() as pool:
        yield pool


@pytest.fixture
def broker(pds, transport):
    return Broker(transport, pds)


def nothing_is_known(person, status):
    assert person.status == status
    assert person.identity.numbers == (ASKED,)
    assert (person.restricted, person.practice, person.deceased, person.patient) == ("unknown", None, None, None)


# The contract.


async def test_a_known_patient_is_confirmed(pds, broker):
    pds.records[ASKED] = pds_patient(deceasedDateTime="2026-10-22")
    person = await broker.ask()
    assert (person.status, person.restricted, person.practice) == ("answered", "no", "G85001")
    assert (person.identity.numbers, person.identity.birth_date) == ((ASKED,), BORN)
    assert person.deceased == person.patient["deceasedDateTime"] == "2026-10-22"
    assert person.patient["name"] == [{"use": "usual", "given": ["Ada"], "family": "Okafor"}]
    assert pds.faults == []


async def test_each_request_has_an_id_of_its_own_and_names_the_readers_organisation(pds, broker):
    pds.records[ASKED] = pds_patient()
    for organisation in ("RJ1", "RJZ", "G85001"):
        await broker.ask(organisation=organisation)
    assert [one.organisation for one in pds.asked] == ["RJ1", "RJZ", "G85001"]
    assert len({one.request_id for one in pds.asked}) == 3
    assert pds.faults == []


async def test_an_operator_may_name_the_organisation_that_has_the_access(pds, transport):
    pds.records[ASKED] = pds_patient()
    assert (await Broker(transport, pds, organisation="QKK").ask()).status == "answered"
    assert [one.organisation for one in pds.asked] == ["QKK"]


@pytest.mark.parametrize(
    ("auth", "status"), [(Auth(), 401), (Auth(kind="api-key", settings={"key": "another"}), 403)], ids=["none", "wrong"]
)
async def test_a_broker_that_may_not_ask_is_refused(pds, transport, auth, status):
    pds.records[ASKED] = pds_patient()
    nothing_is_known(await Broker(transport, pds, auth=auth).ask(), "refused")
    assert [fault[0] for fault in pds.faults] == [status]


async def test_a_request_against_the_contract_is_a_failure_and_no_unknown_patient(pds, broker):
    pds.records[ASKED] = pds_patient()
    nothing_is_known(await broker.ask(organisation="no code"), "failed")
    assert pds.faults == [(400, "INVALID_VALUE")]


async def test_another_date_of_birth_stops_everything_and_names_neither(pds, broker):
    pds.records[ASKED] = pds_patient()
    with pytest.raises(IdentityNotConfirmed) as refusal:
        await broker.ask(birth_date="1948-03-03")
    for word in (ASKED, BORN, "1948", "Okafor"):
        assert word not in str(refusal.value)
    assert refusal.value.__cause__ is None


# Superseded numbers.


async def test_a_superseded_number_brings_the_current_one_which_is_believed(pds, broker):
    pds.records[ASKED] = pds_patient(CURRENT)
    pds.records[CURRENT] = pds_patient(CURRENT, meta=labelled("R"), generalPractitioner=None)
    person = await broker.ask()
    assert person.status == "answered"
    assert person.identity.numbers == (ASKED, CURRENT)
    assert (person.restricted, person.practice) == ("yes", None)
    assert CURRENT not in json.dumps(person.patient)
    assert len({one.request_id for one in pds.asked}) == 2
    assert pds.faults == []


async def test_numbers_that_are_only_named_are_nobodys(pds, broker):
    other = {"other": {"identifier": {"system": "https://fhir.nhs.uk/Id/nhs-number", "value": STRANGER}}}
    pds.records[ASKED] = pds_patient(CURRENT)
    pds.records[CURRENT] = pds_patient(CURRENT, link=[{**other, "type": "replaces"}])
    assert (await broker.ask()).identity.numbers == (ASKED, CURRENT)
    assert STRANGER not in {one.number for one in pds.asked}


async def test_a_chain_of_superseded_numbers_is_one_person(pds, broker):
    pds.records |= {OLDER: pds_patient(ASKED), ASKED: pds_patient(CURRENT), CURRENT: pds_patient(CURRENT)}
    assert (await broker.ask(OLDER)).identity.numbers == (OLDER, *sorted([ASKED, CURRENT]))


async def test_a_circle_confirms_nobody(pds, broker):
    pds.records |= {ASKED: pds_patient(CURRENT), CURRENT: pds_patient(OLDER), OLDER: pds_patient(ASKED)}
    nothing_is_known(await broker.ask(), "malformed")
    assert len(pds.asked) == 3


async def test_a_chain_without_an_end_is_left(pds, broker):
    async def onwards(request):
        serial = int(request.path[-10:-1]) + 1
        while (number := _number(serial)) is None:
            serial += 1
        return web.json_response(pds_patient(number))

    pds.mood = onwards
    nothing_is_known(await broker.ask(), "malformed")
    assert len(pds.asked) <= 4


def _number(serial):
    check = 11 - sum(int(digit) * (10 - place) for place, digit in enumerate(f"{serial:09}")) % 11
    return None if check == 10 else f"{serial:09}{check % 11}"


async def test_a_superseding_record_born_on_another_day_is_somebody_else(pds, broker):
    pds.records |= {ASKED: pds_patient(CURRENT), CURRENT: pds_patient(CURRENT, birthDate="1950-01-01")}
    with pytest.raises(IdentityNotConfirmed):
        await broker.ask()
    pds.records = {ASKED: pds_patient(STRANGER, birthDate="1950-01-01")}
    pds.asked.clear()
    with pytest.raises(IdentityNotConfirmed):
        await broker.ask()
    assert len(pds.asked) == 1


async def test_what_fails_half_way_confirms_nobody_and_forgets_no_number_and_no_restriction(pds, broker):
    pds.records[ASKED] = pds_patient(CURRENT, meta=labelled("R"))
    pds.moods[CURRENT] = says(500)
    person = await broker.ask()
    assert (person.status, person.patient, person.practice) == ("failed", None, None)
    assert person.identity.numbers == (ASKED, CURRENT)  # an objection under it still counts
    assert person.restricted == "yes"


async def test_another_patients_record_under_this_number_is_malformed(pds, broker):
    pds.records[ASKED] = pds_patient(ASKED) | {"identifier": pds_patient(STRANGER)["identifier"]}
    nothing_is_known(await broker.ask(), "malformed")


# What can't be had.


@pytest.mark.parametrize("code", ["RESOURCE_NOT_FOUND", "INVALIDATED_RESOURCE"])
async def test_a_number_that_is_unknown_or_withdrawn_confirms_nobody(pds, broker, code):
    pds.records[ASKED] = outcome(code)
    nothing_is_known(await broker.ask(), "patient-not-found")


async def test_a_number_that_is_not_there_any_more_where_another_led_to_it_is_not_found(pds, broker):
    pds.records[ASKED] = pds_patient(CURRENT)
    assert (await broker.ask()).status == "patient-not-found"


@pytest.mark.parametrize(
    ("mood", "status"),
    [
        (says(400, outcome("INVALID_VALUE")), "failed"),
        (says(401, outcome("ACCESS_DENIED")), "refused"),
        (says(403, outcome("ACCESS_DENIED")), "refused"),
        (says(404, outcome("UNSUPPORTED_SERVICE")), "failed"),
        (says(404, b"<html>no such host</html>"), "failed"),
        (says(404, pds_patient()), "malformed"),
        (says(408, outcome("TIMEOUT")), "failed"),
        (says(410, outcome("RESOURCE_NOT_FOUND")), "failed"),
        (says(429, outcome("TOO_MANY_REQUESTS")), "busy"),
        (says(500), "failed"),
        (says(501, outcome("RESOURCE_NOT_FOUND")), "failed"),
        (says(302, Location="/elsewhere"), "failed"),
        (says(307, Location="https://elsewhere.example/"), "failed"),
        (says(200, b""), "malformed"),
        (says(200, b"{"), "malformed"),
        (says(200, b"\xff\xfe"), "malformed"),
        (says(200, b"[" * 100_000), "malformed"),
        (says(200, {"resourceType": "Bundle", "type": "searchset"}), "malformed"),
        (says(200, pds_patient(birthDate=None)), "malformed"),
        (says(200, pds_patient("9990000000")), "malformed"),
        (says(200, b" " * (MOST_BYTES + 1)), "malformed"),
        (says(200, b" " * (5 * MOST_BYTES)), "malformed"),
        (resets, "unreachable"),
        (stops_half_way, "malformed"),
    ],
)
async def test_whatever_goes_wrong_is_a_row_and_nothing_is_known(pds, broker, mood, status, caplog):
    pds.mood = mood
    with caplog.at_level(logging.DEBUG):
        person = await broker.ask()
    nothing_is_known(person, status)
    assert "CANARY" not in caplog.text + repr(person)
    assert ASKED not in caplog.text
    assert pds.faults == []


async def test_a_service_that_hangs_gets_its_own_time_and_no_more(pds, transport):
    pds.mood = hangs
    async with asyncio.timeout(5):
        nothing_is_known(await Broker(transport, pds, timeout=0.1).ask(within=60), "timed-out")


async def test_a_caller_in_a_hurry_gives_it_less(pds, transport):
    pds.mood = hangs
    async with asyncio.timeout(5):
        nothing_is_known(await Broker(transport, pds, timeout=60).ask(within=0.1), "timed-out")


async def test_with_no_time_left_nothing_is_asked(pds, broker):
    nothing_is_known(await broker.ask(within=-1), "timed-out")
    assert pds.asked == []


async def test_all_its_answers_share_one_time(pds, transport):
    pds.records[ASKED] = pds_patient(CURRENT)
    pds.moods[CURRENT] = hangs
    async with asyncio.timeout(5):
        person = await Broker(transport, pds, timeout=0.3).ask(within=60)
    assert (person.status, person.identity.numbers) == ("timed-out", (ASKED, CURRENT))


async def test_a_service_that_is_not_there_is_unreachable(transport):
    service = Simulator()
    await service.start()
    broker = Broker(transport, service)
    await service.stop()
    nothing_is_known(await broker.ask(), "unreachable")


async def test_when_to_come_back_is_told(pds, broker):
    pds.mood = says(429, outcome("TOO_MANY_REQUESTS"), Retry_After="30")
    person = await broker.ask()
    assert (person.status, person.retry_after) == ("busy", 30.0)


async def test_what_is_away_for_a_moment_is_asked_once_more_with_the_same_id(pds, broker):
    pds.records[ASKED] = pds_patient()

    async def once(request):
        pds.mood = None
        return await says(503)(request)

    pds.mood = once
    assert (await broker.ask()).status == "answered"
    assert len(pds.asked) == 2
    assert len({one.request_id for one in pds.asked}) == 1


async def test_nothing_is_kept_from_one_lookup_to_the_next(pds, broker):
    pds.records[ASKED] = pds_patient()
    assert (await broker.ask()).restricted == "no"
    pds.records[ASKED] = pds_patient(meta=labelled("R"))
    assert (await broker.ask()).restricted == "yes"
    assert len(pds.asked) == 2


async def test_a_caller_that_goes_away_takes_its_request_with_it(pds, broker):
    pds.mood = hangs
    asking = asyncio.create_task(broker.ask(within=60))
    await pds.came.wait()
    asking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asking
    pds.mood, pds.records[ASKED] = None, pds_patient()
    assert (await broker.ask()).status == "answered"


async def test_many_may_ask_at_once_and_nobody_gets_anothers_patient(pds, broker):
    numbers = (ASKED, CURRENT, OLDER, STRANGER)
    pds.records |= {number: pds_patient(number, name=[{"family": number}]) for number in numbers}
    people = await asyncio.gather(*(broker.ask(number) for number in numbers * 10))
    assert [person.patient["name"][0]["family"] for person in people] == list(numbers * 10)
    assert pds.faults == []


# Its own examples.


@pytest.fixture
def examples():
    if not PDS.is_dir():
        pytest.skip("the PDS examples are not here: ../shared/data/pds-r4")
    files = [*(PDS / "karate-stubs" / "patientResponses").glob("patient_*.json")]
    files += [PDS / name for name in ("Patient.json", "Sensitive_Patient.json")]
    found = [json.loads(file.read_bytes()) for file in files]
    return {one["id"]: one for one in found if "birthDate" in one}


async def test_every_published_example_is_confirmed(pds, broker, examples):
    pds.records = examples
    assert len(examples) > 10
    for number, example in examples.items():
        person = await broker.ask(number, example["birthDate"])
        assert (person.status, person.identity.numbers) == ("answered", (number,))
        with pytest.raises(IdentityNotConfirmed):
            await broker.ask(number, "1900-01-01")
    assert (await broker.ask("9000000025", "2010-10-22")).restricted == "yes"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("RESOURCE_NOT_FOUND", "patient-not-found"),
        ("INVALIDATED_RESOURCE", "patient-not-found"),
        ("ACCESS_DENIED", "refused"),
        ("INVALID_RESOURCE_ID", "failed"),
        ("MISSING_VALUE", "failed"),
        ("UNSUPPORTED_SERVICE", "failed"),
    ],
)
async def test_every_published_error_is_told_apart(pds, broker, examples, code, status):
    pds.records[ASKED] = json.loads((PDS / "karate-stubs" / "errorResponses" / f"{code}.json").read_bytes())
    nothing_is_known(await broker.ask(), status)
