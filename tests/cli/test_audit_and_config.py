"""`broker audit verify` and `broker config check`: what they find, how they say it, how they end."""

import json

import pytest


@pytest.fixture
def journal(config, objection, token):
    """A journal with something in it, written by the command itself."""
    objection(token(), "record", "--patient", "9990000018", "--asked-by", "patient", "--effect-explained")
    return config.parent / "state" / "journal"


def test_a_whole_journal_is_exit_code_0(broker, config, journal):
    code, out, err = broker("audit", "verify", "--config", config, "--format", "json")
    found = json.loads(out)
    assert (code, err) == (0, "")
    assert set(found) == {"ok", "records", "faults", "cannot_know"}
    assert found["ok"]
    assert found["records"] >= 3
    assert broker("audit", "verify", "--config", config)[0] == 0


def test_a_changed_record_is_found(broker, config, journal):
    segment = next(file for file in journal.iterdir() if b"objection.recorded" in file.read_bytes())
    segment.chmod(0o600)
    segment.write_bytes(segment.read_bytes().replace(b'"received"', b'"withdraw"'))
    code, out, _ = broker("audit", "verify", journal, "--format", "json")
    found = json.loads(out)
    assert (code, found["ok"]) == (1, False)
    assert set(found["faults"][0]) == {"file", "line", "problem"}
    code, out, _ = broker("audit", "verify", journal)
    assert code == 1
    assert "not whole" in out


def test_the_key_can_be_named(broker, config, journal, tmp_path):
    keys = config.parent / "state" / "keys" / "journal.pub"
    assert broker("audit", "verify", journal, "--public-key", keys)[0] == 0
    code, out, _ = broker("audit", "verify", journal, "--public-key", tmp_path / "none.pub")
    assert (code, out) == (2, "")
    (tmp_path / "bad.pub").write_text("not a key")
    assert broker("audit", "verify", journal, "--public-key", tmp_path / "bad.pub")[0] == 2


def test_no_such_directory_is_exit_code_2(broker, tmp_path):
    code, out, err = broker("audit", "verify", tmp_path / "nowhere")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1


def test_a_configuration_without_fault_says_so(broker, config):
    code, out, err = broker("config", "check", "--config", config, "--format", "json")
    assert (code, err) == (0, "")
    assert json.loads(out)["faults"] == []
    assert not (config.parent / "state").exists(), "checking makes nothing"


def test_every_fault_comes_with_file_line_and_what_to_write(broker, config):
    config.write_text(config.read_text().replace('"127.0.0.1:8080"', "8080") + "[lookup]\ndeadline = 5\n")
    code, out, _ = broker("config", "check", "--config", config, "--format", "json")
    found = json.loads(out)
    assert (code, found["ok"]) == (1, False)
    assert [fault["line"] for fault in found["faults"]] == [2, len(config.read_text().splitlines())]
    assert all(set(fault) == {"file", "line", "problem"} and fault["problem"] for fault in found["faults"])
    code, out, _ = broker("config", "check", "--config", config)
    assert code == 1
    assert f"{config}:2: " in out


def test_a_fault_of_a_manifest_is_found_too(broker, config):
    manifest = config.parent / "organisations" / "rj1.toml"
    manifest.write_text(manifest.read_text().replace("[agreement]", "[agrement]"))
    code, out, _ = broker("config", "check", "--config", config)
    assert code == 1
    assert "rj1.toml" in out


def test_faults_of_policies_identity_and_keys_are_found_too(broker, config):
    folder = config.parent
    (folder / "identity").mkdir()
    (folder / "identity" / "9990000018.json").write_text("{}")
    (folder / "policies").mkdir()
    (folder / "keys.json").write_text("{}")
    config.write_text(
        config.read_text()
        + 'jwks_file = "keys.json"\n[identity]\nkind = "file"\ndirectory = "identity"\n[policies]\ndirectory = "policies"\n'
    )
    code, out, _ = broker("config", "check", "--config", config, "--format", "json")
    assert code == 1
    assert len(json.loads(out)["faults"]) == 3


def test_a_configuration_that_is_not_there_is_exit_code_2(broker, tmp_path):
    code, _, err = broker("config", "check", "--config", tmp_path / "none.toml")
    assert code == 2
    assert err.count("\n") == 1
