"""One pool of connections for all sources, and the rules that every request to one keeps.

A request never leaves the source's `base_url`, follows no redirect, carries no cookie, uses no proxy of the
environment, ends at its deadline, and takes no more bytes than the source's limits allow. Whatever goes wrong comes out
as a leaf of `adapters.errors`.

**One more try.** All that is sent here reads and changes nothing. So a request that found no connection, or was
answered 502, 503 or 504, is sent once more: after a short pause of random length, or after `Retry-After`, where that
leaves time before the deadline. It gives its slot back while it waits, and takes one again. What nobody can mend by
asking twice (another status, bad TLS, an answer that stops half way, no answer in time) is not tried twice. Retries
must not double the load of a source that is failing because of its load, so each source has a budget of them: every
request earns a fifth of a retry, up to ten; a source that answers nothing is soon asked 1.2 times for each request,
and not twice.

    Transport   one for the process; pool and slots
    └── Channel    one for each source; address and headers       transport.open(source)
        └── Exchange  one for each lookup; deadline and limits       channel.exchange(...)
"""

import asyncio
import random
import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from types import MappingProxyType, TracebackType
from typing import Final, Self

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from adapters.auth import headers_for
from adapters.contract import Source
from adapters.errors import (
    AdapterError,
    SourceBusy,
    SourceFailed,
    SourceMalformed,
    SourceRefused,
    SourceTimedOut,
    SourceTruncated,
    SourceUnreachable,
)
from adapters.links import is_target
from adapters.room import Room, Share

__all__ = ["Answer", "Channel", "Exchange", "Transport"]

_NO_TIMEOUT: Final = aiohttp.ClientTimeout()
_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
_DECLINED: Final = frozenset({404, 405, 410, 415, 501})
_LONGEST_RETRY_AFTER: Final = 3600.0

