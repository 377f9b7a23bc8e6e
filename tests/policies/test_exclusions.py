"""What is never shared: each rule with its bases and dates, the board's own decisions, and faults told with file and line."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import Policies, run_scenarios
from policies.tables import Basis, Exclusion
from policies.values import PolicyError

SNOMED = "http://snomed.info/sct"
TODAY = date(2026, 11, 22)
TERMINATION = "999004361000000107"
STD = "999004381000000103"
CODING = (SNOMED, "1")
OFF = "adopted = false\n[[rule.refset]]"
ON = "adopted = true\n[[rule.refset]]"


def rule(policies, name):
    return next(each for each in policies.tables.exclusions if each.id == name)


def test_termination_rests_on_the_national_set_alone_and_is_off(policies):
    termination = rule(policies, "termination")
    assert termination.refsets == (TERMINATION,)
    assert [TERMINATION in basis.name for basis in termination.bases] == [True]
    assert not termination.in_force(TODAY)
    assert "termination" not in policies.tables.excluded_services
    assert not any(TERMINATION in notice for notice in policies.notices)


def test_a_board_that_adopts_termination_keeps_it_out_and_is_told_what_is_not_loaded(board, edit):
    edit("exclusions.toml", OFF, ON)
    policies = Policies.load(board)
    assert rule(policies, "termination").in_force(TODAY)
    assert "termination" in policies.tables.excluded_services
    assert any(f"value-sets/{TERMINATION}.txt" in notice for notice in policies.notices)


def test_a_rule_that_is_adopted_and_has_nothing_to_go_by_is_told_until_its_reference_set_is_there(board, edit):
    line = edit("exclusions.toml", '[[rule]]\nid = "termination"', '[[rule]]\nid = "termination"')
    edit("exclusions.toml", OFF, ON)
    told = (
        f"exclusions.toml:{line}: rule `termination` is adopted and keeps nothing out: it lists no code, and its "
        "reference set is not loaded"
    )
    assert told in Policies.load(board).notices
    (board / "value-sets" / f"{TERMINATION}.txt").write_text("57797005\n")
    assert not any("termination" in notice for notice in Policies.load(board).notices)


def test_adopting_termination_breaks_the_case_that_the_readme_names_and_no_other(board, edit):
    edit("exclusions.toml", OFF, ON)
    (board / "value-sets" / f"{TERMINATION}.txt").write_text("57797005\n")
    case = "termination-unless-the-board-adopts-the-rule"
    assert [each["case"] for each in run_scenarios(Policies.load(board), board / "cases")["failed"]] == [case]
    assert f"`{case}`" in (board / "README.md").read_text()


def test_what_is_loaded_for_a_rule_that_is_not_adopted_keeps_nothing_out(board, edit):
    (board / "value-sets" / f"{TERMINATION}.txt").write_text("100000001\n")
    assert (SNOMED, "100000001") not in Policies.load(board).tables.excluded_codings(TODAY)
    edit("exclusions.toml", OFF, ON)
    assert (SNOMED, "100000001") in Policies.load(board).tables.excluded_codings(TODAY)


def test_the_revoked_directions_end_nothing_that_was_promised(policies):
    sexual_health = rule(policies, "sexual-health")
    assert [basis.name for basis in sexual_health.bases if basis.holds(TODAY)] == ["promise:seed-Q5"]
    assert sexual_health.in_force(TODAY)


DAYS = st.none() | st.dates()


@given(bases=st.lists(st.builds(Basis, st.just("b"), DAYS, DAYS), max_size=4), adopted=st.booleans(), on=st.dates())
def test_a_rule_is_in_force_while_adopted_and_any_basis_holds(bases, adopted, on):
    held = [(b.since is None or b.since <= on) and (b.until is None or on < b.until) for b in bases]
    assert Exclusion("x", frozenset((CODING,)), tuple(bases), adopted).in_force(on) == (adopted and any(held))


EXCEPT = """[[rule.except]]
why = "Signed by the board."
[rule.except.codes.snomed]
{codes}
[[rule.basis]]
name = "promise:seed-Q5"
why = "Question 5 of the London Care Record: attendance"""
FIRST_BASIS = '[[rule.basis]]\nname = "promise:seed-Q5"\nwhy = "Question 5 of the London Care Record: attendance'


def test_a_board_exempts_codes_of_a_reference_set_and_nothing_else(board, edit):
    (board / "value-sets" / f"{STD}.txt").write_text("100000001\n100000002\n")
    before = rule(Policies.load(board), "sexual-health").codings
    edit("exclusions.toml", FIRST_BASIS, EXCEPT.format(codes='100000001 = "Screening"'))
    assert before - rule(Policies.load(board), "sexual-health").codings == {(SNOMED, "100000001")}


