"""What became of each row of an import: a report that names nobody, and the rows that a person has to look at."""

import csv
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final, Self, TextIO

from broker import nhs_number
from broker.objections.importing import Fate, Outcome
from broker.objections.sheet import OURS, Line

__all__ = ["Report", "is_replaceable", "temporary"]

_COLUMNS: Final = ("line", "reference", "outcome", "reason", "objection")
_BEGIN: Final = (b",".join(each.encode() for each in _COLUMNS) + b"\n", b",".join(map(str.encode, OURS[:2])) + b",")
"""How a report begins, and a work-list."""

_SEPARATORS: Final = re.compile(r"[\W_]+")
_TEN_DIGITS: Final = re.compile(r"(?=(\d{10}))")
_COMMANDS: Final = ("=", "+", "-", "@", "\t", "\r")
"""With one of these at its beginning, a cell is worked out by programs for tables, not shown."""


class Report:
    """Both files of one import. Each is written beside its place and put there when the import has ended.

    Only their owner can read them (mode 0600): the work-list holds rows as they were, with whose they are.

    Attributes:
        counts: rows by outcome.
    """

    def __init__(self, report: TextIO, work_list: TextIO, columns: Sequence[str]) -> None:
        self._report = csv.writer(report, lineterminator="\n")
        self._work_list = csv.writer(work_list, lineterminator="\n")
        self._columns = [name for name in columns if name not in OURS]
        self._report.writerow(_COLUMNS)
        number, reason, as_it_was = OURS
        self._work_list.writerow((number, reason, *self._columns, as_it_was))
        self.counts: Counter[Outcome] = Counter()

    @classmethod
    @contextmanager
    def writing(cls, report: Path, work_list: Path, columns: Sequence[str]) -> Iterator[Self]:
        """Both files, in their places once this is left without an error. Raises OSError."""
        with ExitStack() as files:
            yield cls(files.enter_context(_written(report)), files.enter_context(_written(work_list)), columns)

    def tell(self, line: Line, fate: Fate) -> None:
        """Put down what became of a row."""
        self.counts[fate.outcome] += 1
        reference = line.cells.get("reference", "")
        if _holds_number(reference):
            reference = ""
        cells = (reference, fate.outcome, fate.reason, fate.objection)
        self._report.writerow((line.number, *(f"'{each}" if each.startswith(_COMMANDS) else each for each in cells)))
        if fate.outcome is Outcome.TO_WORK_LIST:
            as_it_was = line.text if line.problem else line.cells.get(OURS[-1], "")
            row = (line.cells.get(name, "") for name in self._columns)
            self._work_list.writerow((line.number, fate.reason, *row, as_it_was))


def is_replaceable(path: Path) -> bool:
    """Whether nothing is lost where a report or work-list is written here: there is nothing, or an earlier one.

    Raises OSError.
    """
    if not path.exists():
        return True
    if not path.is_file():  # opening a pipe would wait for ever
        return False
    with path.open("rb") as file:
        return file.read(max(map(len, _BEGIN))).startswith(_BEGIN)


def temporary(path: Path) -> Path:
    """Where a file is written before it takes its place."""
    return path.with_name(f".{path.name}.part")


def _holds_number(text: str) -> bool:
    """Whether an NHS number stands anywhere in it, whatever its digits are separated by."""
    digits = "".join(str(int(each)) if each.isdecimal() else each for each in _SEPARATORS.sub("", text))
    return any(nhs_number.is_valid(found) for found in _TEN_DIGITS.findall(digits))


@contextmanager
def _written(path: Path) -> Iterator[TextIO]:
    """A new file that takes the place of `path` at the end. One that a killed import left is written anew."""
    part = temporary(path)
    with suppress(FileNotFoundError):
        part.unlink()
    descriptor = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:  # noqa: PTH123
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
