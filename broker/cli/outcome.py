"""How a command ends, and how it says so."""

import json
import sys
from collections.abc import Callable
from typing import Any

__all__ = ["HOLDS", "HOLDS_NOT", "USAGE", "Stopped", "show"]

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


def show(form: str, content: Any, text: Callable[[], str]) -> None:
    """Print `content` as JSON, or what `text` makes of it for a reader."""
    if form == "json":
        json.dump(content, sys.stdout, indent=2 if sys.stdout.isatty() else None, ensure_ascii=False)
        sys.stdout.write("\n")
        return
    words = text()
    if words:
        sys.stdout.write(f"{words}\n")
