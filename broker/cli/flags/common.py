"""What commands share: how one is added, the flags that several have, and the kinds of their values."""

import argparse
import textwrap
from datetime import date
from pathlib import Path
from typing import Any

from broker import nhs_number

__all__ = ["add_command", "day", "number", "port", "with_config", "with_format", "with_token"]


def add_command(commands: Any, name: str, summary: str, more: str = "", **defaults: Any) -> argparse.ArgumentParser:
    """Add a command or an action; `defaults` say who runs it."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary[0].lower() + summary[1:].rstrip("."),
        description=summary,
        epilog=textwrap.dedent(more).strip() or None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(**defaults)
    return parser


def with_config(parser: argparse.ArgumentParser) -> None:
    """`--config`."""
    parser.add_argument(
        "--config",
        type=Path,
        default=Path("broker.toml"),
        metavar="FILE",
        help="the configuration (default: %(default)s)",
    )


def with_format(parser: argparse.ArgumentParser) -> None:
    """`--format`."""
    parser.add_argument(
        "--format", choices=("text", "json"), default="text", help="how it is printed (default: %(default)s)"
    )


def port(text: str) -> int:
    """A port."""
    if not text.isascii() or not text.isdigit() or int(text) > 65535:  # noqa: PLR2004 - the largest port there is
        raise argparse.ArgumentTypeError("write a port from 0 to 65535")
    return int(text)


def day(text: str) -> str:
    """A date, as it is written."""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise argparse.ArgumentTypeError("write a date as YYYY-MM-DD") from None


def number(text: str) -> str:
    """An NHS number."""
    if not nhs_number.is_valid(text):
        raise argparse.ArgumentTypeError("write ten digits, the last of which is the Modulus 11 check digit")
    return text


def with_token(parser: argparse.ArgumentParser) -> None:
    """`--token`: who acts."""
    parser.add_argument(
        "--token",
        type=Path,
        metavar="FILE",
        help="who acts: a file with a token (left out: BROKER_TOKEN in the environment)",
    )
