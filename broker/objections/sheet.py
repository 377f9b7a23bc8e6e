"""Reads a CSV of objections made elsewhere, strictly: what is wrong with a row costs that row, and the row is kept."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, Final

__all__ = ["COLUMNS", "Line", "Sheet", "SheetError"]

COLUMNS: Final = {
    "nhs_number": "ten digits, spaces between them allowed",
    "date": "when the objection was made, as YYYY-MM-DD",
    "origin": "where, if not as --origin says",
    "reference": "what the origin calls it",
    "birth_date": "the patient's, as YYYY-MM-DD",
    "asked_by": "patient, parent, attorney or advocate; the patient, where it is left out",
    "organisation": "ODS code: the objection is to sharing this organisation's records alone",
    "category": "or this kind of information alone",
    "staff": "or with this person alone: an SDS user id, or ISS,SUB",
}
"""Names of columns, and what is in them."""

NEEDED: Final = ("nhs_number", "date")

OURS: Final = ("line", "reason", "as_it_was")
"""Columns that a work-list has beside. In a corrected one that is imported they say nothing."""

_BOM: Final = b"\xef\xbb\xbf"


class SheetError(ValueError):
    """This is no such CSV. The message says what to do, and holds nothing of the file."""


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the file.

    Attributes:
        number: which line it is; that with the names of the columns is 1.
        text: as it was. Bytes that are not UTF-8 are kept as surrogates (`surrogateescape`).
        cells: column, then what is in it, without spaces around it; empty where the row can't be read.
        problem: why it can't be.
    """

    number: int
    text: str
    cells: dict[str, str] = field(default_factory=dict)
    problem: str | None = None


class Sheet:
    """The rows of a file. A row is one line: line breaks inside quotes are not taken, so no quote costs a second row.

    Args:
        file: at its beginning.

    Attributes:
        columns: their names, in the file's order.
        taken: bytes read so far.

    Raises:
        SheetError: the first line does not name the columns, as UTF-8 with commas.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        first = file.readline()
        self.columns = _columns(first)
        self.taken = len(first)

    def __iter__(self) -> Iterator[Line]:
        for number, raw in enumerate(self._file, start=2):
            self.taken += len(raw)
            text = raw.rstrip(b"\r\n").decode(errors="surrogateescape")
            if text.strip(", \t"):
                yield self._line(number, text)

    def _line(self, number: int, text: str) -> Line:
        try:
            text.encode()
        except UnicodeEncodeError:
            return Line(number, text, problem="it is not UTF-8")
        try:
            found = _split(text)
        except csv.Error:
            return Line(number, text, problem="its quotes are not closed, or it holds what no CSV does")
        if len(found) != len(self.columns):
            return Line(number, text, problem=f"it has {len(found)} cells, and the first line {len(self.columns)}")
        return Line(number, text, dict(zip(self.columns, found, strict=True)))


def _columns(first: bytes) -> tuple[str, ...]:
    try:
        names = [name.lower() for name in _split(first.removeprefix(_BOM).rstrip(b"\r\n").decode())]
    except (UnicodeDecodeError, csv.Error):
        raise SheetError("this is not CSV in UTF-8: save it as that") from None
    missing = [name for name in NEEDED if name not in names]
    if missing:
        raise SheetError(
            f"line 1 must name the columns, with commas between them; there is no {' and no '.join(missing)}"
        )
    for place, name in enumerate(names, start=1):
        if name not in COLUMNS and name not in OURS:
            known = " ".join(COLUMNS)
            raise SheetError(f"line 1, column {place}: not a name that is known here ({known}): leave the column out")
        if name in names[: place - 1]:
            raise SheetError(f"line 1, column {place}: {name} is there twice: leave one out")
    return tuple(names)


def _split(text: str) -> Sequence[str]:
    """The cells of one line. Raises csv.Error."""
    if "\0" in text:
        raise csv.Error
    (cells,) = csv.reader([text], strict=True)
    return [cell.strip() for cell in cells]
