"""`broker objection`: the register, acted on with the right that a token gives."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from datetime import date

from broker import settings
from broker.cli.objecting import refusals_told, register_open, token_of
from broker.cli.outcome import HOLDS, plain, show
from broker.objections import Actor, ObjectionRecord, ObjectionRegister, Scope, Version
from broker.settings import Settings

__all__ = ["run"]

_Found = ObjectionRecord | tuple[ObjectionRecord, ...] | str


def run(arguments: argparse.Namespace) -> int:
    """Do one thing to the register, and print the objection, the objections or the letter."""
    token = token_of(arguments)
    read = settings.load(arguments.config)
    with refusals_told():
        found = asyncio.run(_act(arguments, read, token))
    match found:
        case ObjectionRecord():
            show(arguments.format, found.as_json(), lambda: _story(found))
        case str():
            show(arguments.format, {"id": arguments.id, "letter": found}, lambda: found.rstrip("\n"))
        case _:
            show(arguments.format, [each.as_json() for each in found], lambda: "\n".join(map(_line, found)))
    return HOLDS


async def _act(arguments: argparse.Namespace, read: Settings, token: str) -> _Found:
    async with register_open(read, token) as (register, actor):
        return await _ACTIONS[arguments.action](register, actor, arguments)


async def _record(register: ObjectionRegister, actor: Actor, arguments: argparse.Namespace) -> ObjectionRecord:
    scope = Scope.stated(
        organisation=arguments.organisation,
        category=arguments.category,
        staff=arguments.staff,
        staff_id=arguments.staff_id,
    )
    return await register.record(
        actor,
        patient=arguments.patient,
        asked_by=arguments.asked_by,
        effect_explained=arguments.effect_explained,
        scope=scope,
        birth_date=_day(arguments.birth_date),
    )


async def _decide(register: ObjectionRegister, actor: Actor, arguments: argparse.Namespace) -> ObjectionRecord:
    return await register.decide(
        actor,
        arguments.id,
        status=arguments.status,
        reason=arguments.reason,
        ico_route_told=arguments.ico_route_told,
        told=_day(arguments.told),
        version=arguments.version,
    )


async def _withdraw(register: ObjectionRegister, actor: Actor, arguments: argparse.Namespace) -> ObjectionRecord:
    return await register.withdraw(actor, arguments.id, version=arguments.version)


async def _list(
    register: ObjectionRegister, actor: Actor, arguments: argparse.Namespace
) -> tuple[ObjectionRecord, ...]:
    return await register.list(actor, patient=arguments.patient, status=arguments.status, due=arguments.due)


async def _show(register: ObjectionRegister, actor: Actor, arguments: argparse.Namespace) -> ObjectionRecord:
    return await register.show(actor, arguments.id)


async def _letter(register: ObjectionRegister, actor: Actor, arguments: argparse.Namespace) -> str:
    return await register.letter(actor, arguments.id)


_ACTIONS: dict[str, Callable[[ObjectionRegister, Actor, argparse.Namespace], Awaitable[_Found]]] = {
    "record": _record,
    "decide": _decide,
    "withdraw": _withdraw,
    "list": _list,
    "show": _show,
    "letter": _letter,
}


def _day(written: str | None) -> date | None:
    return date.fromisoformat(written) if written else None


def _line(found: ObjectionRecord) -> str:
    who = found.recorded_by
    line = f"{found.id}  {found.status}  version {found.version}  {_about(found.scope)}  asked by {found.asked_by}"
    line += f"  recorded {found.recorded_at} at {who['organisation']}"
    if found.origin:
        line += plain(f"  from {found.origin.name} {found.origin.dated or ''}".rstrip())
    if found.decided_at and found.decided_by:
        line += f"  decided {found.decided_at} at {found.decided_by['organisation']}"
    if found.told_at:
        line += f"  told {found.told_at}"
    return line + (f"  review on {found.review_on}" if found.review_on else "")


def _about(scope: Scope) -> str:
    return plain(f"{scope.kind} {scope.value}".rstrip())


def _story(found: ObjectionRecord) -> str:
    return "\n".join([_line(found), *map(_step, found.history)])


def _step(version: Version) -> str:
    who = plain(f"{version.by['name']} at {version.by['organisation']}") if version.by else "see the journal"
    line = f"  {version.version}  {version.status}  {version.at or ''}  {who}"
    if version.told_at:
        line += f"  told {version.told_at}"
    return line + (f"  {plain(version.reason)}" if version.reason else "")
