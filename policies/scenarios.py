"""Scenarios: tests that a governance officer can read and add to, run purely on states."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any

from policies.engine import Policies
from policies.reading import Document, Place, Row
from policies.tables import Tables
from policies.values import Coding, Decision, Objection, PolicyError, Reader, SourceState

__all__ = ["Scenario", "load_scenarios", "run_scenarios", "unmet"]

ACTIONS = ("ask", "answer", "see", "share")
EXPECTED = ("permit", "forbid")
NOBODY = "unknown"
"""The role of somebody whose job role is in no table."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One case: a question in states, and what is expected of it. What is left out in the file is the ordinary case.

    Attributes:
        action: `ask` (look anybody up), `answer` (an organisation answers), `see` (items of a category with labels), or
            `share` (may an item with this code be shared at all on that date: the exclusions).
        policies: the ids that must have determined it, exactly; None where any will do.
        sight: for `see`: `show`, `mark` or `withhold`; None where any will do.
        on: the day that the question is about: today, unless the file says another.
    """

    file: str
    line: int | None
    id: str
    action: str
    reader: Reader
    source: SourceState
    category: str
    labels: frozenset[str]
    codings: frozenset[Coding]
    on: date
    expect: str
    policies: frozenset[str] | None
    sight: str | None


def run_scenarios(policies: Policies, directory: Path | None = None, *, today: date | None = None) -> dict[str, Any]:
    """Run every case of a folder (None: those that come with the package).

    Gives `{"passed": n, "failed": [{"file", "case", "expected", "decision", "policies"}]}`. Raises PolicyError where a
    file can't be read.
    """
    decided = _run(policies, directory, today)
    failed = [
        {
            "file": case.file,
            "case": case.id,
            "expected": case.sight or case.expect,
            "decision": _word(case, decision),
            "policies": list(decision.policies),
        }
        for case, decision in decided
        if not _as_expected(case, decision)
    ]
    return {"passed": len(decided) - len(failed), "failed": failed}


def unmet(policies: Policies, directory: Path | None, *, today: date | None = None) -> list[PolicyError]:
    """A fault for every case that does not hold, with its line, what it expects and what was decided.

    Raises PolicyError where a file can't be read.
    """
    return [
        PolicyError(
            case.file,
            f"case `{case.id}` expects {case.sight or case.expect}{_by(case.policies)}, and what is decided is "
            f"{_word(case, decision)}{_by(decision.policies)}: change the case, or what decides",
            line=case.line,
        )
        for case, decision in _run(policies, directory, today)
        if not _as_expected(case, decision)
    ]


def _run(policies: Policies, directory: Path | None, today: date | None) -> list[tuple[Scenario, Decision]]:
    cases = load_scenarios(policies.tables, directory, today=today or date.today())  # noqa: DTZ011  # a local day
    return [(case, _decide(policies, case)) for case in cases]


def _word(case: Scenario, decision: Decision) -> str:
    if case.sight:
        return decision.sight.value
    return "permit" if decision.permitted else "forbid"


def _by(policies: Collection[str] | None) -> str:
    if policies is None:
        return ""
    return f" by {', '.join(sorted(policies)) or 'no policy'}"


def load_scenarios(tables: Tables, directory: Path | None, *, today: date) -> list[Scenario]:
    """Read every `*.toml` of a folder. Raises PolicyError with file and line."""
    place: Place = directory if directory is not None else files("policies").joinpath("cases")
    if not place.is_dir():
        raise PolicyError(place.name, "no such folder of scenarios: a policy folder holds the whole set")
    found = sorted((file for file in place.iterdir() if file.name.endswith(".toml")), key=lambda file: file.name)
    if not found:
        raise PolicyError(place.name, "no scenario (*.toml) in it: nothing would show what was meant")
    return [case for file in found for case in _cases(Document.open(file, place.name), tables, today)]


def _cases(document: Document, tables: Tables, today: date) -> Iterator[Scenario]:
    document.only(["case"])
    document.top.done()
    seen: set[str] = set()
    for row in document.rows("case"):
        case = _case(row, tables, today)
        if case.id in seen:
            raise row.fault(f"case `{case.id}` stands twice: one id for each", "id")
        seen.add(case.id)
        yield case


def _case(row: Row, tables: Tables, today: date) -> Scenario:
    row.text("why")
    row.text("question", "")
    for later in ("restricted", "override"):
        if row.flag(later, default=False):
            raise row.fault(f"no policy depends on `{later}` yet: leave it out", later)
    action = row.word("action", ACTIONS, what="an action", default="see")
    role = row.word("role", [*tables.roles, NOBODY], what="a role of roles.toml", default="clinician")
    relationship = row.text("relationship", "encounter")
    policies = frozenset(row.texts("policies", [])) if row.has("policies") else None
    case = Scenario(
        file=row.document.name,
        line=row.line,
        id=row.text("id"),
        action=action,
        reader=Reader(
            role=None if role == NOBODY else role,
            purpose=row.text("purpose", "TREAT"),
            relationship=None if relationship == "none" else relationship,
            taking_part=row.flag("taking_part", default=True),
        ),
        source=SourceState(
            agreement=row.flag("agreement", default=True),
            own=row.flag("own", default=False),
            objection=Objection(row.word("objection", list(Objection), what="a state of an objection", default="none")),
        ),
        category=row.word("category", tables.categories, what="a category", default="allergies"),
        labels=frozenset(row.words("labels", tables.labels, what="a label of labels.toml", default=[]))
        or frozenset((tables.absent_label,)),
        codings=_codings(row),
        on=row.day("date") or today,
        expect=row.word("expect", EXPECTED, what="an outcome"),
        policies=policies,
        sight=row.word("sight", ("show", "mark", "withhold"), what="a way to be seen") if row.has("sight") else None,
    )
    row.done()
    return case


def _codings(row: Row) -> frozenset[Coding]:
    """`codes = ["system|code"]`."""
    codings = [code.rpartition("|") for code in row.texts("codes", [])]
    if not all(system and code for system, _, code in codings):
        raise row.fault('write each code as "system|code", with the whole address of the system', "codes")
    return frozenset((system, code) for system, _, code in codings)


def _decide(policies: Policies, case: Scenario) -> Decision:
    match case.action:
        case "ask":
            return policies.may_ask(case.reader)
        case "answer":
            return policies.may_answer(case.reader, [case.source])[0]
        case "see":
            return policies.may_see(case.reader, [(case.category, case.labels)])[0]
        case _:
            return _share(policies.tables, case)


def _share(tables: Tables, case: Scenario) -> Decision:
    rules = tuple(rule.id for rule in tables.exclusions if rule.in_force(case.on) and rule.codings & case.codings)
    return Decision(permitted=case.codings.isdisjoint(tables.excluded_codings(case.on)), policies=rules)


def _as_expected(case: Scenario, decision: Decision) -> bool:
    return (
        decision.permitted == (case.expect == "permit")
        and case.policies in {None, frozenset(decision.policies)}
        and case.sight in {None, decision.sight.value}
    )
