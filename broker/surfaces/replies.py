"""The forms of an answer: how judged resources, encoded already, become one reply without being encoded again."""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from broker.errors import BrokerError
from broker.lookup.sorting import in_order
from broker.lookup.values import Entry, Event, Failed, Part, Row, Started, Summary, order_of

__all__ = ["EVENT_STREAM", "NDJSON", "Form", "Pieces", "chunks", "error_body", "json_reply", "with_rows"]

Pieces = Generator[None, None, list[bytes]]
"""Work (for `broker.lookup.pace`) that gives something in pieces: a record may have tens of thousands of resources."""

_CHUNK: Final = 65_536
_encode = msgspec.json.Encoder().encode


def json_reply(summary: Summary, parts: Iterable[Part], base: str) -> Pieces:
    """The whole reply of `POST /lookups`.

    Args:
        summary: the last event.
        parts: those before it, in any order: the reply is in the order of the entries.
        base: the broker's own FHIR address, which `fullUrl` starts with.
    """
    entries = list(summary.entries)
    total = 0
    for part in parts:
        yield
        entries += part.entries
        total += sum(entry.mode == "match" for entry in part.entries)
    total += sum(entry.mode == "match" for entry in summary.entries)
    head = _encode(summary.as_json())
    bundle = yield from _bundle(entries, base, total if summary.complete else None)
    return [head[:-1], b',"bundle":', *bundle, b"}"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How events are written on a stream.

    Attributes:
        content_type: of the stream.
        frame: before the data of an event with a name, and after it.
        heartbeat: what a reader passes over; None where the form has no such thing.
    """

    content_type: str
    frame: Callable[[str], tuple[str, str]]
    heartbeat: bytes | None = None

    def event(self, event: Event, base: str) -> Pieces:
        """One event. No resource holds a line break: the broker encoded them all."""
        name, data = yield from _event(event, base)
        before, after = self.frame(name)
        return [before.encode(), *data, after.encode()]


NDJSON: Final = Form(
    content_type="application/x-ndjson",
    frame=lambda name: (f'{{"event":"{name}","data":', "}\n"),
)
"""A line of JSON for each event. Without a heartbeat: many readers take an empty line, some fail on it."""

EVENT_STREAM: Final = Form(
    content_type="text/event-stream",
    frame=lambda name: (f"event: {name}\ndata: ", "\n\n"),
    heartbeat=b": waiting\n\n",
)
"""Server-sent events (HTML, section 9.2). Neither `id` nor `retry`: nobody is to ask again by themselves."""


def _event(event: Event, base: str) -> Generator[None, None, tuple[str, list[bytes]]]:
    """The name of an event, and its data."""
    match event:
        case Started():
            return "started", [_encode({"lookup_id": event.lookup_id, "sources": _rows(event.rows)})]
        case Part():
            name, head = "source", _encode({"source": event.row.as_json()})
        case Summary():
            name, head = "summary", _encode(event.as_json())
        case _:
            return "error", [_encode(error_body(event.error, event.rows))]
    bundle = yield from _bundle(event.entries, base, None)
    return name, [head[:-1], b',"bundle":', *bundle, b"}"]


def with_rows(event: Failed) -> Exception:
    """The error of the event, with its rows."""
    if isinstance(event.error, BrokerError) and not event.error.sources:
        event.error.sources = tuple(_rows(event.rows))
    return event.error


def error_body(error: Exception, rows: Sequence[Row] = ()) -> dict[str, Any]:
    """What a client learns of `error`: of one that is not the broker's own, nothing but that it happened."""
    if not isinstance(error, BrokerError):
        return {"error": {"code": BrokerError.code, "message": BrokerError.default}, "sources": []}
    message = error.default if error.private else error.message
    return {
        "error": {"code": error.code, "message": message},
        "sources": list(error.sources) or _rows(rows),
    }


def chunks(pieces: list[bytes]) -> Iterator[bytes | memoryview]:
    """`pieces` in about 64 KB each: few writes, never a second copy of the whole, and `pieces` emptied on the way."""
    pieces.reverse()
    held: list[bytes] = []
    size = 0
    while pieces:
        held.append(pieces.pop())
        size += len(held[-1])
        if size >= _CHUNK:
            joined = memoryview(b"".join(held))
            held.clear()
            for start in range(0, size, _CHUNK):
                yield joined[start : start + _CHUNK]
            size = 0
    if size:
        yield b"".join(held)


def _rows(rows: Iterable[Row]) -> list[dict[str, Any]]:
    return [row.as_json() for row in rows]


def _bundle(entries: Iterable[Entry], base: str, total: int | None) -> Pieces:
    """A searchset, with `total` only where it is known to be the whole. Types and ids need no escaping in JSON."""
    counted = "" if total is None else f'"total":{total},'
    pieces = [f'{{"resourceType":"Bundle","type":"searchset",{counted}"entry":['.encode()]
    comma = ""
    for entry in (yield from in_order(entries, order_of)):
        pieces += (
            f'{comma}{{"fullUrl":"{base}/{entry.type}/{entry.id}","resource":'.encode(),
            entry.content,
            f',"search":{{"mode":"{entry.mode}"}}}}'.encode(),
        )
        comma = ","
        yield
    pieces.append(b"]}")
    return pieces
