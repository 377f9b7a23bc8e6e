"""`broker audit verify`: is the journal whole?"""

import argparse
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from broker import settings
from broker.cli.outcome import HOLDS, HOLDS_NOT, USAGE, Stopped, show
from broker.journal import Verification, verify

__all__ = ["run"]


def run(arguments: argparse.Namespace) -> int:
    """Verify, and print what was found and what can't be known."""
    directory, key_file = _places(arguments)
    try:
        found = verify(directory, _public_key(key_file) if key_file else None)
    except OSError as error:
        raise Stopped(f"{directory}: can't be read as a journal ({error.strerror})", USAGE) from None
    show(arguments.format, found.as_json(), lambda: _text(found, directory))
    return HOLDS if found.ok else HOLDS_NOT


def _places(arguments: argparse.Namespace) -> tuple[Path, Path | None]:
    """Where the journal is, and its public key: as said, else as the configuration says."""
    directory, key_file = arguments.directory, arguments.public_key
    if directory is None:
        read = settings.load(arguments.config)
        directory = read.audit.directory
        key_file = key_file or read.audit.keys / "journal.pub"
    if not directory.is_dir():
        raise Stopped(f"{directory}: there is no such directory: name the journal's", USAGE)
    return directory, key_file


def _public_key(file: Path) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(file.read_bytes())
    except OSError as error:
        raise Stopped(f"{file}: the public key can't be read ({error.strerror})", USAGE) from None
    except ValueError:
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise Stopped(f"{file}: not an Ed25519 public key in PEM: name journal.pub with --public-key", USAGE)
    return key


def _text(found: Verification, directory: Path) -> str:
    where = [f"{fault.file}:{fault.line}" if fault.line else fault.file for fault in found.faults]
    return "\n".join([
        *(f"{place}: {fault.problem}" for place, fault in zip(where, found.faults, strict=True)),
        f"{directory}: {found.records} records, " + ("whole" if found.ok else f"not whole: {len(found.faults)} faults"),
        *(f"can't be known from these files alone: {what}" for what in found.cannot_know),
    ])
