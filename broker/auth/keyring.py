"""Where the keys of each issuer come from: a file or the package, read once at start, or a URL, fetched when needed.

A set from a URL is fresh for ten minutes; after that it is fetched again while the keys held go on serving, so that no
request waits. Where the issuer can't be reached, they serve for at most one hour since they were last seen; then its
tokens are refused. A key that a fetched set no longer has is gone at once. An unknown `kid` fetches the set once.
Whatever the reason, an issuer is asked at most once in ten seconds, and all who wait share that one request.
"""

import asyncio
import logging
import ssl
import time
from collections.abc import Callable, Iterable
from importlib import resources
from typing import Final, Self

import httpx
import jwt
from cachetools import TTLCache

from broker.auth.issuers import Issuer
from broker.auth.keys import MOST_BYTES, KeySet, KeysUnreadable
from broker.errors import ConfigurationError

__all__ = ["FETCH_TIMEOUT", "FRESH", "KEPT", "WINDOW", "Keyring", "document_of"]

FRESH: Final = 600.0
"""Seconds for which a fetched set is not fetched again."""
KEPT: Final = 3600.0
"""Seconds for which a fetched set may be used."""
WINDOW: Final = 10.0
"""Seconds in which an issuer is asked at most once."""
FETCH_TIMEOUT: Final = 2.0
"""Seconds that one fetch may take, from connecting to the last byte."""

_log = logging.getLogger(__name__)


def document_of(issuer: Issuer) -> bytes:
    """The key set of an issuer that has it in a file or, with neither file nor URL, in the package. Blocks.

    Raises ConfigurationError where the file can't be read.
    """
    if issuer.jwks_file is None:
        return (resources.files("broker.auth") / "demo_jwks.json").read_bytes()
    try:
        with issuer.jwks_file.open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except OSError as fault:
        raise ConfigurationError(issuer.jwks_file, f"the key set can't be read ({fault.strerror})") from None


class Keyring:
    """The keys of all issuers. Reads the files when made; raises ConfigurationError for one without a usable key."""

    def __init__(self, issuers: Iterable[Issuer], *, timer: Callable[[], float] = time.monotonic) -> None:
        issuers = tuple(issuers)
        remote = sum(issuer.jwks_url is not None for issuer in issuers)
        self._pinned = {issuer.iss: _from_file(issuer) for issuer in issuers if issuer.jwks_url is None}
        self._held: TTLCache[str, KeySet] = TTLCache(max(remote, 1), KEPT, timer)
        self._fresh: TTLCache[str, bool] = TTLCache(max(remote, 1), FRESH, timer)
        self._asked: TTLCache[str, bool] = TTLCache(max(remote, 1), WINDOW, timer)
        self._failing: set[str] = set()
        self._flights: dict[str, asyncio.Task[None]] = {}
        # Made at start, because reading the certificates of the system takes tens of milliseconds.
        self._client = _client() if remote else None

    async def key(self, issuer: Issuer, kid: str | None) -> jwt.PyJWK | None:
        """The key that `kid` names at `issuer`, or None. May wait for a fetch; raises nothing."""
        if issuer.jwks_url is None:
            return self._pinned[issuer.iss].select(kid)
        key = self._select(issuer, kid)
        if key is None:
            flight = self._fetch_soon(issuer, issuer.jwks_url)
            if flight is not None:
                await asyncio.shield(flight)  # the others still wait for it when this caller goes away
            key = self._select(issuer, kid)
        elif issuer.iss not in self._fresh:
            self._fetch_soon(issuer, issuer.jwks_url)
        return key

    async def aclose(self) -> None:
        """End what is under way."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _select(self, issuer: Issuer, kid: str | None) -> jwt.PyJWK | None:
        held = self._held.get(issuer.iss)
        return None if held is None else held.select(kid)

    def _fetch_soon(self, issuer: Issuer, url: str) -> asyncio.Task[None] | None:
        """The fetch under way, or a new one, or None where the issuer was asked a moment ago."""
        flight = self._flights.get(issuer.iss)
        if flight is None and issuer.iss not in self._asked:
            self._asked[issuer.iss] = True
            flight = self._flights[issuer.iss] = asyncio.create_task(self._fetch(issuer, url))
            flight.add_done_callback(lambda _: self._flights.pop(issuer.iss, None))
        return flight

    async def _fetch(self, issuer: Issuer, url: str) -> None:
        whose = issuer.organisation or "operator"
        try:
            async with asyncio.timeout(FETCH_TIMEOUT):
                found = KeySet.parse(await self._get(url))
        except (TimeoutError, httpx.HTTPError, KeysUnreadable) as fault:
            if issuer.iss not in self._failing:  # once when it begins, once when it is over
                self._failing.add(issuer.iss)
                _log.warning("issuer.keys-unavailable issuer=%s fault=%s", whose, type(fault).__name__)
            return
        self._held[issuer.iss] = found
        self._fresh[issuer.iss] = True
        if issuer.iss in self._failing:
            self._failing.discard(issuer.iss)
            _log.warning("issuer.keys-available issuer=%s", whose)

    async def _get(self, url: str) -> bytes:
        if self._client is None:
            raise KeysUnreadable("no issuer has a URL")
        body = bytearray()
        async with self._client.stream("GET", url) as response:
            if response.status_code != httpx.codes.OK:
                raise KeysUnreadable("not the answer 200")
            # Raw: what a server compresses unasked can't grow here, it is merely no JSON.
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MOST_BYTES:
                    raise KeysUnreadable("larger than a key set may be")
        return bytes(body)


def _from_file(issuer: Issuer) -> KeySet:
    where = issuer.jwks_file or "demo_jwks.json"
    try:
        found = KeySet.parse(document_of(issuer))
    except KeysUnreadable as fault:
        raise ConfigurationError(where, f'{fault}: write {{"keys": [...]}} (RFC 7517)') from None
    if not found:
        why = "; ".join(found.faults) or "it is empty"
        raise ConfigurationError(where, f"no key of this set can verify a token: {why}")
    return found


def _client() -> httpx.AsyncClient:
    return httpx.AsyncClient(
        verify=ssl.create_default_context(),
        follow_redirects=False,
        trust_env=False,
        timeout=FETCH_TIMEOUT,
        limits=httpx.Limits(max_connections=16, max_keepalive_connections=0),
        headers={"Accept": "application/jwk-set+json, application/json", "Accept-Encoding": "identity"},
    )
