"""`broker objection import`: what patients said elsewhere is honoured here, and nobody's row is lost on the way."""

import csv
import json
import os
import pathlib
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest

import broker as broker_package
from broker import nhs_number
from broker.objections.importing import ORIGINS, Outcome
from broker.objections.sheet import COLUMNS

PATIENTS = [nhs_number.make(serial) for serial in range(1, 6)]


@pytest.fixture
def guardian(token):
    return token(role="R5105", organisation="QKK", user="555000000001")


@pytest.fixture
def file(tmp_path):
    """Writes a file of these rows, under the names of its columns."""

    def write(columns, *rows, name="said-no.csv"):
        path = tmp_path / name
        path.write_text("\n".join([columns, *rows, ""]), encoding="utf-8")
        return path

    return write


@pytest.fixture
def imported(objection, guardian):
    """Imports a file; gives what is printed of it, and the rows of report and work-list."""

    def run(path, *more, who=None):
        said = objection(who or guardian, "import", path, *more)
        return said, _rows(said["report"]), _rows(said["work_list"])

    return run


def _rows(path):
    with pathlib.Path(path).open(encoding="utf-8", newline="") as found:
        return list(csv.DictReader(found))


def _counts(said):
    return [said[name] for name in ("imported", "already_there", "not_carried_over", "to_work_list")]


def test_what_was_said_to_connectcare_is_upheld_with_its_date_and_origin(file, imported, objection, guardian):
    """Seed question 16."""
    path = file("nhs_number,date,reference", f"{PATIENTS[0]},2019-03-02,CC-1")
    said, (row,), work_list = imported(path, "--origin", "connectcare")
    assert (said["rows"], _counts(said), work_list) == (1, [1, 0, 0, 0], [])
    assert (row["line"], row["reference"], row["outcome"]) == ("2", "CC-1", "imported")
    (found,) = objection(guardian, "list", "--patient", PATIENTS[0])
    assert (found["id"], found["status"], found["scope"]) == (row["objection"], "upheld", {"kind": "whole"})
    assert found["origin"] == {"name": "connectcare", "reference": "CC-1", "date": "2019-03-02"}


def test_an_opt_out_of_the_summary_care_record_does_not_carry_over_and_each_row_says_so(
    file, imported, objection, guardian
):
    """Seed question 17."""
    path = file(
        "nhs_number,date,origin",
        f"{PATIENTS[0]},2019-03-02,summary-care-record",
        f"{PATIENTS[1]},2019-03-02,national-data-opt-out",
        f"{PATIENTS[2]},2019-03-02,local-care-record",
    )
    said, rows, _ = imported(path)
    assert _counts(said) == [1, 0, 2, 0]
    assert [row["outcome"] for row in rows] == ["not-carried-over", "not-carried-over", "imported"]
    assert all("does not carry over" in row["reason"] for row in rows[:2])
    assert objection(guardian, "list", "--patient", PATIENTS[0]) == []


def test_a_row_that_can_not_be_used_costs_that_row_and_is_kept_for_a_person(file, imported):
    path = file(
        "nhs_number,date,category",
        f"{PATIENTS[0]},2019-03-02,",
        "9990000019,2019-03-02,",
        f"{PATIENTS[1]},2999-01-01,",
        f'"{PATIENTS[2]},2019-03-02,',
        f"{PATIENTS[3]},2019-03-02,everything",
        f"{PATIENTS[4]},2019-03-02,mental-health",
    )
    said, rows, work_list = imported(path, "--origin", "connectcare")
    assert _counts(said) == [2, 0, 0, 4]
    assert [row["line"] for row in work_list] == ["3", "4", "5", "6"]
    assert [row["nhs_number"] for row in work_list] == ["9990000019", PATIENTS[1], "", PATIENTS[3]]
    assert work_list[2]["as_it_was"] == f'"{PATIENTS[2]},2019-03-02,'
    assert all(row["reason"] for row in rows)
    report = (path.parent / "said-no.report.csv").read_text()
    assert not any(number in report for number in [*PATIENTS, "9990000019"])


def test_the_same_again_puts_down_nothing_new_whatever_became_of_it_meanwhile(file, imported, objection, guardian):
    path = file("nhs_number,date,reference", f"{PATIENTS[0]},2019-03-02,", f"{PATIENTS[1]},2019-03-02,CC-2")
    _, first, _ = imported(path, "--origin", "connectcare")
    objection(guardian, "withdraw", first[0]["objection"])
    said, again, _ = imported(path, "--origin", "connectcare")
    assert _counts(said) == [0, 2, 0, 0]
    assert [row["objection"] for row in again] == [row["objection"] for row in first]
    assert [found["status"] for found in objection(guardian, "list", "--patient", PATIENTS[0])] == ["withdrawn"]


