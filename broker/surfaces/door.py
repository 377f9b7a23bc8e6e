"""The door: what a connection may cost before anybody has shown a token.

A head that does not arrive, a connection too many and what is not HTTP are dealt with here, before any route. None of
them is logged or recorded: whoever has no token could fill a disk with it.
"""

import asyncio
import resource
from functools import partial
from typing import Any, Final

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader

from broker.errors import BrokerError, InvalidRequest
from broker.surfaces.errors import HEADERS, answer, from_http, unexpected

__all__ = ["Door", "backlog", "let_in", "most_connections"]

_HEAD_SECONDS: Final = 10.0
"""From the connection, or the first byte that comes after an answer, to the end of the headers.

What is sent along with an earlier request has the time that a connection may rest.
"""
_KEEPALIVE_SECONDS: Final = 75.0
"""Between requests. Longer than proxies keep theirs (60 s), so that none sends into a connection just closed."""
_LINGER_SECONDS: Final = 2.0
"""For the rest of a body that nobody reads, so that its sender sees the answer."""
_LONGEST_HEADER: Final = 16_384
"""Bytes. More than the longest token that is looked at, so that one too long is an ordinary refusal, and recorded."""
_LONGEST_LINE: Final = 131_072
"""Bytes of a request's first line. More than any search needs, so that one too long is an ordinary refusal as well."""
_MOST: Final = 4096
_UNREADABLE: Final = "The request can't be read as HTTP: check its first line, and the form and length of its headers."


def backlog() -> int:
    """Connections that may be accepted at one go: asyncio takes so many before the first is seen here."""
    return min(128, _descriptors() // 8)


def most_connections() -> int:
    """Open at once. Half of the file descriptors are left to the journal, the store and the sources."""
    return min(_MOST, _descriptors() // 2 - backlog())


def _descriptors() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 4 * _MOST if soft == resource.RLIM_INFINITY else soft


class Door(web.Server):
    """Serves what `inner` serves, over connections that are limited.

    Where there are too many, the one that has been there longest without a token is dropped: whoever only holds
    connections loses them to whoever comes to ask.
    """

    def __init__(self, inner: web.Server, most: int, **options: Any) -> None:
        """Args: `inner`, of an `AppRunner`; `most` connections at once; `options` of `web.RequestHandler`."""
        super().__init__(inner.request_handler, request_factory=self._begin, handler_cancellation=True)
        self._make = inner.request_factory
        self._most = most
        self._open: dict[web.RequestHandler, asyncio.Transport] = {}
        self._strangers: dict[web.RequestHandler, None] = {}
        self._connection = partial(
            _Connection,
            self,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=_KEEPALIVE_SECONDS,
            lingering_time=_LINGER_SECONDS,
            max_field_size=_LONGEST_HEADER,
            max_line_size=_LONGEST_LINE,
            **options,
        )

    def __call__(self) -> web.RequestHandler:
        """The protocol of one more connection."""
        return self._connection()

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Count it, and make room for it, or else drop it itself."""
        super().connection_made(handler, transport)
        self._open[handler] = transport
        self.stranger(handler)
        if len(self._open) > self._most:
            longest = next(iter(self._strangers))
            self.known(longest)
            self._open[longest].abort()

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        """Forget it."""
        super().connection_lost(handler, exc)
        self._open.pop(handler, None)
        self.known(handler)

    def stranger(self, handler: web.RequestHandler) -> None:
        """It serves nobody with a token at present."""
        if handler in self._open:
            self._strangers[handler] = None

    def known(self, handler: web.RequestHandler) -> None:
        """It is not to be dropped to make room."""
        self._strangers.pop(handler, None)

    def _begin(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: "asyncio.Task[None]",
    ) -> web.BaseRequest:
        if isinstance(protocol, _Connection):
            protocol.begun()
        return self._make(message, payload, protocol, writer, task)


def let_in(request: web.BaseRequest) -> None:
    """Keep the connection of `request`, whose caller is known, until it has been answered."""
    if isinstance(request.protocol, _Connection):
        request.protocol.let_in()


class _Connection(web.RequestHandler):
    """One connection. Its head has a time limit, and what aiohttp itself refuses has the broker's form."""

    __slots__ = ("_asked", "_door", "_head")

    def __init__(self, door: Door, *, loop: asyncio.AbstractEventLoop, **options: Any) -> None:
        super().__init__(door, loop=loop, **options)
        self._door = door
        self._head: asyncio.TimerHandle | None = None
        self._asked = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._head_is_here()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._asked:
            self._await_head()

    def begun(self) -> None:
        """A whole head has arrived."""
        self._asked = True
        self._head_is_here()

    def let_in(self) -> None:
        """Its caller is known."""
        self._door.known(self)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        if isinstance(resp, web.HTTPException):  # raised before any middleware: an Expect that can't be met
            resp = from_http(resp)
        try:
            return await super().finish_response(request, resp, start_time)
        finally:
            self._asked = False
            self._door.stranger(self)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - aiohttp's words, which repeat what was sent
    ) -> web.StreamResponse:
        if request.writer.output_size > 0:
            raise ConnectionError  # an answer has begun: only the end of the connection can tell now
        error: Exception = InvalidRequest(_UNREADABLE)
        if status != InvalidRequest.status:
            error = exc if isinstance(exc, Exception) else BrokerError()
            unexpected(error)
        response = answer(error)
        response.headers.update(HEADERS)
        response.force_close()
        return response

    def _await_head(self) -> None:
        if self._head is None and self.transport is not None:
            self._head = self._loop.call_later(_HEAD_SECONDS, self.transport.abort)

    def _head_is_here(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None
