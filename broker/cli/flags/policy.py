"""`broker policy`: its flags."""

import argparse
from pathlib import Path
from typing import Any

from broker.cli.flags.common import add_command, with_format

__all__ = ["add_policy"]

# The words of policies.values, which is not imported for a flag: tests/cli/test_policy_explain.py holds them together.
RELATIONSHIPS = ("encounter", "referral", "registration", "caseload", "self-declared", "none")
OBJECTIONS = ("none", "undecided", "upheld", "not-upheld")
ACTS = ("record-objection", "decide-objection", "see-objection", "audit", "register")
AGREEMENTS = ("in-date", "lapsed")


def add_policy(commands: Any) -> None:
    """Flags of `broker policy`."""
    more = """
    All of it is about states (a nurse, for treatment, with a referral, of a patient who objects), and never about a
    patient: no record is read and nobody is asked. The policies are those that the configuration names, or else those
    that come with the package. They are read at the start of the broker alone: a set with a fault stops the next start,
    and whatever runs keeps the set that it has.
    """
    parser = add_command(commands, "policy", "What may be shown, to whom, and why: the policies of the board.", more)
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    _explain(actions)
    _test(actions)
    _show(actions)
    _copy(actions)
    _refset(actions)


def _explain(actions: Any) -> None:
    more = """
    examples:
      broker policy explain --role nurse --category mental-health
      broker policy explain --role R8009
      broker policy explain --role clinician --category results --objection upheld --override
      broker policy explain --token token.txt --restricted unknown
      broker policy explain --token token.txt --role pharmacist
      broker policy explain --role privacy-officer --act decide-objection --concerned

    Say who reads: --role, --token, or both. What is not said is the ordinary case: treatment, an encounter, no
    objection, agreements in date. With a token, its role, purpose, relationship, organisation and activities are taken,
    except where a flag says otherwise; the patient in it is not looked at. Exit codes: 0 explained, whatever was
    decided; 2 bad usage, or a file that can't be read.
    """
    parser = add_command(
        actions,
        "explain",
        "Why a decision is as it is, with the policies that determined it, in words.",
        more,
        module="broker.cli.explain",
    )
    who = parser.add_argument_group("who reads (one of them, or both)")
    who.add_argument("--token", type=Path, metavar="FILE", help="a file with a token")
    who.add_argument(
        "--role",
        metavar="ROLE",
        help="a role of roles.toml, or a job role such as R8001; counts instead of the token's",
    )
    reader = parser.add_argument_group("the reader")
    reader.add_argument("--purpose", metavar="CODE", help="v3-ActReason: TREAT, ETREAT, BTG ... (default: TREAT)")
    reader.add_argument("--relationship", choices=RELATIONSHIPS, help="with the patient (default: encounter)")
    reader.add_argument("--override", action="store_true", help="they have broken the glass")
    reader.add_argument("--sensitive", action="store_true", help="they have the national activity B1611")
    reader.add_argument("--agreement", choices=AGREEMENTS, help="of their own organisation (default: in-date)")
    patient = parser.add_argument_group("the patient")
    patient.add_argument(
        "--objection", choices=OBJECTIONS, default="none", help="to sharing by the organisation (default: none)"
    )
    patient.add_argument(
        "--category-objection", choices=OBJECTIONS, default="none", help="to sharing the category (default: none)"
    )
    patient.add_argument(
        "--restricted",
        choices=("yes", "no", "unknown"),
        default="no",
        help="where they live must not show (default: no)",
    )
    record = parser.add_argument_group("the record")
    record.add_argument("--category", metavar="NAME", help="a kind of information (left out: each)")
    record.add_argument(
        "--labels",
        metavar="LABEL",
        nargs="+",
        default=[],
        help="security labels of the item: R PSY ... (default: none)",
    )
    record.add_argument("--own", action="store_true", help="it is the reader's own organisation's")
    record.add_argument(
        "--organisation-agreement",
        choices=AGREEMENTS,
        default="in-date",
        help="of the organisation whose record it is (default: in-date)",
    )
    officer = parser.add_argument_group("acting on the registers or the journal, in place of reading")
    officer.add_argument("--act", choices=ACTS, help="what they want to do")
    for flag, words in (
        ("operator", "their token comes from the operator"),
        ("lead", "they work for the lead controller"),
        ("concerned", "they work for the organisation that the objection is about"),
        ("general", "the objection is about no single organisation"),
        ("recorder", "they recorded it"),
        ("same-organisation", "they work where it was recorded"),
        ("named", "it is to them that the patient objects"),
    ):
        officer.add_argument(f"--{flag}", action="store_true", help=words)
    _with_set(parser)
    with_format(parser)


