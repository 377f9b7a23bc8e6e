"""Scenarios: tests that a governance officer can read and add to, run purely on states."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any

from policies.engine import Policies
from policies.questions import Question, question_of
from policies.reading import Document, Place, Row
from policies.tables import Tables
from policies.values import Decision, PolicyError

__all__ = ["Scenario", "load_scenarios", "run_scenarios", "unmet"]

EXPECTED = ("permit", "forbid")
SIGHTS = {"show": "permit", "mark": "permit", "withhold": "forbid"}
"""Each way in which an item may be seen, and the outcome that it belongs to."""

PROMISES = [str(number) for number in range(1, 27)]
"""The questions that the London Care Record answers to patients."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One case: a question in states, and what is expected of it.

    Attributes:
        promise: the question of the London Care Record's answers to patients that it is about, or None.
        action: what is asked, a word of `policies.questions.ACTIONS`.
        role: the role that asks, as written; None where the ordinary one does.
        decide: asks it of a policy set.
        policies: the ids that must have determined it, exactly; None where any will do.
        sight: for `see`: `show`, `mark` or `withhold`; None where any will do.
    """

    file: str
    line: int | None
    id: str
    promise: int | None
    action: str
    role: str | None
    decide: Question
    expect: str
    policies: frozenset[str] | None
    sight: str | None


def run_scenarios(policies: Policies, directory: Path | None = None, *, today: date | None = None) -> dict[str, Any]:
    """Run every case of a folder (None: those that come with the package).

    Gives `{"passed": n, "failed": [{"file", "line", "case", "problem", "expected", "expected_policies", "decision",
    "policies"}]}`, with None for `expected_policies` where any will do. Raises PolicyError where a file can't be read.
    """
    decided = _run(policies, directory, today)
    failed = [
        {
            "file": case.file,
            "line": case.line,
            "case": case.id,
            "problem": _problem(case, decision),
            "expected": case.sight or case.expect,
            "expected_policies": None if case.policies is None else sorted(case.policies),
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
        PolicyError(case.file, f"{_problem(case, decision)}: change the case, or what decides", line=case.line)
        for case, decision in _run(policies, directory, today)
        if not _as_expected(case, decision)
    ]


def _run(policies: Policies, directory: Path | None, today: date | None) -> list[tuple[Scenario, Decision]]:
    cases = load_scenarios(policies.tables, directory, today=today or date.today())  # noqa: DTZ011  # a local day
    return [(case, case.decide(policies)) for case in cases]


def _problem(case: Scenario, decision: Decision) -> str:
    expected = f"{case.sight or case.expect}{_by(case.policies, case.expect)}"
    decided = f"{_word(case, decision)}{_by(decision.policies, 'permit' if decision.permitted else 'forbid')}"
    return f"case `{case.id}` expects {expected}, and what is decided is {decided}"


def _word(case: Scenario, decision: Decision) -> str:
    if case.sight:
        return decision.sight.value
    return "permit" if decision.permitted else "forbid"


def _by(policies: Collection[str] | None, outcome: str) -> str:
    if policies is None:
        return ""
    if not policies:
        # Only what may be shared at all needs no permission: there, what nothing keeps out passes.
        return " (nothing keeps it out)" if outcome == "permit" else " (no policy permits it)"
    return f" by {', '.join(sorted(policies))}"


def load_scenarios(tables: Tables, directory: Path | None, *, today: date) -> list[Scenario]:
    """Read every `*.toml` of a folder. Raises PolicyError with file and line."""
    place: Place = directory if directory is not None else files("policies").joinpath("cases")
    if not place.is_dir():
        raise PolicyError(place.name, "no such folder of scenarios: a policy folder holds the whole set")
    found = sorted((file for file in place.iterdir() if file.name.endswith(".toml")), key=lambda file: file.name)
    if not found:
        raise PolicyError(place.name, "no scenario (*.toml) in it: nothing would show what was meant")
    seen: dict[str, str] = {}
    return [case for file in found for case in _cases(Document.open(file, place.name), tables, today, seen)]


def _cases(document: Document, tables: Tables, today: date, seen: dict[str, str]) -> Iterator[Scenario]:
    """Every case of a file; `seen` holds the ids so far, each with its file."""
    document.only(["case"])
    document.top.done()
    for row in document.rows("case"):
        case = _case(row, tables, today)
        if case.id in seen:
            raise row.fault(f"case `{case.id}` stands in {seen[case.id]} already: one id for each", "id")
        seen[case.id] = case.file
        yield case


def _case(row: Row, tables: Tables, today: date) -> Scenario:
    row.text("why")
    case = Scenario(
        file=row.document.name,
        line=row.line,
        id=row.text("id"),
        promise=int(row.word("question", PROMISES, what="a question, from 1 to 26")) if row.has("question") else None,
        action=row.text("action", "see"),
        role=row.text("role") if row.has("role") else None,
        decide=question_of(row, tables, row.day("date") or today),
        expect=row.word("expect", EXPECTED, what="an outcome"),
        policies=frozenset(row.texts("policies", [])) if row.has("policies") else None,
        sight=row.word("sight", SIGHTS, what="a way to be seen") if row.has("sight") else None,
    )
    row.done()
    if case.sight and SIGHTS[case.sight] != case.expect:
        raise row.fault(
            f'`expect = "{case.expect}"` and `sight = "{case.sight}"` can\'t both hold: what is shown or marked is '
            "permitted, what is withheld is forbidden",
            "sight",
        )
    return case


def _as_expected(case: Scenario, decision: Decision) -> bool:
    return (
        decision.permitted == (case.expect == "permit")
        and case.policies in {None, frozenset(decision.policies)}
        and case.sight in {None, decision.sight.value}
    )
