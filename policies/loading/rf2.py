"""Reads RF2 simple reference set files as TRUD releases them: tab-separated, any size, a line at a time."""

import datetime as dt
from collections.abc import Collection, Iterable

from policies.values import PolicyError

__all__ = ["is_header", "members"]

_COLUMNS = ("id", "effectiveTime", "active", "refsetId", "referencedComponentId")
_DAY = 8
"""Digits of an effectiveTime: YYYYMMDD."""
_SHORTEST = 6
"""Digits of a SNOMED CT identifier: what has fewer was cut."""


def is_header(line: str) -> bool:
    """Whether a file that begins with this line is one of RF2."""
    return line.removeprefix("\ufeff").startswith("id\t")


def members(
    lines: Iterable[str], wanted: Collection[str], *, file: str, today: dt.date | None = None
) -> dict[str, dict[str, str]]:
    """The members of each wanted reference set that are active now: code, then since when (YYYYMMDD), by code.

    A Snapshot file holds each row once, a Full file every version of it: the one with the latest effectiveTime counts,
    so that a member that was retired is none. A version of a day to come does not count yet. A set of which the file
    holds no row at all is left out of the answer.

    Args:
        lines: with their ends, by which a file that was cut shows.
        wanted: reference sets.
        file: its name, for faults.
        today: left out, the day it is.

    Raises:
        PolicyError: with the line, for what is not RF2: a file cut in mid-line must not pass for a whole one.
    """
    now = f"{today or dt.datetime.now(dt.UTC).date():%Y%m%d}"
    rows = iter(lines)
    header = next(rows, "").removeprefix("\ufeff").rstrip("\r\n").split("\t")
    if lacking := [name for name in _COLUMNS if name not in header]:
        raise PolicyError(file, f"not an RF2 reference set: no column {', '.join(lacking)}", line=1)
    row_id, since, active, refset, member = (header.index(name) for name in _COLUMNS)
    latest: dict[str, tuple[str, bool, str, str]] = {}
    for number, line in enumerate(rows, 2):
        cells = line.rstrip("\r\n").split("\t")
        if len(cells) != len(header):
            if cells == [""]:
                continue
            raise PolicyError(file, f"{len(cells)} columns on this line, of {len(header)}: copy it again", line=number)
        if not line.endswith(("\r", "\n")):
            raise PolicyError(file, "the last line does not end: the file may be cut, copy it again", line=number)
        if cells[refset] not in wanted:
            continue
        if cells[active] not in {"0", "1"} or not _is_code(cells[member]) or not _is_day(cells[since]):
            raise PolicyError(file, "not a row of RF2: effectiveTime, active or member is no number", line=number)
        if cells[since] > now:
            continue
        known = latest.get(cells[row_id])
        if known is None or known[0] <= cells[since]:
            latest[cells[row_id]] = (cells[since], cells[active] == "1", cells[refset], cells[member])
    found: dict[str, dict[str, str]] = {}
    for day, current, name, code in sorted(latest.values(), key=lambda row: (row[3], row[0])):
        codes = found.setdefault(name, {})
        if current:
            codes[code] = day
    return found


def _is_code(text: str) -> bool:
    return len(text) >= _SHORTEST and text.isascii() and text.isdecimal()


def _is_day(text: str) -> bool:
    return len(text) == _DAY and text.isascii() and text.isdecimal()
