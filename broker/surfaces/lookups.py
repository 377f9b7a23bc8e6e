"""`POST /lookups`: one request at point of care, answered whole as JSON, or as it arrives as events."""

import asyncio
from dataclasses import replace
from typing import Final

from aiohttp import hdrs, web

from broker.errors import BrokerError
from broker.lookup.pace import paced
from broker.lookup.values import Query
from broker.surfaces.callers import authenticated, must_be_about, refused
from broker.surfaces.delivery import Delivery
from broker.surfaces.errors import LOOKUP_ID
from broker.surfaces.replies import EVENT_STREAM, NDJSON, json_reply
from broker.surfaces.requests import Known, override_id, parse_query, preferred, read_json
from broker.surfaces.rooms import LOOKUPS, POLICIES, REGISTRY, SETTINGS

__all__ = ["look_up"]

_JSON: Final = "application/json"
_STREAMS: Final = {form.content_type: form for form in (NDJSON, EVENT_STREAM)}


async def look_up(request: web.Request) -> web.StreamResponse:
    """One lookup, from a token to a reply that has left."""
    caller = await authenticated(request)
    asked: str | None = None
    try:
        accepted = preferred(request.headers.getall(hdrs.ACCEPT, []), (_JSON, *_STREAMS))
        query = await _query(request)
        asked = query.nhs_number
        must_be_about(caller, query)
        form = _STREAMS.get(accepted)
        lookup = request.app[LOOKUPS].begin(caller, query, surface="lookups", streaming=form is not None)
    except BrokerError as error:
        await refused(request, caller, error, asked)
        raise
    request[LOOKUP_ID] = lookup.lookup_id
    base = f"{request.app[SETTINGS].server.public_url}/fhir"
    with Delivery(request, lookup) as delivery:
        await (_whole(delivery, base) if form is None else delivery.stream(form, base))
    return delivery.response


async def _whole(delivery: Delivery, base: str) -> None:
    """Everything at once, its length known before the first byte."""
    pieces = await paced(json_reply(*await delivery.whole(), base))
    await asyncio.sleep(0)  # what they were made of was freed just now, which takes its time too
    delivery.response.content_type = _JSON
    delivery.response.charset = "utf-8"
    delivery.response.content_length = sum(map(len, pieces))
    await delivery.send(pieces, last=True)


async def _query(request: web.Request) -> Query:
    settings = request.app[SETTINGS]
    organisations = request.app[REGISTRY].organisations
    known = Known(
        categories=request.app[POLICIES].tables.categories,
        takes_part=lambda code: code in organisations and organisations[code].live,
        deadline=settings.lookup.deadline,
    )
    query = parse_query(await read_json(request, settings.server.max_body), known)
    return replace(query, override_id=override_id(request))
