"""The cases of the board hold, and a case that does not hold is told."""

from datetime import date

import pytest

from policies import run_scenarios
from policies.scenarios import load_scenarios, unmet
from policies.values import PolicyError


def test_every_scenario_of_the_package_holds(policies):
    report = run_scenarios(policies)
    assert report["failed"] == []
    assert report["passed"] >= 120


def test_every_policy_determines_some_scenario(policies, board):
    cases = load_scenarios(policies.tables, board / "cases", today=date(2026, 11, 22))
    named = set().union(*(case.policies for case in cases if case.policies))
    assert policies.rules.whys.keys() <= named
    assert {rule.id for rule in policies.tables.exclusions if rule.adopted} <= named


def test_every_role_has_a_scenario_and_so_has_somebody_without_one(policies, board):
    cases = load_scenarios(policies.tables, board / "cases", today=date(2026, 11, 22))
    assert {*policies.tables.roles, "unknown"} - {"clinician"} <= {case.role for case in cases}
    assert any(case.role is None for case in cases), "what is left out is the clinician"


def test_every_promise_about_access_has_a_scenario(policies, board):
    cases = load_scenarios(policies.tables, board / "cases", today=date(2026, 11, 22))
    told = {case.promise for case in cases}
    # 6 describes the record; 8 names its partners, 9 is for later, 10 to 24 are about access; 25 and 26 are not.
    assert {3, 4, 5, 7, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24} <= told


def test_a_name_that_stands_in_two_files_is_a_fault(policies, tmp_path):
    for name in ("one.toml", "two.toml"):
        (tmp_path / name).write_text('\n[[case]]\nid = "a"\nwhy = "w"\nexpect = "permit"\n', encoding="utf-8")
    with pytest.raises(PolicyError, match=r"`a` stands in .*one\.toml already") as caught:
        run_scenarios(policies, tmp_path)
    assert (caught.value.file, caught.value.line) == (f"{tmp_path.name}/two.toml", 3)


def test_a_case_that_does_not_hold_is_told_with_file_case_and_policies(policies, tmp_path):
    (tmp_path / "mine.toml").write_text(
        '[[case]]\nid = "hope"\nwhy = "w"\naction = "ask"\nrole = "student"\nexpect = "permit"\n'
        '[[case]]\nid = "fine"\nwhy = "w"\nexpect = "permit"\n',
        encoding="utf-8",
    )
    assert run_scenarios(policies, tmp_path) == {
        "passed": 1,
        "failed": [
            {
                "file": f"{tmp_path.name}/mine.toml",
                "line": 1,
                "case": "hope",
                "problem": "case `hope` expects permit, and what is decided is forbid by role-sees-nothing",
                "expected": "permit",
                "expected_policies": None,
                "decision": "forbid",
                "policies": ["role-sees-nothing"],
            }
        ],
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('why = "w"\nexpect = "permit"', "lacks `id`"),
        ('id = "a"\nwhy = "w"\nexpect = "maybe"', "`maybe` is not an outcome"),
        ('id = "a"\nwhy = "w"\nexpect = "permit"\nrole = "docter"', "`docter` is not a role"),
        ('id = "a"\nwhy = "w"\nexpect = "permit"\nlable = ["R"]', "unknown key `lable`"),
        ('id = "a"\nwhy = "w"\nexpect = "permit"\noverride = "yes"', "`override` must be true or false"),
        ('id = "a"\nwhy = "w"\nexpect = "permit"\noperator = true', "unknown key `operator`"),
        ('id = "a"\nwhy = "w"\nexpect = "permit"\naction = "audit"\noverride = true', "unknown key `override`"),
        ('id = "a"\nwhy = "w"\nexpect = "permit"\naction = "locate"', "lacks `place`"),
        ('id = "a"\nwhy = "w"\nexpect = "permit"\naction = "locate"\nplace = "work"', "`work` is not a place"),
        ('id = "a"\nwhy = "w"\nexpect = "permit"\nquestion = "27"', "`27` is not a question"),
        ('id = "a"\nwhy = "w"\nexpect = "permit"\naction = "look"', "`look` is not an action"),
        ('id = "a"\nwhy = "w"\naction = "share"\nexpect = "permit"\ncodes = ["360"]', "system|code"),
        ('id = "a"\nwhy = "w"\nexpect = "forbid"\nsight = "show"', '`sight = "show"` can\'t both hold'),
        ('id = "a"\nwhy = "w"\nexpect = "permit"\nsight = "withhold"', '`sight = "withhold"` can\'t both hold'),
    ],
)
def test_a_scenario_with_a_fault_is_named_with_its_line(policies, tmp_path, text, message):
    (tmp_path / "mine.toml").write_text(f"[[case]]\n{text}\n", encoding="utf-8")
    with pytest.raises(PolicyError, match=message.replace("|", r"\|")) as caught:
        run_scenarios(policies, tmp_path)
    assert caught.value.file == f"{tmp_path.name}/mine.toml"
    assert caught.value.line is not None


def test_a_case_that_does_not_hold_is_a_fault_with_its_line_what_it_expects_and_what_is_decided(policies, tmp_path):
    (tmp_path / "mine.toml").write_text(
        '[[case]]\nid = "hope"\nwhy = "w"\naction = "ask"\nrole = "student"\nexpect = "permit"\n'
        '[[case]]\nid = "fine"\nwhy = "w"\nexpect = "permit"\n'
        '[[case]]\nid = "other"\nwhy = "w"\nexpect = "permit"\npolicies = ["role-may-ask"]\n'
        '[[case]]\nid = "mark"\nwhy = "w"\nexpect = "permit"\nsight = "mark"\n',
        encoding="utf-8",
    )
    faults = unmet(policies, tmp_path)
    assert [(fault.file, fault.line) for fault in faults] == [(f"{tmp_path.name}/mine.toml", n) for n in (1, 11, 16)]
    assert [fault.message.partition(": ")[0] for fault in faults] == [
        "case `hope` expects permit, and what is decided is forbid by role-sees-nothing",
        "case `other` expects permit by role-may-ask, and what is decided is permit by category-of-the-role",
        "case `mark` expects mark, and what is decided is show by category-of-the-role",
    ]


@pytest.mark.parametrize(
    ("case", "told"),
    [
        ('action = "share"\ncodes = ["urn:x|1"]\nexpect = "forbid"', "is permit (nothing keeps it out)"),
        ('action = "dissent"\ncodes = ["urn:x|1"]\nexpect = "forbid"', "is permit (nothing keeps it out)"),
        ('role = "pharmacist"\ncategory = "documents"\nexpect = "permit"', "is forbid (no policy permits it)"),
        ('expect = "forbid"\npolicies = []', "expects forbid (no policy permits it), and"),
    ],
)
def test_what_no_policy_determined_is_told_in_words(policies, tmp_path, case, told):
    (tmp_path / "mine.toml").write_text(f'[[case]]\nid = "a"\nwhy = "w"\n{case}\n', encoding="utf-8")
    [fault] = unmet(policies, tmp_path)
    assert told in fault.message


def test_a_folder_without_scenarios_is_a_fault(policies, tmp_path):
    with pytest.raises(PolicyError, match="no scenario"):
        run_scenarios(policies, tmp_path)


def test_a_folder_that_is_not_there_is_a_fault(policies, tmp_path):
    with pytest.raises(PolicyError, match="no such folder"):
        run_scenarios(policies, tmp_path / "none")