def test_a_reference_that_two_patients_have_is_for_a_person_to_look_at(file, imported):
    """Else the second one's objection would seem to be there, and be honoured by nobody."""
    first = file("nhs_number,date,reference", f"{PATIENTS[0]},2019-03-02,CC-1", f"{PATIENTS[1]},2019-03-02,CC-1")
    said, rows, work_list = imported(first, "--origin", "connectcare")
    assert _counts(said) == [1, 0, 0, 1]
    assert "reference" in rows[1]["reason"]
    second = file("nhs_number,date,reference", f"{PATIENTS[2]},2019-03-02,CC-1", name="another.csv")
    said, _, work_list = imported(second, "--origin", "connectcare")
    assert (_counts(said), work_list[0]["nhs_number"]) == ([0, 0, 0, 1], PATIENTS[2])


def test_each_one_is_in_the_journal_with_where_it_came_from(file, imported, config):
    path = file("nhs_number,date", *(f"{number},2019-03-02" for number in PATIENTS))
    imported(path, "--origin", "local-care-record")
    lines = [json.loads(line) for line in _journal(config) if b"objection.recorded" in line]
    assert [(line["origin"], line["status"], line["user"]["organisation"]) for line in lines] == [
        ("local-care-record", "upheld", "QKK")
    ] * len(PATIENTS)


def _journal(config):
    return [
        line
        for file in sorted((config.parent / "state" / "journal").rglob("*"))
        if file.is_file()
        for line in file.read_bytes().splitlines()
    ]


@pytest.mark.parametrize(
    "who",
    [{"role": "R8000"}, {"role": "R5105"}, {"role": "R8000", "organisation": "QKK"}],
    ids=["a doctor", "a guardian of another organisation", "a doctor of the lead controller"],
)
def test_who_may_not_decide_may_not_import(broker, config, token, file, who):
    path = file("nhs_number,date", f"{PATIENTS[0]},2019-03-02")
    code, out, err = broker(
        "objection", "import", path, "--origin", "connectcare", "--config", config, "--token", token(**who)
    )
    assert (code, out) == (1, "")
    assert err.startswith("broker: role-not-permitted: ")
    assert sorted(each.name for each in path.parent.glob("*.csv*")) == ["said-no.csv"]


@pytest.mark.parametrize(
    ("columns", "more", "words"),
    [
        ("surname;date", ("--origin", "connectcare"), "must name the columns"),
        ("nhs_number,date,nhs_number", ("--origin", "connectcare"), "twice"),
        ("\x89PNG\0", ("--origin", "connectcare"), "not CSV"),
        ("nhs_number,date", (), "--origin"),
        ("nhs_number,date", ("--origin", "care.data"), "invalid choice"),
        ("nhs_number,date", ("--origin", "connectcare", "--report", "said-no.csv"), "three files"),
        ("nhs_number,date", ("--origin", "connectcare", "--report", "nowhere/report.csv"), "nowhere"),
    ],
)
def test_what_is_no_such_file_or_no_such_wish_is_exit_code_2(
    broker, config, guardian, file, monkeypatch, columns, more, words
):
    path = file(columns, f"{PATIENTS[0]},2019-03-02")
    monkeypatch.chdir(path.parent)
    code, out, err = broker("objection", "import", path, *more, "--config", config, "--token", guardian)
    assert (code, out) == (2, "")
    assert words in err
    assert PATIENTS[0] not in err


def test_a_file_that_is_not_there_is_exit_code_2(broker, config, guardian, tmp_path):
    code, _, err = broker(
        *("objection", "import", tmp_path / "none.csv", "--origin", "connectcare"),
        *("--config", config, "--token", guardian),
    )
    assert code == 2
    assert "No such file" in err


def test_a_reader_is_told_how_many_and_where(broker, config, guardian, file):
    path = file("nhs_number,date", f"{PATIENTS[0]},2019-03-02", "none,2019-03-02")
    code, out, err = broker(
        "objection", "import", path, "--origin", "connectcare", "--config", config, "--token", guardian
    )
    assert (code, err) == (0, "")
    assert "1  imported\n" in out
    assert "said-no.work-list.csv" in out


def test_help_and_guide_name_every_column_and_every_origin(broker):
    _, out, _ = broker("objection", "import", "--help")
    guide = (Path(broker_package.__file__).parent / "objections" / "README.md").read_text(encoding="utf-8")
    for word in (*COLUMNS, *ORIGINS):
        assert word in out
        assert f"`{word}`" in guide
    assert all(f"`{outcome}`" in guide for outcome in Outcome)


