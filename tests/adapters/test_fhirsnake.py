"""fhirsnake (PyPI), a real server that others wrote: it has no `_search`, and ignores every search parameter."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.contract import Arrival

pytestmark = pytest.mark.blocking


@pytest.fixture
def fhirsnake(tmp_path, fhir):
    """A running fhirsnake with two patients and a condition of each."""
    found = importlib.util.find_spec("fhirsnake")
    if found is None:
        pytest.skip("fhirsnake is not installed")
    for resource in (
        fhir.patient("mine"),
        fhir.patient("other", "9990000034"),
        fhir.record("Condition", "1", of="mine"),
        fhir.record("Condition", "2", of="other"),
    ):
        folder = tmp_path / "resources" / resource["resourceType"]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{resource['id']}.json").write_text(json.dumps(resource))
    app = Path(found.submodule_search_locations[0])
    command = [sys.executable, "-m", "uvicorn", "main:app", "--app-dir", str(app), "--port", "0"]
    with subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as server:
        log = []
        for line in server.stderr:
            log.append(line)
            if running := re.search(r"running on (http://\S+)", line):
                break
        else:
            pytest.fail("fhirsnake did not start: " + "".join(log))
        yield running[1]
        server.terminate()
        server.stderr.read()


async def test_all_that_fhirsnake_gives_is_handed_on_with_how_it_came(fhirsnake, connect, fhir):
    got = await fhir.gather(connect(fhirsnake).fetch(fhir.ask()))
    assert got.error is None
    patients = [name for name in got.names if name.startswith("Patient/")]
    assert sorted(patients) == ["Patient/mine", "Patient/other"]
    assert len(got.arrived(Arrival.PATIENT)) == 2, "the guard sees that it answers about somebody else"
    assert sorted(name for name in got.names if name.startswith("Condition/")) == ["Condition/1", "Condition/2"]
