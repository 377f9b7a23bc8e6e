"""`broker config check`: every fault that would stop the start, as far as can be told at once; and nothing started."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from broker import registry
from broker.alerts import read_secrets
from broker.app import check_policies, identity_service, issuers
from broker.auth import Authenticator, Issuer
from broker.cli.outcome import HOLDS, HOLDS_NOT, USAGE, Stopped, show
from broker.clock import london_today
from broker.errors import ConfigurationError
from broker.objections import Letter

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
    """Faults and notices. What `broker.toml` names beside the manifests is only read where it has no fault itself."""
    read, known, faults = registry.read(path)
    if read is None:
        return faults, []
    policies, found = check_policies(read)
    faults += found
    if policies:
        faults += registry.unknown_services(known, policies.tables.excluded_services)
    with _noting(faults):
        identity_service(read)
    for each in _apart(issuers(read, known)):
        with _noting(faults):
            Authenticator(each, read.server.public_url)
    if read.alerts.secret_file:
        with _noting(faults):
            read_secrets(read.alerts.secret_file)
    with _noting(faults):
        Letter.load(read.objections.letter)
    # With a fault somewhere, what seems to be missing may stand in the file that has it.
    about = [] if faults else registry.notices(known, read, london_today())
    return faults, [*about, *(policies.notices if policies else ())]


@contextmanager
def _noting(faults: list[ConfigurationError]) -> Iterator[None]:
    try:
        yield
    except ConfigurationError as fault:
        faults.append(fault)


def _apart(known: list[Issuer]) -> Iterator[list[Issuer]]:
    """Each issuer with its keys in a file by itself, so that one bad file hides no other; the rest together."""
    yield [each for each in known if each.jwks_url]
    yield from ([each] for each in known if not each.jwks_url)


def _text(faults: list[ConfigurationError], notices: list[str], path: Path) -> str:
    count = {0: "no fault", 1: "1 fault"}.get(len(faults), f"{len(faults)} faults")
    return "\n".join([
        *(str(fault) for fault in faults),
        *(f"note: {notice}" for notice in notices),
        f"{path}: {count}",
    ])
