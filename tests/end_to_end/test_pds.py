"""The whole broker over the national identity service: what it says decides, what it does not say hides."""

import asyncio
import importlib.util
import json
import sys
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("pds", Path(__file__).parents[1] / "identity" / "simulator.py")
simulator = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = simulator  # dataclasses look their module up
_spec.loader.exec_module(simulator)

ADDRESS = {"use": "home", "line": ["7 Hidden Mews"], "postalCode": "SE1 0XX"}
SUCCESSOR = "9990000034"
COMMAND = "import sys; from broker.cli import main; sys.exit(main())"


@pytest.fixture
async def pds(house):
    """The service, which knows Mrs Okafor."""
    patient = house.mrs_okafor
    async with simulator.simulated({patient.nhs_number: patient.pds(practice="G85001")}) as service:
        yield service


@pytest.fixture
def identity(pds, tmp_path):
    """The lines of `[identity]`."""
    (tmp_path / "pds.key").write_text(f"{simulator.KEY}\n")
    auth = f'{{kind = "api-key", key_file = "{tmp_path / "pds.key"}"}}'
    return f'kind = "pds"\nbase_url = "{pds.base_url}"\nauth = {auth}'


async def says_of(ask, source, status):
    """Ask until the row of a source has this status."""
    async with asyncio.timeout(10):
        while (await ask()).rows[source] != status:
            await asyncio.sleep(0.05)


def hospital(house, **patient):
    """One that knows Mrs Okafor."""
    return house.Organisation("RJ1").holds(
        house.mrs_okafor.at("1000", **patient), house.record("Condition", "1002", code="38420")
    )


def practices(house, count):
    """So many practices that know Mrs Okafor."""
    return [
        house.Organisation(f"G85{n:03}", "gp-practice").holds(
            house.mrs_okafor.at("1000"), house.record("Condition", "1002", code=f"{n}0000")
        )
        for n in range(1, count + 1)
    ]


async def test_the_registered_practice_is_asked_of_many_and_no_other(open_world, house, pds, identity):
    """Seed question 1: the practice that PDS names."""
    organisations = [hospital(house), *practices(house, 14)]
    pds.records[house.mrs_okafor.nhs_number] = house.mrs_okafor.pds(practice="G85009")
    world = await open_world(*organisations, identity=identity)
    reply = await world.doctor().look_up(house.mrs_okafor)
    assert reply.complete
    assert reply.rows == {"identity": "answered", "RJ1-epr": "answered", "G85009-epr": "answered"}
    assert [one.code for one in organisations if one.seen] == ["RJ1", "G85009"]
    assert [one.organisation for one in pds.asked] == ["RJ1"]
    assert pds.faults == []


async def test_without_the_service_no_practice_of_many_is_asked_and_nothing_is_widened(
    open_world, house, pds, identity
):
    """Hazards restricted-patient-located, absence-taken-for-nothing."""
    world = await open_world(hospital(house, address=[ADDRESS]), *practices(house, 14), identity=identity)
    await pds.stop()
    reply = await world.doctor().look_up(house.mrs_okafor)
    assert reply.status == 200
    assert not reply.complete
    assert reply.rows == {"identity": "unreachable", "RJ1-epr": "answered", None: "practice-not-asked"}
    assert reply.json["restrictions"]["location_hidden"] is True
    assert "Hidden Mews" not in reply.text
    (plan,) = world.journal("lookup.plan")
    assert plan["identity"] == "unreachable"


async def test_the_one_patient_is_as_the_service_says_with_their_death(open_world, house, pds, identity):
    died = "2026-10-22T00:00:00+00:00"
    pds.records[house.mrs_okafor.nhs_number] = house.mrs_okafor.pds(
        practice="G85001", address=[ADDRESS], deceasedDateTime=died
    )
    world = await open_world(*house.usual(), identity=identity)
    reply = await world.doctor().look_up(house.mrs_okafor)
    (patient,) = reply.resources("Patient")
    assert patient["deceasedDateTime"] == died
    assert patient["address"] == [ADDRESS]
    assert reply.row("identity")["categories"].keys() == {"demographics", "gp-registration"}
    assert len(pds.asked) == 1  # for the whole lookup


async def test_a_patient_whom_the_service_calls_restricted_is_not_found_through_the_record(
    open_world, house, pds, identity
):
    """Hazard restricted-patient-located."""
    pds.records[house.mrs_okafor.nhs_number] = house.mrs_okafor.pds(restricted=True)
    world = await open_world(hospital(house, address=[ADDRESS]), identity=identity)
    reply = await world.doctor().look_up(house.mrs_okafor)
    assert reply.status == 200
    assert reply.json["restrictions"]["location_hidden"] is True
    for word in ("Hidden Mews", "SE1 0XX", "RJ1"):
        assert word not in reply.text


