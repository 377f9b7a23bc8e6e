"""A webhook has a secret, a secret a webhook, and both are checked before anything starts."""

import json

import pytest

from broker import cli
from broker.settings import load

from .conftest import IN_A_FILE

MANIFEST = """\
ods_code = "RJ1"
name = "A Trust"
service_type = "acute"
region = "south-east-london"
agreement = {isa_signed = 2025-04-01, isa_expires = 2099-03-31, dspt_expires = 2099-03-31}
issuer = {iss = "https://ehr.rj1.example", demo = true}
sources = [{name = "epr", kind = "fhir-r4", base_url = "http://127.0.0.1:9/fhir"}]
"""


@pytest.fixture
def check(tmp_path, capsys, monkeypatch):
    """Exit code and faults of a configuration with this table of alerts."""
    (tmp_path / "organisations").mkdir()
    (tmp_path / "organisations" / "rj1.toml").write_text(MANIFEST)
    (tmp_path / "good").write_text(IN_A_FILE)
    (tmp_path / "bad").write_text("hunter2")

    def _check(*lines):
        file = tmp_path / "broker.toml"
        file.write_text("\n".join(["[alerts]", *lines]) + "\n")
        code = cli.main(["config", "check", "--config", str(file), "--format", "json"])
        return code, [each["problem"] for each in json.loads(capsys.readouterr().out)["faults"]]

    return _check


def test_a_webhook_with_its_secret_is_without_fault(check, tmp_path):
    assert check('webhook = "https://office.example/alerts?room=1"', 'secret_file = "good"') == (0, [])
    assert load(tmp_path / "broker.toml", {}).alerts.secret_file == tmp_path / "good"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (['webhook = "https://office.example"'], "its secret is missing"),
        (['secret_file = "good"'], "there is no webhook"),
        (['webhook = "http://office.example"', 'secret_file = "good"'], "write an https address"),
        (['webhook = "https://me:hunter2@office.example"', 'secret_file = "good"'], "without a user or password"),
        (['webhook = "https://office.example"', 'secret_file = "none"'], "there is no such file"),
        (['webhook = "https://office.example"', 'secret_file = "bad"'], "write whsec_"),
        (['webhok = "https://office.example"'], "did you mean webhook"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_write(check, lines, words):
    code, faults = check(*lines)
    assert code == 1
    assert any(words in fault for fault in faults)
    assert not any("hunter2" in fault for fault in faults)
