"""The letter that tells a patient that their objection was not upheld: why, and how to complain.

It names neither the patient nor what the objection was about, which could say something about their health to whoever
opens it. The reason is in the words of whoever decided.
"""

import textwrap
import unicodedata
from collections.abc import Mapping
from datetime import date, datetime
from importlib import resources
from pathlib import Path
from string import Template
from typing import Final, Self

from broker.clock import london_day
from broker.errors import ConfigurationError
from broker.objections.values import ObjectionRecord

__all__ = ["COMMISSIONER", "Letter"]

COMMISSIONER: Final = """Information Commissioner's Office
Wycliffe House, Water Lane, Wilmslow, Cheshire SK9 5AF
Telephone 0303 123 1113
https://ico.org.uk/make-a-complaint/"""
"""Where anybody may complain about how their information is used."""

_NEEDED: Final = ("reason", "commissioner")
_PLACEHOLDERS: Final = (*_NEEDED, "organisation", "date", "recorded_on", "decided_on", "reference")
_WIDTH: Final = 100
_INDENT: Final = "    "
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories that no letter has: they would command a terminal, or turn the direction of writing."""


class Letter:
    """A template, checked.

    Args:
        template: text with `$` placeholders.
        file: whose text it is.

    Raises:
        ConfigurationError: with the line, where it has a placeholder that is not known, or lacks one that is needed.
    """

    def __init__(self, template: str, file: Path) -> None:
        self._template = Template(template)
        for number, line in enumerate(template.splitlines(), start=1):
            written = Template(line)
            if not written.is_valid():
                raise ConfigurationError(file, "write $$ for a dollar sign that begins no placeholder", line=number)
            for name in written.get_identifiers():
                if name not in _PLACEHOLDERS:
                    known = ", ".join(f"${each}" for each in _PLACEHOLDERS)
                    raise ConfigurationError(file, f"${name} is not known: there are {known}", line=number)
        for name in _NEEDED:
            if name not in self._template.get_identifiers():
                raise ConfigurationError(file, f"${name} is missing: the patient is told why, and how to complain")

    @classmethod
    def load(cls, file: Path | None) -> Self:
        """The board's own template, or that of the package. Raises ConfigurationError as the class does."""
        if file is None:
            name = "letters/not-upheld.txt"
            return cls((resources.files("broker.objections") / name).read_text(encoding="utf-8"), Path(name))
        try:
            return cls(file.read_text(encoding="utf-8"), file)
        except (OSError, ValueError):
            raise ConfigurationError(
                file, "can't be read as text in UTF-8: write the letter's template there"
            ) from None

    def written(self, decided: ObjectionRecord, reason: str, organisations: Mapping[str, str], today: date) -> str:
        """The letter about a decision not to uphold.

        Args:
            decided: the objection; it has been decided.
            reason: why it is not upheld.
            organisations: ODS code, then name.
            today: the letter's date.
        """
        decider = (decided.decided_by or {}).get("organisation", "")
        shown = "".join(" " if unicodedata.category(each) in _UNSEEN and each != "\n" else each for each in reason)
        paragraphs = (textwrap.fill(each, _WIDTH - len(_INDENT)) for each in shown.split("\n"))
        return self._template.substitute(
            organisation=organisations.get(decider, decider),
            date=_day(today),
            reference=decided.id,
            recorded_on=_moment(decided.recorded_at),
            decided_on=_moment(decided.decided_at or decided.recorded_at),
            reason=textwrap.indent("\n".join(paragraphs), _INDENT),
            commissioner=textwrap.indent(COMMISSIONER, _INDENT),
        )


def _moment(stamp: str) -> str:
    return _day(london_day(datetime.fromisoformat(stamp)))


def _day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"
