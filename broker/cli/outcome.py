"""How a command ends, and how it says so."""

import json
import sys
import unicodedata
from collections.abc import Callable
from typing import Any

__all__ = ["HOLDS", "HOLDS_NOT", "USAGE", "Stopped", "plain", "show"]

_UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode categories of what a terminal obeys, or nobody sees: control, format (direction of writing), line ends."""

HOLDS = 0
"""What was asked holds."""
HOLDS_NOT = 1
"""It does not."""
USAGE = 2
"""The command was not used as it must be."""


class Stopped(Exception):
    """The command can't go on: one line that says what to do, and the exit code."""

    def __init__(self, problem: str, code: int = HOLDS_NOT) -> None:
        super().__init__(problem)
        self.code = code


def plain(words: object) -> str:
    """People's words for a terminal, on one line: what would command it, or hide or forge a line, is escaped."""
    return "".join(
        each.encode("unicode_escape", "surrogatepass").decode() if unicodedata.category(each) in _UNSEEN else each
        for each in str(words)
    )


def show(form: str, content: Any, text: Callable[[], str]) -> None:
    """Print `content` as JSON, or what `text` makes of it for a reader, each of its lines `plain`."""
    if form == "json":
        json.dump(content, sys.stdout, indent=2 if sys.stdout.isatty() else None, ensure_ascii=False)
        sys.stdout.write("\n")
        return
    words = text()
    if words:
        sys.stdout.write("\n".join(map(plain, words.split("\n"))) + "\n")