async def test_a_source_that_knows_the_patient_by_the_current_number_alone_answers(open_world, house, pds, identity):
    asked, current = house.mrs_okafor.nhs_number, house.Patient(SUCCESSOR, house.mrs_okafor.birth_date)
    pds.records |= {asked: current.pds(), SUCCESSOR: current.pds()}
    knows = house.Organisation("RJ1").holds(current.at("1000"), house.record("Condition", "1002", code="38420"))
    world = await open_world(knows, identity=identity)
    reply = await world.doctor().look_up(house.mrs_okafor)
    assert reply.rows == {"identity": "answered", "RJ1-epr": "answered"}
    assert [one["id"].startswith("RJ1-epr.1002") for one in reply.resources("Condition")] == [True]
    assert SUCCESSOR not in reply.text


@pytest.mark.blocking
async def test_an_objection_under_the_current_number_holds_for_a_superseded_one(
    open_world, house, pds, identity, tmp_path
):
    """Hazard objection-ignored."""
    current = house.Patient(SUCCESSOR, house.mrs_okafor.birth_date)
    pds.records |= {house.mrs_okafor.nhs_number: current.pds(), SUCCESSOR: current.pds()}
    world = await open_world(*house.usual(), identity=identity)
    doctor = world.doctor()
    assert (await doctor.look_up(house.mrs_okafor)).rows["RJZ-epr"] == "answered"
    (tmp_path / "token").write_text(doctor.token(role_code="R8001", user="555000000002"))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", COMMAND, "objection", "record", "--patient", SUCCESSOR, "--asked-by", "patient"),
        *("--effect-explained", "--config", str(world.settings.file), "--token", str(tmp_path / "token")),
        stdout=asyncio.subprocess.DEVNULL,
    )
    assert await process.wait() == 0
    await says_of(lambda: doctor.look_up(house.mrs_okafor), "RJZ-epr", "withheld")
    pds.moods[SUCCESSOR] = simulator.says(500)  # what was learned before it failed still forbids
    reply = await doctor.look_up(house.mrs_okafor)
    assert reply.rows["RJZ-epr"] == "withheld"


# Birth dates that are wrong.


def born(house, day):
    return house.Patient(house.mrs_okafor.nhs_number, day)


async def test_a_wrong_birth_date_asks_nobody_and_tells_no_right_one(open_world, house, pds, identity):
    """Hazard wrong-patient."""
    world = await open_world(*house.usual(), identity=identity)
    for ask in (world.doctor().look_up, world.doctor().stream):
        reply = await ask(born(house, "1948-03-03"))
        assert (reply.status, reply.code) == (409, "identity-not-confirmed")
        assert house.mrs_okafor.birth_date not in reply.text
        assert "Okafor" not in reply.text
    assert world.nobody_was_asked()
    outcomes = world.journal("lookup.outcome")
    assert [(one["outcome"], one["code"]) for one in outcomes] == [("refused", "identity-not-confirmed")] * 2


@pytest.mark.parametrize("kind", ["pds", "file", "none"])
async def test_whoever_tries_birth_dates_learns_a_few_times_that_they_are_wrong_and_then_nothing(
    open_world, house, identity, kind
):
    """The right one after that is refused too, or it would tell."""
    mrs_okafor = house.mrs_okafor
    file = {mrs_okafor.nhs_number: mrs_okafor.pds(practice="G85001")}
    kinds = {"pds": identity, "file": file, "none": None}
    world = await open_world(*house.usual(), identity=kinds[kind], limits="unconfirmed_per_user = 3")
    guesser = world.doctor()
    assert (await guesser.look_up(mrs_okafor)).status == 200
    guesses = [born(house, f"1948-03-{day:02}") for day in range(3, 9)]
    replies = [await guesser.look_up(guess) for guess in guesses]
    assert [reply.status for reply in replies] == [409] * 3 + [429] * 3
    world.forget()
    for right in (await guesser.look_up(mrs_okafor), await guesser.stream(mrs_okafor)):
        assert (right.status, right.code) == (429, "too-many-requests")
        assert int(right.headers["Retry-After"]) > 800
        assert mrs_okafor.birth_date not in right.text
    assert world.nobody_was_asked()
    colleague = world.doctor(user="555000000009")
    assert (await colleague.look_up(mrs_okafor)).status == 200


async def test_whoever_tries_numbers_meets_the_same_bound(open_world, house, pds, identity):
    pds.records[house.mr_reyes.nhs_number] = house.mr_reyes.pds()
    world = await open_world(*house.usual(), identity=identity, limits="unconfirmed_per_user = 2")
    doctor = world.doctor()
    numbers = (house.mrs_okafor.nhs_number, house.mr_reyes.nhs_number, house.mrs_okafor.nhs_number)
    statuses = [(await doctor.look_up(house.Patient(number, "2001-01-01"))).status for number in numbers]
    assert statuses == [409, 409, 429]


async def test_of_many_guesses_at_once_no_more_are_told_than_one_by_one(open_world, house, pds, identity):
    world = await open_world(*house.usual(), identity=identity, limits="unconfirmed_per_user = 3")
    guesses = [born(house, f"1948-04-{day:02}") for day in range(1, 13)]
    replies = await asyncio.gather(*(world.doctor().look_up(guess) for guess in guesses))
    statuses = [reply.status for reply in replies]
    assert (statuses.count(409), statuses.count(429)) == (3, 9)


