"""`GET /fhir/{type}/{id}`: one resource, asked for where its id came from, under the whole plan again."""

from aiohttp import web

from broker.errors import NotSupported
from broker.surfaces.fhir.asking import Asking, Read
from broker.surfaces.fhir.looking import answered

__all__ = ["read"]


async def read(request: web.Request) -> web.StreamResponse:
    """One read."""

    async def understood(asking: Asking) -> Read:
        if request.rel_url.raw_query_string:
            raise NotSupported("A read takes no parameters.")
        return asking.read(request.match_info["type"], request.match_info["id"])

    return await answered(request, understood)
