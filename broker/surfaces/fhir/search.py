"""`GET /fhir/{type}?…` and `POST /fhir/{type}/_search`: what is known of one patient, of one type."""

from aiohttp import web

from broker.surfaces.fhir.asking import Asking, Search
from broker.surfaces.fhir.bodies import read_form
from broker.surfaces.fhir.looking import answered
from broker.surfaces.fhir.parameters import pairs
from broker.surfaces.rooms import SETTINGS

__all__ = ["search"]


async def search(request: web.Request) -> web.StreamResponse:
    """One search. Parameters of the address and of the body are the same kind of thing."""

    async def understood(asking: Asking) -> Search:
        given = pairs(request.rel_url.raw_query_string)
        if request.method == "POST":
            given += await read_form(request, request.app[SETTINGS].server.max_body)
        return asking.search(request.match_info["type"], given)

    return await answered(request, understood)
