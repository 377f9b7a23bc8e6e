"""`broker policy test` and `broker policy show`: do the scenarios hold, who sees what, what is left to the type?"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from broker import settings
from broker.cli.outcome import HOLDS, HOLDS_NOT, USAGE, Stopped, plain, show
from broker.clock import london_today
from broker.errors import ConfigurationError
from broker.settings import Settings
from policies import Policies, Tables, run_scenarios
from policies.unmapped import Unmapped, unmapped
from policies.values import PolicyError

__all__ = ["load_set", "run"]

_DEFAULT = Path("broker.toml")
_YES, _NO = "x", "."


def load_set(config: Path | None) -> tuple[Settings | None, Policies]:
    """The configuration, where there is one, and the policies that it names, or else those of the package.

    Raises:
        Stopped: a file that can't be read, in the words of its fault.
    """
    path = config or (_DEFAULT if _DEFAULT.is_file() else None)
    try:
        read = settings.load(path) if path else None
    except ConfigurationError as fault:
        raise Stopped(str(fault), USAGE) from None
    directory = read.policies.directory if read else None
    try:
        return read, Policies.load(directory)
    except PolicyError as fault:
        raise Stopped(f"{(directory or Path('policies')) / str(fault)}", USAGE) from None


def run(arguments: argparse.Namespace) -> int:
    """Run the scenarios, or print a table."""
    read, policies = load_set(arguments.config)
    if arguments.action == "test":
        directory = read.policies.directory if read else None
        return _test(arguments, policies, arguments.cases or (directory / "cases" if directory else None))
    if arguments.unmapped:
        if arguments.format == "markdown":
            raise Stopped("--unmapped is printed as text or json: leave --format markdown out", USAGE)
        return _left_to_type(arguments, policies.tables)
    text = _markdown if arguments.format == "markdown" else _staircase
    show(arguments.format, _role_table(policies), lambda: text(policies.tables))
    return HOLDS


def _test(arguments: argparse.Namespace, policies: Policies, cases: Path | None) -> int:
    place = cases.parent if cases else Path("policies")
    try:
        report = run_scenarios(policies, cases, today=london_today())
    except PolicyError as fault:
        raise Stopped(f"{place / str(fault)}", USAGE) from None
    failed = report["failed"]
    show(arguments.format, report, lambda: _outcome(report["passed"], failed, place))
    return HOLDS_NOT if failed else HOLDS


def _outcome(passed: int, failed: list[dict[str, Any]], place: Path) -> str:
    lines = [f"{place / each['file']}:{each['line']}: {each['problem']}" for each in failed]
    return "\n".join([*lines, f"{passed} hold, {len(failed)} do not" if failed else f"all {passed} hold"])


def _role_table(policies: Policies) -> dict[str, Any]:
    tables = policies.tables
    return {
        "policy_set": policies.hash,
        "groups": {
            name: [each for each in tables.categories if each in members] for name, members in tables.groups.items()
        },
        "roles": [
            {
                "id": role.id,
                "name": role.name,
                "sees": [group for group in tables.groups if group in role.sees],
                "override": role.override,
                "records_objections": role.records_objections,
                "job_roles": sorted(role.job_roles),
                "operator_roles": sorted(role.operator_roles),
                "why": role.why,
            }
            for role in tables.roles.values()
        ],
    }


def _rows(tables: Tables) -> Iterator[tuple[str, str, list[bool]]]:
    """Each role: id, name, and what it may, by column."""
    for role in tables.roles.values():
        yield role.id, role.name, [*(g in role.sees for g in tables.groups), role.override, role.records_objections]


def _columns(tables: Tables) -> list[str]:
    return [*tables.groups, "may break the glass", "records objections"]


def _staircase(tables: Tables) -> str:
    """Headings one below the other, each over its column, so that the table fits a screen of 80 columns."""
    rows, columns = list(_rows(tables)), _columns(tables)
    width = max(len(name) for name, _, _ in rows) + 2
    lines = [" " * width + "| " * place + name for place, name in enumerate(columns)]
    lines += [name.ljust(width) + " ".join(_YES if may else _NO for may in mays) for name, _, mays in rows]
    return "\n".join([
        *lines,
        f"{_YES} yes, {_NO} no. Which categories are in a group: categories.toml, or --format json",
    ])


def _markdown(tables: Tables) -> str:
    columns = _columns(tables)
    lines = [f"| role | {' | '.join(columns)} |", f"|---|{':-:|' * len(columns)}"]
    lines += [f"| {name} | {' | '.join('yes' if may else '' for may in mays)} |" for _, name, mays in _rows(tables)]
    return "\n".join(lines)


def _left_to_type(arguments: argparse.Namespace, tables: Tables) -> int:
    """Holds where something was judged and nothing was skipped: what the tables leave open is the answer asked for."""
    files, skipped = _files(arguments.unmapped), dict[Path, str]()
    found = unmapped(tables, _samples(files, skipped))
    content = {
        "files": len(files),
        "skipped": [{"file": str(file), "problem": problem} for file, problem in skipped.items()],
        **_unmapped(found, tables),
    }
    show(arguments.format, content, lambda: _unmapped_text(found, tables, len(files), skipped))
    return HOLDS if found.resources and not skipped else HOLDS_NOT


def _files(paths: Sequence[Path]) -> list[Path]:
    files: list[Path] = []
    for path in paths:
        here = sorted(path.rglob("*.json")) if path.is_dir() else [path]
        if not here:
            raise Stopped(f"{path}: no *.json in this folder", USAGE)
        if not path.exists():
            raise Stopped(f"{path}: there is no such file or folder", USAGE)
        files += here
    return files


def _samples(files: Sequence[Path], skipped: dict[Path, str]) -> Iterator[Any]:
    """Decoded JSON, one file at a time; files that give none go into `skipped`, each with why."""
    for file in files:
        try:
            yield json.loads(file.read_bytes())
        except OSError as error:
            skipped[file] = f"can't be read ({error.strerror})"
        except (ValueError, RecursionError):
            skipped[file] = "not JSON in UTF-8"


def _unmapped(found: Unmapped, tables: Tables) -> dict[str, Any]:
    return {
        "resources": found.resources,
        "types": found.types,
        "systems": found.systems,
        "profiles": found.profiles,
        "unasked": {kind: {"count": number, "why": tables.unasked[kind]} for kind, number in found.unasked.items()},
    }


def _unmapped_text(found: Unmapped, tables: Tables, files: int, skipped: Mapping[Path, str]) -> str:
    lines = [f"{file}: {problem}: skipped" for file, problem in skipped.items()]
    lines += [
        f"{kind}: {number}, a type that no table speaks of: never asked for" for kind, number in found.types.items()
    ]
    for what, by_type in (("code system", found.systems), ("profile", found.profiles)):
        lines += [
            f"{kind}: {number} with the {what} {name}, of which no table speaks"
            for kind, counts in by_type.items()
            for name, number in counts.items()
        ]
    lines += [f"{kind}: {number}, not asked for: {tables.unasked[kind]}" for kind, number in found.unasked.items()]
    among = f"{files} file{'' if files == 1 else 's'}" + (f", {len(skipped)} of them skipped" if skipped else "")
    if not found.resources:
        return "\n".join([*map(plain, lines), f"no FHIR resource in {among}: nothing was judged"])
    nothing = "the tables speak of all that is in them" if found.nothing else "for the rest the tables speak"
    return "\n".join([*map(plain, lines), f"{found.resources} resources in {among}: {nothing}"])
