"""`broker config check` runs the board's scenarios, tells as much as it can, and notes what is no fault."""

import json
import shutil
from importlib.resources import as_file, files

import pytest


@pytest.fixture
def board(config):
    """The package's policies, copied for a board that edits them."""
    folder = config.parent / "board"
    with as_file(files("policies")) as package:
        shutil.copytree(package, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    config.write_text(config.read_text() + '[policies]\ndirectory = "board"\n')
    return folder


@pytest.fixture
def check(broker, config):
    def run():
        code, out, _ = broker("config", "check", "--config", config, "--format", "json")
        return code, json.loads(out)

    return run


def test_a_boards_copy_of_the_policies_is_without_fault(board, check):
    assert check()[0] == 0


def test_a_scenario_that_does_not_hold_stops_check_and_start_alike(board, check, broker, config):
    case = '[[case]]\nid = "{}"\nwhy = "w"\naction = "ask"\nrole = "student"\nexpect = "permit"\n'
    file = board / "cases" / "mine.toml"
    file.write_text(case.format("hope") + case.format("more"))
    code, found = check()
    assert code == 1
    assert [(fault["file"], fault["line"]) for fault in found["faults"]] == [(str(file), 1), (str(file), 7)]
    code, _, err = broker("serve", "--config", config)
    assert code == 1
    assert f"{file}:1: case `hope` expects permit, and what is decided is forbid by role-sees-nothing" in err


def test_what_the_policies_lack_is_told_with_the_folder_that_lacks_it(board, check):
    shutil.rmtree(board / "cases")
    (board / "hazards.toml").unlink()
    assert [fault["file"] for fault in check()[1]["faults"]] == [str(board / "hazards.toml"), str(board / "cases")]


def test_a_fault_of_a_manifest_hides_none_of_the_policies(board, check, config):
    manifest = config.parent / "organisations" / "rj1.toml"
    manifest.write_text(manifest.read_text().replace("acute", "x"))
    (board / "roles.toml").unlink()
    assert [fault["file"] for fault in check()[1]["faults"]] == [str(manifest), str(board / "roles.toml")]


def test_one_fault_is_one_fault(broker, config):
    config.write_text(config.read_text() + "[lookup]\ndeadline = 5\n")
    assert broker("config", "check", "--config", config)[1].endswith(f"{config}: 1 fault\n")


def test_an_agreement_that_has_ended_is_a_note_and_no_fault(check, broker, config):
    manifest = config.parent / "organisations" / "rj1.toml"
    manifest.write_text(manifest.read_text().replace("2099-03-31", "2025-05-01"))
    code, found = check()
    assert (code, found["faults"]) == (0, [])
    assert found["notices"][0].startswith("rj1.toml: agreement.isa_expires was 2025-05-01: it takes no part")
    assert "note: rj1.toml: agreement.isa_expires" in broker("config", "check", "--config", config)[1]


def test_a_manifest_names_the_rules_that_the_board_has_adopted_and_no_others(board, check, broker, config):
    manifest = config.parent / "organisations" / "rj1.toml"
    manifest.write_text(manifest.read_text() + '\n[services]\nexcluded = ["termination"]\n')
    line = len(manifest.read_text().splitlines())
    (fault,) = check()[1]["faults"]
    assert (fault["file"], fault["line"]) == (str(manifest), line)
    assert "termination is no rule of exclusions.toml" in fault["problem"]
    code, _, err = broker("serve", "--config", config)
    assert code == 1
    assert f"{manifest}:{line}: services.excluded" in err
    rules = board / "exclusions.toml"
    rules.write_text(rules.read_text().replace("adopted = false", "adopted = true"))
    assert not [fault for fault in check()[1]["faults"] if fault["file"] == str(manifest)]
