"""`broker policy refset`: from a release as TRUD gives it to files that the exclusions read."""

import json
import shutil
from importlib.resources import as_file, files

import pytest

from policies import Policies

STD, FERTILITY, TERMINATION = "999004381000000103", "999004371000000100", "999004361000000107"
HEADER = "id\teffectiveTime\tactive\tmoduleId\trefsetId\treferencedComponentId"


def row(name, when, active, refset, member):
    return f"{name}\t{when}\t{active}\t999000041000000102\t{refset}\t{member}"


@pytest.fixture
def board(tmp_path):
    folder = tmp_path / "board"
    with as_file(files("policies")) as package:
        shutil.copytree(package, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    return folder


@pytest.fixture
def refset(broker, tmp_path, board, monkeypatch):
    """Extracts from a release with these rows."""
    monkeypatch.chdir(tmp_path)

    def run(*rows, text=None, into=board / "value-sets"):
        file = tmp_path / "der2_Refset_SimpleUKCLFull_GB1000000_20261021.txt"
        file.write_text(text if text is not None else "\r\n".join([HEADER, *rows]) + "\r\n", newline="")
        return broker("policy", "refset", file, "--into", into, "--format", "json")

    return run


def test_what_the_exclusions_name_is_taken_out_of_a_full_release(refset, board):
    others = [row(f"x{n}", "20200101", "1", "723264001", str(300000000 + n)) for n in range(20_000)]
    code, out, err = refset(
        row("a", "20200101", "1", STD, "100000001"),
        *others,
        row("b", "20230101", "0", STD, "100000002"),
        row("b", "20200101", "1", STD, "100000002"),
        row("c", "20200101", "0", STD, "100000003"),
        row("c", "20240101", "1", STD, "100000003"),
        row("d", "20200101", "1", TERMINATION, "100000004"),
    )
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["written"] == {STD: 2, TERMINATION: 1}
    assert FERTILITY in found["missing"]
    written = (board / "value-sets" / f"{STD}.txt").read_text().splitlines()
    assert written[0].startswith(f"# Reference set {STD}: 2 active members, from der2_")
    assert written[0].endswith("the latest of 20240101.")
    assert written[1:] == ["100000001", "100000003"]
    policies = Policies.load(board)
    rules = {rule.id: {code for _, code in rule.codings} for rule in policies.tables.exclusions}
    assert {"100000001", "100000003"} <= rules["sexual-health"]
    assert rules["termination"] == {"100000004"}
    assert not [each for each in policies.notices if STD in each]


def test_a_release_without_any_of_them_writes_nothing(refset, board):
    before = sorted((board / "value-sets").iterdir())
    code, out, _ = refset(
        row("a", "20200101", "1", "723264001", "100000001"), row("b", "20200101", "0", STD, "100000002")
    )
    assert (code, json.loads(out)["written"]) == (1, {})
    assert sorted((board / "value-sets").iterdir()) == before


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "not an RF2 reference set"),
        ("id\teffectiveTime\n", "not an RF2 reference set: no column active"),
        (f"{HEADER}\n{row('a', '20200101', '1', STD, '100000001')}\nb\t2020", ":3: 2 columns on this line"),
        (f"{HEADER}\n{row('a', 'now', '1', STD, '100000001')}\n", ":2: not a row of RF2"),
        (f"{HEADER}\n{row('a', '20200101', 'yes', STD, '100000001')}\n", ":2: not a row of RF2"),
        (f"{HEADER}\n{row('a', '20200101', '1', STD, 'x')}\n", ":2: not a row of RF2"),
    ],
)
def test_a_release_with_a_fault_is_refused_and_the_older_file_stays(refset, board, text, told):
    older = board / "value-sets" / f"{STD}.txt"
    older.write_text("100000009\n")
    code, out, err = refset(text=text)
    assert (code, out) == (2, "")
    assert told in err
    assert older.read_text() == "100000009\n"
    assert [each.name for each in older.parent.iterdir() if each.name.startswith(".")] == []


def test_a_folder_that_is_not_there_is_named(refset, tmp_path):
    code, _, err = refset(into=tmp_path / "missing")
    assert code == 2
    assert f"{tmp_path / 'missing'}: no such folder" in err
