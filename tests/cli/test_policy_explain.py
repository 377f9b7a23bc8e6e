"""`broker policy explain`: a decision with its policies, for states that anybody may type."""

import json

import pytest

from broker.cli.flags import policy as flags
from policies.explaining import RELATIONSHIPS
from policies.values import Act, Objection


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


@pytest.fixture
def explain(broker):
    """Explains as JSON; gives what was printed."""

    def run(*arguments):
        code, out, err = broker("policy", "explain", *arguments, "--format", "json")
        assert (code, err) == (0, "")
        return json.loads(out)

    return run


def test_the_words_of_the_flags_are_those_of_the_policies():
    assert set(flags.OBJECTIONS) == set(Objection)
    assert set(flags.ACTS) == set(Act)
    assert {None if each == "none" else each for each in flags.RELATIONSHIPS} == RELATIONSHIPS.keys()


def test_the_ordinary_case_is_explained_in_words(broker):
    code, out, err = broker("policy", "explain", "--role", "nurse", "--category", "allergies")
    assert (code, err) == (0, "")
    assert (
        'May somebody in the role "Nurse", for treatment, with an encounter with the patient, look a patient up?\n  yes'
        in out
    )
    assert "\n    category-of-the-role: A role sees the kinds of information" in out
    assert "Shown: allergies." in out


@pytest.mark.parametrize(
    ("arguments", "question", "policy", "reason"),
    [
        (("--role", "R8009"), "look a patient up", "role-sees-nothing", "role-not-permitted"),
        (("--role", "R9999"), "look a patient up", "role-sees-nothing", "role-not-permitted"),
        (("--role", "S8000:G8000:R8004"), "look a patient up", "role-sees-nothing", "role-not-permitted"),
        (("--role", "nurse", "--purpose", "HRESCH"), "look", "direct-care-only", "purpose-not-permitted"),
        (("--role", "nurse", "--relationship", "none"), "look", "relationship-needed", "relationship-needed"),
        (
            ("--role", "nurse", "--agreement", "lapsed"),
            "look",
            "readers-organisation-takes-part",
            "organisation-not-taking-part",
        ),
        (
            ("--role", "nurse", "--organisation-agreement", "lapsed"),
            "answer",
            "sources-agreement-in-date",
            "agreement-lapsed",
        ),
        (("--role", "nurse", "--objection", "undecided"), "answer", "objection-honoured", "objection"),
        (("--role", "nurse", "--restricted", "yes"), "is seen", "restricted-patient-hidden", "restricted"),
        (("--role", "nurse", "--restricted", "unknown"), "lives", "home-hidden-while-unknown", "restricted"),
        (("--role", "pharmacist"), "break the glass", "override-only-by-its-roles", "role-not-permitted"),
    ],
)
def test_a_refusal_names_the_policy_that_determined_it(explain, arguments, question, policy, reason):
    steps = [step for step in explain(*arguments)["steps"] if question in step["question"]]
    assert [(step["decision"], step["reason"]) for step in steps][:1] == [("forbid", reason)]
    assert policy in [each["id"] for each in steps[0]["policies"]]
    assert all(each["why"] for each in steps[0]["policies"])


@pytest.mark.parametrize(
    "lifted",
    [("--objection", "upheld", "--own"), ("--objection", "upheld", "--override"), ("--objection", "not-upheld")],
    ids=" ".join,
)
def test_what_lifts_an_objection_permits(explain, lifted):
    assert explain("--role", "clinician", "--category", "results", *lifted)["permitted"]


def test_each_category_is_answered_where_none_is_named(explain, broker):
    found = explain("--role", "pharmacist")
    assert len(found["categories"]) == 16
    assert found["categories"]["medications"]["permitted"]
    assert not found["categories"]["documents"]["permitted"]
    assert "documents        no: category-not-permitted" in broker("policy", "explain", "--role", "pharmacist")[1]


def test_a_label_and_an_objection_to_the_category_are_weighed(explain):
    marked = explain("--role", "clinician", "--category", "results", "--labels", "HIV")["categories"]["results"]
    assert (marked["permitted"], marked["sight"]) == (True, "mark")
    hidden = explain("--role", "pharmacist", "--category", "medications", "--labels", "V")["categories"]["medications"]
    assert (hidden["permitted"], hidden["reason"]) == (False, "label")
    objected = explain("--role", "clinician", "--category", "results", "--category-objection", "upheld")
    assert objected["categories"]["results"]["reason"] == "objection"


def test_a_token_says_role_purpose_relationship_and_organisation(explain, config, token, broker):
    found = explain("--token", token(role="R8001"), "--config", config, "--category", "allergies")
    assert 'in the role "Nurse", for treatment, with no relationship' in found["steps"][0]["question"]
    assert found["steps"][0]["reason"] == "relationship-needed"
    declared = ("--token", token(role="R8001"), "--config", config, "--relationship", "self-declared")
    assert explain(*declared)["permitted"]
    manifest = config.parent / "organisations" / "rj1.toml"
    manifest.write_text(manifest.read_text().replace("2099-03-31", "2025-05-01"))
    assert explain(*declared)["steps"][0]["reason"] == "organisation-not-taking-part"


def test_a_role_on_the_command_line_counts_instead_of_the_tokens(explain, config, token):
    asked = (
        "--token",
        token(role="R8001"),
        "--config",
        config,
        "--relationship",
        "encounter",
        "--category",
        "documents",
    )
    assert explain(*asked)["permitted"]
    assert not explain(*asked, "--role", "pharmacist")["permitted"]


def test_a_token_that_is_not_valid_is_not_explained(broker, config, tmp_path):
    (tmp_path / "token").write_text("a.b.c")
    code, out, err = broker("policy", "explain", "--token", tmp_path / "token", "--config", config)
    assert (code, out) == (2, "")
    assert err.startswith("broker: the token is not valid here")
    assert "a.b.c" not in err


@pytest.mark.parametrize(
    ("arguments", "decision"),
    [
        (("--role", "privacy-officer", "--act", "decide-objection", "--concerned"), "permit"),
        (("--role", "R0001", "--act", "decide-objection", "--concerned", "--recorder"), "forbid"),
        (("--role", "caldicott-guardian", "--act", "decide-objection", "--general", "--lead", "--operator"), "permit"),
        (("--role", "privacy-officer", "--act", "decide-objection", "--concerned", "--named"), "forbid"),
        (("--role", "auditor", "--act", "audit"), "forbid"),
        (("--role", "auditor", "--act", "audit", "--operator"), "permit"),
        (("--role", "receptionist", "--act", "record-objection"), "forbid"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else value,
)
def test_what_an_officer_may_do_is_explained_too(explain, arguments, decision):
    [step] = explain(*arguments)["steps"]
    assert step["decision"] == decision


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--role", "docter"), "no such role"),
        (("--role", "nurse", "--category", "allergy"), "--category allergy: there is no such word"),
        (("--role", "nurse", "--labels", "STI"), "--labels STI: there is no such word"),
        (("--role", "nurse", "--relationship", "friend"), "invalid choice"),
        (("--token", "t"), "--token needs the configuration"),
        ((), "say who reads"),
    ],
)
def test_what_is_not_a_state_is_bad_usage(broker, arguments, told):
    code, out, err = broker("policy", "explain", *arguments)
    assert (code, out) == (2, "")
    assert told in err
