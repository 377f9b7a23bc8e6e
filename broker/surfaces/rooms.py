"""What the surfaces find behind them: typed keys of the application, and the one door that a lookup comes through."""

from collections.abc import AsyncIterator
from typing import Final, Protocol

from aiohttp import web

from broker.auth import Authenticator, Caller, Refusals
from broker.journal import Journal
from broker.keys import Keys
from broker.lookup.values import Event, Query
from broker.objections import ObjectionIndex, ObjectionRegister
from broker.registry import Registry
from broker.settings import Settings
from policies import Policies

__all__ = [
    "AUTHENTICATOR",
    "JOURNAL",
    "KEYS",
    "LOOKUPS",
    "OBJECTIONS",
    "POLICIES",
    "REFUSALS",
    "REGISTER",
    "REGISTRY",
    "SETTINGS",
    "Lookup",
    "Lookups",
]


class Lookup(Protocol):
    """One lookup that has begun. Every event is durably recorded when it comes out."""

    lookup_id: str
    """As in the journal."""

    def __aiter__(self) -> AsyncIterator[Event]:
        """Started, a Part for each source, then Summary or Failed."""
        ...

    def abandon(self) -> None:
        """The caller has gone before the end."""
        ...

    def delivered(self, arrived: bool, *, code: str | None = None, shown: int | None = None) -> None:  # noqa: FBT001
        """Say whether the bytes of what was released left: all of it, `shown` resources, or the error `code`."""
        ...


class Lookups(Protocol):
    """Where lookups begin."""

    @property
    def taking(self) -> bool:
        """Whether new ones are begun: not once the service stops."""
        ...

    def begin(self, caller: Caller, query: Query, *, surface: str | None = None, streaming: bool = False) -> Lookup:
        """Start one; the service owns it from here."""
        ...


SETTINGS: Final = web.AppKey("settings", Settings)
REGISTRY: Final = web.AppKey("registry", Registry)
POLICIES: Final = web.AppKey("policies", Policies)
JOURNAL: Final = web.AppKey("journal", Journal)
KEYS: Final = web.AppKey("keys", Keys)
OBJECTIONS: Final = web.AppKey("objections", ObjectionIndex)
REGISTER: Final = web.AppKey("register", ObjectionRegister)
AUTHENTICATOR: Final = web.AppKey("authenticator", Authenticator)
REFUSALS: Final = web.AppKey("refusals", Refusals)
LOOKUPS: Final = web.AppKey[Lookups]("lookups")