@pytest.mark.parametrize("separator", ["", " ", "  ", "_", "/", ".", "-", "\u00a0", "\u2009"])
def test_no_reference_brings_a_number_into_the_report(file, imported, separator):
    number = separator.join((PATIENTS[0][:3], PATIENTS[0][3:6], PATIENTS[0][6:]))
    _, (row,), _ = imported(
        file("nhs_number,date,reference", f"{PATIENTS[0]},2019-03-02,CC0{number}"), "--origin", "connectcare"
    )
    assert row["reference"] == ""


def test_what_a_program_for_tables_would_work_out_is_words_in_the_report(file, imported):
    path = file("nhs_number,date,reference", f"{PATIENTS[0]},2019-03-02,=1+1", f"{PATIENTS[0]},2019-03-02,@SUM(1)")
    _, rows, _ = imported(path, "--origin", "connectcare")
    assert [row["reference"] for row in rows] == ["'=1+1", "'@SUM(1)"]


@pytest.mark.parametrize("flag", ["--report", "--work-list"])
def test_nothing_is_written_over_but_what_an_import_wrote(broker, config, guardian, file, imported, flag):
    path = file("nhs_number,date", f"{PATIENTS[0]},2019-03-02")
    for _ in range(2):
        imported(path, "--origin", "connectcare")
    kept = path.with_name("kept.db")
    kept.write_text("keep")
    code, out, err = broker(
        *("objection", "import", path, "--origin", "connectcare", flag, kept),
        *("--config", config, "--token", guardian),
    )
    assert (code, out, kept.read_text()) == (2, "", "keep")
    assert "no report or work-list" in err


def test_a_report_is_not_the_work_lists_temporary_file(broker, config, guardian, file):
    path = file("nhs_number,date", f"{PATIENTS[0]},2019-03-02")
    places = ("--report", path.with_name(".list.csv.part"), "--work-list", path.with_name("list.csv"))
    code, _, err = broker(
        *("objection", "import", path, "--origin", "connectcare", *places), *("--config", config, "--token", guardian)
    )
    assert code == 2
    assert "three files" in err


def test_where_no_row_says_where_it_was_made_nothing_is_written(broker, config, guardian, file):
    path = file("nhs_number,date,origin", f"{PATIENTS[0]},2019-03-02,")
    code, _, err = broker("objection", "import", path, "--config", config, "--token", guardian)
    assert code == 2
    assert "--origin" in err
    assert [each.name for each in path.parent.glob("*.csv*")] == ["said-no.csv"]


def _command(config, path, guardian):
    return [
        *(sys.executable, "-c", "import sys; from broker.cli import main; sys.exit(main())"),
        *("objection", "import", str(path), "--origin", "connectcare"),
        *("--config", str(config), "--token", str(guardian), "--format", "json"),
    ]


@pytest.mark.blocking
def test_an_import_that_is_killed_half_way_is_completed_by_the_next_and_nothing_is_there_twice(
    file, imported, config, guardian, objection
):
    numbers = [nhs_number.make(serial) for serial in range(1, 20_001)]
    path = file("nhs_number,date", *(f"{number},2019-03-02" for number in numbers))
    killed = subprocess.Popen(_command(config, path, guardian), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    part = path.parent / ".said-no.report.csv.part"
    while killed.poll() is None and not (part.exists() and part.stat().st_size):
        time.sleep(0.002)
    killed.kill()
    assert killed.wait() != 0, "it was over before it could be killed"
    killed.stdout.close()
    assert not (path.parent / "said-no.report.csv").exists()
    said, rows, _ = imported(path, "--origin", "connectcare")
    assert said["imported"] > 0
    assert said["already_there"] > 0
    assert said["imported"] + said["already_there"] == len({row["objection"] for row in rows}) == len(numbers)
    assert len(objection(guardian, "list", "--patient", numbers[0])) == 1
    assert not part.exists()


@pytest.mark.blocking
def test_on_a_terminal_it_says_how_far_it_is(file, config, guardian):
    path = file("nhs_number,date", *(f"{number},2019-03-02" for number in PATIENTS))
    ours, theirs = pty.openpty()
    done = subprocess.run(
        _command(config, path, guardian), stdout=subprocess.PIPE, stderr=theirs, check=False, timeout=60
    )
    os.close(theirs)
    said = os.read(ours, 1000).decode()
    os.close(ours)
    assert done.returncode == 0, said
    assert "rows, 100 % of the file" in said


def test_a_parents_row_without_a_childs_birth_date_says_that_nobody_will_look_again(file, imported):
    rows = (f"{PATIENTS[0]},2020-01-31,parent,", f"{PATIENTS[1]},2020-01-31,parent,2018-05-05")
    said, report, _ = imported(file("nhs_number,date,asked_by,birth_date", *rows), "--origin", "connectcare")
    assert _counts(said) == [2, 0, 0, 0]
    assert ["look at it again at 16" in row["reason"] for row in report] == [True, False]
