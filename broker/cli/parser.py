"""Every command and flag, and what `--help` says of them. Imports nothing heavy."""

import argparse
import textwrap
from datetime import date
from pathlib import Path
from typing import Any

from broker import nhs_number

__all__ = ["make_parser"]

_RELATIONSHIPS = ("encounter", "referral", "registration", "caseload", "none")
_STATUSES = ("received", "under-review", "upheld", "not-upheld", "withdrawn")
_DECISIONS = ("under-review", "upheld", "not-upheld")
_ASKED_BY = ("patient", "parent", "attorney", "advocate")


def make_parser() -> argparse.ArgumentParser:
    """The parser of the whole command. What is parsed says in `module` who runs it, and in `action` what of it."""
    parser = argparse.ArgumentParser(
        prog="broker",
        description="A federated query broker for shared care records.",
        epilog="Exit codes: 0 what was asked holds, 1 it does not, 2 bad usage. To see it work: broker demo",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _serve(commands)
    _demo(commands)
    _token(commands)
    _objection(commands)
    _audit(commands)
    _config(commands)
    return parser


def _add(commands: Any, name: str, summary: str, more: str = "", **defaults: Any) -> argparse.ArgumentParser:
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


def _serve(commands: Any) -> None:
    more = """
    Stops on SIGINT or SIGTERM: takes no new request, finishes those begun, closes the journal. Bad or empty
    configuration stops the start, naming file, line and what to write; all faults at once: broker config check
    """
    _with_config(_add(commands, "serve", "Run the service.", more, module="broker.cli.serving"))


def _demo(commands: Any) -> None:
    more = """
    Starts organisations of a made-up world as real servers on this machine, and the broker before them; looks one
    patient up and shows what came, what is missing and why, and what was written down. Needs no network.
    """
    parser = _add(
        commands, "demo", "See it work, with made-up organisations and patients.", more, module="broker.cli.demo"
    )
    parser.add_argument("--once", action="store_true", help="one lookup, then end (otherwise: serve until interrupted)")
    parser.add_argument("--port", type=_port, default=None, metavar="N", help="where the broker listens")
    parser.add_argument(
        "--directory", type=Path, metavar="DIR", help="where its files are written (left out: a temporary folder)"
    )
    _with_format(parser)


def _token(commands: Any) -> None:
    more = """
    Prints the token and nothing else, so that it can stand in a command:

      TOKEN=$(broker token --role R8000 --organisation RJ1 --patient 9990000018 --birth-date 1948-03-02)
      curl -s http://127.0.0.1:8080/lookups -H "Authorization: Bearer $TOKEN" \\
        -H "Content-Type: application/json" \\
        -d '{"patient": {"nhs_number": "9990000018", "birth_date": "1948-03-02"}}'

    Usual role codes: R8000 clinician, R8001 nurse, R0001 privacy officer, R5105 Caldicott guardian.

    It lives five minutes. Refused unless every issuer in the configuration is a demo one: their private key is public.
    """
    parser = _add(
        commands, "token", "Sign a token of a demo issuer, to try the service with.", more, module="broker.cli.token"
    )
    _with_config(parser)
    parser.add_argument(
        "--role", required=True, metavar="CODE", help="national job role, such as R8000, or the broker's own"
    )
    parser.add_argument("--organisation", required=True, metavar="ODS", help="for whom the person works, such as RJ1")
    parser.add_argument("--user", metavar="ID", help="who (left out: somebody made up, another for each role code)")
    parser.add_argument("--purpose", default="TREAT", metavar="CODE", help="v3-ActReason (default: %(default)s)")
    parser.add_argument("--patient", type=_nhs_number, metavar="NHS", help="the patient in context: ten digits")
    parser.add_argument("--birth-date", type=_date, metavar="DATE", help="of the patient: YYYY-MM-DD")
    parser.add_argument(
        "--practice", metavar="ODS", help="the patient's registered GP practice, as the reader's system has it"
    )
    parser.add_argument(
        "--relationship",
        choices=_RELATIONSHIPS,
        help="how the organisation is caring for the patient (default: encounter where there is a patient)",
    )


def _objection(commands: Any) -> None:
    parser = _add(commands, "objection", "A patient's objections to sharing: record, decide, look.")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    module = "broker.cli.objection"

    more = """
    Any care role may record one. It is honoured at once, before anybody decides, on every node within a second. Without
    a scope it is about the whole record; narrower ones are not available in this version.
    """
    record = _add(
        actions, "record", "Write down that a patient objects to sharing.", more, module=module, action="record"
    )
    record.add_argument("--patient", type=_nhs_number, required=True, metavar="NHS", help="ten digits")
    record.add_argument("--organisation", metavar="ODS", help="to this organisation's records alone")
    record.add_argument("--category", metavar="NAME", help="to this kind of information alone")
    record.add_argument("--staff", metavar="ISS,SUB", help="to this person alone")
    record.add_argument("--asked-by", choices=_ASKED_BY, required=True, help="who asked")
    record.add_argument(
        "--effect-explained",
        action="store_true",
        help="the effect on care was explained (without it nothing is recorded)",
    )

    more = """
    What is received goes to under-review first, and from there to upheld or not-upheld.

    Decided by a privacy officer (R0001) or Caldicott guardian (R5105) of the lead controller ([objections]
    lead_controller), never by whoever recorded it. The token must come from an issuer of the operator's, one under
    [[issuers]] in broker.toml: an organisation's own issuer will not do.

    A decision not to uphold needs --reason and --ico-route-told, and takes effect only once telling the patient is
    recorded, with --told.
    """
    decide = _add(actions, "decide", "Decide an objection.", more, module=module, action="decide")
    decide.add_argument("id", metavar="ID")
    decide.add_argument("--status", choices=_DECISIONS, required=True)
    decide.add_argument("--reason", metavar="TEXT", help="why; kept sealed")
    decide.add_argument("--ico-route-told", action="store_true", help="the patient was told how to complain to the ICO")
    decide.add_argument("--told", type=_date, metavar="DATE", help="when the patient was told: YYYY-MM-DD")
    decide.add_argument("--version", type=int, metavar="N", help="refuse if somebody has changed it since this version")

    withdraw = _add(actions, "withdraw", "End an objection, as the patient asks.", module=module, action="withdraw")
    withdraw.add_argument("id", metavar="ID")

    listed = _add(actions, "list", "The objections there are.", module=module, action="list")
    listed.add_argument("--patient", type=_nhs_number, metavar="NHS", help="of one patient")
    listed.add_argument("--status", choices=_STATUSES, help="in one state")

    shown = _add(actions, "show", "One objection.", module=module, action="show")
    shown.add_argument("id", metavar="ID")

    for action in (record, decide, withdraw, listed, shown):
        _with_config(action)
        action.add_argument(
            "--token",
            type=Path,
            metavar="FILE",
            help="who acts: a file with a token (left out: BROKER_TOKEN in the environment)",
        )
        _with_format(action)


def _audit(commands: Any) -> None:
    parser = _add(commands, "audit", "The journal: what was done, and whether all of it is there.")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    more = """
    Reads every record and checks the chain of each process that wrote. May run beside a live broker. Exit codes: 0 the
    journal is whole, 1 it is not, 2 there is no such directory. What can't be known from the files alone is said too.
    """
    verify = _add(
        actions, "verify", "Check that nothing in the journal was changed or removed.", more, module="broker.cli.audit"
    )
    verify.add_argument(
        "directory", nargs="?", type=Path, metavar="DIR", help="the journal (left out: the configuration's)"
    )
    _with_config(verify)
    verify.add_argument(
        "--public-key",
        type=Path,
        metavar="FILE",
        help="journal.pub of the broker's keys (left out: the configuration's)",
    )
    _with_format(verify)


def _config(commands: Any) -> None:
    parser = _add(commands, "config", "The configuration.")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    more = """
    Reads all that serve would read: broker.toml, the environment, manifests, keys, policies with their scenarios,
    identity files. Each run names all that can be told so far: what a fault hides, the next run tells. Notes are no
    faults: they say what works less than one may expect.
    """
    check = _add(
        actions, "check", "Every fault, with file, line and what to write instead.", more, module="broker.cli.config"
    )
    _with_config(check)
    _with_format(check)


def _with_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        type=Path,
        default=Path("broker.toml"),
        metavar="FILE",
        help="the configuration (default: %(default)s)",
    )


def _with_format(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--format", choices=("text", "json"), default="text", help="how it is printed (default: %(default)s)"
    )


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:  # noqa: PLR2004 - the largest port there is
        raise argparse.ArgumentTypeError("write a port from 0 to 65535")
    return int(text)


def _date(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise argparse.ArgumentTypeError("write a date as YYYY-MM-DD") from None


def _nhs_number(text: str) -> str:
    if not nhs_number.is_valid(text):
        raise argparse.ArgumentTypeError("write ten digits, the last of which is the Modulus 11 check digit")
    return text