async def test_without_a_service_the_right_one_does_not_stand_out_among_many_at_once(open_world, house):
    world = await open_world(*house.usual(), limits="unconfirmed_per_user = 3")
    guesses = [born(house, f"1948-04-{day:02}") for day in range(1, 16)]
    replies = await asyncio.gather(*(world.doctor().look_up(who) for who in [*guesses, house.mrs_okafor]))
    assert replies[-1].status == 429
    assert {reply.status for reply in replies} == {409, 429}


async def test_a_record_with_the_year_alone_confirms_no_day_of_it(open_world, house):
    organisations = house.usual()
    organisations[2].resources["Patient/1000"]["birthDate"] = house.mrs_okafor.birth_date[:4]
    world = await open_world(*organisations, limits="unconfirmed_per_user = 2")
    guesses = [born(house, f"1948-03-{day:02}") for day in range(3, 9)]
    replies = [await world.doctor().look_up(guess) for guess in guesses]
    assert [reply.status for reply in replies] == [200, 200, 429, 429, 429, 429]
    assert (await world.doctor().look_up(house.mrs_okafor)).status == 429


@pytest.mark.parametrize("name", ["meta", "birthDate"])
async def test_an_answer_in_which_a_name_stands_twice_is_not_believed(open_world, house, pds, identity, name):
    """Hazard restricted-patient-located."""
    said = house.mrs_okafor.pds(restricted=True)
    last = json.dumps(house.mrs_okafor.pds()[name])
    twice = f'{json.dumps(said)[:-1]}, "{name}": {last}}}'
    pds.moods[house.mrs_okafor.nhs_number] = simulator.says(200, twice.encode())
    world = await open_world(*house.usual(), identity=identity)
    reply = await world.doctor().look_up(house.mrs_okafor)
    assert reply.rows["identity"] == "malformed"
    assert "Okafor" not in json.dumps(reply.resources("Patient"))


# A service that is ill.


async def test_a_service_that_hangs_costs_a_few_lookups_their_share_of_time_and_then_none(
    open_world, house, pds, identity
):
    world = await open_world(*house.usual(), identity=f'{identity}\ntimeout = "100ms"')
    doctor = world.doctor()
    pds.mood = simulator.hangs
    rows = []
    for _ in range(8):
        reply = await doctor.look_up(house.mrs_okafor)
        assert reply.status == 200
        assert len(reply.resources("Condition")) == 3
        rows.append(reply.row("identity"))
    assert [row["status"] for row in rows] == ["timed-out"] * 5 + ["paused"] * 3
    assert all(row["retry_after_s"] >= 1 for row in rows[5:])
    assert len(pds.asked) == 5
    pds.mood = None
    await says_of(lambda: doctor.look_up(house.mrs_okafor), "identity", "answered")


async def test_a_service_with_too_many_requests_is_left_alone_until_it_said(open_world, house, pds, identity):
    world = await open_world(*house.usual(), identity=identity)
    pds.mood = simulator.says(429, simulator.outcome("TOO_MANY_REQUESTS"), Retry_After="60")
    for _ in range(3):
        row = (await world.doctor().look_up(house.mrs_okafor)).row("identity")
        assert row["status"] == "busy"
        assert 55 <= row["retry_after_s"] <= 60
    assert len(pds.asked) == 1


@pytest.mark.parametrize(
    ("mood", "status"),
    [
        (simulator.says(500), "failed"),
        (simulator.says(401, simulator.outcome("ACCESS_DENIED")), "refused"),
        (simulator.says(200, b"<html>"), "malformed"),
        (simulator.says(404, simulator.outcome("RESOURCE_NOT_FOUND")), "patient-not-found"),
        (simulator.says(302, Location="/elsewhere"), "failed"),
    ],
)
async def test_whatever_it_says_instead_is_its_row_and_the_sources_answer(
    open_world, house, pds, identity, mood, status
):
    """Hazard absence-taken-for-nothing."""
    pds.mood = mood
    world = await open_world(*house.usual(), identity=identity)
    reply = await world.doctor().look_up(house.mrs_okafor)
    assert reply.rows == {
        "identity": status,
        **dict.fromkeys(("G85001-epr", "RJ1-epr", "RJZ-epr"), "answered"),
    }
    assert not reply.complete
    assert "CANARY" not in reply.text
    (patient,) = reply.resources("Patient")
    assert patient.keys() <= {"resourceType", "id", "identifier", "birthDate", "meta"}


async def test_the_broker_stops_while_the_service_hangs(open_world, house, pds, identity):
    pds.mood = simulator.hangs
    world = await open_world(*house.usual(), identity=identity, apart=True, deadline="20s", server='grace = "100ms"')
    asking = asyncio.create_task(world.doctor().look_up(house.mrs_okafor))
    await asyncio.wait_for(pds.came.wait(), 10)
    world.process.terminate()
    assert await asyncio.wait_for(world.process.wait(), 15) == 0
    assert (await asking).status == 503
    words = world.said()
    for word in (house.mrs_okafor.nhs_number, house.mrs_okafor.birth_date, simulator.KEY):
        assert word not in words
        assert word not in json.dumps(world.journal())
