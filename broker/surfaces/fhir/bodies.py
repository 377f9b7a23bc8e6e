"""How the body of a request is read: a form for a search, a Bundle for a batch."""

from typing import Any, Final

from aiohttp import web

from broker.errors import InvalidRequest
from broker.surfaces.fhir.parameters import Pairs, pairs
from broker.surfaces.requests import parse_json, read_body

__all__ = ["read_bundle", "read_form"]

_FORM: Final = "application/x-www-form-urlencoded"
_JSON: Final = frozenset({"application/fhir+json", "application/json"})


async def read_form(request: web.Request, limit: int) -> Pairs:
    """The parameters in the body of a `_search`; none where there is no body.

    Raises:
        InvalidRequest: it is not a form.
        TooLarge: more than `limit` bytes.
    """
    if request.body_exists and request.content_type != _FORM:
        raise InvalidRequest(f"Send the parameters of the search as a form, Content-Type: {_FORM}.")
    body = await read_body(request, limit)
    try:
        return pairs(body.decode("ascii"))
    except UnicodeDecodeError:
        raise InvalidRequest("The form is not URL-encoded.") from None


async def read_bundle(request: web.Request, limit: int) -> dict[str, Any]:
    """The body as one JSON object.

    Raises:
        InvalidRequest: it is none.
        TooLarge: more than `limit` bytes.
    """
    if request.content_type not in _JSON:
        raise InvalidRequest("Send a batch Bundle as Content-Type: application/fhir+json.")
    return parse_json(await read_body(request, limit))
