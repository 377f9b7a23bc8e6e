"""`broker objection import`: its flags."""

from pathlib import Path
from typing import Any

from broker.cli.flags.common import add_command, with_config, with_format, with_token

__all__ = ["add_import"]

_ORIGINS = ("connectcare", "local-care-record", "summary-care-record", "national-data-opt-out")

_MORE = """
Objections made to ConnectCare and the Local Care Record are put down as upheld, with their date and origin. An opt-out
of the Summary Care Record or a National Data Opt-out does not carry over, and the report says so for each row.

FILE is CSV in UTF-8, with commas. Its first line names the columns; only the first two are needed:

  nhs_number    ten digits, spaces between them allowed
  date          when the objection was made, as YYYY-MM-DD
  origin        one of those of --origin, if not that
  reference     what the origin calls it
  birth_date    the patient's, as YYYY-MM-DD: a child's objection is listed for review at 16
  asked_by      patient, parent, attorney or advocate
  organisation  ODS code: to this organisation's records alone
  category      to this kind of information alone
  staff         with this person alone: an SDS user id, or "ISS,SUB" in quotes

A row is one line. One that can't be used goes to the work-list, with the reason, and stops no other. Importing again
puts nothing down twice: after an interruption, do it again; a work-list that was put right is such a file itself.

The report names rows by line and reference and holds no NHS number. The work-list holds the rows as they were, for a
person has to match them: keep it as safe as FILE. Only their owner can read either (mode 0600). Nothing is written over
but an earlier report or work-list.

Done by a privacy officer or Caldicott guardian of the lead controller, with a token of an issuer of the operator's. It
may run beside a broker that serves. Exit code 0 once every row is in the report, 2 if FILE is no such CSV.
"""


def add_import(actions: Any) -> None:
    """Flags of `broker objection import`."""
    parser = add_command(
        actions,
        "import",
        "Put down objections that were made elsewhere.",
        _MORE,
        module="broker.cli.importing",
        action="import",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="CSV")
    parser.add_argument("--origin", choices=_ORIGINS, help="where they were made; a row may say otherwise")
    parser.add_argument(
        "--report", type=Path, metavar="CSV", help="what became of each row (left out: obj.report.csv for obj.csv)"
    )
    parser.add_argument(
        "--work-list",
        type=Path,
        metavar="CSV",
        help="rows for a person to look at (left out: obj.work-list.csv for obj.csv)",
    )
    with_config(parser)
    with_token(parser)
    with_format(parser)
