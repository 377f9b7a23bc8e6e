"""`broker objection`: the register, acted on with the right that a token gives."""

import argparse
import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import date

from broker import settings
from broker.app import issuers, load_policies, open_journal
from broker.auth import Authenticator
from broker.cli.outcome import HOLDS, USAGE, Stopped, show
from broker.errors import BrokerError, NotAuthenticated
from broker.keys import Keys
from broker.objections import Actor, ObjectionRecord, ObjectionRegister
from broker.registry import Registry
from broker.settings import Settings
from broker.store import open_store

__all__ = ["run"]

_Found = ObjectionRecord | tuple[ObjectionRecord, ...]


def run(arguments: argparse.Namespace) -> int:
    """Do one thing to the register, and print the objection or objections."""
    token = _token(arguments)
    read = settings.load(arguments.config)
    try:
        found = asyncio.run(_act(arguments, read, token))
    except NotAuthenticated:
        raise Stopped(
            "the token is not valid here, or its five minutes are over: get another, see broker token"
        ) from None
    except BrokerError as error:
        raise Stopped(f"{error.code}: {error.message}") from None
    if isinstance(found, ObjectionRecord):
        show(arguments.format, found.as_json(), lambda: _line(found))
    else:
        show(arguments.format, [each.as_json() for each in found], lambda: "\n".join(map(_line, found)))
    return HOLDS


async def _act(
    arguments: argparse.Namespace, read: Settings, token: str
) -> ObjectionRecord | tuple[ObjectionRecord, ...]:
    async with AsyncExitStack() as house:
        registry = Registry.load(read.organisations.directory, settings=read)
        policies = load_policies(read)
        authenticator = await house.enter_async_context(Authenticator(issuers(read, registry), read.server.public_url))
        caller = await authenticator.authenticate(f"Bearer {token}")
        actor = Actor.of(caller.requester, policies, operator=caller.operator)
        keys = Keys.open(read.audit.keys)
        journal = await open_journal(read, keys)
        house.push_async_callback(journal.close)
        store = await open_store(read.store.url)
        house.push_async_callback(store.dispose)
        register = ObjectionRegister(store, keys, journal, lead_controller=read.objections.lead_controller)
        return await _ACTIONS[arguments.action](register, actor, arguments)


async def _record(register: ObjectionRegister, actor: Actor, arguments: argparse.Namespace) -> ObjectionRecord:
    return await register.record(
        actor,
        patient=arguments.patient,
        asked_by=arguments.asked_by,
        effect_explained=arguments.effect_explained,
        organisation=arguments.organisation,
        category=arguments.category,
        staff=arguments.staff,
    )


async def _decide(register: ObjectionRegister, actor: Actor, arguments: argparse.Namespace) -> ObjectionRecord:
    return await register.decide(
        actor,
        arguments.id,
        status=arguments.status,
        reason=arguments.reason,
        ico_route_told=arguments.ico_route_told,
        told=date.fromisoformat(arguments.told) if arguments.told else None,
        version=arguments.version,
    )


async def _withdraw(register: ObjectionRegister, actor: Actor, arguments: argparse.Namespace) -> ObjectionRecord:
    return await register.withdraw(actor, arguments.id)


async def _list(
    register: ObjectionRegister, actor: Actor, arguments: argparse.Namespace
) -> tuple[ObjectionRecord, ...]:
    return await register.list(actor, patient=arguments.patient, status=arguments.status)


async def _show(register: ObjectionRegister, actor: Actor, arguments: argparse.Namespace) -> ObjectionRecord:
    return await register.show(actor, arguments.id)


_ACTIONS: dict[str, Callable[[ObjectionRegister, Actor, argparse.Namespace], Awaitable[_Found]]] = {
    "record": _record,
    "decide": _decide,
    "withdraw": _withdraw,
    "list": _list,
    "show": _show,
}


def _token(arguments: argparse.Namespace) -> str:
    """The token of who acts. Never an argument: arguments show in the list of processes."""
    if arguments.token is None:
        token = os.environ.get("BROKER_TOKEN", "").strip()
    else:
        try:
            token = arguments.token.read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            raise Stopped(f"{arguments.token}: the token can't be read from this file", USAGE) from None
    if not token:
        raise Stopped("who acts? Name a file with --token, or put the token into BROKER_TOKEN", USAGE)
    return token


def _line(found: ObjectionRecord) -> str:
    who = found.recorded_by
    line = f"{found.id}  {found.status}  version {found.version}  recorded {found.recorded_at} at {who['organisation']}"
    if found.decided_at and found.decided_by:
        line += f"  decided {found.decided_at} at {found.decided_by['organisation']}"
    return line + (f"  told {found.told_at}" if found.told_at else "")
