"""`broker config check`: every fault that would stop the start, and nothing started."""

import argparse
from pathlib import Path

from broker import registry, settings
from broker.app import identity_service, issuers, load_policies
from broker.auth import Authenticator
from broker.cli.outcome import HOLDS, HOLDS_NOT, USAGE, Stopped, show
from broker.errors import ConfigurationError

__all__ = ["run"]


def run(arguments: argparse.Namespace) -> int:
    """Print every fault, or that there is none."""
    if not arguments.config.is_file():
        raise Stopped(f"{arguments.config}: there is no such file: name one with --config", USAGE)
    faults, notices = _look(arguments.config)
    shown = [{"file": str(each.file), "line": each.line, "problem": each.message} for each in faults]
    content = {"ok": not faults, "faults": shown, "notices": notices}
    show(arguments.format, content, lambda: _text(faults, notices, arguments.config))
    return HOLDS_NOT if faults else HOLDS


def _look(path: Path) -> tuple[list[ConfigurationError], list[str]]:
    """Faults and notices. What a file alone shows comes first: the rest is only read where that is whole."""
    faults = registry.check(path)
    if faults:
        return faults, []
    read = settings.load(path)
    notices: list[str] = []
    try:
        notices += load_policies(read).notices
    except ConfigurationError as fault:
        faults.append(fault)
    try:
        identity_service(read)
    except ConfigurationError as fault:
        faults.append(fault)
    try:
        known = registry.Registry.load(read.organisations.directory, settings=read)
        Authenticator(issuers(read, known), read.server.public_url)
    except ConfigurationError as fault:
        faults.append(fault)
    return faults, notices


def _text(faults: list[ConfigurationError], notices: list[str], path: Path) -> str:
    return "\n".join([
        *(str(fault) for fault in faults),
        *(f"note: {notice}" for notice in notices),
        f"{path}: {len(faults)} faults" if faults else f"{path}: no fault",
    ])
