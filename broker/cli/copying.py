"""`broker policy copy`: the data files of the package's policies, for a board that makes them its own."""

import argparse
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from broker.cli.outcome import HOLDS, USAGE, Stopped, show

__all__ = ["run"]

_DATA = (".toml", ".cedar", ".cedarschema", ".md")


def run(arguments: argparse.Namespace) -> int:
    """Write the copy. What is there already is never touched."""
    into: Path = arguments.into
    try:
        if into.is_dir() and any(into.iterdir()):
            raise Stopped(f"{into}: something is in this folder: name one that is not there yet, or is empty", USAGE)
        count = _copy(files("policies"), into)
    except OSError as error:
        raise Stopped(f"{into}: can't be written ({error.strerror})", USAGE) from None
    said = (
        f"{into}: {count} files. Next: name this folder as `directory` under [policies] in broker.toml, then broker "
        f"config check. {into / 'README.md'} says what each file is."
    )
    show("text", None, lambda: said)
    return HOLDS


def _copy(place: Traversable, into: Path) -> int:
    """How many files were copied. A folder without any is not made."""
    count = 0
    for each in place.iterdir():
        if each.is_dir():
            count += _copy(each, into / each.name)
        elif each.name.endswith(_DATA):
            into.mkdir(parents=True, exist_ok=True)
            (into / each.name).write_bytes(each.read_bytes())
            count += 1
    return count
