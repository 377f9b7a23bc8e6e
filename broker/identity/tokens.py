"""`private-key-jwt`: an access token for an assertion that the broker signs (RFC 7523; SMART Backend Services).

A token is asked for when it is needed, by one lookup for all, and used until shortly before it ends. It is kept in
memory alone.
"""

import asyncio
import time
import uuid
from typing import Final
from urllib.parse import urlencode

import jwt
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from adapters.auth import AuthNotUsable
from adapters.contract import Auth, Limits, Source
from adapters.errors import SourceMalformed, SourceRefused
from adapters.transport import Transport

__all__ = ["KIND", "Tokens"]

KIND: Final = "private-key-jwt"

_LIFE: Final = 240
"""Seconds for which an assertion may be used: five minutes at most, of which clocks that differ take some."""
_EARLY: Final = 30.0
"""Seconds before its end at which a token is used no more."""
_MOST_BYTES: Final = 64_000
_WEAK: Final = 2048
_ERRORS: Final = 400
_ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class _Granted(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: int | str = 0


class Tokens:
    """Access tokens for one service.

    Args:
        transport: shared with the sources.
        auth: of kind `private-key-jwt`.

    Raises:
        AuthNotUsable: its key is none that can sign.
    """

    def __init__(self, transport: Transport, auth: Auth) -> None:
        self._settings = auth.settings
        self._key = _private_key(auth.settings["key"])
        self._algorithm = "RS512" if isinstance(self._key, RSAPrivateKey) else "ES384"
        self._channel = transport.open(
            Source(
                name=f"{KIND}:identity",
                organisation="",
                kind=KIND,
                base_url=auth.settings["token_url"],
                limits=Limits(bytes=_MOST_BYTES, pages=0, connections=1),
            )
        )
        self._one_at_a_time = asyncio.Lock()
        self._token = ""
        self._until = 0.0

    async def token(self, until: float) -> str:
        """A token that counts now.

        Args:
            until: the last moment, on the loop's clock. Whoever waits for another's token bounds that themselves.

        Raises:
            AdapterError: a leaf of it says why there is none.
        """
        async with self._one_at_a_time:
            if time.monotonic() >= self._until:
                began = time.monotonic()
                granted = await self._ask(until)
                self._token = granted.access_token
                self._until = began + _seconds(granted.expires_in) - _EARLY
            return self._token

    def forget(self, token: str) -> None:
        """The service takes this one no more."""
        if token == self._token:
            self._until = 0.0

    async def _ask(self, until: float) -> _Granted:
        form = urlencode({
            "grant_type": "client_credentials",
            "client_assertion_type": _ASSERTION,
            "client_assertion": self._assertion(),
        })
        exchange = self._channel.exchange(deadline=until, correlation_id=str(uuid.uuid4()))
        answer = await exchange.post("", form.encode(), "application/x-www-form-urlencoded")
        if answer.status >= _ERRORS:
            raise SourceRefused(f"status {answer.status}, for a token")
        try:
            granted = msgspec.json.decode(answer.body, type=_Granted)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise SourceMalformed("no token") from None
        if not granted.access_token.isascii() or not granted.access_token.isprintable() or not granted.access_token:
            raise SourceMalformed("no token that can be sent")
        return granted

    def _assertion(self) -> str:
        client, now = self._settings["client_id"], int(time.time())
        claims = {
            "iss": client,
            "sub": client,
            "aud": self._settings["token_url"],
            "jti": str(uuid.uuid4()),
            "exp": now + _LIFE,
        }
        return jwt.encode(claims, self._key, algorithm=self._algorithm, headers={"kid": self._settings["key_id"]})


def _private_key(pem: str) -> RSAPrivateKey | EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise AuthNotUsable("key: write a private key as PEM, without a password") from None
    if isinstance(key, RSAPrivateKey) and key.key_size >= _WEAK:
        return key
    if isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP384R1):
        return key
    raise AuthNotUsable(f"key: write an RSA key of {_WEAK} bits or more, or an EC key on P-384")


def _seconds(said: int | str) -> float:
    """How long a token counts; where nobody says, or not in digits, for this once."""
    text = str(said)
    return float(text[:9]) if text.isascii() and text.isdigit() else 0.0
