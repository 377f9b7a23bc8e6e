"""How encoded resources become a Bundle: in pieces, nothing decoded and nothing encoded again."""

from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from broker.lookup.values import Entry
from broker.surfaces.replies import Pieces

__all__ = ["batch_response", "encode", "searchset"]

encode = msgspec.json.Encoder().encode


def searchset(
    outcome: dict[str, Any],
    entries: Iterable[Entry],
    *,
    base: str,
    lookup_id: str,
    links: Sequence[tuple[str, str]],
    total: int | None,
) -> Pieces:
    """The answer to one search, pausing after each entry.

    Args:
        outcome: its first entry.
        entries: matches, then what accompanies them.
        base: the broker's own FHIR address.
        lookup_id: a UUID: what the outcome is of.
        links: relation and address.
        total: of all matches, on whatever page; None where there may be more than are known.
    """
    counted = "" if total is None else f'"total":{total},'
    link = encode([{"relation": relation, "url": url} for relation, url in links]).decode()
    pieces = [
        f'{{"resourceType":"Bundle","type":"searchset",{counted}"link":{link},"entry":['
        f'{{"fullUrl":"urn:uuid:{lookup_id}","resource":'.encode(),
        encode(outcome),
        b',"search":{"mode":"outcome"}}',
    ]
    for entry in entries:
        yield
        pieces += (
            f',{{"fullUrl":"{base}/{entry.type}/{entry.id}","resource":'.encode(),
            entry.content,
            f',"search":{{"mode":"{entry.mode}"}}}}'.encode(),
        )
    pieces.append(b"]}")
    return pieces


def batch_response(answers: Iterable[tuple[int, Sequence[bytes]]]) -> list[bytes]:
    """The answers to the entries of a batch, in their order: an HTTP status and a resource in pieces for each.

    The outcome of one that failed stands twice, for clients read it in either place: as resource, and in `response`.
    """
    pieces = [b'{"resourceType":"Bundle","type":"batch-response","entry":[']
    comma = b""
    for status, resource in answers:
        outcome = (b',"outcome":', *resource) if status >= HTTPStatus.BAD_REQUEST else ()
        pieces += (comma, b'{"resource":', *resource, f',"response":{{"status":"{status}"'.encode(), *outcome, b"}}")
        comma = b","
    pieces.append(b"]}")
    return pieces
