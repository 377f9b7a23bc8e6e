"""A fault in any file stops the load, naming file and line and what to write."""

import re
from datetime import date

import pytest

from policies import Policies
from policies.values import PolicyError, Reader

SNOMED = "http://snomed.info/sct"
TODAY = date(2026, 11, 22)
WHOLE = '@id("whole")\npermit (principal, action, resource);\n'
RF2 = """\
id\teffectiveTime\tactive\tmoduleId\trefsetId\treferencedComponentId
a\t20260101\t1\tm\t999004381000000103\t100000001
b\t20260101\t0\tm\t999004381000000103\t100000002
c\t20260101\t1\tm\t999004371000000100\t100000003
"""


def test_the_hash_follows_every_file_that_decides_and_no_other(board):
    first = Policies.load(board).hash
    assert re.fullmatch(r"[0-9a-f]{64}", first)
    assert first == Policies.load(None).hash
    (board / "README.md").write_text("other words", encoding="utf-8")
    assert Policies.load(board).hash == first
    seen = {first}
    for name in [
        *(p.name for p in board.glob("*.toml") if p.name != "hazards.toml"),
        "cedar/4-roles.cedar",
        "cedar/schema.cedarschema",
    ]:
        file = board / name
        comment = "\n# reviewed\n" if name.endswith("toml") else "\n// reviewed\n"
        file.write_text(file.read_text(encoding="utf-8") + comment, encoding="utf-8")
        now = Policies.load(board).hash
        assert now not in seen
        seen.add(now)


def test_a_board_that_lets_secretaries_see_changes_a_table_and_no_policy(board, edit):
    edit(
        "roles.toml",
        'id = "secretary"\nname = "Medical secretary"\nsees = []',
        'id = "secretary"\nname = "Medical secretary"\nsees = ["contacts"]',
    )
    policies = Policies.load(board)
    reader = Reader("secretary", "TREAT", "encounter", True)
    seen = policies.may_see(reader, [("appointments", frozenset("N")), ("problems", frozenset("N"))])
    assert [decision.permitted for decision in seen] == [True, False]


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            "roles.toml",
            'sees = ["identity", "safety", "medicines", "clinical"]',
            'sees = ["identity", "medicine"]',
            "`medicine` is not a group",
        ),
        ("roles.toml", 'R1290 = "Pharmacist"', 'R8000 = "Pharmacist"', "R8000 is already clinician"),
        ("roles.toml", 'R1290 = "Pharmacist"', 'R1290 = ""', "write code R1290 with its meaning"),
        ("roles.toml", 'why = "Answers for', 'reason = "Answers for', "lacks `why`"),
        ("roles.toml", 'why = "Answers for', 'since = 2020-01-01\nwhy = "Answers for', "unknown key `since`"),
        (
            "categories.toml",
            'home = ["Condition"]',
            'home = ["Observation"]',
            "`Observation` is not a type of this category",
        ),
        ("categories.toml", 'home = ["Condition"]', "", "Condition has no home"),
        ("categories.toml", 'categories = ["care-plans"]', 'categories = ["documents"]', "documents is in two groups"),
        (
            "categories.toml",
            "only_where_offered = true",
            'only_where_offered = "yes"',
            "`only_where_offered` must be true or false",
        ),
        (
            "labels.toml",
            'show = ["clinician", "nurse", "midwife", "mental-health-professional"]',
            'show = ["doctor"]',
            "`doctor` is not a role",
        ),
        (
            "labels.toml",
            'mark = ["clinician"]',
            'mark = ["clinician"]\nshow = ["clinician"]',
            "clinician stands in `show` and in `mark`",
        ),
        ("labels.toml", 'absent = "N"', 'absent = "NORMAL"', "`NORMAL` is not a label"),
        ("exclusions.toml", "until = 2023-10-12", 'until = "2023-10-12"', "`until` must be a date without quotes"),
        (
            "exclusions.toml",
            "from = 1991-08-01",
            "from = 1991-08-01\nuntil = 1990-01-01",
            "`until` must be later than `from`",
        ),
        ("exclusions.toml", "[rule.codes.loinc]", "[rule.codes.loink]", "`loink` is not a system"),
        ("exclusions.toml", 'labels = ["STD", "SEX"]', 'labels = ["STI"]', "`STI` is not a label"),
        (
            "closure.toml",
            '"Procedure", "Condition"]',
            '"Procedure", "Conditions"]',
            "`Conditions` is not a type with a home",
        ),
        ("closure.toml", 'both = ["appointment"]', 'both = ["basedOn"]', "basedOn is already governs"),
        ("closure.toml", '"reaction",', '"reaction", "encounter",', "encounter leads to what is kept out"),
        ("closure.toml", 'both = ["appointment"]', 'either = ["appointment"]', "unknown key `either`"),
        ("systems.toml", 'id = "job-role"', 'id = "job-roles"', "no system `job-role`"),
        ("roles.toml", 'name = "Medical secretary"', "name = Medical secretary", "not TOML"),
    ],
)
def test_a_fault_in_a_table_names_file_line_and_what_to_write(board, edit, file, old, new, message):
    edit(file, old, new)
    with pytest.raises(PolicyError) as caught:
        Policies.load(board)
    assert caught.value.file == file
    assert message in caught.value.message
    if file != "systems.toml":
        lines = (board / file).read_text(encoding="utf-8").splitlines()
        assert caught.value.line is not None
        assert 0 < caught.value.line <= len(lines)


