"""Seed questions 13 and 14: you ask whoever gives your care; if it is not upheld you are told why and how to complain."""

import asyncio
import json

import pytest

from broker.auth.tokens import sign_demo_token
from broker.cli import main
from broker.clock import london_today

pytestmark = pytest.mark.blocking


@pytest.fixture
def command(tmp_path, capsys):
    """Runs `broker objection …` with a token; gives exit code and what it printed."""

    async def run(world, token, *arguments):
        file = tmp_path / "token"
        file.write_text(token)
        options = ("--config", str(world.settings.file), "--token", str(file), "--format", "json")
        capsys.readouterr()
        code = await asyncio.to_thread(main, ["objection", *arguments, *options])
        out = capsys.readouterr().out
        return code, json.loads(out) if out else None

    return run


async def rows_become(world, doctor, house, expected):
    """Within a second of the change."""
    async with asyncio.timeout(5):
        while (rows := (await doctor.look_up(house.mrs_okafor)).rows) != expected:
            await asyncio.sleep(0.05)
    return rows


SHARED = {"RJ1-epr": "answered", "RJZ-epr": "answered", "G85001-epr": "answered"}
WITHHELD = SHARED | {"RJZ-epr": "withheld", "G85001-epr": "withheld"}


async def test_said_to_the_gp_it_is_respected_at_the_hospital_until_it_is_decided_and_the_patient_told(
    open_world, house, command
):
    """Hazards objection-ignored and objection-hides-ones-own-records: the whole way to a decision not to uphold."""
    world = await open_world(*house.usual())
    doctor = world.doctor("RJ1")
    gp = world.doctor("G85001", user="555000000003").token()
    guardian = sign_demo_token(
        world.issuers[None],
        audience=world.settings.server.public_url,
        role_code="R5105",
        organisation="QKK",
        user="555000000004",
    )
    asked = ("--patient", house.mrs_okafor.nhs_number, "--asked-by", "patient")
    assert (await command(world, gp, "record", *asked))[0] != 0, "not before the effect on care was explained"
    assert (await doctor.look_up(house.mrs_okafor)).rows == SHARED
    code, made = await command(world, gp, "record", *asked, "--effect-explained")
    assert (code, made["status"]) == (0, "received")
    await rows_become(world, doctor, house, WITHHELD)

    decide = ("decide", made["id"], "--status")
    assert (await command(world, gp, *decide, "under-review"))[0] != 0, "whoever records it does not decide it"
    assert (await command(world, guardian, *decide, "under-review"))[0] == 0
    refusal = (*decide, "not-upheld", "--reason", "Safeguarding of a child.")
    assert (await command(world, guardian, *refusal))[0] != 0, "not without the way to the Information Commissioner"
    assert (await command(world, guardian, *refusal, "--ico-route-told"))[0] == 0
    await asyncio.sleep(1)
    assert (await doctor.look_up(house.mrs_okafor)).rows == WITHHELD, "in force only once the patient has been told"
    assert (await command(world, guardian, *decide, "not-upheld", "--told", london_today().isoformat()))[0] == 0
    await rows_become(world, doctor, house, SHARED)
    told = [one for one in world.journal() if one["event"].startswith("objection.")]
    assert [one["event"] for one in told] == ["objection.recorded", *["objection.decided"] * 3]
    assert "Safeguarding" not in json.dumps(told)
    assert house.mrs_okafor.nhs_number not in json.dumps(told)


async def test_anybody_who_gives_care_may_record_it_and_a_receptionist_may_not(open_world, house, command):
    """Seed question 14: a GP, a health professional, a social worker."""
    world = await open_world(*house.usual())
    asked = ("--patient", house.mrs_okafor.nhs_number, "--asked-by", "patient", "--effect-explained")
    for n, role in enumerate(("R8000", "R8001")):
        token = world.doctor("G85001", role_code=role, user=f"55500000001{n}").token()
        code, made = await command(world, token, "record", *asked)
        assert code == 0, role
        assert (await command(world, token, "withdraw", made["id"]))[0] == 0
    receptionist = world.doctor("G85001", role_code="R8009", user="555000000020").token()
    assert (await command(world, receptionist, "record", *asked))[0] != 0
