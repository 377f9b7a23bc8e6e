"""From an `Authorization` header to a `Caller`, or nothing: every fault is the same `NotAuthenticated`."""

import base64
import hashlib
import re
import time
from collections.abc import Callable, Iterable
from typing import Final, Self

import jwt
import msgspec
from cachetools import TTLCache

from broker.auth.claims import Claims, ClaimsRefused, refuse_duplicates
from broker.auth.issuers import Issuer, by_name, may_assert
from broker.auth.keyring import Keyring
from broker.auth.keys import ALGORITHMS
from broker.auth.values import Caller
from broker.errors import NotAuthenticated

__all__ = ["LEEWAY", "LONGEST_LIFE", "MOST_CHARACTERS", "REMEMBERED", "Authenticator"]

LONGEST_LIFE: Final = 300
"""Seconds from `iat` to `exp`, at most."""
LEEWAY: Final = 30
"""Seconds by which clocks may differ."""
MOST_CHARACTERS: Final = 8192
"""The longest header that is looked at."""
REMEMBERED: Final = 60
"""Seconds for which a verified token need not be verified again: a key withdrawn meanwhile serves that much longer."""

_MOST_REMEMBERED = 4096
_HEADER = re.compile(r"(?i:bearer) +([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+")
_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})


class _Head(msgspec.Struct, frozen=True):
    """What is read of a token's header. Keys and addresses in it (`jwk`, `jku`, `x5u`, `x5c`) are never looked at."""

    alg: str
    kid: str | None = None
    typ: str = "JWT"
    crit: msgspec.Raw = msgspec.Raw(b"")
    b64: msgspec.Raw = msgspec.Raw(b"")


class _Issued(msgspec.Struct, frozen=True):
    iss: str


_read_head = msgspec.json.Decoder(_Head).decode
_read_issued = msgspec.json.Decoder(_Issued).decode


class Authenticator:
    """Verifies tokens of the registered issuers. Made at start: it reads key files, and may raise ConfigurationError.

    Args:
        issuers: those whose tokens count.
        audience: `public_url` of the broker: the `aud` that a token must have.
        clock: seconds since 1970.
        timer: seconds, never set back.
    """

    def __init__(
        self,
        issuers: Iterable[Issuer],
        audience: str,
        *,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuers = by_name(issuers)
        self._keyring = Keyring(self._issuers.values(), timer=timer)
        self._audience = audience
        self._clock = clock
        self._signatures = jwt.PyJWS(
            algorithms=[name for names in ALGORITHMS.values() for name in names],
            options={"verify_signature": True, "enforce_minimum_key_length": True},
        )
        self._remembered: TTLCache[bytes, tuple[Caller, float]] = TTLCache(_MOST_REMEMBERED, REMEMBERED, timer)

    async def authenticate(self, authorization: str | None) -> Caller:
        """The caller whom the header's token names. Raises NotAuthenticated, always with the same message."""
        if authorization is None:
            raise NotAuthenticated("missing")
        match = _HEADER.fullmatch(authorization) if len(authorization) <= MOST_CHARACTERS else None
        if match is None:
            raise NotAuthenticated("malformed")
        token = authorization[match.start(1) :].encode("ascii")
        digest = hashlib.sha256(token).digest()
        caller, expires = self._remembered.get(digest, (None, 0.0))
        if caller is None:
            caller, expires = await self._verify(token, head=match[1], payload=match[2])
            self._remembered[digest] = caller, expires
        if self._clock() >= expires + LEEWAY:
            raise NotAuthenticated("expired")
        return caller

    async def aclose(self) -> None:
        """Release connections."""
        await self._keyring.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _verify(self, token: bytes, *, head: str, payload: str) -> tuple[Caller, float]:
        issuer, kid = self._claimed(head, payload)
        key = await self._keyring.key(issuer, kid)
        if key is None:
            raise NotAuthenticated("unknown-key")
        try:
            verified = self._signatures.decode_complete(token, key, [key.algorithm_name])
            claims = Claims.parse(verified["payload"])
            return self._caller(issuer, claims), claims.exp
        except jwt.PyJWTError:
            raise NotAuthenticated("signature") from None
        except ClaimsRefused:
            raise NotAuthenticated("claims") from None

    def _claimed(self, head: str, payload: str) -> tuple[Issuer, str | None]:
        """Whose key to verify with, as the token claims, before anything of it is believed."""
        try:
            refuse_duplicates(_decoded(head))
            header = _read_head(_decoded(head))
            issuer = self._issuers.get(_read_issued(_decoded(payload)).iss)
        except (ValueError, RecursionError):
            raise NotAuthenticated("malformed") from None
        if issuer is None:
            raise NotAuthenticated("unknown-issuer")
        # An extension that must be understood isn't; a token of another kind is not one that gives access.
        if header.crit or header.b64 or header.typ.lower() not in _TYPES:
            raise NotAuthenticated("kind")
        return issuer, header.kid

    def _caller(self, issuer: Issuer, claims: Claims) -> Caller:
        """What a token whose signature holds says. Raises NotAuthenticated or ClaimsRefused."""
        if claims.iss != issuer.iss:
            raise NotAuthenticated("claims")
        if not claims.is_for(self._audience):
            raise NotAuthenticated("audience")
        if max(claims.iat, claims.nbf) > self._clock() + LEEWAY:
            raise NotAuthenticated("not-yet-valid")
        if not 0 < claims.exp - claims.iat <= LONGEST_LIFE:
            raise NotAuthenticated("lifetime")
        caller = claims.caller(operator=issuer.organisation is None, demo=issuer.demo)
        requester = caller.requester
        if not may_assert(issuer, requester.organisation, (requester.role_system, requester.role_code)):
            raise NotAuthenticated("not-its-own")
        return caller


def _decoded(segment: str) -> bytes:
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
