"""One lookup, from a token to an answer that has left: what search, read and batch have in common."""

import re
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from typing import Final

from aiohttp import hdrs, web

from broker.errors import BrokerError, NothingAnswered
from broker.lookup.pace import paced
from broker.surfaces.callers import authenticated, must_be_about, refused
from broker.surfaces.delivery import Delivery
from broker.surfaces.errors import FHIR_JSON, LOOKUP_ID, answer
from broker.surfaces.fhir.answers import Answers, unheard
from broker.surfaces.fhir.asking import Asking, Search, Wanted
from broker.surfaces.fhir.found import Found, gathered
from broker.surfaces.fhir.outcome import nothing_found
from broker.surfaces.requests import preferred
from broker.surfaces.rooms import LOOKUPS

__all__ = ["answered", "found_by", "heed_headers", "prefers_partial", "say_restrictions", "send"]

_PARTIAL: Final = "partial-results"
_YES: Final = frozenset({"", "true", '""', '"true"'})
_PREFERENCE: Final = re.compile(r'(?:[^",]|"(?:[^"\\]|\\.)*"?)+')
"""One preference of a line: a comma inside a quoted string ends none."""


async def answered(request: web.Request, understood: Callable[[Asking], Awaitable[Wanted]]) -> web.StreamResponse:
    """Answer one question with one lookup.

    Args:
        request: who asks.
        understood: what they ask; raises where it can't be understood.
    """
    caller = await authenticated(request)
    number: str | None = None
    try:
        heed_headers(request)
        asking = Asking.of(request, caller)
        wanted = await understood(asking)
        number = wanted.number
        query = asking.query([wanted])
        must_be_about(caller, query)
        lookup = request.app[LOOKUPS].begin(caller, query, surface="fhir")
    except BrokerError as error:
        await refused(request, caller, error, number)
        raise
    request[LOOKUP_ID] = lookup.lookup_id
    with Delivery(request, lookup) as delivery:
        pieces = await _pieces(delivery, request, asking, wanted)
        await send(delivery, pieces, partial=isinstance(wanted, Search) and prefers_partial(request))
    return delivery.response


async def _pieces(delivery: Delivery, request: web.Request, asking: Asking, wanted: Wanted) -> list[bytes]:
    try:
        found = await found_by(delivery)
    except NothingAnswered as error:
        raise nothing_found(error.sources, unheard(wanted)) from None
    answers = Answers(asking=asking, found=found, partial=prefers_partial(request))
    say_restrictions(delivery, answers.restrictions(wanted))
    try:
        pieces = await paced(answers.to(wanted))
    except BrokerError as error:
        # It has been released: so its error leaves by the same door.
        delivery.code, delivery.shown = error.code, 0
        shown = answer(error, fhir=True)
        delivery.response.set_status(shown.status)
        delivery.response.headers.update(shown.headers)
        return [shown.body] if isinstance(shown.body, bytes) else []
    delivery.shown = answers.shown
    return pieces


async def found_by(delivery: Delivery) -> Found:
    """What the lookup gave, once it has ended.

    Raises:
        BrokerError: it failed.
    """
    summary, parts = await delivery.whole()
    return await paced(gathered(summary, parts))


def say_restrictions(delivery: Delivery, words: Iterable[str]) -> None:
    """Say in a header what bounds the answer: a read has no outcome that could."""
    if said := ", ".join(dict.fromkeys(words)):
        delivery.response.headers["Restrictions"] = said


async def send(delivery: Delivery, pieces: list[bytes], *, partial: bool) -> None:
    """Send a whole resource, with the status that the response has.

    Args:
        delivery: of the lookup that it comes from.
        pieces: emptied on the way.
        partial: the client said that it can cope with a partial answer, and was heard.
    """
    response = delivery.response
    response.content_type = FHIR_JSON
    response.charset = "utf-8"
    response.content_length = sum(map(len, pieces))
    if partial and response.status == HTTPStatus.OK:
        response.headers["Preference-Applied"] = _PARTIAL
    await delivery.send(pieces, last=True)


def heed_headers(request: web.Request) -> None:
    """Raise where a header asks for what can't be given.

    Raises:
        NotSupported: JSON will not do.
    """
    preferred(request.headers.getall(hdrs.ACCEPT, []), (FHIR_JSON, "application/json"))


def prefers_partial(request: web.Request) -> bool:
    """Whether the client says that it can cope with a partial answer (RFC 7240: what is said first counts)."""
    for line in request.headers.getall("Prefer", []):
        for one in _PREFERENCE.findall(line):
            name, _, value = one.partition(";")[0].partition("=")
            if name.strip().lower() == _PARTIAL:
                return value.strip().lower() in _YES
    return False
