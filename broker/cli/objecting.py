"""What every action on the register of objections needs: who acts, with which right, and the register itself."""

import argparse
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

from broker.app import issuers, known_to_objections, load_policies, open_journal
from broker.auth import Authenticator
from broker.cli.outcome import USAGE, Stopped
from broker.errors import BrokerError, NotAuthenticated
from broker.keys import Keys
from broker.objections import Actor, Letter, ObjectionRegister
from broker.registry import Registry
from broker.settings import Settings
from broker.store import open_store

__all__ = ["refusals_told", "register_open", "token_of"]


@asynccontextmanager
async def register_open(read: Settings, token: str) -> AsyncIterator[tuple[ObjectionRegister, Actor]]:
    """The register that the configuration names, and who acts on it.

    Raises:
        BrokerError: the token is not valid.
        ConfigurationError: the configuration has a fault.
    """
    async with AsyncExitStack() as house:
        registry = Registry.load(read.organisations.directory, settings=read)
        policies = load_policies(read)
        letter = Letter.load(read.objections.letter)
        authenticator = await house.enter_async_context(Authenticator(issuers(read, registry), read.server.public_url))
        caller = await authenticator.authenticate(f"Bearer {token}")
        actor = Actor.of(caller.requester, policies, operator=caller.operator, staff_id=caller.staff_id)
        keys = Keys.open(read.audit.keys)
        journal = await open_journal(read, keys)
        house.push_async_callback(journal.close)
        store = await open_store(read.store.url, read.audit.keys)
        house.push_async_callback(store.dispose)
        register = ObjectionRegister(
            store,
            keys,
            journal,
            policies,
            lead_controller=read.objections.lead_controller,
            known=known_to_objections(read, registry, policies),
            letter=letter,
        )
        yield register, actor


@contextmanager
def refusals_told() -> Iterator[None]:
    """What the register refuses ends the command, in one line."""
    try:
        yield
    except NotAuthenticated:
        raise Stopped(
            "the token is not valid here, or its five minutes are over: get another, see broker token"
        ) from None
    except BrokerError as error:
        raise Stopped(f"{error.code}: {error.message}") from None


def token_of(arguments: argparse.Namespace) -> str:
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
