"""Objections made elsewhere: what carries over, what does not, and what a person has to look at."""

import csv
import io
import stat
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker import nhs_number
from broker.keys import Keys
from broker.objections.importing import Fate, Outcome, import_sheet, judge
from broker.objections.report import Report
from broker.objections.scopes import Scope, ScopeKind
from broker.objections.sheet import Line, Sheet, SheetError
from broker.objections.values import ImportedObjection, ImportResult

TODAY = date(2026, 11, 22)
PATIENT, OTHER = nhs_number.make(1), nhs_number.make(2)
KEYS = Keys(b"import" * 5 + b"..")


def _sheet(text: str | bytes) -> Sheet:
    return Sheet(io.BytesIO(text if isinstance(text, bytes) else text.encode()))


def _judge(given: str | None = "connectcare", /, **cells: str) -> ImportedObjection | Fate:
    return judge(Line(2, "", {"nhs_number": PATIENT, "date": "2019-03-02"} | cells), origin=given, today=TODAY)


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["no BOM", "BOM"])
def test_a_file_is_read_as_any_spreadsheet_writes_it(end: str, mark: bytes):
    sheet = _sheet(
        mark + end.join([' NHS_Number ,"date"', f'{PATIENT}, "2019-03-02"'.replace(", ", ","), "", ",", ""]).encode()
    )
    assert sheet.columns == ("nhs_number", "date")
    (line,) = sheet
    assert (line.number, line.cells, line.problem) == (2, {"nhs_number": PATIENT, "date": "2019-03-02"}, None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "no nhs_number and no date"),
        (b"nhs_number;date\n", "commas"),
        (b"nhs_number\n", "there is no date"),
        (f"{PATIENT},2019-03-02\n".encode(), "must name the columns"),
        (b"nhs_number,date,date\n", "column 3: date is there twice"),
        (b"nhs_number,date,surname\n", "column 3: not a name that is known"),
        ("nhs_number,date\n".encode("utf-16"), "not CSV in UTF-8"),
        (b"nhs_number,date\xff\n", "not CSV in UTF-8"),
        (b"\x89PNG\r\n\x1a\n\0\0", "not CSV in UTF-8"),
        (b'nhs_number,"date\n', "not CSV in UTF-8"),
    ],
)
def test_what_is_no_such_file_is_said_without_a_word_of_it(text: bytes, words: str):
    with pytest.raises(SheetError, match=words) as error:
        _sheet(text)
    assert PATIENT not in str(error.value)
    assert "surname" not in str(error.value)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (b'"' + PATIENT.encode() + b",2019-03-02", "quotes"),
        (b"one,two,three", "3 cells"),
        (b"one", "1 cells"),
        (b"caf\xe9,2019-03-02", "UTF-8"),
        (b"\0,2019-03-02", "what no CSV does"),
        (b"x" * 200_000 + b",2019-03-02", "what no CSV does"),
    ],
)
def test_a_broken_row_costs_that_row_and_is_kept_as_it_was(row: bytes, why: str):
    whole = f"{PATIENT},2019-03-02".encode()
    before, broken, after = _sheet(b"\n".join([b"nhs_number,date", whole, row, whole]))
    assert before.cells == after.cells != {}
    assert (broken.number, broken.text.encode(errors="surrogateescape")) == (3, row)
    assert why in (broken.problem or "")


@given(st.binary(max_size=200))
def test_no_bytes_at_all_break_the_reading(content: bytes):
    lines = list(_sheet(b"nhs_number,date\n" + content))
    assert all(bool(line.cells) != bool(line.problem) for line in lines)


@pytest.mark.parametrize("origin", ["connectcare", "local-care-record", "Local Care Record", "LOCAL_CARE_RECORD"])
def test_objections_to_connectcare_and_the_local_care_record_carry_over_with_date_and_origin(origin: str):
    found = _judge(None, origin=origin, reference="CC-1")
    assert isinstance(found, ImportedObjection)
    assert found.origin.name in {"connectcare", "local-care-record"}
    assert (found.patient, found.origin.reference, found.origin.dated) == (PATIENT, "CC-1", date(2019, 3, 2))
    assert found.scope == Scope()


@pytest.mark.parametrize("origin", ["summary-care-record", "national-data-opt-out"])
def test_other_opt_outs_do_not_carry_over_and_the_row_says_so(origin: str):
    found = _judge("connectcare", origin=origin, nhs_number="not even a number")
    assert isinstance(found, Fate)
    assert found.outcome is Outcome.NOT_CARRIED_OVER
    assert "does not carry over" in found.reason


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ({"nhs_number": "9990000019"}, "nhs_number: not a valid"),
        ({"nhs_number": ""}, "nhs_number"),
        ({"date": ""}, "date: the row has none"),
        ({"date": "02/03/2019"}, "date: not a date"),
        ({"date": "20190302"}, "date: not a date"),
        ({"date": "2019-02-30"}, "date: not a date"),
        ({"date": "2026-11-23"}, "date: a day to come"),
        ({"birth_date": "1.1.1970"}, "birth_date: not a date"),
        ({"birth_date": "2020-01-01"}, "birth_date: after"),
        ({"origin": "care.data"}, "origin: not one that is known"),
        ({"asked_by": "neighbour"}, "asked_by"),
        ({"organisation": "RJ1", "category": "mental-health"}, "split it into two rows"),
        ({"staff": "555"}, "twelve digits"),
        ({"staff": ",555"}, "staff"),
        ({"reference": "x" * 129}, "reference"),
    ],
)
def test_what_can_not_be_used_goes_to_a_person_with_the_reason(cells: dict[str, str], why: str):
    found = _judge(**cells)
    assert isinstance(found, Fate)
    assert found.outcome is Outcome.TO_WORK_LIST
    assert why in found.reason
    assert not any(len(value) > 4 and value in found.reason for value in cells.values())


