"""A whole set is checked before it is used: what decides, the scenarios, the safety case."""

import shutil

import pytest

from policies import check_set
from policies.values import PolicyError


def test_the_set_of_the_package_is_whole():
    policies, faults = check_set(None)
    assert policies is not None
    assert faults == []


def test_a_boards_own_copy_of_it_is_whole(board):
    assert check_set(board)[1] == []


def test_what_decides_and_what_is_expected_must_agree(board, edit):
    edit(
        "roles.toml",
        'id = "student"\nname = "Student or trainee, not yet registered"\nsees = []',
        'id = "student"\nname = "Student or trainee, not yet registered"\nsees = ["safety"]',
    )
    faults = check_set(board)[1]
    assert all(fault.line and fault.file.startswith("cases/") for fault in faults)
    assert {fault.message.partition("`")[2].partition("`")[0] for fault in faults} >= {
        "a-student",
        "a-student-sees-no-allergies",
        "no-answer-to-a-student",
    }
    told = next(fault for fault in faults if "`a-student`" in fault.message)
    assert told.file == "cases/1-who-may-ask.toml"
    assert "case `a-student` expects forbid by role-sees-nothing, and what is decided is permit by" in told.message


@pytest.mark.parametrize("name", ["cases", "hazards.toml", "cases/notes.toml"])
def test_a_board_holds_the_whole_set(board, name):
    if name == "cases":
        shutil.rmtree(board / name)
    elif name == "hazards.toml":
        (board / name).unlink()
    else:
        (board / name).write_text("case = 1\n", encoding="utf-8")
    (fault,) = check_set(board)[1]
    assert fault.file == name


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[[hazard]]", "[[hazzard]]", "unknown table [hazzard]"),
        ("[[hazard]]", "[[hazard", "not TOML"),
        ('cause = "', 'because = "', "hazard lacks `cause`"),
        ("rating = 5}", "rating = 4}", "are rated 5 by the matrix"),
        ("rating = 5}", 'rating = "5"}', "`rating` must be a whole number"),
        ('severity = "catastrophic"', 'severity = "bad"', "`bad` is not a severity"),
        ('likelihood = "very-low", rating = 3', 'likelihood = "high", rating = 5', "must lower the rating"),
        ('id = "partial-list-taken-as-whole"', 'id = "absence-taken-for-nothing"', "stands twice"),
    ],
)
def test_a_fault_in_the_safety_case_is_named_with_its_line(board, edit, old, new, message):
    edit("hazards.toml", old, new)
    (fault,) = check_set(board)[1]
    assert (fault.file, message in fault.message) == ("hazards.toml", True)
    assert fault.line


def test_a_safety_case_without_hazards_is_none(board):
    (board / "hazards.toml").write_text("# none\n", encoding="utf-8")
    (fault,) = check_set(board)[1]
    assert isinstance(fault, PolicyError)
    assert "a safety case that names none is none" in fault.message


def test_faults_of_the_scenarios_and_of_the_safety_case_are_told_together(board):
    (board / "hazards.toml").unlink()
    shutil.rmtree(board / "cases")
    assert [fault.file for fault in check_set(board)[1]] == ["hazards.toml", "cases"]


def test_with_a_fault_in_what_decides_that_alone_is_told(board):
    (board / "roles.toml").unlink()
    shutil.rmtree(board / "cases")
    policies, (fault,) = check_set(board)
    assert policies is None
    assert fault.file == "roles.toml"
