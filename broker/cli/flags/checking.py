"""`broker audit` and `broker config`: their flags."""

from pathlib import Path
from typing import Any

from broker.cli.flags.common import add_command, with_config, with_format

__all__ = ["add_audit", "add_config"]


def add_audit(commands: Any) -> None:
    """Flags of `broker audit`."""
    parser = add_command(commands, "audit", "The journal: what was done, and whether all of it is there.")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    more = """
    Reads every record and checks the chain of each process that wrote. May run beside a live broker. Exit codes: 0 the
    journal is whole, 1 it is not, 2 there is no such directory. What can't be known from the files alone is said too.
    """
    verify = add_command(
        actions, "verify", "Check that nothing in the journal was changed or removed.", more, module="broker.cli.audit"
    )
    verify.add_argument(
        "directory", nargs="?", type=Path, metavar="DIR", help="the journal (left out: the configuration's)"
    )
    with_config(verify)
    verify.add_argument(
        "--public-key",
        type=Path,
        metavar="FILE",
        help="journal.pub of the broker's keys (left out: the configuration's)",
    )
    with_format(verify)


def add_config(commands: Any) -> None:
    """Flags of `broker config`."""
    parser = add_command(commands, "config", "The configuration.")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    more = """
    Reads all that serve would read: broker.toml, the environment, manifests, keys, policies with their scenarios,
    identity files. Each run names all that can be told so far: what a fault hides, the next run tells. Notes are no
    faults: they say what works less than one may expect.
    """
    check = add_command(
        actions, "check", "Every fault, with file, line and what to write instead.", more, module="broker.cli.config"
    )
    with_config(check)
    with_format(check)
