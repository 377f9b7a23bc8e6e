"""`broker objection import`: a file of objections made elsewhere, row by row, with a report."""

import argparse
import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from broker import settings
from broker.cli.objecting import refusals_told, register_open, token_of
from broker.cli.outcome import HOLDS, USAGE, Stopped, show
from broker.clock import london_today
from broker.keys import Keys
from broker.objections.importing import Fate, Outcome, import_sheet
from broker.objections.report import Report, is_replaceable, temporary
from broker.objections.sheet import Line, Sheet, SheetError
from broker.settings import Settings

__all__ = ["run"]

_SAID: Final = {
    Outcome.IMPORTED: "imported",
    Outcome.ALREADY_THERE: "already there, imported before",
    Outcome.NOT_CARRIED_OVER: "not carried over",
    Outcome.TO_WORK_LIST: "on the work-list, for a person to look at",
}
_Places = tuple[Path, Path]
"""Of the report, and of the work-list."""
_EVERY: Final = 0.2
"""Seconds between two looks at the progress."""


def run(arguments: argparse.Namespace) -> int:
    """Import the file; print how many rows had which outcome, and where the report is."""
    token = token_of(arguments)
    read = settings.load(arguments.config)
    file: Path = arguments.file
    places = (arguments.report or _beside(file, "report"), arguments.work_list or _beside(file, "work-list"))
    if len({each.resolve() for each in (file, *places, *map(temporary, places))}) < 1 + 2 * len(places):
        raise Stopped("FILE, --report and --work-list must be three files, and none of them another's .part", USAGE)
    try:
        for place in places:
            if not is_replaceable(place):
                raise Stopped(f"{place}: this is no report or work-list of an import: name another file", USAGE)
        with refusals_told(), file.open("rb") as opened:
            sheet = Sheet(opened)
            if arguments.origin is None and not _names_origin(file):
                raise Stopped("made where? Write --origin, or a column origin, and where in its rows", USAGE)
            with _progress(sheet, file.stat().st_size) as told:
                report = asyncio.run(_import(sheet, read, token, arguments.origin, places, told))
    except SheetError as error:
        raise Stopped(f"{file}: {error}", USAGE) from None
    except OSError as error:
        raise Stopped(f"{error.filename or file}: {error.strerror}: once that is mended, import again", USAGE) from None
    _show(arguments.format, report, places)
    return HOLDS


async def _import(
    sheet: Sheet, read: Settings, token: str, origin: str | None, places: _Places, told: Callable[[int], None]
) -> Report:
    async with register_open(read, token) as (register, actor):
        put = partial(register.import_rows, actor)
        _ = await put(())  # who may not is told so before anything is written
        with Report.writing(*places, sheet.columns) as report:

            def tell(line: Line, fate: Fate) -> None:
                report.tell(line, fate)
                told(report.counts.total())

            keys = Keys.open(read.audit.keys)
            await import_sheet(sheet, put, keys=keys, origin=origin, today=london_today(), tell=tell)
        return report


def _names_origin(file: Path) -> bool:
    """Whether any row does."""
    with file.open("rb") as opened:
        return any(line.cells.get("origin") for line in Sheet(opened))


def _beside(file: Path, what: str) -> Path:
    return file.with_name(f"{file.name.removesuffix('.csv')}.{what}.csv")


@contextmanager
def _progress(sheet: Sheet, size: int) -> Iterator[Callable[[int], None]]:
    """Says how far it is, on a terminal and nowhere else; called with the rows that are done."""
    due = 0.0 if sys.stderr.isatty() else float("inf")

    def tell(rows: int) -> None:
        nonlocal due
        if (now := time.monotonic()) >= due:
            due = now + _EVERY
            sys.stderr.write(f"\r{rows:,} rows, {100 * sheet.taken // max(size, 1)} % of the file")
            sys.stderr.flush()

    try:
        yield tell
    finally:
        if due < float("inf"):
            sys.stderr.write("\n")


def _show(form: str, report: Report, places: _Places) -> None:
    counts = {outcome.replace("-", "_"): report.counts[outcome] for outcome in Outcome}
    written, work_list = map(str, places)
    content = {"rows": report.counts.total(), **counts, "report": written, "work_list": work_list}
    lines = [f"{report.counts[outcome]:>9,}  {words}" for outcome, words in _SAID.items()]
    lines += [f"each row: {written}", f"rows to look at (with whose they are, keep them safe): {work_list}"]
    show(form, content, lambda: "\n".join(lines))
