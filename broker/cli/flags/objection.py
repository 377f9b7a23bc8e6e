"""`broker objection`: its flags."""

from typing import Any

from broker.cli.flags.common import add_command, day, number, with_config, with_format, with_token

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
    a scope it is about the whole record; narrower ones are not available in this version.
    """
    record = add_command(
        actions, "record", "Write down that a patient objects to sharing.", more, module=module, action="record"
    )
    record.add_argument("--patient", type=number, required=True, metavar="NHS", help="ten digits")
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
    decide = add_command(actions, "decide", "Decide an objection.", more, module=module, action="decide")
    decide.add_argument("id", metavar="ID")
    decide.add_argument("--status", choices=_DECISIONS, required=True)
    decide.add_argument("--reason", metavar="TEXT", help="why; kept sealed")
    decide.add_argument("--ico-route-told", action="store_true", help="the patient was told how to complain to the ICO")
    decide.add_argument("--told", type=day, metavar="DATE", help="when the patient was told: YYYY-MM-DD")
    decide.add_argument("--version", type=int, metavar="N", help="refuse if somebody has changed it since this version")

    withdraw = add_command(
        actions, "withdraw", "End an objection, as the patient asks.", module=module, action="withdraw"
    )
    withdraw.add_argument("id", metavar="ID")

    listed = add_command(actions, "list", "The objections there are.", module=module, action="list")
    listed.add_argument("--patient", type=number, metavar="NHS", help="of one patient")
    listed.add_argument("--status", choices=_STATUSES, help="in one state")

    shown = add_command(actions, "show", "One objection.", module=module, action="show")
    shown.add_argument("id", metavar="ID")

    for action in (record, decide, withdraw, listed, shown):
        with_config(action)
        with_token(action)
        with_format(action)
