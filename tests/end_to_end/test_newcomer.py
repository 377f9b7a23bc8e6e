"""A newcomer with a FHIR server of their own, and what the README tells them to type."""

import asyncio
import json
import os
import re
import socket
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.blocking


@pytest.fixture
def recipe(house):
    readme = house.root / "README.md"
    if not readme.is_file():
        pytest.skip("the README is not beside the tests")
    section = readme.read_text().partition("## With your own FHIR server")[2]
    native, fhir, *_ = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return f"{native}echo\n{fhir}"


async def test_the_recipe_of_the_readme_gives_a_complete_lookup(recipe, open_world, house, tmp_path):
    """As printed, but for the port of the newcomer's server and a free one for the broker."""
    server = house.Organisation("X99").holds(
        house.mrs_okafor.at("1000"), house.record("AllergyIntolerance", "1", code="91936005", text="Penicillin allergy")
    )
    await server.revive()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = recipe.replace("127.0.0.1:8090", f"127.0.0.1:{server.port}").replace("127.0.0.1:8080", f"127.0.0.1:{port}")
    assert str(port) in script
    assert str(server.port) in script
    own = {name: value for name, value in os.environ.items() if not name.startswith("BROKER_")}
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", f"trap 'kill %1; wait' EXIT\n{script}"),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=own
        | {
            "BROKER_SERVER_LISTEN": f"127.0.0.1:{port}",
            "PATH": f"{Path(sys.executable).parent}:{own['PATH']}",
        },
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    await server.close()
    native, _, fhir = out.decode().partition("\n")
    reply = json.loads(native or err.decode())
    assert reply["complete"] is True, err.decode()
    assert [row["status"] for row in reply["sources"]] == ["answered"]
    assert "Penicillin allergy" in native
    outcome, allergy, *_ = json.loads(fhir)["entry"]
    assert outcome["search"]["mode"] == "outcome"
    assert allergy["resource"]["code"] == reply["bundle"]["entry"][-1]["resource"]["code"]
    assert "Traceback" not in err.decode()


async def test_the_service_apart_answers_as_it_does_here(open_world, house):
    world = await open_world(*house.usual(), apart=True)
    doctor = world.doctor()
    reply = await doctor.look_up(world.mrs_okafor)
    assert reply.complete
    assert [event["event"] for event in (await doctor.stream(world.mrs_okafor)).events][-1] == "summary"
    assert await world.ready() == 200
