"""A configuration on disk, and the command as a function."""

import json

import pytest

from broker.cli import main

BROKER_TOML = """[server]
listen = "127.0.0.1:8080"
[organisations]
directory = "organisations"
[objections]
lead_controller = "QKK"
[[issuers]]
iss = "https://operator.example"
demo = true
"""
MANIFEST = """ods_code = "RJ1"
name = "Guy's and St Thomas'"
service_type = "acute"
region = "south-east-london"
[agreement]
isa_signed = 2025-04-01
isa_expires = 2099-03-31
dspt_expires = 2099-06-30
[[sources]]
name = "epr"
kind = "fhir-r4"
base_url = "http://127.0.0.1:9/fhir"
[issuer]
iss = "https://ehr.rj1.example"
demo = true
"""


@pytest.fixture(autouse=True)
def _no_token_of_the_machine(monkeypatch):
    monkeypatch.delenv("BROKER_TOKEN", raising=False)


@pytest.fixture
def config(tmp_path):
    organisations = tmp_path / "organisations"
    organisations.mkdir()
    (organisations / "rj1.toml").write_text(MANIFEST)
    file = tmp_path / "broker.toml"
    file.write_text(BROKER_TOML)
    return file


@pytest.fixture
def broker(capsys):
    """Runs the command; gives exit code, standard output, standard error."""

    def run(*arguments):
        try:
            code = main([str(each) for each in arguments])
        except SystemExit as stopped:  # argparse ends so
            code = stopped.code
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def token(broker, config, tmp_path):
    """Writes a token into a file, as the command takes it."""

    def make(*, role="R8000", organisation="RJ1", user="555254240100"):
        code, out, err = broker(
            "token", "--config", config, "--role", role, "--organisation", organisation, "--user", user
        )
        assert code == 0, err
        file = tmp_path / f"token-{organisation}-{role}-{user}"
        file.write_text(out)
        return file

    return make


@pytest.fixture
def objection(broker, config):
    """Runs `broker objection` as somebody, as JSON; gives what it printed."""

    def run(who, action, *arguments):
        code, out, err = broker("objection", action, *arguments, "--config", config, "--token", who, "--format", "json")
        assert code == 0, err
        return json.loads(out)

    return run
