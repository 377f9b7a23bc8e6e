"""Answers as the Personal Demographics Service publishes them: every one of them is read, and none shows what it must not."""

import asyncio
import datetime as dt
import json
import shutil
from pathlib import Path

import pytest

from broker.errors import IdentityNotConfirmed
from broker.identity import FileIdentity

PDS = Path(__file__).parents[3] / "shared" / "data" / "pds-r4"

pytestmark = pytest.mark.skipif(not PDS.is_dir(), reason="the PDS examples are not here: ../shared/data/pds-r4")


@pytest.fixture
def service(tmp_path):
    for source in (PDS / "karate-stubs" / "patientResponses").glob("patient_*.json"):
        shutil.copy(source, tmp_path / source.name.removeprefix("patient_"))
    for name in ("Patient.json", "Sensitive_Patient.json", "Minimal_Patient.json"):
        content = (PDS / name).read_bytes()
        (tmp_path / f"{json.loads(content)['id']}.json").write_bytes(content)
    return FileIdentity(tmp_path, today=lambda: dt.date(2025, 6, 1))


async def ask(service, number, birth_date):
    return await service.resolve(number, birth_date, asyncio.get_running_loop().time() + 5, "RJ1")


async def test_every_example_with_a_birth_date_is_confirmed(service):
    examples = [json.loads(file.read_bytes()) for file in service._directory.iterdir()]
    assert len(examples) > 10
    for example in examples:
        if "birthDate" not in example:
            continue
        person = await ask(service, example["id"], example["birthDate"])
        assert person.status == "answered"
        assert person.identity.numbers == (example["id"],)
        assert person.patient["birthDate"] == example["birthDate"]
        assert len(person.patient["name"]) == 1
        assert "extension" not in json.dumps(person.patient)
        with pytest.raises(IdentityNotConfirmed):
            await ask(service, example["id"], "1900-01-01")


async def test_the_example_patient_in_full(service):
    person = await ask(service, "9000000009", "2010-10-22")
    assert person.restricted == "no"
    assert person.practice == "Y12345"
    assert person.deceased == "2010-10-22T00:00:00+00:00"
    assert person.patient["name"] == [
        {"use": "usual", "family": "Smith", "given": ["Jane"], "prefix": ["Mrs"], "suffix": ["MBE"]}
    ]
    assert [each["use"] for each in person.patient["address"]] == ["home", "temp"]
    assert "jane.smith@example.com" not in json.dumps(person.patient)  # no longer hers
    assert "12345678" not in json.dumps(person.patient)  # the keys of her address


async def test_the_sensitive_example_is_restricted(service):
    person = await ask(service, "9000000025", "2010-10-22")
    assert person.restricted == "yes"
    assert person.practice is None
    assert not {"address", "telecom", "generalPractitioner"} & set(person.patient)


async def test_the_example_without_a_birth_date_confirms_nobody(service):
    assert (await ask(service, "9000000033", "2010-10-22")).status == "malformed"


async def test_the_example_with_a_previous_name_does_not_show_it(service):
    example = json.loads((service._directory / "9732110317.json").read_bytes())
    previous = next(name for name in example["name"] if name["use"] == "old")
    current = next(name for name in example["name"] if name["use"] == "usual")
    person = await ask(service, "9732110317", example["birthDate"])
    names = person.patient["name"]
    assert [name["given"] for name in names] == [current["given"]]
    assert previous != current


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        ("RESOURCE_NOT_FOUND", "patient-not-found"),
        ("INVALIDATED_RESOURCE", "patient-not-found"),
        ("ACCESS_DENIED", "failed"),
        ("UNSUPPORTED_SERVICE", "failed"),
    ],
)
async def test_error_outcomes_are_told_apart(service, outcome, status):
    number = "9000000009"
    shutil.copy(PDS / "karate-stubs" / "errorResponses" / f"{outcome}.json", service._directory / f"{number}.json")
    assert (await ask(service, number, "2010-10-22")).status == status
