"""`broker objection`: recorded by whoever cares, decided by somebody else, with the right that a token gives."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from broker.cli.outcome import plain
from broker.clock import london_today

README = Path(__file__).parents[2] / "README.md"
RECORD = ("--patient", "9990000018", "--asked-by", "patient", "--effect-explained")


@pytest.fixture
def doctor(token):
    return token()


@pytest.fixture
def guardian(token):
    return token(role="R5105", organisation="QKK", user="555000000001")


def test_an_objection_from_first_word_to_decision(objection, doctor, guardian):
    recorded = objection(doctor, "record", *RECORD)
    assert set(recorded) == {
        *("id", "version", "status", "scope", "recorded_by", "recorded_at", "decided_by", "decided_at", "told_at"),
        *("asked_by", "review_on", "origin"),
    }
    assert (recorded["version"], recorded["status"]) == (1, "received")
    review = objection(guardian, "decide", recorded["id"], "--status", "under-review")
    assert review["status"] == "under-review"
    upheld = objection(guardian, "decide", recorded["id"], "--status", "upheld", "--version", "2")
    assert (upheld["status"], upheld["decided_by"]["organisation"]) == ("upheld", "QKK")
    shown = objection(doctor, "show", recorded["id"])
    assert shown["status"] == "upheld"
    assert [(each["version"], each["status"]) for each in shown["history"]] == [
        (1, "received"),
        (2, "under-review"),
        (3, "upheld"),
    ]


def test_objections_are_listed_by_patient_and_state(objection, doctor):
    recorded = objection(doctor, "record", *RECORD)
    assert [each["id"] for each in objection(doctor, "list", "--patient", "9990000018")] == [recorded["id"]]
    assert objection(doctor, "list", "--patient", "9990000026") == []
    assert objection(doctor, "list", "--status", "upheld") == []


def test_a_decision_not_to_uphold_needs_its_reason_and_the_route_to_complain(
    broker, config, objection, doctor, guardian
):
    found = objection(doctor, "record", *RECORD)["id"]
    objection(guardian, "decide", found, "--status", "under-review")
    base = ("objection", "decide", found, "--status", "not-upheld", "--config", config, "--token", guardian)
    assert broker(*base)[0] == 1
    assert broker(*base, "--reason", "safeguarding")[0] == 1
    code, _, err = broker(*base, "--reason", "safeguarding", "--ico-route-told", "--told", london_today())
    assert code == 0, err


def test_without_the_right_it_is_exit_code_1(broker, config, objection, doctor, token):
    found = objection(doctor, "record", *RECORD)["id"]
    code, out, err = broker(*(
        "objection",
        "decide",
        found,
        "--status",
        "under-review",
        "--config",
        config,
        "--token",
        doctor,
    ))
    assert (code, out) == (1, "")
    assert err.startswith("broker: role-not-permitted: ")
    receptionist = token(role="R8009", user="555000000009")
    code, _, err = broker("objection", "record", *RECORD, "--config", config, "--token", receptionist)
    assert code == 1


def test_nothing_is_recorded_before_the_effect_was_explained(broker, config, doctor, objection):
    code, _, err = broker("objection", "record", *RECORD[:-1], "--config", config, "--token", doctor)
    assert code == 1
    assert "effect" in err
    assert objection(doctor, "list") == []


@pytest.mark.parametrize(
    ("flags", "scope"),
    [
        (["--organisation", "RJ1"], {"kind": "organisation", "organisation": "RJ1"}),
        (["--category", "results"], {"kind": "category", "category": "results"}),
        (
            ["--staff", "https://ehr.rj1.example,555"],
            {"kind": "staff", "staff": {"issuer": "https://ehr.rj1.example", "subject": "555"}},
        ),
        (["--staff-id", "555254240199"], {"kind": "staff", "staff": {"staff_id": "555254240199"}}),
    ],
)
def test_a_narrower_one_says_what_it_is_about(objection, doctor, flags, scope):
    assert objection(doctor, "record", *RECORD, *flags)["scope"] == scope


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--organisation", "ZZZ"], "unknown-organisation: organisation"),
        (["--category", "horoscopes"], "unknown-category: category"),
        (["--staff", "somebody"], "invalid-request: staff"),
        (["--staff-id", "1"], "invalid-request: staff_id"),
        (["--organisation", "RJ1", "--category", "results"], "invalid-request: scope"),
    ],
)
def test_one_about_nothing_that_there_is_is_refused_in_one_line(broker, config, objection, doctor, flags, words):
    code, out, err = broker("objection", "record", *RECORD, *flags, "--config", config, "--token", doctor)
    assert (code, out) == (1, "")
    assert words in err
    assert err.count("\n") == 1
    assert objection(doctor, "list") == []


def test_one_to_an_organisation_is_decided_by_its_own_officer(broker, config, objection, doctor, guardian, token):
    found = objection(doctor, "record", *RECORD, "--organisation", "RJ1")["id"]
    code, _, err = broker(*(
        "objection",
        "decide",
        found,
        "--status",
        "under-review",
        "--config",
        config,
        "--token",
        guardian,
    ))
    assert (code, err.startswith("broker: not-found: ")) == (1, True)
    own = token(role="R0001", user="555000000005")
    assert objection(own, "decide", found, "--status", "under-review")["status"] == "under-review"


def test_a_childs_is_listed_for_review(objection, doctor, guardian):
    child = ("--patient", "9990000018", "--asked-by", "parent", "--effect-explained", "--birth-date")
    recorded = objection(doctor, "record", *child, "2025-02-03")
    assert recorded["review_on"] == "2041-02-03"
    assert objection(doctor, "record", *child, "1980-02-03")["review_on"] is None
    assert objection(guardian, "list", "--due") == []


def test_the_letter_is_printed(broker, config, objection, doctor, guardian):
    found = objection(doctor, "record", *RECORD)["id"]
    objection(guardian, "decide", found, "--status", "under-review")
    base = ("objection", "letter", found, "--config", config, "--token", guardian)
    code, _, err = broker(*base)
    assert (code, err.startswith("broker: conflict: ")) == (1, True)
    objection(guardian, "decide", found, "--status", "not-upheld", "--reason", "To keep you safe.", "--ico-route-told")
    code, out, err = broker(*base)
    assert (code, err) == (0, "")
    assert "To keep you safe." in out
    assert "ico.org.uk" in out
    assert objection(guardian, "letter", found) == {"id": found, "letter": out}


def test_a_version_that_somebody_changed_is_refused(broker, config, objection, doctor, guardian):
    found = objection(doctor, "record", *RECORD)["id"]
    objection(guardian, "decide", found, "--status", "under-review")
    for action in (("decide", found, "--status", "upheld"), ("withdraw", found)):
        code, _, err = broker("objection", *action, "--version", "1", "--config", config, "--token", guardian)
        assert (code, err.startswith("broker: conflict: ")) == (1, True)


def test_a_reader_sees_every_version_with_its_reason(broker, config, objection, doctor, guardian):
    found = objection(doctor, "record", *RECORD, "--category", "results")["id"]
    objection(guardian, "decide", found, "--status", "under-review")
    objection(guardian, "decide", found, "--status", "not-upheld", "--reason", "Needed.", "--ico-route-told")
    _, out, _ = broker("objection", "show", found, "--config", config, "--token", doctor)
    first, *versions = out.splitlines()
    assert "category results" in first
    assert [line.split()[:2] for line in versions] == [["1", "received"], ["2", "under-review"], ["3", "not-upheld"]]
    assert "Needed." in versions[2]


def test_a_letter_with_a_fault_is_found_when_the_configuration_is_checked(broker, config):
    config.with_name("letter.txt").write_text("$reason and $colour\n$commissioner\n")
    config.write_text(config.read_text().replace("[objections]\n", '[objections]\nletter = "letter.txt"\n'))
    code, out, err = broker("config", "check", "--config", config)
    assert code == 1
    assert "letter.txt:1: $colour is not known" in out + err


def test_an_objection_that_is_not_there_is_not_found(broker, config, doctor):
    code, _, err = broker("objection", "show", "nothing", "--config", config, "--token", doctor)
    assert (code, err.partition(": ")[2].partition(":")[0]) == (1, "not-found")


def test_who_acts_can_come_from_the_environment(broker, config, doctor, monkeypatch):
    monkeypatch.setenv("BROKER_TOKEN", doctor.read_text())
    code, out, err = broker("objection", "list", "--config", config)
    assert (code, out, err) == (0, "", "")


def test_without_a_token_it_says_where_to_put_one(broker, config, tmp_path):
    code, _, err = broker("objection", "list", "--config", config)
    assert code == 2
    assert "BROKER_TOKEN" in err
    code, _, err = broker("objection", "list", "--config", config, "--token", tmp_path / "none")
    assert code == 2


def test_a_bad_token_is_refused_and_never_printed(broker, config, tmp_path):
    file = tmp_path / "token"
    file.write_text("aaa.bbb.ccc")
    code, out, err = broker("objection", "list", "--config", config, "--token", file)
    assert code == 1
    assert "aaa.bbb" not in out + err


def test_what_is_shown_to_a_reader_names_no_patient(broker, config, objection, doctor):
    objection(doctor, "record", *RECORD)
    _, out, _ = broker("objection", "list", "--config", config, "--token", doctor)
    assert "received" in out
    assert "9990000018" not in out


def test_peoples_words_command_no_terminal_and_forge_no_line():
    assert plain("No.\x1b]0;x\x07\n  4  upheld\u202e\x9b \u00e9") == r"No.\x1b]0;x\x07\n  4  upheld\u202e\x9b é"


@pytest.mark.parametrize("action", ["withdraw"])
def test_a_patient_may_take_it_back(objection, doctor, action):
    found = objection(doctor, "record", *RECORD)["id"]
    assert objection(doctor, action, found)["status"] == "withdrawn"


@pytest.mark.skipif(not README.is_file(), reason="the README is not beside the tests")
def test_the_walk_through_of_the_readme_works_as_printed(tmp_path):
    section = README.read_text().partition("## With your own FHIR server")[2]
    configuring, *others = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    objecting = next(each for each in others if "objection record" in each)
    script = configuring.partition("broker serve")[0] + objecting
    own = {name: value for name, value in os.environ.items() if not name.startswith("BROKER_")}
    said = subprocess.run(
        ["bash", "-ec", script],
        cwd=tmp_path,
        env=own | {"PATH": f"{Path(sys.executable).parent}:{own['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert said.returncode == 0, said.stderr
    assert [line.split()[1] for line in said.stdout.splitlines()] == ["under-review", "upheld", "withdrawn"]
