"""`broker policy explain`: why a decision is as it is, on states, never on a real patient's record."""

import argparse
import asyncio
import re
from collections.abc import Sequence
from typing import Any

from broker.app import issuers
from broker.auth import JOB_ROLES, OPERATOR_ROLES, Authenticator, Caller
from broker.cli.outcome import HOLDS, USAGE, Stopped, show
from broker.cli.policy import load_set
from broker.clock import london_today
from broker.errors import ConfigurationError, NotAuthenticated
from broker.registry import Registry
from broker.settings import Settings
from policies import Policies
from policies.explaining import Explanation, Step, explain, explain_act
from policies.values import Act, Objection, Officer, Reader, SourceState

__all__ = ["run"]

_JOB_ROLE = re.compile(r"(?:[A-Z0-9]+:)*R[0-9]{4}")
_SENSITIVE = "B1611"
_ALWAYS = "Before all of this, what exclusions.toml names is kept out for everybody, whoever they are."


def run(arguments: argparse.Namespace) -> int:
    """Print the questions of one lookup, or of one act, with their answers."""
    read, policies = load_set(arguments.config)
    reader, sensitive, operator = _reader(arguments, read, policies)
    if arguments.act:
        step = explain_act(policies, _officer(arguments, reader.role, operator=operator), Act(arguments.act))
        content = {"permitted": step.decision.permitted, "policy_set": policies.hash, "steps": [_json(step)]}
        show(arguments.format, content, lambda: _words(step))
        return HOLDS
    found = _explain(arguments, policies, reader, sensitive=sensitive)
    content = {
        "permitted": any(each.permitted for each in found.values()),
        "policy_set": policies.hash,
        "steps": [_json(step) for step in _common(found)],
        "categories": {name: {"permitted": each.permitted, **_json(each.see)} for name, each in found.items()},
    }
    show(arguments.format, content, lambda: _text(found))
    return HOLDS


def _explain(
    arguments: argparse.Namespace, policies: Policies, reader: Reader, *, sensitive: bool
) -> dict[str, Explanation]:
    tables = policies.tables
    wanted = (arguments.category,) if arguments.category else tables.categories
    _known("--category", wanted, tables.categories)
    _known("--labels", arguments.labels, list(tables.labels))
    return {
        category: explain(
            policies,
            reader,
            category,
            source=SourceState(
                agreement=arguments.organisation_agreement == "in-date",
                own=arguments.own,
                objection=Objection(arguments.objection),
            ),
            labels=frozenset(arguments.labels),
            objection=Objection(arguments.category_objection),
            restricted=arguments.restricted,
            sensitive=sensitive,
        )
        for category in wanted
    }


def _known(flag: str, written: Sequence[str], among: Sequence[str]) -> None:
    for each in written:
        if each not in among:
            raise Stopped(f"{flag} {each}: there is no such word in the tables: write one of {', '.join(among)}", USAGE)


def _reader(arguments: argparse.Namespace, read: Settings | None, policies: Policies) -> tuple[Reader, bool, bool]:
    """Who reads; whether they have activity B1611; whether their token is the operator's."""
    role, purpose, relationship, taking_part = None, "TREAT", "encounter", True
    sensitive, operator = arguments.sensitive, arguments.operator
    if arguments.token is None and arguments.role is None:
        raise Stopped("say who reads: a role with --role, or a file with a token with --token", USAGE)
    if arguments.token is not None:
        caller, taking_part = _caller(arguments, read)
        requester = caller.requester
        role, purpose = policies.role_of(requester.role_system, requester.role_code), requester.purpose
        relationship = caller.relationship.basis if caller.relationship else "none"
        sensitive, operator = sensitive or _SENSITIVE in caller.activities, operator or caller.operator
    if arguments.role is not None:
        role = _role(arguments.role, policies)
    asserted = arguments.relationship or relationship
    reader = Reader(
        role=role,
        purpose=arguments.purpose or purpose,
        relationship=None if asserted == "none" else asserted,
        taking_part=arguments.agreement == "in-date" if arguments.agreement else taking_part,
        override=arguments.override,
    )
    return reader, sensitive, operator


