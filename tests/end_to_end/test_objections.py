"""An objection recorded in one process is honoured in another."""

import asyncio
import json
import sys

import pytest

pytestmark = pytest.mark.blocking

BROKER = "import sys; from broker.cli import main; sys.exit(main())"


@pytest.fixture
def command(tmp_path):
    """Runs `broker …` as a process of its own, as somebody with a token; gives what it printed as JSON."""

    async def run(world, token, *arguments):
        file = tmp_path / "token"
        file.write_text(token)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", BROKER, *arguments),
            *("--config", str(world.settings.file), "--token", str(file), "--format", "json"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        return json.loads(out)

    return run


async def test_an_objection_is_in_force_within_a_second_undecided_upheld_and_withdrawn(world, doctor, house, command):
    """Seed questions 13 and 14; hazards objection-ignored, objection-hides-ones-own-records."""
    assert (await doctor.look_up(world.mrs_okafor)).complete
    nurse = doctor.token(role_code="R8001", user="555000000002")
    recorded = await command(
        world,
        nurse,
        *("objection", "record", "--patient", world.mrs_okafor.nhs_number),
        *("--asked-by", "patient", "--effect-explained"),
    )
    await asyncio.sleep(1)
    world.forget()
    for ask in (doctor.look_up, doctor.stream):
        reply = await ask(world.mrs_okafor)
        assert reply.status == 200
        data = reply.json if ask == doctor.look_up else reply.events[-1]["data"]
        rows = {row["source"]: row["status"] for row in data["sources"]}
        assert rows == {"RJ1-epr": "answered", "RJZ-epr": "withheld", "G85001-epr": "withheld"}
        assert not data["complete"]
        assert data["restrictions"]["objection"]
        assert "RJZ-epr.1001" not in reply.text
        assert "RJ1-epr.1001" in reply.text
    assert world.other_hospital.seen == []
    assert world.practice.seen == []

    # Of another organisation only its own is shown; one that holds nothing of the patient gets nothing.
    reply = await world.doctor("RJZ").look_up(world.mrs_okafor)
    assert reply.rows == {"RJ1-epr": "withheld", "RJZ-epr": "answered", "G85001-epr": "withheld"}
    # Nobody else is touched by it.
    assert (await doctor.look_up(world.mr_reyes)).rows["RJZ-epr"] == "no-record-found"

    await command(world, nurse, "objection", "withdraw", recorded["id"])
    await asyncio.sleep(1)
    assert (await doctor.look_up(world.mrs_okafor)).complete
    assert world.verify().ok
    events = [one["event"] for one in world.journal() if one["event"].startswith("objection.")]
    assert events == ["objection.recorded", "objection.decided"]
    assert world.mrs_okafor.nhs_number not in json.dumps(world.journal())


async def test_where_the_register_is_not_heard_from_nothing_is_shared(open_world, house):
    """Hazard objection-ignored."""
    world = await open_world(*house.usual(), max_age="1s")
    doctor = world.doctor()
    assert (await doctor.look_up(world.mrs_okafor)).complete
    register = world.settings.file.parent / "state" / "broker.db"
    aside = register.with_name("aside")
    register.rename(aside)
    reply = await house.answered(lambda: doctor.look_up(world.mrs_okafor), 503)
    assert reply.code == "register-unavailable"
    world.forget()
    assert (await doctor.look_up(world.mrs_okafor)).status == 503
    assert world.nobody_was_asked()
    assert world.journal("lookup.outcome")[-1]["outcome"] in {"refused", "failed"}
    aside.rename(register)
    assert (await house.answered(lambda: doctor.look_up(world.mrs_okafor), 200)).complete