def test_the_line_of_a_fault_is_where_it_stands(board, edit):
    line = edit(
        "labels.toml", 'show = ["clinician", "nurse", "midwife", "mental-health-professional"]', 'show = ["doctor"]'
    )
    with pytest.raises(PolicyError) as caught:
        Policies.load(board)
    assert caught.value.line == line
    assert str(caught.value).startswith(f"labels.toml:{line}: ")


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ('@id("x")\npermit (principal, action, resource);', "a policy needs @why", 2),
        ('@id("x")\n@why(" ")\npermit (principal, action, resource);', "a policy needs @why", 3),
        (
            '@id("x")\n@why("w")\npermit (principal == Role::"auditer", action, resource);',
            'Role::"auditer" is in no table: write one of administrator, approved-mental-health-professional, auditor',
            3,
        ),
        (
            '@id("x")\n@why("w")\npermit (principal, action, resource in Group::"letters");',
            'Group::"letters" is in no table',
            3,
        ),
        ("permit (principal, action, resource);", "a policy needs @id", 1),
        ('@id("x")\n@why("w")\nforbid (principal, action, resource);', "a forbid needs @reason", 3),
        ('@id("x")\n@why("w")\n@reason("because")\nforbid (principal, action, resource);', "a forbid needs @reason", 4),
        ('@id("role-may-ask")\npermit (principal, action, resource);', "stands twice", 2),
        (
            '@id("x")\npermit (principal, action, resource)\nwhen { principal.sex == 1 };',
            "does not fit schema.cedarschema",
            2,
        ),
        ('@id("x")\npermit (principal == ?principal, action, resource);', "not templates", None),
        ("permit (principal,", "not Cedar", 1),
        ("\n// one\n\npermit (principal,\naction, resource)\n\n", "not Cedar: unexpected end", 4),
        (f"{WHOLE}\nforbid (principal, action, resource\nwhen {{ true }};\n{WHOLE}", "unexpected token `when`", 5),
        (f"{WHOLE}// two;\nforbid (principal, action, resource)\nunless {{ true ;\n", "unexpected token `;`", 5),
        (f'{WHOLE}{WHOLE}forbid (principal, action, resource) when {{ "open }};\n\n', "invalid token", 5),
        (f"{WHOLE}\npermit (principal, action, place);\n\n{WHOLE}", "invalid variable", 4),
    ],
)
def test_a_policy_that_could_not_explain_itself_is_refused(board, text, message, line):
    (board / "cedar" / "9-new.cedar").write_text(text, encoding="utf-8")
    with pytest.raises(PolicyError) as caught:
        Policies.load(board)
    assert caught.value.file == "cedar/9-new.cedar"
    assert message in caught.value.message
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [("entity Group;", "entity Group", "unexpected token"), ("own: Bool, ", "own Bool, ", "unexpected token `Bool`")],
)
def test_a_fault_in_the_schema_is_named_with_its_line(board, edit, old, new, message):
    line = edit("cedar/schema.cedarschema", old, new)
    with pytest.raises(PolicyError, match=message) as caught:
        Policies.load(board)
    assert caught.value.line in {line, line + 3}, "what is missing shows where the next thing begins"