_PASSING: Final = frozenset({502, 503, 504})
"""What a proxy says when what is behind it is away for a moment."""
_SAYS_WHEN: Final = _PASSING | {429}
"""Of other statuses `Retry-After` is not taken: in a redirect it means something else (RFC 9110 section 10.2.3)."""
_PAUSE: Final = (0.05, 0.2)
"""Seconds before a retry, from and to."""
_LEFT: Final = 0.1
"""Seconds that a retry must have before the deadline, or it is not begun."""
_EARNED: Final = 0.2
_MOST_RETRIES: Final = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a source answered.

    Attributes:
        status: 2xx, or one that means different things in different places: 404, 405, 410, 415, 501.
        body: whole and decompressed.
    """

    status: int
    body: bytes


class Lane:
    """What all lookups at one source share: its slots, and its budget of retries.

    Attributes:
        slots: requests that may still start.
    """

    __slots__ = ("_retries", "slots")

    def __init__(self, connections: int) -> None:
        self.slots = asyncio.Semaphore(connections)
        self._retries = _MOST_RETRIES

    def earn(self) -> None:
        """A request is made for the first time."""
        self._retries = min(self._retries + _EARNED, _MOST_RETRIES)

    def spend(self) -> bool:
        """Whether one may be made again."""
        if self._retries < 1:
            return False
        self._retries -= 1
        return True


class Transport(AbstractAsyncContextManager["Transport"]):
    """The pool. Enter it once for the life of the process; adapters get it in their constructor.

    Args:
        connections: requests at once, over all sources.
        in_flight: bytes of large answers that may be in memory, over all sources: beyond it they are read one by one.
    """

    def __init__(self, *, connections: int = 512, in_flight: int = 512_000_000) -> None:
        self._slots = asyncio.Semaphore(connections)
        self._room = Room(in_flight)
        self._lanes: dict[str, Lane] = {}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            # The slots below are the cap: a cap of the pool's own could not tell "busy" from "slow".
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=_NO_TIMEOUT,
            trust_env=False,
            read_bufsize=1 << 18,
        )
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    def open(self, source: Source) -> "Channel":
        """The way to one source.

        Raises:
            AuthNotUsable: its `auth` is of a kind that there is not, or lacks a setting.
            ValueError: its `base_url` is not an http or https address.
        """
        return Channel(self, source, self._lanes.setdefault(source.name, Lane(source.limits.connections)))

    @property
    def session(self) -> aiohttp.ClientSession:
        """The pooled session; RuntimeError before the transport is entered."""
        if self._session is None:
            raise RuntimeError("enter the Transport before using it")
        return self._session

    @property
    def slots(self) -> asyncio.Semaphore:
        """Requests that may still start, over all sources."""
        return self._slots

    @property
    def room(self) -> Room:
        """Bytes of answers, over all sources."""
        return self._room


class Channel:
    """The way to one source: its address, and headers built once."""

    def __init__(self, transport: Transport, source: Source, lane: Lane) -> None:
        address = URL(source.base_url)
        if address.scheme not in {"http", "https"} or not address.host or address.user or address.query_string:
            raise ValueError("base_url must be an http or https address without user, query or fragment")
        self.transport = transport
        self.source = source
        self.lane = lane
        self.base_url = source.base_url.rstrip("/")
        self._headers = CIMultiDict({
            "Accept": "application/fhir+json, application/json;q=0.9",
            "Accept-Encoding": "gzip",
            # HAPI answers a search that it has seen from a cache, up to a minute old, unless told not to.
            "Cache-Control": "no-cache",
            "User-Agent": "care-record-broker",
            **headers_for(source.auth),
        })

    def exchange(self, *, deadline: float, correlation_id: str, headers: Mapping[str, str] = _NO_HEADERS) -> "Exchange":
        """A conversation for one lookup: bytes and pages are counted over all of it.

        Args:
            deadline: on the loop's clock.
            correlation_id: sent as `X-Request-ID`.
            headers: further ones, or in place of those that every request has.
        """
        sent = self._headers.copy()
        sent["X-Request-ID"] = correlation_id
        sent.update(headers)
        return Exchange(self, sent, deadline)


class Exchange:
    """The requests of one lookup at one source, under one deadline and one set of limits."""

    def __init__(self, channel: Channel, headers: CIMultiDict[str], deadline: float) -> None:
        self.deadline = deadline
        self._channel = channel
        self._transport = channel.transport
        self._headers = headers
        self._bytes = channel.source.limits.bytes
        self._pages = channel.source.limits.pages

    def turn_page(self) -> None:
        """Count one page that a link led to; SourceTruncated if that is more than the source's limit."""
        if self._pages <= 0:
            raise SourceTruncated(f"more than {self._channel.source.limits.pages} further pages")
        self._pages -= 1

    async def get(self, target: str) -> Answer:
        """Ask for `base_url + target`."""
        return await self._ask("GET", target, None, self._headers)

    async def post(self, target: str, body: bytes, content_type: str) -> Answer:
        """Send `body` to `base_url + target`; only for what reads and changes nothing, since it may be sent twice."""
        headers = self._headers.copy()
        headers["Content-Type"] = content_type
        return await self._ask("POST", target, body, headers)

    async def _ask(self, method: str, target: str, body: bytes | None, headers: CIMultiDict[str]) -> Answer:
        if not is_target(target):
            raise ValueError("a request must stay below base_url")
        if self.deadline <= asyncio.get_running_loop().time():
            raise SourceTimedOut("no time left")
        url = URL(self._channel.base_url + target, encoded=True)
        self._channel.lane.earn()
        try:
            return await self._once(method, url, body, headers)
        except AdapterError as error:
            if not error.passing or not await self._may_retry(error.retry_after):
                raise
            first = error
        try:
            return await self._once(method, url, body, headers)
        except _NoSlot:
            raise first from None

    async def _once(self, method: str, url: URL, body: bytes | None, headers: CIMultiDict[str]) -> Answer:
        slot = False
        try:
            async with asyncio.timeout_at(self.deadline), self._channel.lane.slots, self._transport.slots:
                slot = True
                return await self._exchange(method, url, body, headers)
        except TimeoutError as error:
            if isinstance(error, AdapterError):
                raise
            if not slot:
                raise _NoSlot("as many requests to it as we make at once") from None
            raise SourceTimedOut("no full answer in its time") from None

    async def _may_retry(self, retry_after: float | None) -> bool:
        """Wait until a failed request may be sent again; False, at once, where it may not."""
        pause = random.uniform(*_PAUSE) if retry_after is None else retry_after  # noqa: S311 - it hides nothing
        left = self.deadline - asyncio.get_running_loop().time()
        if pause + _LEFT > left or not self._channel.lane.spend():
            return False
        await asyncio.sleep(pause)
        return True

    async def _exchange(self, method: str, url: URL, body: bytes | None, headers: CIMultiDict[str]) -> Answer:
        response = await self._begin(method, url, body, headers)
        try:
            _check(response)
            return Answer(response.status, await self._read(response))
        except AdapterError:
            response.close()
            raise
        except (aiohttp.ClientError, OSError) as error:
            response.close()
            if isinstance(error, TimeoutError):
                raise
            raise SourceMalformed("its answer stops half way") from None
        except BaseException:
            response.close()
            raise

    async def _begin(
        self, method: str, url: URL, body: bytes | None, headers: CIMultiDict[str]
    ) -> aiohttp.ClientResponse:
        """Send, and wait for the head of the answer.

        A pooled connection may have been closed by the source while it lay idle. aiohttp then sends a GET again;
        what we POST is safe to repeat too, so it gets the same second chance.
        """
        session = self._transport.session
        retry = method == "POST"
        while True:
            try:
                return await session.request(method, url, data=body, headers=headers, allow_redirects=False)
            except aiohttp.ClientResponseError:
                raise SourceMalformed("its answer is not HTTP") from None
            except (
                aiohttp.ServerDisconnectedError,
                aiohttp.ClientConnectionResetError,
                aiohttp.ClientOSError,
            ) as error:
                if not retry or isinstance(error, aiohttp.ClientConnectorError):
                    raise _unreachable(error) from None
                retry = False
            except TimeoutError:
                raise
            except (aiohttp.ClientError, OSError) as error:
                raise _unreachable(error) from None

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        if (response.content_length or 0) > self._bytes:
            raise SourceTruncated(self._too_much())
        chunks = []
        content = response.content
        with Share(self._transport.room) as share:
            while chunk := await content.readany():
                self._bytes -= len(chunk)
                if self._bytes < 0:
                    raise SourceTruncated(self._too_much())
                chunks.append(chunk)
                await share.grow(len(chunk))
            return share.body(chunks)

    def _too_much(self) -> str:
        return f"more than {self._channel.source.limits.bytes:,} bytes"


