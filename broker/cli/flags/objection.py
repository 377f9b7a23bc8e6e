"""`broker objection`: its flags."""

from typing import Any

from broker.cli.flags.common import add_command, day, number, with_config, with_format, with_token
from broker.cli.flags.importing import add_import

__all__ = ["add_objection"]

_STATUSES = ("received", "under-review", "upheld", "not-upheld", "withdrawn")
_DECISIONS = ("under-review", "upheld", "not-upheld")
_ASKED_BY = ("patient", "parent", "attorney", "advocate")


def add_objection(commands: Any) -> None:
    """Flags of `broker objection`."""
    parser = add_command(commands, "objection", "A patient's objections to sharing: record, decide, look.")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    module = "broker.cli.objection"

    more = """
    Any care role may record one. It is honoured at once, before anybody decides, on every node within a second. Without
    a scope it is about the whole record. Several narrower ones are recorded one by one.
    """
    record = add_command(
        actions, "record", "Write down that a patient objects to sharing.", more, module=module, action="record"
    )
    record.add_argument("--patient", type=number, required=True, metavar="NHS", help="ten digits")
    record.add_argument("--organisation", metavar="ODS", help="to this organisation's records alone")
    record.add_argument("--category", metavar="NAME", help="to this kind of information alone")
    record.add_argument("--staff", metavar="ISS,SUB", help="with this person alone: issuer and subject of their tokens")
    record.add_argument("--staff-id", metavar="SDS", help="the same, by the twelve digits of their SDS user id")
    record.add_argument("--asked-by", choices=_ASKED_BY, required=True, help="who asked")
    record.add_argument(
        "--birth-date",
        type=day,
        metavar="DATE",
        help="the patient's, YYYY-MM-DD: where a parent asked, a child's objection is listed for review at 16",
    )
    record.add_argument(
        "--effect-explained",
        action="store_true",
        help="the effect on care was explained (without it nothing is recorded)",
    )

    more = """
    What is received goes to under-review first, and from there to upheld or not-upheld.

    One about an organisation's records is decided by its privacy officer (R0001) or Caldicott guardian (R5105); any
    other by those of the lead controller ([objections] lead_controller), whose token must come from an issuer of the
    operator's, one under [[issuers]] in broker.toml; never by whoever recorded it.

    A decision not to uphold needs --reason and --ico-route-told, and takes effect only once telling the patient is
    recorded, with --told. broker objection letter writes what they are told.
    """
    decide = add_command(actions, "decide", "Decide an objection.", more, module=module, action="decide")
    decide.add_argument("id", metavar="ID")
    decide.add_argument("--status", choices=_DECISIONS, required=True)
    decide.add_argument("--reason", metavar="TEXT", help="why; kept sealed")
    decide.add_argument("--ico-route-told", action="store_true", help="the patient was told how to complain to the ICO")
    decide.add_argument("--told", type=day, metavar="DATE", help="when the patient was told: YYYY-MM-DD")

    withdraw = add_command(
        actions, "withdraw", "End an objection, as the patient asks.", module=module, action="withdraw"
    )
    withdraw.add_argument("id", metavar="ID")
    for action in (decide, withdraw):
        action.add_argument(
            "--version", type=int, metavar="N", help="refuse if somebody has changed it since this version"
        )

    listed = add_command(actions, "list", "The objections there are.", module=module, action="list")
    listed.add_argument("--patient", type=number, metavar="NHS", help="of one patient")
    listed.add_argument("--status", choices=_STATUSES, help="in one state")

    listed.add_argument("--due", action="store_true", help="in force, and to be looked at again by today")

    shown = add_command(actions, "show", "One objection, with every version of it.", module=module, action="show")
    shown.add_argument("id", metavar="ID")

    more = """
    As text, from the template of [objections] letter. It names neither the patient nor what the objection is about; the
    reason is in the words of whoever decided.
    """
    letter = add_command(
        actions, "letter", "The letter that an objection is not upheld.", more, module=module, action="letter"
    )
    letter.add_argument("id", metavar="ID")

    add_import(actions)
    for action in (record, decide, withdraw, listed, shown, letter):
        with_config(action)
        with_token(action)
        with_format(action)
