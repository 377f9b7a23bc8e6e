"""`broker policy test` and `show`: the scenarios of a board, the role table, and what samples leave to their type."""

import json
import shutil
from importlib.resources import as_file, files

import pytest

from policies import Policies


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """In a folder of its own: a broker.toml of the checkout must not count."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


@pytest.fixture
def board(config):
    """The package's policies, copied for a board that edits them."""
    folder = config.parent / "board"
    with as_file(files("policies")) as package:
        shutil.copytree(package, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    config.write_text(config.read_text() + '[policies]\ndirectory = "board"\n')
    return folder


@pytest.fixture(scope="module")
def policies_of_the_package():
    return Policies.load(None)


@pytest.mark.parametrize("action", [(), ("explain",), ("test",), ("show",), ("copy",), ("refset",)], ids=" ".join)
def test_every_action_has_help_worth_reading(broker, action):
    code, out, err = broker("policy", *action, "--help")
    assert (code, err) == (0, "")
    assert len(out) > 400
    assert "None" not in out


CASE = '[[case]]\nid = "hope"\nwhy = "w"\naction = "ask"\nrole = "student"\nexpect = "permit"\n'


def test_the_scenarios_of_the_package_hold(broker):
    code, out, err = broker("policy", "test", "--format", "json")
    report = json.loads(out)
    assert (code, err, report["failed"]) == (0, "", [])
    assert report["passed"] >= 120
    assert broker("policy", "test")[1] == f"all {report['passed']} hold\n"


def test_a_case_that_does_not_hold_is_exit_code_1_and_named(broker, tmp_path):
    (tmp_path / "mine.toml").write_text(CASE)
    code, out, _ = broker("policy", "test", "--cases", tmp_path, "--format", "json")
    failed = {
        "file": f"{tmp_path.name}/mine.toml",
        "line": 1,
        "case": "hope",
        "problem": "case `hope` expects permit, and what is decided is forbid by role-sees-nothing",
        "expected": "permit",
        "expected_policies": None,
        "decision": "forbid",
        "policies": ["role-sees-nothing"],
    }
    assert (code, json.loads(out)) == (1, {"passed": 0, "failed": [failed]})
    code, out, _ = broker("policy", "test", "--cases", tmp_path)
    assert (code, out.splitlines()[-1]) == (1, "0 hold, 1 do not")
    assert out.startswith(f"{tmp_path}/mine.toml:1: case `hope` expects permit, and what is decided is forbid by role-")
    (tmp_path / "mine.toml").write_text(CASE + 'policies = ["role-may-ask"]\n')
    assert "expects permit by role-may-ask, and" in broker("policy", "test", "--cases", tmp_path)[1]


def test_the_cases_of_the_boards_own_folder_are_run(broker, config, board):
    (board / "cases" / "mine.toml").write_text(CASE)
    assert broker("policy", "test", "--config", config)[0] == 1


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("cases/mine.toml", '[[case]]\nid = "a"\nwhy = "w"\nexpct = "permit"\n', "cases/mine.toml:1: "),
        ("cases/mine.toml", "[[case]\n", "cases/mine.toml:1: not TOML"),
        ("cedar/9-new.cedar", "permit (principal,", "cedar/9-new.cedar:1: not Cedar"),
        ("value-sets/999004381000000103.json", "{", "value-sets/999004381000000103.json:1: not JSON"),
    ],
)
def test_a_file_that_can_not_be_read_is_exit_code_2_with_file_and_line(broker, config, board, name, text, told):
    (board / name).write_text(text)
    code, out, err = broker("policy", "test", "--config", config)
    assert (code, out) == (2, "")
    assert err.startswith(f"broker: {board}/{told}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [("--config", "missing.toml"), ("--cases", "missing")],
    ids=" ".join,
)
def test_what_is_not_there_is_exit_code_2(broker, arguments):
    code, out, err = broker("policy", "test", *arguments)
    assert (code, out) == (2, "")
    assert "missing" in err


def test_a_table_with_a_typo_stops_the_next_start_and_is_told_alike_by_check_and_test(broker, config, board):
    """What runs keeps what it has: policies are read at the start alone."""
    table = board / "roles.toml"
    table.write_text(table.read_text().replace('sees = ["identity", ', 'sees = ["identiy", ', 1))
    line = (
        table.read_text().splitlines().index(next(each for each in table.read_text().splitlines() if "identiy" in each))
        + 1
    )
    told = f"{table}:{line}: `identiy` is not a group of categories.toml"
    for command in (("policy", "test"), ("policy", "show"), ("serve",)):
        code, _, err = broker(*command, "--config", config)
        assert code == (1 if command == ("serve",) else 2)
        assert told in err
    assert told in broker("config", "check", "--config", config)[1]


def test_the_role_table_fits_a_screen(broker):
    code, out, _ = broker("policy", "show")
    lines = out.splitlines()
    assert code == 0
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    assert next(line for line in lines if line.startswith("receptionist ")).split()[1:] == ["."] * 11
    assert next(line for line in lines if line.startswith("clinician ")).split()[1:] == ["x"] * 11


