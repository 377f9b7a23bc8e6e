"""What FHIR has and the broker has not, at addresses where people look for it: said in words, never a bare 404."""

from typing import Final, NoReturn

from aiohttp import hdrs, web

from broker.errors import BrokerError, NotBuilt
from broker.surfaces.callers import authenticated, refused

__all__ = ["not_here"]

_WORDS: Final = {
    "$everything": "$everything is not available: send the searches that you need as one batch to POST /fhir.",
    "$summary": "$summary is not available: send the searches that you need as one batch to POST /fhir.",
    "_history": "There are no versions here: nothing is kept. Read the resource itself.",
}


async def not_here(request: web.Request) -> NoReturn:
    """Refuse an operation, a version or a compartment, and record it.

    Raises:
        NotBuilt: with what to do instead.
        web.HTTPMethodNotAllowed: a search by form, sent with GET.
    """
    caller = await authenticated(request)
    last = request.path.rstrip("/").rpartition("/")[2]
    if last == "_search":
        raise web.HTTPMethodNotAllowed(request.method, [hdrs.METH_POST])
    error: BrokerError = NotBuilt(_WORDS["_history"] if "/_history" in request.path else _WORDS.get(last))
    await refused(request, caller, error)
    raise error
