"""The caller: lookups over kept connections, timed, with as little work of its own as can be."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Burst", "Connection", "Wrong", "burst", "percentile"]

_LINE = 1 << 24
_CHUNKED = b"transfer-encoding: chunked"


class Wrong(Exception):
    """An answer that a benchmark must not count."""


@dataclass(slots=True)
class Burst:
    """What came of a number of lookups.

    Attributes:
        seconds: of each lookup, until its last byte.
        wall: seconds for all.
        size: bytes of the last reply.
    """

    seconds: list[float] = field(default_factory=list)
    wall: float = 0.0
    size: int = 0


class Connection:
    """One kept connection to what is measured."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self, request: bytes) -> bytes:
        """The body of the answer. Raises Wrong unless its status is 200."""
        reader, head = await self._begin(request)
        if _CHUNKED in head.lower():
            return b"".join([chunk async for chunk in _chunks(reader)])
        return await reader.readexactly(_length(head))

    async def lines(self, request: bytes) -> AsyncIterator[tuple[float, dict[str, Any]]]:
        """Each event of an NDJSON answer, with the seconds since the request was sent."""
        began = time.perf_counter()
        reader, _ = await self._begin(request)
        held: list[bytes] = []
        async for chunk in _chunks(reader):
            *ended, rest = chunk.split(b"\n")
            for line in ended:
                seconds = time.perf_counter() - began
                yield seconds, json.loads(b"".join(held) + line)
                held.clear()
            held.append(rest)

    async def close(self) -> None:
        """Release the connection."""
        if self._streams is not None:
            self._streams[1].close()
            await self._streams[1].wait_closed()
            self._streams = None

    async def _begin(self, request: bytes) -> tuple[asyncio.StreamReader, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=_LINE)
        reader, writer = self._streams
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            body = await reader.readexactly(_length(head))
            raise Wrong(head.split(b"\r\n", 1)[0].decode() + " " + body[:300].decode(errors="replace"))
        return reader, head


async def burst(port: int, requests: Sequence[bytes], concurrency: int, expected: bytes = b"") -> Burst:
    """Send all of them, so many at a time. Raises Wrong for an answer without `expected` in it."""
    result = Burst()
    waiting = iter(requests)
    began = time.perf_counter()
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(concurrency, len(requests))):
                group.create_task(_one_caller(port, waiting, expected, result))
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    result.wall = time.perf_counter() - began
    return result


async def _one_caller(port: int, waiting: Iterable[bytes], expected: bytes, result: Burst) -> None:
    connection = Connection(port)
    try:
        for request in waiting:
            began = time.perf_counter()
            body = await connection.call(request)
            result.seconds.append(time.perf_counter() - began)
            result.size = len(body)
            if expected not in body:
                raise Wrong(f"an answer that is not as it should be: {body[:300].decode(errors='replace')}")
    finally:
        await connection.close()


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which this share of them lies."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """The pieces of a chunked body, to its end."""
    while size := int(await reader.readline(), 16):
        chunk = await reader.readexactly(size)
        await reader.readexactly(2)
        yield chunk
    await reader.readexactly(2)


def _length(head: bytes) -> int:
    lower = head.lower()
    at = lower.index(b"content-length:") + len(b"content-length:")
    return int(lower[at : lower.index(b"\r\n", at)])
