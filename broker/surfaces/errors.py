"""What went wrong, as a client sees it: one middleware, one form, and nothing of what lies behind."""

import math
from typing import Final

import msgspec
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from broker.errors import (
    BrokerError,
    InvalidRequest,
    MethodNotAllowed,
    NotAuthenticated,
    NotFound,
    TooLarge,
)
from broker.surfaces.fhir.outcome import error_outcome
from broker.surfaces.operations import Operation, log
from broker.surfaces.replies import error_body

__all__ = ["FHIR_JSON", "HEADERS", "LOOKUP_ID", "answer", "dress", "from_http", "middleware", "unexpected"]

LOOKUP_ID: Final = web.RequestKey("lookup_id", str)
"""Set by a handler once a lookup has begun: goes out as `X-Request-ID`, whatever becomes of it."""

FHIR_JSON: Final = "application/fhir+json"

HEADERS: Final = {
    hdrs.CACHE_CONTROL: "no-store",
    hdrs.SERVER: "care-record-broker",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
"""On every response."""


@web.middleware
async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever a handler raises into a status and `{"error": …, "sources": […]}`, or on `/fhir` its outcome."""
    fhir = f"{request.path}/".startswith("/fhir/")
    try:
        return await handler(request)
    except BrokerError as error:
        return answer(error, fhir=fhir)
    except web.HTTPException as error:
        return from_http(error, fhir=fhir)
    except Exception as error:  # noqa: BLE001 - the last line: the type alone is logged, for a message may hold anything
        unexpected(error)
        return answer(error, fhir=fhir)


def unexpected(error: Exception) -> None:
    """Say on the operational log that something failed that should not."""
    log(Operation.REQUEST_FAILED, exception=type(error).__name__)


def answer(error: Exception, *, fhir: bool = False) -> web.Response:
    """The response that `error` becomes: on `/fhir` an OperationOutcome."""
    response = web.Response(
        status=error.status if isinstance(error, BrokerError) else BrokerError.status,
        body=msgspec.json.encode(error_outcome(error) if fhir else error_body(error)),
        content_type=FHIR_JSON if fhir else "application/json",
        charset="utf-8",
    )
    if isinstance(error, BrokerError) and error.retry_after is not None:
        response.headers[hdrs.RETRY_AFTER] = str(max(1, math.ceil(error.retry_after)))
    if isinstance(error, NotAuthenticated):
        response.headers[hdrs.WWW_AUTHENTICATE] = "Bearer"
    return response


async def dress(request: web.Request, response: web.StreamResponse) -> None:
    """Put the headers on every response that leaves (a signal, so that streams and errors have them too)."""
    response.headers.update(HEADERS)
    lookup_id = request.get(LOOKUP_ID)
    if lookup_id is not None:
        response.headers["X-Request-ID"] = lookup_id


def from_http(error: web.HTTPException, *, fhir: bool = False) -> web.StreamResponse:
    """What aiohttp itself refuses, in the broker's form."""
    match error:
        case web.HTTPMethodNotAllowed():
            response = answer(MethodNotAllowed(), fhir=fhir)
            response.headers[hdrs.ALLOW] = ", ".join(sorted(error.allowed_methods))
            return response
        case web.HTTPRequestEntityTooLarge():
            return answer(TooLarge(), fhir=fhir)
        case web.HTTPClientError() if error.status != NotFound.status:
            return answer(InvalidRequest("The request can't be read: see /openapi.json."), fhir=fhir)
        case _:
            return answer(NotFound(), fhir=fhir)