class _NoSlot(SourceBusy):
    """The cap is ours: nothing was sent."""


def _check(response: aiohttp.ClientResponse) -> None:
    """Raise what a status means that means the same everywhere."""
    status = response.status
    if 200 <= status < 300 or status in _DECLINED:  # noqa: PLR2004 - the classes of HTTP
        return
    if status in {401, 403}:
        raise SourceRefused(f"status {status}")
    retry_after = _retry_after(response.headers.get("Retry-After", "")) if status in _SAYS_WHEN else None
    if status == 429:  # noqa: PLR2004
        raise SourceBusy("it has too many requests", retry_after=retry_after)
    note = "a redirect" if 300 <= status < 400 else f"status {status}"  # noqa: PLR2004
    raise SourceFailed(note, retry_after=retry_after, passing=status in _PASSING, status=status)


def _retry_after(value: str) -> float | None:
    """Seconds, from either form that RFC 9110 section 10.2.3 allows."""
    if value.isascii() and value.isdigit():
        seconds = float(value[:9])
    else:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return None
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER)


def _unreachable(error: Exception) -> SourceUnreachable:
    connected = not isinstance(error, aiohttp.ClientConnectorError)
    return SourceUnreachable(
        _why(error), connected=connected, passing=not connected and not isinstance(error, aiohttp.ClientSSLError)
    )


def _why(error: Exception) -> str:
    match error:
        case aiohttp.ClientConnectorDNSError():
            return "its name is not known"
        case aiohttp.ClientSSLError():
            return "TLS failed"
        case aiohttp.ClientConnectorError():
            return "no connection"
        case _:
            return "the connection was lost before an answer"
