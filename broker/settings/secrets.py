"""How the broker shows itself to a source or to the identity service, with its secrets from where secrets are kept.

A configuration is read by many and kept in version control, so it names an environment variable or a file, and never
holds a secret itself. No message here repeats what was written.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from adapters.contract import Auth
from broker.settings.kinds import Kind, Place, address_of, did_you_mean, is_loopback, one_of

__all__ = ["AUTH", "IDENTITY_AUTH"]

_KINDS: Final[Mapping[str, tuple[str, str]]] = {
    "none": ("", ""),
    "api-key": ("header", "key"),
    "basic": ("username", "password"),
}
"""For each kind the setting that is no secret, and the one that is: given as `<secret>_env` or `<secret>_file`."""

_LATER: Final = dict.fromkeys(
    ("oauth2-client-credentials", "private-key-jwt", "mtls"), f"write one of {' '.join(_KINDS)}"
)
_SIGNED: Final = "private-key-jwt"
_OF_SIGNED: Final = ("client_id", "key_id", "token_url")
_MOST: Final = 4096
_DEFAULTS: Final = {"header": "apikey"}


def _auth(given: dict[str, str], place: Place, more: tuple[str, ...] = ()) -> Auth:
    kinds = (*_KINDS, *more)
    if "kind" not in given:
        raise ValueError(f"kind is missing: write one of {' '.join(kinds)}")
    kind = one_of(given["kind"], kinds, later=_LATER)
    if kind == _SIGNED:
        return _signed(given, place)
    plain, secret = _KINDS[kind]
    _check_names(given, (plain,), secret)
    if not secret:
        return Auth(kind=kind)
    open_value = given.get(plain, _DEFAULTS.get(plain, ""))
    if kind == "api-key" and not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", open_value):
        raise ValueError('header: write the name of a header, such as "apikey"')
    if kind == "basic" and (not open_value or not open_value.isprintable() or ":" in open_value):
        raise ValueError("username: write the name to sign in with, without a colon")
    return Auth(kind=kind, settings=MappingProxyType({plain: open_value, secret: _secret(given, secret, place)}))


def _signed(given: Mapping[str, str], place: Place) -> Auth:
    """A token for an assertion signed with a private key (RFC 7523): the key is a PEM file, of many lines."""
    _check_names(given, _OF_SIGNED, "key")
    for name in ("client_id", "key_id"):
        if not given.get(name, "") or not given[name].isprintable():
            raise ValueError(f"{name}: write it as the service registered it")
    try:
        parts = address_of(given.get("token_url", ""))
    except ValueError as fault:
        raise ValueError(f"token_url: {fault}") from None
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise ValueError("token_url: write an https address: http is for this machine's own loopback only")
    settings = {name: given[name] for name in _OF_SIGNED} | {"key": _secret(given, "key", place, lines=True)}
    return Auth(kind=_SIGNED, settings=MappingProxyType(settings))


def _check_names(given: Mapping[str, str], plain: tuple[str, ...], secret: str) -> None:
    known = {"kind", *plain, f"{secret}_env", f"{secret}_file"} if secret else {"kind"}
    if secret and secret in given:
        raise ValueError(
            f"{secret} stands in this file itself: write {secret}_env or {secret}_file, and change the {secret}"
        )
    for key in given:
        if key not in known:
            words = f"{given['kind']} has no setting {key}; it has {' '.join(sorted(known))}"
            raise ValueError(f"{words}{did_you_mean(key, known)}")


def _secret(given: Mapping[str, str], name: str, place: Place, *, lines: bool = False) -> str:
    variable, file = given.get(f"{name}_env"), given.get(f"{name}_file")
    if (variable is None) == (file is None):
        raise ValueError(
            f"write either {name}_env (an environment variable) or {name}_file (a file, relative to this one)"
        )
    if variable is not None:
        value = place.environ.get(variable, "")
        where = f"the environment variable that {name}_env names"
    else:
        where = f"the file that {name}_file names"
        try:
            value = _text_of(place.path(file or ""))
        except (OSError, UnicodeDecodeError):
            raise ValueError(f"{where} can't be read: write it, or name another") from None
    if not value:
        raise ValueError(f"{where} is empty or not there: put the secret in it")
    if len(value) > _MOST or not (lines or value.isprintable()):
        raise ValueError(f"{where} holds more than one line of text: put the secret alone in it")
    return value


def _text_of(file: Path) -> str:
    """What stands in a file, of a large one no more than can be told to be too much. Raises OSError, ValueError."""
    if file.exists() and not file.is_file():  # opening a pipe would wait for ever
        raise OSError
    with file.open("rb") as opened:
        return opened.read(4 * _MOST + 4).decode("utf-8").rstrip("\r\n")


AUTH: Kind[dict[str, str], Auth] = Kind(dict[str, str], 'write a table of texts, such as {kind = "none"}', _auth)
IDENTITY_AUTH: Kind[dict[str, str], Auth] = Kind(
    dict[str, str],
    'write a table of texts, such as {kind = "none"}',
    lambda given, place: _auth(given, place, (_SIGNED,)),
)
"""Of the identity service, which may be shown a signed assertion too."""
