"""What the identity service says decides whose record it is, so it is believed exactly as far as it goes."""

import asyncio
import json
import os
import threading

import pytest

from adapters.contract import Identity
from broker.errors import ConfigurationError, IdentityNotConfirmed
from broker.identity import FileIdentity, NoIdentity, Person
from broker.identity.pds import MOST_BYTES

from .conftest import ASKED, BORN, CURRENT, OLDER, STRANGER, labelled, outcome, pds_patient


async def test_without_a_service_nothing_is_known_and_there_is_no_row():
    person = await NoIdentity().resolve(ASKED, BORN, 0.0, "RJ1")
    assert person == Person(identity=Identity(numbers=(ASKED,), birth_date=BORN))
    assert (person.restricted, person.practice, person.patient, person.status) == ("unknown", None, None, None)


async def test_a_known_patient_is_confirmed(world):
    world.put(ASKED, pds_patient())
    person = await world.ask()
    assert person.identity == Identity(numbers=(ASKED,), birth_date=BORN)
    assert person.status == "answered"
    assert person.restricted == "no"
    assert person.practice == "G85001"
    assert person.deceased is None
    assert person.elapsed_ms >= 0


async def test_another_date_of_birth_stops_everything_without_naming_anybody(world):
    world.put(ASKED, pds_patient())
    with pytest.raises(IdentityNotConfirmed) as refusal:
        await world.ask(birth_date="1948-03-03")
    assert ASKED not in str(refusal.value)


@pytest.mark.parametrize("partial", ["1948", "1948-03"])
async def test_a_partial_date_of_birth_that_agrees_passes_and_one_that_does_not_stops(world, partial):
    world.put(ASKED, pds_patient(birthDate=partial))
    assert (await world.ask()).patient["birthDate"] == BORN
    with pytest.raises(IdentityNotConfirmed):
        await world.ask(birth_date="1949-03-02")


# Numbers.


async def test_a_superseded_number_brings_the_current_one_with_it(world):
    world.put(ASKED, pds_patient(CURRENT))
    person = await world.ask()
    assert person.identity.numbers == (ASKED, CURRENT)
    assert person.patient["identifier"] == [{"system": "https://fhir.nhs.uk/Id/nhs-number", "value": ASKED}]
    assert CURRENT not in json.dumps(person.patient)


async def test_the_current_number_brings_every_superseded_one_and_nobody_elses(world):
    world.put(CURRENT, pds_patient(CURRENT))
    world.put(ASKED, pds_patient(CURRENT))
    world.put(OLDER, pds_patient(CURRENT))
    world.put(STRANGER, pds_patient(STRANGER))
    assert (await world.ask(CURRENT)).identity.numbers == (CURRENT, *sorted([ASKED, OLDER]))
    assert (await world.ask(OLDER)).identity.numbers == (OLDER, *sorted([ASKED, CURRENT]))
    assert (await world.ask(STRANGER)).identity.numbers == (STRANGER,)


async def test_superseded_twice_is_still_one_person(world):
    world.put(OLDER, pds_patient(ASKED))
    world.put(ASKED, pds_patient(CURRENT))
    world.put(CURRENT, pds_patient(CURRENT))
    for number in (OLDER, ASKED, CURRENT):
        assert set((await world.ask(number)).identity.numbers) == {OLDER, ASKED, CURRENT}


async def test_the_file_of_the_current_number_is_the_one_believed(world):
    world.put(ASKED, pds_patient(CURRENT))
    world.put(CURRENT, pds_patient(CURRENT, meta=labelled("R"), generalPractitioner=None))
    person = await world.ask()
    assert person.restricted == "yes"
    assert person.practice is None


async def test_a_number_that_leads_here_with_another_birth_date_is_not_taken(world):
    world.put(CURRENT, pds_patient(CURRENT))
    world.put(ASKED, pds_patient(CURRENT, birthDate="1950-01-01"))
    assert (await world.ask(CURRENT)).identity.numbers == (CURRENT,)


async def test_numbers_that_supersede_each_other_confirm_nobody(world):
    world.put(ASKED, pds_patient(CURRENT))
    world.put(CURRENT, pds_patient(ASKED))
    person = await world.ask()
    assert person.status == "malformed"
    assert person.identity.numbers == (ASKED,)


# What can't be had, or can't be read.


