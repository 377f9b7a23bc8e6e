"""The role table: what its columns say, and that nothing empty ever opens anything."""

import re
import textwrap

import pytest

from policies import Policies, run_scenarios
from policies.values import Asked, PolicyError, Reader, Reason, Sight

N = frozenset({"N"})
NATIONAL = "https://fhir.nhs.uk/CodeSystem/national-rbac-job-role"
OWN = "urn:care-record-broker:role"

PROMISED = {
    "clinician",
    "nurse",
    "midwife",
    "health-professional",
    "pharmacist",
    "paramedic",
    "mental-health-professional",
    "social-worker",
    "student",
    "administrator",
    "receptionist",
    "privacy-officer",
    "caldicott-guardian",
    "auditor",
    "registrar",
}


def reader(role):
    return Reader(role, "TREAT", "encounter", True)


def test_the_table_has_a_row_for_everybody_who_may_come(policies):
    assert policies.tables.roles.keys() >= PROMISED


def test_who_is_not_a_registered_professional_sees_nothing_and_breaks_no_glass(policies):
    """Seed question 20."""
    seeing = {role.id for role in policies.tables.roles.values() if role.sees}
    assert seeing == {
        "clinician",
        "nurse",
        "midwife",
        "mental-health-professional",
        "paramedic",
        "health-professional",
        "pharmacist",
        "social-worker",
        "approved-mental-health-professional",
    }
    assert all(not role.override for role in policies.tables.roles.values() if role.id not in seeing)


def test_an_auditor_and_a_registrar_have_codes_of_the_brokers_own(policies):
    assert policies.role_of(OWN, "auditor") == "auditor"
    assert policies.role_of(OWN, "registrar") == "registrar"
    assert policies.role_of(NATIONAL, "auditor") is None
    assert policies.role_of(OWN, "R8000") is None


def test_a_midwife_has_a_row_of_her_own(policies):
    assert policies.role_of(NATIONAL, "S0030:G0100:R0680") == "midwife"
    assert policies.role_of(NATIONAL, "R8016") == "midwife"


def test_a_board_takes_the_right_to_break_the_glass_from_a_role(board, edit):
    edit("roles.toml", "override = true", "override = false")
    policies = Policies.load(board)
    assert policies.may_override(reader("clinician")).reason is Reason.ROLE_NOT_PERMITTED
    assert policies.may_override(reader("nurse")).permitted


def test_a_column_that_is_left_out_is_no(board):
    file = board / "roles.toml"
    lines = file.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not line.startswith(("override", "records_objections"))]
    file.write_text("\n".join(kept), encoding="utf-8")
    roles = Policies.load(board).tables.roles.values()
    assert not any(role.override or role.records_objections for role in roles)


def test_a_code_of_the_brokers_own_stands_for_one_role(board, edit):
    line = edit("roles.toml", 'registrar = "Registrar"', 'auditor = "Registrar"')
    with pytest.raises(PolicyError, match="auditor is already auditor") as caught:
        Policies.load(board)
    assert caught.value.line is not None
    assert abs(caught.value.line - line) <= 8


@pytest.mark.parametrize("written", ["r8000", "R80O0", "R800", "S8000"])
def test_a_job_role_that_would_match_nobody_is_refused(board, edit, written):
    edit("roles.toml", "R8000", written)
    with pytest.raises(PolicyError, match=f"{written} is no job role"):
        Policies.load(board)


def test_a_role_that_sees_nothing_sees_nothing_whatever_its_labels(board):
    file = board / "roles.toml"
    text = re.sub(r"^sees = .*$", "sees = []", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    file.write_text(text, encoding="utf-8")
    policies = Policies.load(board)
    for role in policies.tables.roles:
        assert policies.may_ask(reader(role)).reason is Reason.ROLE_NOT_PERMITTED
        asked = [(category, N) for category in policies.tables.categories]
        assert not any(one.permitted for one in policies.may_see(reader(role), asked))


def test_a_label_shown_and_marked_for_nobody_is_withheld_from_everybody(board):
    file = board / "labels.toml"
    text = re.sub(r"^(show|mark) = .*$", r"\1 = []", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    file.write_text(text, encoding="utf-8")
    policies = Policies.load(board)
    for role in policies.tables.roles:
        for label in policies.tables.labels:
            [one] = policies.may_see(reader(role), [("allergies", frozenset({label}))])
            assert (one.permitted, one.sight) == (False, Sight.WITHHOLD)


def test_an_item_of_which_no_label_is_told_is_withheld(policies):
    [one] = policies.may_see(reader("clinician"), [Asked("allergies", frozenset())])
    assert (one.permitted, one.reason, one.sight) == (False, Reason.LABEL, Sight.WITHHOLD)


@pytest.mark.parametrize(
    "text",
    [
        "unless { [].contains(context.purpose) }",
        "unless { context.purpose in [] }",
        "when { [].containsAny(principal.marked) }",
        "unless { principal.marked.containsAll([]) }",
    ],
)
def test_a_policy_with_an_empty_list_is_refused_at_the_start(board, text):
    (board / "cedar" / "9-empty.cedar").write_text(
        f'@id("empty")\n@why("w")\n@reason("label")\nforbid (principal, action == Action::"see", resource)\n{text};\n',
        encoding="utf-8",
    )
    with pytest.raises(PolicyError, match="does not fit") as caught:
        Policies.load(board)
    assert caught.value.line == 4


def test_a_table_without_a_role_is_a_set_that_permits_nothing_and_says_so(board):
    (board / "roles.toml").write_text("# nobody\n", encoding="utf-8")
    with pytest.raises(PolicyError):
        Policies.load(board)


def test_the_change_that_the_readme_works_through_does_what_it_says(board, edit):
    readme = (board / "README.md").read_text(encoding="utf-8")
    row = re.search(r'`(sees = .*"mental-health"\])`', readme)
    case = re.search(r"(?:^ {7}.*\n)+", readme, re.MULTILINE)
    assert row
    assert case
    edit("roles.toml", row[1].replace(', "mental-health"]', "]"), row[1])
    labels = board / "labels.toml"
    lines = labels.read_text(encoding="utf-8").splitlines()
    for label in ("R", "PSY"):
        start = lines.index(f'id = "{label}"')
        mark = next(n for n, line in enumerate(lines) if n > start and line.startswith("mark = "))
        lines[mark] = lines[mark].replace("]", ', "social-worker"]')
    labels.write_text("\n".join(lines), encoding="utf-8")
    (board / "cases" / "our-own.toml").write_text(textwrap.dedent(case[0]), encoding="utf-8")
    failed = [each["case"] for each in run_scenarios(Policies.load(board), board / "cases")["failed"]]
    assert failed == ["a-restricted-plan-and-a-social-worker"]
    assert f"`{failed[0]}`" in readme