@pytest.mark.parametrize("name", ["roles.toml", "closure.toml", "cedar/schema.cedarschema"])
def test_a_missing_file_is_named(board, name):
    (board / name).unlink()
    with pytest.raises(PolicyError, match="missing") as caught:
        Policies.load(board)
    assert caught.value.file == name


def test_a_folder_where_a_file_should_be_is_named(board):
    (board / "roles.toml").unlink()
    (board / "roles.toml").mkdir()
    with pytest.raises(PolicyError, match=r"roles\.toml: can't be read"):
        Policies.load(board)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("override = true", "override = yes", "(Invalid value): a comma, a bracket or a quote is missing"),
        ('"identity", "safety"', '"identity" "safety"', "(Unclosed array): a comma, a bracket or a quote is missing"),
        ("override = true", "override = true\noverride = true", "here for the second time: keep one"),
        ("job_roles = {R0001", 'job_roles = {"R0001', "yes and no are true and false"),
    ],
)
def test_a_slip_in_the_writing_of_a_table_says_what_to_look_for_and_where(board, edit, old, new, told):
    edit("roles.toml", old, new)
    with pytest.raises(PolicyError) as caught:
        Policies.load(board)
    assert told in caught.value.message
    assert caught.value.line


def test_a_folder_without_policies_is_refused(tmp_path, board):
    for file in (board / "cedar").glob("*.cedar"):
        file.unlink()
    with pytest.raises(PolicyError, match="nothing would ever be permitted"):
        Policies.load(board)


def test_a_reference_set_that_is_not_loaded_is_told_with_what_to_do(policies):
    notices = "\n".join(policies.notices)
    for refset in ("999004381000000103", "999004371000000100", "999004351000000109"):
        assert f"Put its members into value-sets/{refset}.txt" in notices
    assert all(re.match(r"exclusions\.toml:\d+: ", notice) for notice in policies.notices)


@pytest.mark.parametrize(
    "text",
    [
        RF2,
        "# members\n100000001 | Something |\n",
    ],
)
def test_a_licensed_reference_set_is_read_in_either_form(board, text):
    before = Policies.load(board)
    (board / "value-sets" / "999004381000000103.txt").write_text(text, encoding="utf-8")
    policies = Policies.load(board)
    added = policies.tables.excluded_codings(TODAY) - before.tables.excluded_codings(TODAY)
    assert added == {(SNOMED, "100000001")}
    assert not any("999004381000000103" in notice for notice in policies.notices)
    assert policies.hash != before.hash


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("999004381000000103.txt", "not a code\n", "one SNOMED CT code a line"),
        ("999004381000000103.txt", "# nobody\n", "no active member"),
        ("999004381000000103.txt", "id\tactive\n1\t1\n", "not an RF2 reference set"),
        ("123.txt", "100000001\n", "no rule names value-sets/123.txt"),
    ],
)
def test_a_value_set_file_with_a_fault_stops_the_load(board, name, text, message):
    (board / "value-sets" / name).write_text(text, encoding="utf-8")
    with pytest.raises(PolicyError, match=re.escape(message)):
        Policies.load(board)
