"""`POST /lookups`: one request at point of care, answered whole as JSON or as it arrives as NDJSON."""

import asyncio
from collections.abc import Iterable
from typing import Final

from aiohttp import hdrs, web

from broker.errors import BrokerError
from broker.lookup.values import Event, Failed, Part, Query, Summary
from broker.surfaces.callers import authenticated, must_be_about, refused
from broker.surfaces.errors import LOOKUP_ID, unexpected
from broker.surfaces.replies import chunks, event_line, json_reply, with_rows
from broker.surfaces.requests import Known, parse_query, preferred, read_json
from broker.surfaces.rooms import LOOKUPS, POLICIES, REGISTRY, SETTINGS, Lookup

__all__ = ["look_up"]

_JSON: Final = "application/json"
_NDJSON: Final = "application/x-ndjson"
_WRITE_SECONDS: Final = 30.0
"""A client that takes nothing for this long has gone."""


async def look_up(request: web.Request) -> web.StreamResponse:
    """One lookup, from a token to a reply that has left."""
    caller = await authenticated(request)
    asked: str | None = None
    try:
        form = preferred(request.headers.getall(hdrs.ACCEPT, []), (_JSON, _NDJSON))
        query = await _query(request)
        asked = query.nhs_number
        must_be_about(caller, query)
        streaming = form == _NDJSON
        lookup = request.app[LOOKUPS].begin(caller, query, surface="lookups", streaming=streaming)
    except BrokerError as error:
        await refused(request, caller, error, asked)
        raise
    request[LOOKUP_ID] = lookup.lookup_id
    delivery = _Delivery(request, lookup)
    try:
        await (delivery.stream() if streaming else delivery.whole())
    except _Gone:
        pass
    finally:
        delivery.settle()
    return delivery.response


async def _query(request: web.Request) -> Query:
    settings = request.app[SETTINGS]
    organisations = request.app[REGISTRY].organisations
    known = Known(
        categories=request.app[POLICIES].tables.categories,
        takes_part=lambda code: code in organisations and organisations[code].live,
        deadline=settings.lookup.deadline,
    )
    return parse_query(await read_json(request, settings.server.max_body), known)


class _Gone(Exception):
    """The client is not there any more, or takes nothing."""


class _Broken(RuntimeError):
    """A lookup ended without its last event."""


class _Delivery:
    """One lookup on its way to one client. However it ends, the lookup learns how."""

    def __init__(self, request: web.Request, lookup: Lookup) -> None:
        self._request = request
        self._lookup = lookup
        self._base = f"{request.app[SETTINGS].server.public_url}/fhir"
        self.response = web.StreamResponse()
        self._last: Event | None = None
        self._arrived = False

    def settle(self) -> None:
        """Tell the lookup what became of what it gave."""
        match self._last:
            case Summary():
                self._lookup.delivered(self._arrived)
            case Failed():
                pass  # nothing was released
            case _:
                self._lookup.abandon()

    async def whole(self) -> None:
        """Everything at once, its length known before the first byte."""
        parts: list[Part] = []
        async for event in self._lookup:
            self._last = event
            if isinstance(event, Part):
                parts.append(event)
        match self._last:
            case Summary() as summary:
                pieces = json_reply(summary, parts, self._base)
            case Failed() as failed:
                raise with_rows(failed)
            case _:
                raise _Broken
        self.response.content_type = _JSON
        self.response.charset = "utf-8"
        self.response.content_length = sum(map(len, pieces))
        await self._send(pieces, last=True)

    async def stream(self) -> None:
        """Each event as it comes. What fails before the first is an HTTP status; after it, an `error` event."""
        self.response.content_type = _NDJSON
        try:
            await self._stream()
        except _Gone:
            raise
        except Exception as error:
            if not self.response.prepared:
                raise
            unexpected(error)
            await self._send(event_line(Failed(error=error), self._base), last=True)

    async def _stream(self) -> None:
        async for event in self._lookup:
            self._last = event
            if isinstance(event, Failed) and not self.response.prepared:
                raise with_rows(event)
            await self._send(event_line(event, self._base), last=isinstance(event, Summary | Failed))
        if not isinstance(self._last, Summary | Failed):
            raise _Broken

    async def _send(self, pieces: Iterable[bytes], *, last: bool) -> None:
        """Write `pieces`, and wait until they have left this process."""
        transport = self._request.transport
        try:
            async with asyncio.timeout(_WRITE_SECONDS):
                if transport is None:
                    raise _Gone
                if not self.response.prepared:
                    transport.set_write_buffer_limits(high=0)  # a drain then waits for the last byte
                    await self.response.prepare(self._request)
                for chunk in chunks(pieces):
                    await self.response.write(chunk)
                if last:
                    await self.response.write_eof()
                    await self._request.writer.drain()
        except ConnectionError:
            raise _Gone from None
        except TimeoutError:
            if transport is not None:
                transport.abort()
            raise _Gone from None
        if transport.is_closing():
            raise _Gone
        self._arrived = last