def _role(written: str, policies: Policies) -> str | None:
    """A role by its id or by a code. A job role that no row lists has none: that is an answer, and a slip is not."""
    if written in policies.tables.roles:
        return written
    if _JOB_ROLE.fullmatch(written):
        return policies.role_of(JOB_ROLES, written)
    if (role := policies.role_of(OPERATOR_ROLES, written)) is not None:
        return role
    known = ", ".join(policies.tables.roles)
    raise Stopped(f"--role {written}: no such role: write a job role such as R8001, or one of {known}", USAGE)


def _caller(arguments: argparse.Namespace, read: Settings | None) -> tuple[Caller, bool]:
    """Whom the token names, and whether their organisation takes part."""
    if read is None:
        raise Stopped("--token needs the configuration that says who may issue tokens: name it with --config", USAGE)
    try:
        token = arguments.token.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        raise Stopped(f"{arguments.token}: the token can't be read from this file", USAGE) from None
    try:
        registry = Registry.load(read.organisations.directory, settings=read)
        caller = asyncio.run(_authenticate(read, registry, token))
    except ConfigurationError as fault:
        raise Stopped(str(fault), USAGE) from None
    except NotAuthenticated:
        raise Stopped(
            "the token is not valid here, or its five minutes are over: get another, or say --role and the rest", USAGE
        ) from None
    organisation = registry.organisations.get(caller.requester.organisation)
    return caller, organisation is not None and organisation.live and organisation.in_date(london_today())


async def _authenticate(read: Settings, registry: Registry, token: str) -> Caller:
    async with Authenticator(issuers(read, registry), read.server.public_url) as authenticator:
        return await authenticator.authenticate(f"Bearer {token}")


def _officer(arguments: argparse.Namespace, role: str | None, *, operator: bool) -> Officer:
    return Officer(
        role=role,
        operator=operator,
        lead=arguments.lead,
        concerned=arguments.concerned,
        general=arguments.general,
        recorder=arguments.recorder,
        same_organisation=arguments.same_organisation,
        named=arguments.named,
    )


def _common(found: dict[str, Explanation]) -> list[Step]:
    """The questions that are not about a category: the same for each."""
    first = next(iter(found.values()))
    return [first.ask, first.answer, *first.beside]


def _json(step: Step) -> dict[str, Any]:
    decision = step.decision
    return {
        "question": step.question,
        "answer": step.answer,
        "decision": "permit" if decision.permitted else "forbid",
        "reason": decision.reason,
        "sight": decision.sight,
        "policies": [{"id": name, "why": why} for name, why in step.because],
    }


def _text(found: dict[str, Explanation]) -> str:
    first = next(iter(found.values()))
    if len(found) == 1:
        parts = [_words(step) for step in first.steps]
    else:
        parts = [_words(step) for step in (first.ask, first.answer)]
        width = max(map(len, found))
        lines = [f"  {name.ljust(width)}  {each.see.answer}  ({_ids(each.see)})" for name, each in found.items()]
        parts += ["May they see an item of each?\n" + "\n".join(lines), *(_words(step) for step in first.beside)]
    shown = [name for name, each in found.items() if each.permitted]
    said = ", ".join(shown) if shown else "nothing of it"
    return "\n\n".join([*parts, f"Shown: {said}. {_ALWAYS}"])


def _ids(step: Step) -> str:
    return ", ".join(name for name, _ in step.because) or "no policy permits it"


def _words(step: Step) -> str:
    reasons = [f"    {name}: {why}" for name, why in step.because] or ["    No policy permits it."]
    return "\n".join([step.question, f"  {step.answer}", *reasons])