@pytest.mark.parametrize(
    "gone",
    [None, outcome("RESOURCE_NOT_FOUND"), outcome("INVALIDATED_RESOURCE"), pds_patient(meta=labelled("REDACTED"))],
)
async def test_a_number_unknown_withdrawn_or_redacted_confirms_nobody(world, gone):
    if gone is not None:
        world.put(ASKED, gone)
    person = await world.ask()
    assert person.status == "patient-not-found"
    assert person.identity.numbers == (ASKED,)
    assert (person.restricted, person.practice, person.patient) == ("unknown", None, None)


async def test_any_other_outcome_is_a_failure(world):
    world.put(ASKED, outcome("ACCESS_DENIED"))
    assert (await world.ask()).status == "failed"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"resourceType": "Patient"}',
        b'{"resourceType": "Bundle", "id": "x"}',
        b"[" * 100_000,
        b" " * (MOST_BYTES + 1),
        pds_patient(id="9990000000"),
        pds_patient(id=7),
        pds_patient(birthDate=None),
        pds_patient(birthDate="1948-13-01"),
        pds_patient(birthDate="2 March 1948"),
        pds_patient(birthDate=19480302),
        pds_patient(meta={"security": "R"}),
        pds_patient(name={"family": "Okafor"}),
        pds_patient(identifier=[{"system": "https://fhir.nhs.uk/Id/nhs-number", "value": STRANGER}]),
        pds_patient(generalPractitioner=[{"identifier": {"system": "https://fhir.nhs.uk/Id/ods-organization-code"}}]),
        pds_patient(deceasedBoolean="yes"),
        pds_patient(deceasedDateTime="last week"),
    ],
    ids=lambda content: (content if isinstance(content, bytes) else json.dumps(content).encode())[:20].decode(errors="replace"),
)  # fmt: skip
async def test_what_can_not_be_read_is_malformed_and_restriction_unknown(world, content):
    world.put(ASKED, content)
    world.put(STRANGER, pds_patient(STRANGER))
    person = await world.ask()
    assert person.status == "malformed"
    assert (person.restricted, person.patient, person.identity.numbers) == ("unknown", None, (ASKED,))
    assert (await world.ask(STRANGER)).status == "answered"  # one bad file costs itself
    with pytest.raises(ConfigurationError, match=rf"{ASKED}\.json"):
        world.service.check()


async def test_what_is_no_file_is_malformed_and_waits_for_nobody(world):
    (world.directory / f"{ASKED}.json").mkdir()
    os.mkfifo(world.directory / f"{STRANGER}.json")
    assert (await world.ask()).status == "malformed"
    assert (await world.ask(STRANGER)).status == "malformed"


async def test_a_directory_that_has_gone_is_a_failure(world):
    world.directory.rmdir()
    assert (await world.ask()).status == "failed"


async def test_no_answer_in_time_is_timed_out_and_the_loop_goes_on(world, monkeypatch):
    world.put(ASKED, pds_patient())
    stuck, go_on = threading.Event(), threading.Event()

    def slow(self):
        stuck.set()
        go_on.wait(10)
        return {}

    monkeypatch.setattr(FileIdentity, "_look", slow)
    person = await world.ask(within=0.05)
    assert stuck.is_set()
    assert (person.status, person.restricted) == ("timed-out", "unknown")
    go_on.set()


async def test_files_may_change_while_the_broker_runs_and_are_read_again_only_then(world):
    file = world.put(ASKED, pds_patient())
    assert (await world.ask()).restricted == "no"
    before = world.service._known[ASKED]
    await world.ask()
    assert world.service._known[ASKED] is before
    world.put(ASKED, pds_patient(meta=labelled("V")))
    assert (await world.ask()).restricted == "yes"
    file.unlink()
    assert (await world.ask()).status == "patient-not-found"


async def test_many_may_ask_at_once(world):
    for number in (ASKED, CURRENT, OLDER, STRANGER):
        world.put(number, pds_patient(number))
    people = await asyncio.gather(
        *(world.ask(number) for number in (ASKED, CURRENT, OLDER, STRANGER) for _ in range(10))
    )
    assert {person.status for person in people} == {"answered"}


def test_a_missing_directory_stops_the_start(tmp_path):
    with pytest.raises(ConfigurationError, match="no such directory"):
        FileIdentity(tmp_path / "absent")


def test_a_file_named_for_no_number_is_found_by_the_check(world):
    world.put(ASKED, pds_patient())
    world.service.check()
    world.put("mrs-okafor", pds_patient())
    with pytest.raises(ConfigurationError, match="<ten digits>"):
        world.service.check()
