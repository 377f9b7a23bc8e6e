"""Every command, in the order in which `--help` names them. Imports nothing heavy."""

import argparse

from broker.cli.flags.checking import add_audit, add_config
from broker.cli.flags.objection import add_objection
from broker.cli.flags.policy import add_policy
from broker.cli.flags.running import add_demo, add_serve, add_token

__all__ = ["make_parser"]


def make_parser() -> argparse.ArgumentParser:
    """The parser of the whole command. What is parsed says in `module` who runs it, and in `action` what of it."""
    parser = argparse.ArgumentParser(
        prog="broker",
        description="A federated query broker for shared care records.",
        epilog="Exit codes: 0 what was asked holds, 1 it does not, 2 bad usage. To see it work: broker demo",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    add_serve(commands)
    add_demo(commands)
    add_token(commands)
    add_objection(commands)
    add_policy(commands)
    add_audit(commands)
    add_config(commands)
    return parser
