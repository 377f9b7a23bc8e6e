"""The forms of an answer: how judged resources, encoded already, become one reply without being encoded again."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from broker.errors import BrokerError, Unavailable
from broker.lookup.values import Entry, Failed, Part, Row, Started, Summary

__all__ = ["chunks", "error_body", "event_line", "json_reply", "with_rows"]

_CHUNK: Final = 65_536
_encode = msgspec.json.Encoder().encode


def json_reply(summary: Summary, parts: Iterable[Part], base: str) -> list[bytes]:
    """The whole reply of `POST /lookups`, in pieces.

    Args:
        summary: the last event.
        parts: those before it, in any order: the reply is in the order of the entries.
        base: the broker's own FHIR address, which `fullUrl` starts with.
    """
    entries = [*summary.entries, *(entry for part in parts for entry in part.entries)]
    total = sum(entry.mode == "match" for entry in entries) if summary.complete else None
    head = _encode(summary.as_json())
    return [head[:-1], b',"bundle":', *_bundle(entries, base, total), b"}"]


def event_line(event: Started | Part | Summary | Failed, base: str) -> list[bytes]:
    """One event as a line of NDJSON, in pieces."""
    match event:
        case Started():
            data = {"lookup_id": event.lookup_id, "sources": _rows(event.rows)}
            return [_encode({"event": "started", "data": data}), b"\n"]
        case Part():
            head = _encode({"event": "source", "data": {"source": event.row.as_json()}})
        case Summary():
            head = _encode({"event": "summary", "data": event.as_json()})
        case _:
            return [_encode({"event": "error", "data": error_body(event.error, event.rows)}), b"\n"]
    return [head[:-2], b',"bundle":', *_bundle(event.entries, base, None), b"}}\n"]


def with_rows(event: Failed) -> Exception:
    """The error of the event, with its rows."""
    if isinstance(event.error, BrokerError) and not event.error.sources:
        event.error.sources = tuple(_rows(event.rows))
    return event.error


def error_body(error: Exception, rows: Sequence[Row] = ()) -> dict[str, Any]:
    """What a client learns of `error`: of one that is not the broker's own, nothing but that it happened."""
    if not isinstance(error, BrokerError):
        return {"error": {"code": BrokerError.code, "message": BrokerError.default}, "sources": []}
    # What made a room unavailable is for the operator, not for the caller.
    message = error.default if isinstance(error, Unavailable) else error.message
    return {
        "error": {"code": error.code, "message": message},
        "sources": list(error.sources) or _rows(rows),
    }


def chunks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """`pieces` joined to about 64 KB each: few writes, and never a second copy of the whole."""
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= _CHUNK:
            yield b"".join(held)
            held.clear()
            size = 0
    if held:
        yield b"".join(held)


def _rows(rows: Iterable[Row]) -> list[dict[str, Any]]:
    return [row.as_json() for row in rows]


def _bundle(entries: Iterable[Entry], base: str, total: int | None) -> list[bytes]:
    """A searchset, with `total` only where it is known to be the whole. Types and ids need no escaping in JSON."""
    counted = "" if total is None else f'"total":{total},'
    pieces = [f'{{"resourceType":"Bundle","type":"searchset",{counted}"entry":['.encode()]
    comma = ""
    for entry in sorted(entries, key=_order):
        pieces += (
            f'{comma}{{"fullUrl":"{base}/{entry.type}/{entry.id}","resource":'.encode(),
            entry.content,
            f',"search":{{"mode":"{entry.mode}"}}}}'.encode(),
        )
        comma = ","
    pieces.append(b"]}")
    return pieces


def _order(entry: Entry) -> tuple[Any, ...]:
    return entry.order
