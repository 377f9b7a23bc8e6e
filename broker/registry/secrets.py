"""How the broker shows itself to a source, with its secrets taken from where secrets are kept.

A manifest is read by many and kept in version control, so it names an environment variable or a file, and never holds a
secret itself. No message here repeats what was written.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from adapters.contract import Auth
from broker.settings.kinds import Kind, Place, did_you_mean, one_of

__all__ = ["AUTH"]

_KINDS: Final[Mapping[str, tuple[str, str]]] = {
    "none": ("", ""),
    "api-key": ("header", "key"),
    "basic": ("username", "password"),
}
"""For each kind the setting that is no secret, and the one that is: given as `<secret>_env` or `<secret>_file`."""

_LATER: Final = dict.fromkeys(
    ("oauth2-client-credentials", "private-key-jwt", "mtls"), f"write one of {' '.join(_KINDS)}"
)
_MOST: Final = 4096
_DEFAULTS: Final = {"header": "apikey"}


def _auth(given: dict[str, str], place: Place) -> Auth:
    if "kind" not in given:
        raise ValueError(f"kind is missing: write one of {' '.join(_KINDS)}")
    kind = one_of(given["kind"], tuple(_KINDS), later=_LATER)
    plain, secret = _KINDS[kind]
    known = {"kind", plain, f"{secret}_env", f"{secret}_file"} if secret else {"kind"}
    if secret and secret in given:
        raise ValueError(
            f"{secret} stands in the manifest itself: write {secret}_env or {secret}_file, and change the {secret}"
        )
    for key in given:
        if key not in known:
            raise ValueError(f"{kind} has no setting {key}; it has {' '.join(sorted(known))}{did_you_mean(key, known)}")
    if not secret:
        return Auth(kind=kind)
    open_value = given.get(plain, _DEFAULTS.get(plain, ""))
    if kind == "api-key" and not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", open_value):
        raise ValueError('header: write the name of a header, such as "apikey"')
    if kind == "basic" and (not open_value or not open_value.isprintable() or ":" in open_value):
        raise ValueError("username: write the name to sign in with, without a colon")
    return Auth(kind=kind, settings=MappingProxyType({plain: open_value, secret: _secret(given, secret, place)}))


def _secret(given: Mapping[str, str], name: str, place: Place) -> str:
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
            value = place.path(file or "").read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError):
            raise ValueError(f"{where} can't be read: write it, or name another") from None
    if not value:
        raise ValueError(f"{where} is empty or not there: put the secret in it")
    if not value.isprintable() or len(value) > _MOST:
        raise ValueError(f"{where} holds more than one line of text: put the secret alone in it")
    return value


AUTH: Kind[dict[str, str], Auth] = Kind(dict[str, str], 'write a table of texts, such as {kind = "none"}', _auth)