def test_an_exception_can_stand_before_its_set_is_loaded(board, edit):
    before = rule(Policies.load(board), "sexual-health").codings
    edit("exclusions.toml", FIRST_BASIS, EXCEPT.format(codes='100000001 = "Screening"'))
    assert rule(Policies.load(board), "sexual-health").codings == before


@pytest.mark.parametrize(
    ("new", "message"),
    [
        ("except = []\n", "`except` is empty: leave it out"),
        (EXCEPT.format(codes="").replace("[rule.except.codes.snomed]\n", ""), "this exception lists no code"),
        (EXCEPT.format(codes=""), "write codes.snomed as a table of codes"),
        (EXCEPT.format(codes='100000003 = "x"'), "100000003 is in no reference set of this rule"),
        (EXCEPT.format(codes='76272004 = "Syphilis"'), "76272004 stands in the rule's own codes too"),
        (EXCEPT.format(codes='100000001 = "x"').replace('why = "Signed', 'who = "Signed'), "lacks `why`"),
    ],
)
def test_an_exception_that_exempts_nothing_is_told_and_never_turns_the_rule_round(board, edit, new, message):
    (board / "value-sets" / f"{STD}.txt").write_text("100000001\n100000002\n")
    if new.startswith("except"):
        edit("exclusions.toml", 'labels = ["STD", "SEX"]\n', f'labels = ["STD", "SEX"]\n{new}')
    else:
        edit("exclusions.toml", FIRST_BASIS, new)
    with pytest.raises(PolicyError) as caught:
        Policies.load(board)
    assert caught.value.file == "exclusions.toml"
    assert message in caught.value.message
    assert caught.value.line is not None


@pytest.mark.parametrize(
    ("old", "new", "at", "message"),
    [
        ("until = 2023-10-12", "until = 2023-10-12\nfrom = 2024-01-01", "until =", "`until` must be later than `from`"),
        ("until = 2023-10-12", "untill = 2023-10-12", "untill", "unknown key `untill`"),
        ("until = 2023-10-12", "until = 2023-10-12T00:00:00Z", "until =", "must be a date without quotes"),
        ('name = "Gender Recognition Act', 'nam = "Gender Recognition Act', None, "lacks `name`"),
        ("from = 2005-04-04", 'from = "2005"', 'from = "2005"', "`from` must be a date"),
        ('id = "999004361000000107"', 'id = "../999"', 'id = "../999"', "can't name a file"),
        (OFF, OFF.replace("false", '"no"'), 'adopted = "no"', "`adopted` must be true or false"),
        (
            '[[rule.refset]]\nid = "999004361',
            '[[rule.refsets]]\nid = "999004361',
            "[[rule.refsets]]",
            "unknown key `refsets`",
        ),
    ],
)
def test_a_fault_of_a_rule_is_told_with_the_line_on_which_it_stands(board, edit, old, new, at, message):
    edit("exclusions.toml", old, new)
    with pytest.raises(PolicyError) as caught:
        Policies.load(board)
    assert caught.value.file == "exclusions.toml"
    assert message in caught.value.message
    lines = (board / "exclusions.toml").read_text(encoding="utf-8").splitlines()
    if at:
        assert at in lines[caught.value.line - 1]


def test_a_rule_that_keeps_nothing_out_is_refused(board):
    with (board / "exclusions.toml").open("a", encoding="utf-8") as file:
        file.write('[[rule]]\nid = "whim"\nwhy = "w"\n[[rule.basis]]\nname = "b"\nwhy = "w"\n')
    with pytest.raises(PolicyError, match=r"exclusions\.toml:\d+: keeps nothing out"):
        Policies.load(board)


def test_a_rule_without_a_basis_is_refused(board):
    with (board / "exclusions.toml").open("a", encoding="utf-8") as file:
        file.write('[[rule]]\nid = "whim"\nwhy = "w"\n[rule.codes.snomed]\n100000001 = "x"\n')
    with pytest.raises(PolicyError, match=r"exclusions\.toml:\d+: a rule needs a \[\[rule\.basis\]\]"):
        Policies.load(board)


@pytest.mark.parametrize(
    "system",
    [
        "https://fhir.nhs.uk/CodeSystem/NHSDataModelAndDictionary-treatment-function",
        "https://fhir.nhs.uk/CodeSystem/NHSDataModelAndDictionary-clinical-specialty",
        "https://fhir.nhs.uk/STU3/CodeSystem/DCH-Specialty-1",
        "https://fhir.hl7.org.uk/CodeSystem/UKCore-PracticeSettingCode",
    ],
)
def test_a_genitourinary_clinic_is_kept_out_under_every_address_of_its_code(policies, system):
    assert (system, "360") in policies.tables.excluded_codings(TODAY)
    assert (system, "320") not in policies.tables.excluded_codings(TODAY)
