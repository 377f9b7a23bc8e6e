"""`broker policy refset`: the reference sets that the exclusions name, out of a file as TRUD releases it."""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from broker.cli.outcome import HOLDS, HOLDS_NOT, USAGE, Stopped, show
from broker.cli.policy import load_set
from policies.loading.rf2 import members
from policies.values import PolicyError

__all__ = ["run"]

_SHOWN_EVERY = 500_000
"""Lines between two signs of life: about half a second."""


def run(arguments: argparse.Namespace) -> int:
    """Write one file for each reference set that is found, and say which are not in the release's file."""
    _, policies = load_set(arguments.config)
    wanted = {refset for rule in policies.tables.exclusions for refset in rule.refsets}
    if not arguments.into.is_dir():
        raise Stopped(f"{arguments.into}: no such folder: name value-sets/ of your copy of the policies", USAGE)
    try:
        with arguments.file.open(encoding="utf-8-sig") as lines:
            found = members(_with_progress(lines), wanted, file=str(arguments.file))
    except (OSError, UnicodeDecodeError):
        raise Stopped(f"{arguments.file}: can't be read: name the unpacked text file of the release", USAGE) from None
    except PolicyError as fault:
        raise Stopped(str(fault), USAGE) from None
    # A set of which all members were retired would be refused at the start: it is told, and the older file stays.
    written = {refset: codes for refset, codes in sorted(found.items()) if codes}
    for refset, codes in written.items():
        _write(arguments.into / f"{refset}.txt", refset, codes, arguments.file.name)
    missing = sorted(wanted - written.keys())
    content = {"written": {refset: len(codes) for refset, codes in written.items()}, "missing": missing}
    show(arguments.format, content, lambda: _text(written, missing, arguments.into))
    return HOLDS if written else HOLDS_NOT


def _with_progress(lines: Iterable[str]) -> Iterator[str]:
    """The same lines; on a terminal, how many were read."""
    shown = sys.stderr.isatty()
    for number, line in enumerate(lines):
        if shown and number and number % _SHOWN_EVERY == 0:
            sys.stderr.write(f"\r{number:,} lines")
            sys.stderr.flush()
        yield line
    if shown:
        sys.stderr.write("\r\033[K")


def _write(target: Path, refset: str, codes: Mapping[str, str], source: str) -> None:
    """Whole or not at all: a start in this moment must not read half a set."""
    lines = [
        f"# Reference set {refset}: {len(codes)} active members, from {source}, the latest of {max(codes.values())}."
    ]
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=target.parent, prefix=".refset-", delete=False
        ) as file:
            file.write("\n".join([*lines, *codes]) + "\n")
            file.flush()
            os.fsync(file.fileno())
        Path(file.name).chmod(0o644)
        Path(file.name).replace(target)
    except OSError as error:
        raise Stopped(f"{target}: can't be written ({error.strerror})", USAGE) from None


def _text(written: Mapping[str, Mapping[str, str]], missing: list[str], into: Path) -> str:
    lines = [f"{into / refset}.txt: {len(codes)} members" for refset, codes in written.items()]
    lines += [f"{refset}: no active member in this file" for refset in missing]
    return "\n".join([*lines, "next: broker config check"] if written else lines)