def test_the_role_table_as_json_holds_all_that_the_board_decided(broker, policies_of_the_package):
    table = json.loads(broker("policy", "show", "--format", "json")[1])
    tables = policies_of_the_package.tables
    assert [role["id"] for role in table["roles"]] == list(tables.roles)
    assert sorted(each for members in table["groups"].values() for each in members) == sorted(tables.categories)
    nurse = next(role for role in table["roles"] if role["id"] == "nurse")
    assert set(nurse["sees"]) == tables.roles["nurse"].sees
    assert (nurse["override"], nurse["records_objections"]) == (True, True)
    assert "R8001" in nurse["job_roles"]
    assert table["policy_set"] == policies_of_the_package.hash


def test_the_role_table_as_markdown_has_a_row_for_each_role(broker, policies_of_the_package):
    lines = broker("policy", "show", "--format", "markdown")[1].splitlines()
    assert len(lines) == 2 + len(policies_of_the_package.tables.roles)
    assert len({line.count("|") for line in lines}) == 1
    assert lines[0].endswith("| may break the glass | records objections |")


def test_what_samples_leave_to_their_type_is_listed(broker, tmp_path):
    coding = {"system": "http://example.org/codes", "code": "canary"}
    sample = tmp_path / "sample.json"
    sample.write_text(json.dumps({"resourceType": "Condition", "code": {"coding": [coding]}}))
    (tmp_path / "claim.json").write_text('{"resourceType": "Claim"}')
    code, out, _ = broker("policy", "show", "--unmapped", tmp_path, "--format", "json")
    found = json.loads(out)
    assert (code, found["resources"], found["types"]) == (0, 2, {})
    assert found["systems"] == {"Condition": {"http://example.org/codes": 1}}
    assert found["unasked"]["Claim"]["count"] == 1
    _, out, _ = broker("policy", "show", "--unmapped", sample)
    assert "Condition: 1 with the code system http://example.org/codes, of which no table speaks" in out
    assert "canary" not in out


@pytest.mark.parametrize("text", ["{", "\xff", "[" * 100_000])
def test_a_sample_that_can_not_be_read_is_named_not_quoted_and_does_not_stop_the_rest(broker, tmp_path, text):
    sample = tmp_path / "sample.json"
    sample.write_bytes(text.encode("latin-1"))
    (tmp_path / "whole.json").write_text('{"resourceType": "Contract"}')
    code, out, err = broker("policy", "show", "--unmapped", sample, tmp_path / "whole.json")
    assert (code, err) == (1, "")
    assert out.splitlines() == [
        f"{sample}: not JSON in UTF-8: skipped",
        "Contract: 1, a type that no table speaks of: never asked for",
        "1 resources in 2 files, 1 of them skipped: for the rest the tables speak",
    ]
    found = json.loads(broker("policy", "show", "--unmapped", tmp_path, "--format", "json")[1])
    assert (found["files"], found["skipped"]) == (2, [{"file": str(sample), "problem": "not JSON in UTF-8"}])


def test_files_without_fhir_are_not_said_to_be_spoken_of(broker, tmp_path):
    for name in ("one.json", "two.json"):
        (tmp_path / name).write_text('{"patients": []}')
    code, out, err = broker("policy", "show", "--unmapped", tmp_path)
    assert (code, out, err) == (1, "no FHIR resource in 2 files: nothing was judged\n", "")


def test_a_copy_is_the_set_of_the_package_without_its_program(broker, config, tmp_path, policies_of_the_package):
    folder = tmp_path / "boards" / "own"
    code, out, err = broker("policy", "copy", folder)
    assert (code, err) == (0, "")
    assert str(folder) in out
    assert {file.suffix for file in folder.rglob("*") if file.is_file()} == {".toml", ".cedar", ".cedarschema", ".md"}
    assert Policies.load(folder).hash == policies_of_the_package.hash
    config.write_text(config.read_text() + '[policies]\ndirectory = "boards/own"\n')
    assert broker("config", "check", "--config", config)[0] == 0
    assert broker("policy", "test", "--config", config)[0] == 0


def test_a_copy_never_touches_what_is_there(broker, tmp_path):
    (tmp_path / "board").mkdir()
    (tmp_path / "board" / "roles.toml").write_text("ours")
    (tmp_path / "file").write_text("ours")
    for place in ("board", "file"):
        code, out, err = broker("policy", "copy", tmp_path / place)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert err.startswith(f"broker: {tmp_path / place}: ")
    assert [each.name for each in (tmp_path / "board").iterdir()] == ["roles.toml"]
    assert (tmp_path / "board" / "roles.toml").read_text() == "ours"


@pytest.mark.parametrize(
    "arguments",
    [
        ("--unmapped", "missing.json"),
        ("--unmapped", "."),
        ("--unmapped", "missing.json", "--format", "markdown"),
        ("--config", "missing.toml"),
    ],
    ids=" ".join,
)
def test_what_can_not_be_shown_is_exit_code_2_in_one_line(broker, arguments):
    code, out, err = broker("policy", "show", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("broker: ")
    assert err.count("\n") == 1
