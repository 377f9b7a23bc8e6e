"""`POST /fhir`: many searches and reads of one patient, answered from one lookup.

A plugin that opens a chart makes a dozen searches; each by itself is a whole fan-out, and a line in the patient's
record of access.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from broker.auth import Caller
from broker.errors import (
    BrokerError,
    InvalidRequest,
    MethodNotAllowed,
    NotBuilt,
    NothingAnswered,
    NotSupported,
    RoleNotPermitted,
)
from broker.lookup.pace import paced
from broker.surfaces.callers import authenticated, must_be_about, refused
from broker.surfaces.delivery import Delivery
from broker.surfaces.errors import FHIR_JSON, LOOKUP_ID
from broker.surfaces.fhir.answers import Answers, unheard
from broker.surfaces.fhir.asking import Asking, Read, Wanted
from broker.surfaces.fhir.bodies import read_bundle
from broker.surfaces.fhir.bundle import batch_response, encode
from broker.surfaces.fhir.looking import found_by, heed_headers, prefers_partial, say_restrictions, send
from broker.surfaces.fhir.outcome import error_outcome, nothing_found
from broker.surfaces.fhir.parameters import pairs
from broker.surfaces.rooms import LOOKUPS, SETTINGS

__all__ = ["MOST_ENTRIES", "batch"]

MOST_ENTRIES: Final = 64
_FIELDS: Final = frozenset({"resourceType", "type", "entry", "id", "meta", "identifier", "timestamp"})
_AGAIN: Final = "An entry before this asks for the same: a batch searches each type once, and reads each id once."
_HOW: Final = "Send a Bundle of type batch whose entries are GET requests: searches and reads of one patient."


@dataclass(frozen=True, slots=True)
class Understood:
    """One entry: what it asks, as far as that can be told, and what is wrong with it."""

    wanted: Wanted | None
    wrong: BrokerError | None = None


async def batch(request: web.Request) -> web.StreamResponse:
    """Answer every entry in its place, with its own status. What is wrong with one costs that one."""
    caller = await authenticated(request)
    try:
        heed_headers(request)
        asking = Asking.of(request, caller)
        entries = _entries(await read_bundle(request, request.app[SETTINGS].server.max_body))
        understood = _each_once([_understood(entry, asking) for entry in entries])
        await _record(request, caller, understood)
        usable = [one.wanted for one in understood if one.wanted is not None and one.wrong is None]
        lookup = request.app[LOOKUPS].begin(caller, asking.query(usable), surface="fhir") if usable else None
    except BrokerError as error:
        await refused(request, caller, error)
        raise
    if lookup is None:
        body = b"".join(batch_response(_refusal(one.wrong or BrokerError()) for one in understood))
        return web.Response(body=body, content_type=FHIR_JSON, charset="utf-8")
    request[LOOKUP_ID] = lookup.lookup_id
    with Delivery(request, lookup) as delivery:
        pieces = await _pieces(delivery, request, asking, understood)
        await send(delivery, pieces, partial=prefers_partial(request))
    return delivery.response


async def _pieces(
    delivery: Delivery, request: web.Request, asking: Asking, understood: Sequence[Understood]
) -> list[bytes]:
    try:
        found = await found_by(delivery)
    except NothingAnswered as error:
        return batch_response(_refusal(one.wrong or _unanswered(one, error)) for one in understood)
    answers = Answers(asking=asking, found=found, partial=prefers_partial(request))
    usable = [one.wanted for one in understood if one.wanted is not None and one.wrong is None]
    say_restrictions(delivery, [word for wanted in usable for word in answers.restrictions(wanted)])
    answered = []
    refusals = []
    for one in understood:
        try:
            if one.wanted is None or one.wrong is not None:
                raise one.wrong or BrokerError
            answered.append((200, await paced(answers.to(one.wanted))))
        except BrokerError as error:
            answered.append(_refusal(error))
            if one.wrong is None and isinstance(error, RoleNotPermitted):
                refusals.append(Understood(one.wanted, error))
    delivery.shown = answers.shown
    await _record(request, asking.caller, refusals)
    return batch_response(answered)


def _unanswered(one: Understood, error: NothingAnswered) -> BrokerError:
    return error if one.wanted is None else nothing_found(error.sources, unheard(one.wanted))


def _each_once(understood: Sequence[Understood]) -> list[Understood]:
    """Refuse what was asked before: all that a batch can give is one record, not one for each entry."""
    told: set[tuple[str, str | None]] = set()
    once = []
    for one in understood:
        asked = None
        if one.wanted is not None and one.wrong is None:
            asked = one.wanted.type, one.wanted.id if isinstance(one.wanted, Read) else None
        once.append(Understood(one.wanted, InvalidRequest(_AGAIN)) if asked in told else one)
        if asked is not None:
            told.add(asked)
    return once


async def _record(request: web.Request, caller: Caller, understood: Sequence[Understood]) -> None:
    """Each kind of refusal once: the entries of one request are one act of one person."""
    refusals = {
        (one.wrong.code, one.wanted.number if one.wanted else None): one.wrong
        for one in understood
        if one.wrong is not None
    }
    for (_, number), error in refusals.items():
        await refused(request, caller, error, number)


def _entries(bundle: dict[str, Any]) -> list[Any]:
    """The entries of a batch.

    Raises:
        InvalidRequest: it is not one.
        NotSupported: a Bundle of another type.
    """
    if bundle.get("resourceType") != "Bundle":
        raise InvalidRequest(_HOW)
    if bundle.get("type") != "batch":
        raise NotSupported(f"Nothing is written here, and only a batch is answered. {_HOW}")
    if not bundle.keys() <= _FIELDS:
        raise InvalidRequest(f"The Bundle has an element that means nothing here. {_HOW}")
    entries = bundle.get("entry")
    if not isinstance(entries, list) or not 0 < len(entries) <= MOST_ENTRIES:
        raise InvalidRequest(f"The batch takes from 1 to {MOST_ENTRIES} entries.")
    return entries


def _understood(entry: Any, asking: Asking) -> Understood:
    wanted: Wanted | None = None
    try:
        wanted = _wanted(entry, asking)
        must_be_about(asking.caller, asking.query([wanted]))
    except BrokerError as error:
        return Understood(wanted, error)
    return Understood(wanted)


def _wanted(entry: Any, asking: Asking) -> Wanted:
    asked = entry.get("request") if isinstance(entry, dict) and entry.keys() <= {"request", "fullUrl"} else None
    if not isinstance(asked, dict) or not asked.keys() <= {"method", "url"}:
        raise InvalidRequest("Each entry has a request with method and url, and nothing else.")
    if asked.get("method") != "GET":
        raise MethodNotAllowed("Only GET can be in a batch: nothing is written here.")
    url = asked.get("url")
    if not isinstance(url, str):
        raise InvalidRequest("request.url: write a relative address, such as Condition?patient=…")
    path, _, query = url.removeprefix(f"{asking.base}/").partition("?")
    steps = path.split("/")
    if any(step.startswith(("$", "_")) for step in steps):
        raise NotBuilt
    match steps:
        case [type_] if type_:
            return asking.search(type_, pairs(query))
        case [type_, id_] if type_ and not query:
            return asking.read(type_, id_)
        case _:
            raise InvalidRequest("request.url: write Type?parameters for a search, or Type/id for a read.")


def _refusal(error: BrokerError) -> tuple[int, list[bytes]]:
    return error.status, [encode(error_outcome(error))]
