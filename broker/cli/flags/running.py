"""`broker serve`, `broker demo`, `broker token`: their flags."""

from pathlib import Path
from typing import Any

from broker.cli.flags.common import add_command, day, number, port, with_config, with_format

__all__ = ["add_demo", "add_serve", "add_token"]

_RELATIONSHIPS = ("encounter", "referral", "registration", "caseload", "none")


def add_serve(commands: Any) -> None:
    """Flags of `broker serve`."""
    more = """
    Stops on SIGINT or SIGTERM: takes no new request, finishes those begun, closes the journal. Bad or empty
    configuration stops the start, naming file, line and what to write; all faults at once: broker config check
    """
    with_config(add_command(commands, "serve", "Run the service.", more, module="broker.cli.serving"))


def add_demo(commands: Any) -> None:
    """Flags of `broker demo`."""
    more = """
    Starts organisations of a made-up world as real servers on this machine, and the broker before them; looks one
    patient up and shows what came, what is missing and why, and what was written down. Needs no network.
    """
    parser = add_command(
        commands, "demo", "See it work, with made-up organisations and patients.", more, module="broker.cli.demo"
    )
    parser.add_argument("--once", action="store_true", help="one lookup, then end (otherwise: serve until interrupted)")
    parser.add_argument("--port", type=port, default=None, metavar="N", help="where the broker listens")
    parser.add_argument(
        "--directory", type=Path, metavar="DIR", help="where its files are written (left out: a temporary folder)"
    )
    with_format(parser)


def add_token(commands: Any) -> None:
    """Flags of `broker token`."""
    more = """
    Prints the token and nothing else, so that it can stand in a command:

      TOKEN=$(broker token --role R8000 --organisation RJ1 --patient 9990000018 --birth-date 1948-03-02)
      curl -s http://127.0.0.1:8080/lookups -H "Authorization: Bearer $TOKEN" \\
        -H "Content-Type: application/json" \\
        -d '{"patient": {"nhs_number": "9990000018", "birth_date": "1948-03-02"}}'

    Usual role codes: R8000 clinician, R8001 nurse, R0001 privacy officer, R5105 Caldicott guardian;
    and the broker's own: auditor, registrar.

    It lives five minutes. Refused unless every issuer in the configuration is a demo one: their private key is public.
    """
    parser = add_command(
        commands, "token", "Sign a token of a demo issuer, to try the service with.", more, module="broker.cli.token"
    )
    with_config(parser)
    parser.add_argument(
        "--role", required=True, metavar="CODE", help="national job role, such as R8000, or the broker's own"
    )
    parser.add_argument("--organisation", required=True, metavar="ODS", help="for whom the person works, such as RJ1")
    parser.add_argument("--user", metavar="ID", help="who (left out: somebody made up, another for each role code)")
    parser.add_argument("--purpose", default="TREAT", metavar="CODE", help="v3-ActReason (default: %(default)s)")
    parser.add_argument("--patient", type=number, metavar="NHS", help="the patient in context: ten digits")
    parser.add_argument("--birth-date", type=day, metavar="DATE", help="of the patient: YYYY-MM-DD")
    parser.add_argument(
        "--practice", metavar="ODS", help="the patient's registered GP practice, as the reader's system has it"
    )
    parser.add_argument(
        "--relationship",
        choices=_RELATIONSHIPS,
        help="how the organisation is caring for the patient (default: encounter where there is a patient)",
    )
    parser.add_argument(
        "--activity",
        action="append",
        default=[],
        metavar="CODE",
        help="national RBAC activity of the person, such as B1611; may be given more than once",
    )
    parser.add_argument(
        "--shape",
        choices=("iua", "cis2"),
        default="iua",
        help="of the token: IHE IUA or NHS CIS2 (default: %(default)s)",
    )
