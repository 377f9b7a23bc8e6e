"""`/objections`: the register of objections, in the same JSON as `broker objection`. No address holds an NHS number."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
from aiohttp import hdrs, web
from aiohttp.web_routedef import AbstractRouteDef
from yarl import URL

from broker.auth import Caller
from broker.errors import BrokerError, InvalidRequest
from broker.journal import Journal
from broker.objections import Actor, ObjectionRecord
from broker.surfaces.callers import Repeats, authenticated, refused
from broker.surfaces.objecting import (
    Search,
    parse_decision,
    parse_listing,
    parse_record,
    parse_search,
    parse_withdrawal,
)
from broker.surfaces.requests import read_json
from broker.surfaces.rooms import POLICIES, REGISTER, SETTINGS

__all__ = ["ROUTES", "Counting"]


_OBJECTS: Final = frozenset({"patient", "scope", "scope.staff"})
"""Where an object may stand in a body."""
_NAME: Final = re.compile(r"[A-Za-z_-]{1,40}", re.ASCII)


class Counting:
    """The journal as the register writes to it: of refusals that repeat within a second the first is written at once.

    Args:
        journal: where all else goes.
        repeats: counts the rest.
    """

    def __init__(self, journal: Journal, repeats: Repeats) -> None:
        self.append = journal.append
        self._journal = journal
        self._repeats = repeats

    async def record(self, event: str, **fields: Any) -> None:
        """As `Journal.record`."""
        if event == "request.refused" and self._repeats.is_one(fields):
            return
        await self._journal.record(event, **fields)


async def _record(request: web.Request) -> web.Response:
    """An objection is put down, and honoured from now on."""
    async with _reading(request) as actor:
        given = parse_record(await _body(request))
    made = await request.app[REGISTER].record(
        actor,
        patient=given.patient,
        asked_by=given.asked_by,
        effect_explained=given.effect_explained,
        scope=given.scope,
        birth_date=given.birth_date,
    )
    response = _answer(made.as_json(), status=201)
    response.headers[hdrs.LOCATION] = f"{request.app[SETTINGS].server.public_url}/objections/{made.id}"
    return response


async def _list(request: web.Request) -> web.Response:
    """Those that this person may see, a page of them."""
    async with _reading(request) as actor:
        search = parse_listing(request.query)
    found = await _found(request, actor, search)
    response = _answer([each.as_json() for each in found])
    if len(found) == search.limit:
        base = URL(f"{request.app[SETTINGS].server.public_url}/objections")
        following = base.with_query({**request.query, "after": found[-1].id})
        response.headers[hdrs.LINK] = f'<{following}>; rel="next"'
    return response


async def _search(request: web.Request) -> web.Response:
    """Those of one patient."""
    async with _reading(request) as actor:
        search = parse_search(await _body(request))
    found = await _found(request, actor, search)
    return _answer([each.as_json() for each in found])


async def _found(request: web.Request, actor: Actor, search: Search) -> tuple[ObjectionRecord, ...]:
    return await request.app[REGISTER].list(
        actor,
        patient=search.patient,
        status=search.status,
        due=search.due,
        after=search.after,
        limit=search.limit,
    )


async def _show(request: web.Request) -> web.Response:
    """One, with every version of it."""
    actor = await _acting(request)
    found = await request.app[REGISTER].show(actor, request.match_info["id"])
    return _answer(found.as_json())


async def _decide(request: web.Request) -> web.Response:
    """One is taken under review, decided, or the patient told."""
    async with _reading(request) as actor:
        given = parse_decision(await _body(request))
    made = await request.app[REGISTER].decide(
        actor,
        request.match_info["id"],
        status=given.status,
        reason=given.reason,
        ico_route_told=given.ico_route_told,
        told=given.told,
        version=given.version,
    )
    return _answer(made.as_json())


async def _withdraw(request: web.Request) -> web.Response:
    """The patient takes one back."""
    async with _reading(request) as actor:
        version = parse_withdrawal(await _body(request) if request.body_exists else {})
    made = await request.app[REGISTER].withdraw(actor, request.match_info["id"], version=version)
    return _answer(made.as_json())


async def _letter(request: web.Request) -> web.Response:
    """What the patient is told of a decision not to uphold one."""
    actor = await _acting(request)
    text = await request.app[REGISTER].letter(actor, request.match_info["id"])
    return web.Response(text=text, content_type="text/plain", charset="utf-8")


ROUTES: Final[tuple[AbstractRouteDef, ...]] = (
    web.post("/objections", _record),
    web.get("/objections", _list, allow_head=False),
    web.post("/objections/_search", _search),
    web.get("/objections/{id}", _show, allow_head=False),
    web.post("/objections/{id}/decisions", _decide),
    web.post("/objections/{id}/withdrawal", _withdraw),
    web.get("/objections/{id}/letter", _letter, allow_head=False),
)


async def _acting(request: web.Request) -> Actor:
    """Who acts. Raises NotAuthenticated."""
    return _actor(request, await authenticated(request))


@asynccontextmanager
async def _reading(request: web.Request) -> AsyncIterator[Actor]:
    """Who acts, while what they sent is read: where it is wrong, that it was refused is recorded."""
    caller = await authenticated(request)
    try:
        yield _actor(request, caller)
    except BrokerError as error:
        await refused(request, caller, error)
        raise


def _actor(request: web.Request, caller: Caller) -> Actor:
    return Actor.of(caller.requester, request.app[POLICIES], operator=caller.operator, staff_id=caller.staff_id)


async def _body(request: web.Request) -> dict[str, Any]:
    body: dict[str, Any] = await read_json(request, request.app[SETTINGS].server.max_body)
    _check_shape(body)
    return body


def _check_shape(body: dict[str, Any], place: str = "") -> None:
    """Raise InvalidRequest for a list, an object where none is known, or half a sign (a surrogate)."""
    for key, value in body.items():
        name = f"{place}{key}" if _NAME.fullmatch(key) else f"{place}a key"
        if isinstance(value, dict) and name in _OBJECTS:
            _check_shape(value, f"{name}.")
        elif isinstance(value, dict | list):
            raise InvalidRequest(f"{name}: write one word or number, no list or object.")
        elif isinstance(value, str) and not value.isascii() and any("\ud800" <= sign <= "\udfff" for sign in value):
            raise InvalidRequest(f"{name}: write whole characters, no surrogates alone.")


def _answer(content: Any, *, status: int = 200) -> web.Response:
    return web.Response(
        status=status, body=msgspec.json.encode(content), content_type="application/json", charset="utf-8"
    )