def test_a_row_without_an_origin_in_a_file_without_one_goes_to_a_person():
    found = _judge(None)
    assert isinstance(found, Fate)
    assert found.reason.startswith("origin: ")


@pytest.mark.parametrize(
    ("cells", "scope"),
    [
        ({"organisation": "rj1"}, Scope(ScopeKind.ORGANISATION, "RJ1")),
        ({"category": "Mental-Health"}, Scope(ScopeKind.CATEGORY, "mental-health")),
        ({"staff": "555254240100"}, Scope(ScopeKind.STAFF, "555254240100")),
        ({"staff": "https://ehr.rj1.example,a.b"}, Scope.member("https://ehr.rj1.example", "a.b")),
    ],
    ids=lambda each: "",
)
def test_a_row_may_state_a_narrower_objection(cells: dict[str, str], scope: Scope):
    found = _judge(**cells)
    assert isinstance(found, ImportedObjection)
    assert found.scope == scope


def test_a_childs_is_listed_for_review_at_sixteen():
    child, grown = _judge(birth_date="2015-06-01", asked_by="parent"), _judge(birth_date="2001-06-01")
    assert isinstance(child, ImportedObjection)
    assert isinstance(grown, ImportedObjection)
    assert (child.asked_by, child.review_on, grown.review_on) == ("parent", date(2031, 6, 1), None)


def test_a_number_may_be_written_as_people_write_it():
    found = _judge(nhs_number=f"{PATIENT[:3]} {PATIENT[3:6]} {PATIENT[6:]}")
    assert isinstance(found, ImportedObjection)
    assert found.patient == PATIENT


async def test_what_has_no_name_gets_the_same_one_each_time_and_no_two_the_same():
    def text(*rows: str) -> str:
        return "\n".join(["nhs_number,date,organisation,reference", *rows])

    rows = [f"{PATIENT},2019-03-02,,", f"{PATIENT},2019-03-03,,", f"{PATIENT},2019-03-02,RJ1,", f"{OTHER},2019-03-02,,"]
    first, again = await _names(text(*rows)), await _names(text(*reversed(rows)))
    assert first == again[::-1]
    assert len(set(first)) == 4
    assert not any(number in name for name in first for number in (PATIENT, OTHER))
    assert await _names(text(f"{PATIENT},2019-03-02,,CC-1")) == ["CC-1"]


async def _names(text: str) -> list[str]:
    taken: list[str] = []

    async def put(some: Sequence[ImportedObjection]) -> list[ImportResult]:
        taken.extend(each.origin.reference for each in some)
        return [ImportResult(id="1", new=True) for _ in some]

    await import_sheet(_sheet(text), put, keys=KEYS, origin="connectcare", today=TODAY, tell=lambda *_: None)
    return taken


def test_the_report_names_no_patient_and_the_work_list_keeps_the_rows_as_they_were(tmp_path: Path):
    report, work_list = tmp_path / "r.csv", tmp_path / "w.csv"
    text = "\n".join([
        "reference,nhs_number,date",
        f"CC-1,{PATIENT},2019-03-02",
        f"{PATIENT[:3]} {PATIENT[3:6]} {PATIENT[6:]},{PATIENT},2019-03-02",
        f"CC-3,{PATIENT}",
        f'"CC, 4",{PATIENT}, someday',
    ])
    _told(_sheet(text), report, work_list)
    assert PATIENT not in report.read_text()
    assert PATIENT[-4:] not in report.read_text()
    assert [(row["line"], row["reference"], row["outcome"]) for row in _rows(report)] == [
        ("2", "CC-1", "imported"),
        ("3", "", "imported"),
        ("4", "", "to-work-list"),
        ("5", "CC, 4", "to-work-list"),
    ]
    broken, undated = _rows(work_list)
    assert (broken["line"], broken["nhs_number"], broken["as_it_was"]) == ("4", "", f"CC-3,{PATIENT}")
    assert (undated["line"], undated["nhs_number"], undated["date"]) == ("5", PATIENT, "someday")
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in (report, work_list))


def test_a_work_list_that_was_put_right_is_a_file_to_import(tmp_path: Path):
    first, second = tmp_path / "w1.csv", tmp_path / "w2.csv"
    _told(_sheet(f"nhs_number,date\n{PATIENT},someday\n{PATIENT}\n"), tmp_path / "r1.csv", first)
    _told(_sheet(first.read_text().replace("someday", "2019-03-02")), tmp_path / "r2.csv", second)
    assert [row["outcome"] for row in _rows(tmp_path / "r2.csv")] == ["imported", "to-work-list"]
    (left,) = _rows(second)
    assert left["as_it_was"] == PATIENT


def test_an_import_that_is_cut_short_leaves_the_files_of_the_one_before(tmp_path: Path):
    report, work_list = tmp_path / "r.csv", tmp_path / "w.csv"
    report.write_text("before")
    with pytest.raises(KeyboardInterrupt), Report.writing(report, work_list, ["nhs_number"]):
        raise KeyboardInterrupt
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.csv"]
    assert report.read_text() == "before"


def _told(sheet: Sheet, report: Path, work_list: Path) -> None:
    with Report.writing(report, work_list, sheet.columns) as files:
        for line in sheet:
            found = judge(line, origin="connectcare", today=TODAY)
            files.tell(line, found if isinstance(found, Fate) else Fate(Outcome.IMPORTED, "put down", "1"))


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
