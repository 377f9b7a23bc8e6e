"""How the broker shows itself to a source: the headers that each kind of `Auth` comes to."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from aiohttp import encode_basic_auth

from adapters.contract import Auth

__all__ = ["AuthNotUsable", "headers_for"]


class AuthNotUsable(ValueError):
    """The manifest's `auth` can't be used: the message says what to write, and never holds a secret."""


def headers_for(auth: Auth) -> dict[str, str]:
    """The headers that go with every request to a source.

    Raises:
        AuthNotUsable: an unknown kind, one that this version does not have, or a setting that is missing.
    """
    try:
        build = _KINDS[auth.kind]
    except KeyError:
        raise AuthNotUsable(f'auth kind "{auth.kind}" is not available: write one of {", ".join(_KINDS)}') from None
    return build(auth.settings)


def _setting(settings: Mapping[str, str], name: str, kind: str) -> str:
    value = settings.get(name, "")
    if not value or not value.isprintable():
        raise AuthNotUsable(f'auth kind "{kind}" needs "{name}", in printable characters')
    return value


def _none(_settings: Mapping[str, str]) -> dict[str, str]:
    return {}


def _api_key(settings: Mapping[str, str]) -> dict[str, str]:
    return {settings.get("header", "apikey"): _setting(settings, "key", "api-key")}


def _basic(settings: Mapping[str, str]) -> dict[str, str]:
    login, password = (_setting(settings, name, "basic") for name in ("username", "password"))
    return {"Authorization": encode_basic_auth(login, password)}


_KINDS: Mapping[str, Callable[[Mapping[str, str]], dict[str, str]]] = MappingProxyType({
    "none": _none,
    "api-key": _api_key,
    "basic": _basic,
})
