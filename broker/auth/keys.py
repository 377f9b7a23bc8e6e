"""What a JSON Web Key Set (RFC 7517) says, read with distrust.

Each key has one algorithm, decided here, never by a token.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import jwt
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

__all__ = ["ALGORITHMS", "MOST_BYTES", "KeySet", "KeysUnreadable", "SigningKey", "signing_key"]

ALGORITHMS: Final[Mapping[str, tuple[str, ...]]] = {"RSA": ("RS256", "PS256"), "EC": ("ES256",), "OKP": ("EdDSA",)}
"""By key type: the algorithms that a key may be for; the first where the key does not say."""

MOST_BYTES: Final = 256 * 1024
"""The largest set that is read."""

_MOST_KEYS = 100
_CURVES = {"EC": "P-256", "OKP": "Ed25519"}
_PUBLIC = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
_PRIVATE = ("d", "p", "q", "dp", "dq", "qi")
_RSA_BITS = range(2048, 8193)  # less is weak, more is a way to keep the broker busy


class KeysUnreadable(ValueError):
    """Not a JSON Web Key Set, or larger than one may be."""


class _KeyUnusable(ValueError):
    """This key is left out, and why."""


class _Jwk(msgspec.Struct, frozen=True):
    kty: str
    kid: str | None = None
    alg: str | None = None
    use: str | None = None
    key_ops: tuple[str, ...] | None = None
    crv: str | None = None
    n: str | None = None
    e: str | None = None
    x: str | None = None
    y: str | None = None
    d: str | None = None
    p: str | None = None
    q: str | None = None
    dp: str | None = None
    dq: str | None = None
    qi: str | None = None


class _Set(msgspec.Struct, frozen=True):
    keys: tuple[msgspec.Raw, ...]


_read_set = msgspec.json.Decoder(_Set).decode
_read_key = msgspec.json.Decoder(_Jwk).decode


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys of a set that may verify a signature.

    Attributes:
        named: by `kid`. A `kid` that occurs twice names no key.
        single: the one usable key, where there is one only.
        faults: why others were left out, for whoever wrote the set.
    """

    named: Mapping[str, jwt.PyJWK]
    single: jwt.PyJWK | None
    faults: tuple[str, ...] = ()

    @classmethod
    def parse(cls, document: bytes) -> "KeySet":
        """Read a set. A key that can't be used costs itself; raises KeysUnreadable where there is no set at all."""
        usable: list[tuple[str | None, jwt.PyJWK]] = []
        faults: list[str] = []
        for position, raw in enumerate(_entries(document), 1):
            try:
                entry = _checked(raw)
                usable.append((entry.kid, _load(entry, _PUBLIC[entry.kty])))
            except _KeyUnusable as fault:
                faults.append(f"key {position}: {fault}")
        seen = Counter(kid for kid, _ in usable)
        named = {kid: key for kid, key in usable if kid is not None and seen[kid] == 1}
        if len(named) < sum(kid is not None for kid, _ in usable):
            faults.append("a `kid` occurs twice: its keys can't be told apart")
        return cls(named, usable[0][1] if len(usable) == 1 else None, tuple(faults))

    def select(self, kid: str | None) -> jwt.PyJWK | None:
        """The key that a token means: by its `kid`, or the only one there is."""
        if kid is None:
            return self.single
        return self.named.get(kid) or (self.single if not self.named else None)

    def __bool__(self) -> bool:
        """Whether any token could be verified."""
        return self.single is not None or bool(self.named)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The private half of a key that everybody may know."""

    kid: str | None
    algorithm: str
    key: Any


def signing_key(document: bytes) -> SigningKey | None:
    """The first usable private key of a set, or None. Raises KeysUnreadable."""
    for raw in _entries(document):
        try:
            entry = _checked(raw)
            if entry.d is not None:
                key = _load(entry, _PUBLIC[entry.kty] + _PRIVATE)
                return SigningKey(entry.kid, key.algorithm_name, key.key)
        except _KeyUnusable:
            continue
    return None


def _entries(document: bytes) -> tuple[msgspec.Raw, ...]:
    if len(document) > MOST_BYTES:
        raise KeysUnreadable("larger than a key set may be")
    try:
        entries = _read_set(document).keys
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise KeysUnreadable("not a JSON Web Key Set") from None
    if len(entries) > _MOST_KEYS:
        raise KeysUnreadable("more keys than a set may have")
    return entries


def _checked(raw: msgspec.Raw) -> _Jwk:
    try:
        entry = _read_key(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _KeyUnusable("not a JSON Web Key") from None
    if entry.kty not in ALGORITHMS:
        raise _KeyUnusable("its type is not RSA, EC or OKP")
    if entry.crv != _CURVES.get(entry.kty, entry.crv):
        raise _KeyUnusable(f"its curve is not {_CURVES[entry.kty]}")
    if entry.alg is not None and entry.alg not in ALGORITHMS[entry.kty]:
        raise _KeyUnusable(f"its `alg` is not {' or '.join(ALGORITHMS[entry.kty])}")
    # A pair in a file says "sign"; its public half verifies.
    wanted = {"verify"} if entry.d is None else {"verify", "sign"}
    if entry.use not in {None, "sig"} or (entry.key_ops is not None and wanted.isdisjoint(entry.key_ops)):
        raise _KeyUnusable("it is not for signatures")
    return entry


def _load(entry: _Jwk, fields: tuple[str, ...]) -> jwt.PyJWK:
    """The key, from `fields` and nothing else: certificates and addresses in a JWK are not followed."""
    values = {name: value for name in fields if (value := getattr(entry, name)) is not None}
    try:
        key = jwt.PyJWK({"kty": entry.kty, **values}, algorithm=entry.alg or ALGORITHMS[entry.kty][0])
    except (jwt.PyJWTError, ValueError, TypeError, UnsupportedAlgorithm):
        raise _KeyUnusable("its numbers are no key") from None
    if isinstance(key.key, RSAPublicKey | RSAPrivateKey) and key.key.key_size not in _RSA_BITS:
        raise _KeyUnusable(f"an RSA key of {key.key.key_size} bits: take 2048 to 8192")
    return key
