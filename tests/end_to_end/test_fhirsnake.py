"""fhirsnake (PyPI) as an organisation: it ignores every search parameter, so every search gives everybody."""

import asyncio
import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.blocking

OTHERS = ("9990000034", "9990000042", "9990000077")


@pytest.fixture
async def fhirsnake(tmp_path):
    """Starts it over a directory of these resources; ended by its own handle."""
    found = importlib.util.find_spec("fhirsnake")
    if found is None:
        pytest.skip("fhirsnake is not installed")
    app = Path(found.submodule_search_locations[0])
    started = []

    async def begin(*resources):
        room = tmp_path / "fhirsnake"
        for resource in resources:
            folder = room / "resources" / resource["resourceType"]
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{resource['id']}.json").write_text(json.dumps(resource))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "uvicorn", "main:app", "--app-dir", str(app), "--port", "0"),
            cwd=room,
            stderr=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
        )
        started.append(process)
        async with asyncio.timeout(30):
            while line := (await process.stderr.readline()).decode():
                if running := re.search(r"running on (http://\S+)", line):
                    return running[1]
        pytest.fail("fhirsnake did not start")

    yield begin
    for process in started:
        process.terminate()
        await process.communicate()


def record_of(house, patient, key, code):
    return [
        patient.at(key),
        house.record("Condition", f"c-{key}", of=key, code=code, text=f"An illness of {patient.family}"),
        house.record("AllergyIntolerance", f"a-{key}", of=key, code=code, text=f"An allergy of {patient.family}"),
    ]


async def test_nothing_of_the_others_comes_through(fhirsnake, open_world, house):
    """Hazard wrong-patient: a server that ignores what is asked answers about everybody."""
    records = record_of(house, house.mrs_okafor, "mine", "91936005")
    for n, number in enumerate(OTHERS):
        other = house.Patient(number, "1960-01-01", f"Stranger{n}")
        records += record_of(house, other, f"other{n}", f"77700{n}")
    snake = house.Organisation("R1H")
    snake.base_url = await fhirsnake(*records)
    world = await open_world(*house.usual(), snake, down=("R1H",))
    for ask in (world.doctor().look_up, world.doctor().stream):
        reply = await ask(world.mrs_okafor)
        assert reply.status == 200
        for word in ("Stranger", "7770", *OTHERS, "other0"):
            assert word not in reply.text
    reply = await world.doctor().look_up(world.mrs_okafor)
    row = reply.row("R1H-epr")
    assert (row["status"], row["resources"]) == ("wrong-patient", 0)
    assert {one["status"] for one in row["categories"].values()} <= {"wrong-patient", "not-provided"}
    assert not reply.complete
    assert reply.sources_of("AllergyIntolerance") == {"RJ1-epr", "RJZ-epr", "G85001-epr"}
    assert {one["source"] for one in world.journal("lookup.wrong-patient")} == {"R1H-epr"}


async def test_where_it_holds_only_this_patient_it_is_as_good_as_any_other(fhirsnake, open_world, house):
    snake = house.Organisation("R1H")
    snake.base_url = await fhirsnake(*record_of(house, house.mrs_okafor, "mine", "91936005"))
    world = await open_world(snake, down=("R1H",))
    reply = await world.doctor("R1H").look_up(world.mrs_okafor)
    assert reply.complete, reply.rows
    assert reply.category("R1H-epr", "allergies") == "answered"
    assert [one["code"]["coding"][0]["display"] for one in reply.resources("Condition")] == ["An illness of Okafor"]
