"""CORS (Fetch, section 3.3): plugins in a browser, of the origins that `[server] origins` names, may read every answer.

What an answer holds is decided by the token that the plugin sends, never by its origin, so every address is open to it
alike. No answer allows every origin, or a browser's own credentials (cookies, certificates). An opaque origin (`null`)
can't be named in the settings, and so is never allowed.
"""

from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from broker.surfaces.rooms import SETTINGS

__all__ = ["allow", "preflight"]

_PREFLIGHT: Final = {
    hdrs.ACCESS_CONTROL_ALLOW_METHODS: "GET, POST",
    hdrs.ACCESS_CONTROL_ALLOW_HEADERS: (
        "Accept, Authorization, Content-Type, Override-Id, Prefer, X-Request-ID, X-Requested-With"
    ),
    hdrs.ACCESS_CONTROL_MAX_AGE: "7200",  # seconds: the most that Chromium keeps it
}
_EXPOSED: Final = "Link, Location, Preference-Applied, Restrictions, Retry-After, WWW-Authenticate, X-Request-ID"


@web.middleware
async def preflight(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer a browser that asks whether it may ask: without a token, a record, or a look at what the address is.

    An origin that is not named gets the same 204 with nothing allowed, and the browser says so to its developer.
    """
    asks = request.method == hdrs.METH_OPTIONS and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers
    if not asks or hdrs.ORIGIN not in request.headers:
        return await handler(request)
    response = web.Response(status=204)
    if _origin(request) is not None:
        response.headers.update(_PREFLIGHT)
    return response


async def allow(request: web.Request, response: web.StreamResponse) -> None:
    """Let a named origin read what leaves (a signal, so that streams and errors have it too)."""
    if not request.app[SETTINGS].server.origins:
        return
    response.headers.add(hdrs.VARY, hdrs.ORIGIN)
    origin = _origin(request)
    if origin is not None:
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
        response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = _EXPOSED


def _origin(request: web.Request) -> str | None:
    """The one origin of the request, where the settings name it."""
    given = request.headers.getall(hdrs.ORIGIN, [])
    named = map(_serialised, request.app[SETTINGS].server.origins)
    return given[0] if len(given) == 1 and given[0] in named else None


def _serialised(origin: str) -> str:
    """As browsers write it (HTML, section 7.1.1): in small letters, without the port that its scheme implies."""
    origin = origin.lower()
    return origin.removesuffix(":443" if origin.startswith("https:") else ":80")