def _test(actions: Any) -> None:
    more = """
    A scenario is a question in states with the answer that the board expects: policies/README.md says how to write one.
    Exit codes: 0 all hold, 1 one does not, 2 a file can't be read.
    """
    parser = add_command(
        actions,
        "test",
        "Run the scenarios, and say which do not hold.",
        more,
        module="broker.cli.policy",
        action="test",
    )
    parser.add_argument(
        "--cases", type=Path, metavar="DIR", help="a folder of scenarios (left out: cases/ of the policies)"
    )
    _with_set(parser)
    with_format(parser)


def _show(actions: Any) -> None:
    more = """
    With --unmapped: what sample records hold of which no table speaks, so that their type alone decides: types, code
    systems and profiles, each with its count; no code and no value of a record. FILES are JSON: Bundles or resources of
    FHIR R4 or STU3; a folder stands for the *.json in it. Records of real patients are better left where they are.
    A file that can't be read is named and skipped. Exit codes: 0 shown, whatever was found; 1 a file was skipped, or
    there was no FHIR resource in any; 2 bad usage, or policies that can't be read.
    """
    parser = add_command(
        actions,
        "show",
        "The role table: who sees what, who may break the glass, who records objections.",
        more,
        module="broker.cli.policy",
        action="show",
    )
    parser.add_argument(
        "--unmapped",
        type=Path,
        nargs="+",
        metavar="FILES",
        help="in place of the table: what samples leave to type alone",
    )
    _with_set(parser)
    parser.add_argument(
        "--format",
        choices=("text", "json", "markdown"),
        default="text",
        help="how it is printed (default: %(default)s)",
    )


def _copy(actions: Any) -> None:
    more = """
    Copies what a board may edit, out of the package: tables, policies, scenarios, safety case and their README; nothing
    of the program. Then name the folder in broker.toml, run broker config check, and keep it under version control:

      [policies]
      directory = "DIR"

    Exit codes: 0 copied, 2 DIR is there already with something in it, or can't be written.
    """
    parser = add_command(
        actions,
        "copy",
        "Copy the policies of the package into a folder, for a board that writes its own.",
        more,
        module="broker.cli.copying",
    )
    parser.add_argument("into", type=Path, metavar="DIR", help="a folder that is not there yet, or is empty")


def _refset(actions: Any) -> None:
    more = """
    Reads a simple reference set file of a TRUD release, Full or Snapshot, line by line. Writes <id>.txt into DIR for
    each reference set that exclusions.toml names and the file holds: its active members, one a line. Then run broker
    config check. Exit codes: 0 at least one was found, 1 none, 2 a file can't be read or written.
    """
    parser = add_command(
        actions,
        "refset",
        "Take the licensed reference sets that the exclusions name out of a TRUD release.",
        more,
        module="broker.cli.refset",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="der2_Refset_Simple...txt of the release")
    parser.add_argument(
        "--into", type=Path, required=True, metavar="DIR", help="value-sets/ of the board's own copy of the policies"
    )
    _with_set(parser)
    with_format(parser)


def _with_set(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="the configuration that names the policies (left out: broker.toml where there is one, "
        "else the policies of the package)",
    )
