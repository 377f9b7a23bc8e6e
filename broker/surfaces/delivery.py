"""How a lookup's answer travels: its events become bytes on a connection, and the lookup learns what became of them."""

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Final, Self

from aiohttp import web

from broker.errors import BrokerError
from broker.lookup.pace import paced
from broker.lookup.values import Event, Failed, Part, Started, Summary
from broker.surfaces.errors import unexpected
from broker.surfaces.replies import Form, chunks, with_rows
from broker.surfaces.rooms import Lookup

__all__ = ["Delivery", "Gone"]

_STALL_SECONDS: Final = 30.0
"""A client that does not take the next 64 KB for this long has gone."""
_TAKING_SECONDS: Final = 120.0
"""What a client may take for the whole of an answer, the time in which nothing waits for it left out.

Without it a byte now and then would hold a record in memory for as long as somebody likes.
"""
_HEARTBEAT_SECONDS: Final = 2.0
"""From the last byte sent. Less than half of the usual deadline, so that the slowest of lookups shows signs of life."""
_LAST: Final = (Summary, Failed)
"""Events that end a lookup."""


class Gone(Exception):
    """The client is not there any more, or takes too little."""


class _Broken(RuntimeError):
    """A lookup ended without its last event."""


class Delivery:
    """One lookup on its way to one client: `whole` and `send`, or `stream`.

    Used as a context: however that is left, the lookup learns how it ended, and a client that went away is no error.
    Whatever is made of a summary, an error of the surface's own included, leaves through `send`: what was released
    counts as delivered only when its last byte has left.

    Attributes:
        response: what the handler returns. Its status and headers are the surface's, until the first `send`.
        code: of the error that leaves instead of what was released, for the journal.
        shown: how many resources leave, where that is not all that was released; for the journal.
    """

    def __init__(self, request: web.Request, lookup: Lookup) -> None:
        self.response = web.StreamResponse()
        self.code: str | None = None
        self.shown: int | None = None
        self._request = request
        self._lookup = lookup
        self._left = _TAKING_SECONDS
        self._last: type[Event] | None = None
        self._arrived = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> bool:
        self.settle()
        return kind is not None and issubclass(kind, Gone)

    def settle(self) -> None:
        """Tell the lookup what became of what it gave. Leaving the context does."""
        if self._last is Summary:
            self._lookup.delivered(self._arrived, code=self.code, shown=self.shown)
        elif self._last is not Failed:  # of which nothing was released
            self._lookup.abandon()

    async def whole(self) -> tuple[Summary, list[Part]]:
        """All that the lookup gives, once it has ended. It is not held here: let go of it and it is freed.

        Raises:
            BrokerError: the lookup failed; with the rows, where there are any.
        """
        summary: Summary | None = None
        parts: list[Part] = []
        async for event in self._lookup:
            self._last = type(event)
            match event:
                case Part():
                    parts.append(event)
                case Summary():
                    summary = event
                case Failed():
                    raise with_rows(event)
                case Started():
                    pass  # of use while it is under way only
        if summary is None:
            raise _Broken
        return summary, parts

    async def stream(self, form: Form, base: str) -> None:
        """Each event as it comes, in `form`. What fails before the first is an HTTP status; after it, an `error` event.

        Args:
            form: how an event is written.
            base: the broker's own FHIR address.

        Raises:
            BrokerError: the lookup failed before it had begun.
        """
        self.response.content_type = form.content_type
        self.response.headers["X-Accel-Buffering"] = "no"  # nginx would collect it all, and pass it on at the end
        try:
            await self._stream(form, base)
        except Gone:
            raise
        except Exception as error:
            if not self.response.prepared:
                raise
            unexpected(error)
            self.code = BrokerError.code
            await self.send(await paced(form.event(Failed(error=error), base)), last=True)

    async def _stream(self, form: Form, base: str) -> None:
        events = aiter(self._lookup)
        while self._last not in _LAST:
            event = await self._next(events, form.heartbeat)
            if event is None:
                raise _Broken
            self._last = type(event)
            if isinstance(event, Failed) and not self.response.prepared:
                raise with_rows(event)
            await self.send(await paced(form.event(event, base)), last=self._last in _LAST)

    async def _next(self, events: AsyncIterator[Event], heartbeat: bytes | None) -> Event | None:
        """The next event, None after the last. Until it comes, a heartbeat whenever nothing was sent for a while.

        There is none before the first event: until then the answer may become an HTTP status.
        """
        upcoming = asyncio.ensure_future(anext(events, None))
        try:
            pause = _HEARTBEAT_SECONDS if heartbeat and self.response.prepared else None
            while not (await asyncio.wait({upcoming}, timeout=pause))[0]:
                await self.send([heartbeat or b""], last=False)
            return upcoming.result()
        finally:
            upcoming.cancel()

    async def send(self, pieces: list[bytes], *, last: bool) -> None:
        """Write `pieces`, and wait until they have left this process.

        Args:
            pieces: emptied on the way, so that nothing is held that has left.
            last: they end the answer.

        Raises:
            Gone: the client is not there, took nothing for a while, or took too long over the whole.
        """
        transport = self._request.transport
        if transport is None:
            raise Gone
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            async with asyncio.timeout_at(began + self._left) as limit:
                if not self.response.prepared:
                    transport.set_write_buffer_limits(high=0)  # a drain then waits for the last byte
                    await self.response.prepare(self._request)
                for chunk in chunks(pieces):
                    limit.reschedule(min(began + self._left, clock() + _STALL_SECONDS))
                    await self.response.write(chunk)
                    await asyncio.sleep(0)  # a client on a fast line must not keep the loop from the others
                if last:
                    await self.response.write_eof()
                await self._request.writer.drain()
        except ConnectionError:
            raise Gone from None
        except TimeoutError:
            transport.abort()
            raise Gone from None
        finally:
            self._left -= clock() - began
        if transport.is_closing():
            raise Gone
        self._arrived = last
