"""HTTP/1.1 as little as a server of the benchmark needs, and the moment at which an answer had left it."""

import asyncio
import gzip
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Http", "Responder", "Sent", "response"]

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)

Responder = Callable[[bytes, bytes], bytes | None]
"""Of target and body, the whole response; None for one that never comes."""


@dataclass(slots=True)
class Sent:
    """When the last byte of the latest answer was with the system's sockets: nanoseconds of CLOCK_MONOTONIC."""

    last: int = 0


def _at_once() -> float:
    return 0.0


@dataclass(slots=True, eq=False)
class Http(asyncio.Protocol):
    """One connection: one request after the other, with Content-Length, which is all that these clients send.

    Attributes:
        transports: this one is among them while it is open.
        sent: told of every answer.
        delay: seconds before an answer is written; asked for each.
    """

    respond: Responder
    transports: set[asyncio.Transport]
    sent: Sent = field(default_factory=Sent)
    delay: Callable[[], float] = _at_once
    _held: bytes = b""
    _transport: asyncio.Transport = field(init=False)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        # With no room at all, `resume_writing` means that nothing is left to send.
        transport.set_write_buffer_limits(0)
        self._transport = transport
        self.transports.add(transport)

    def connection_lost(self, _: Exception | None) -> None:
        self.transports.discard(self._transport)

    def resume_writing(self) -> None:
        self.sent.last = time.monotonic_ns()

    def data_received(self, data: bytes) -> None:
        held = self._held + data
        while (end := held.find(b"\r\n\r\n")) >= 0:
            found = _LENGTH.search(held, 0, end)
            length = int(found[1]) if found else 0
            after = end + 4 + length
            if len(held) < after:
                break
            answer = self.respond(held[held.index(b" ") + 1 : held.index(b" HTTP/1.1")], held[end + 4 : after])
            if answer is not None:
                self._answer(answer)
            held = held[after:]
        self._held = held

    def _answer(self, whole: bytes) -> None:
        delay = self.delay()
        if delay:
            asyncio.get_running_loop().call_later(delay, self._write, whole)
        else:
            self._write(whole)

    def _write(self, whole: bytes) -> None:
        self._transport.write(whole)
        if not self._transport.get_write_buffer_size():
            self.sent.last = time.monotonic_ns()


def response(content: Any, status: str = "200 OK", *, zipped: bool = False) -> bytes:
    """A whole response."""
    body = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
    encoding = ""
    if zipped:
        body = gzip.compress(body, 6)
        encoding = "Content-Encoding: gzip\r\n"
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/fhir+json\r\n{encoding}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body
