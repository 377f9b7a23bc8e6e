"""Keys are fetched seldom, never on an attacker's word more than once in a while, and outlast an issuer that is down for a bit."""

import asyncio
import json
import logging

import httpx
import pytest
import respx
from aiohttp import web
from aiohttp.test_utils import TestServer

from broker.auth import Authenticator, Issuer
from broker.auth.keyring import FRESH, KEPT, WINDOW, Keyring
from broker.auth.keys import MOST_BYTES
from broker.errors import NotAuthenticated

from .conftest import AUDIENCE, RJ1, Clock, Pair, ordinary

URL = "https://idp.example/jwks.json"
ISSUER = Issuer(iss=RJ1, organisation="RJ1", jwks_url=URL)


def answer(*pairs):
    return httpx.Response(200, json={"keys": [each.jwk for each in pairs]})


@pytest.fixture
def timer():
    return Clock(0.0)


@pytest.fixture
async def ring(timer):
    async with Keyring([ISSUER], timer=timer) as keyring:
        yield keyring


@pytest.fixture
def idp():
    with respx.mock(assert_all_called=False) as mock:
        yield mock.get(URL)


async def settle(ring):
    await asyncio.gather(*ring._flights.values())


async def test_a_set_is_fetched_once_and_serves_many(ring, idp, pair):
    idp.mock(return_value=answer(pair))
    keys = [await ring.key(ISSUER, "k1") for _ in range(5)]
    assert all(keys)
    assert idp.call_count == 1


async def test_many_who_come_at_once_share_one_fetch(ring, idp, pair):
    idp.mock(return_value=answer(pair))
    keys = await asyncio.gather(*(ring.key(ISSUER, "k1") for _ in range(50)))
    assert all(keys)
    assert idp.call_count == 1


async def test_one_who_goes_away_does_not_take_the_fetch_from_the_others(ring, idp, pair):
    begun, go = asyncio.Event(), asyncio.Event()

    async def slowly(request):
        begun.set()
        await go.wait()
        return answer(pair)

    idp.mock(side_effect=slowly)
    first, second = (asyncio.create_task(ring.key(ISSUER, "k1")) for _ in range(2))
    await begun.wait()
    first.cancel()
    go.set()
    assert await second
    assert first.cancelled()
    assert idp.call_count == 1


async def test_an_unknown_kid_fetches_the_set_once_in_a_window_however_many_come(ring, idp, pair, timer):
    idp.mock(return_value=answer(pair))
    assert await ring.key(ISSUER, "k1")
    for number in range(200):
        assert await ring.key(ISSUER, f"made up {number}") is None
    assert idp.call_count == 1  # the first fetch was a moment ago
    timer.now += WINDOW
    for number in range(200):
        assert await ring.key(ISSUER, f"made up {number}") is None
    assert idp.call_count == 2


async def test_a_new_key_is_found_when_a_token_names_it(ring, idp, pair, timer):
    new = Pair.make("ES256", kid="k2")
    idp.mock(side_effect=[answer(pair), answer(pair, new)])
    assert await ring.key(ISSUER, "k1")
    timer.now += WINDOW
    assert await ring.key(ISSUER, "k2")
    assert await ring.key(ISSUER, "k1")


async def test_a_withdrawn_key_is_gone_with_the_next_fetch(ring, idp, pair, timer):
    idp.mock(side_effect=[answer(pair), answer(Pair.make("ES256", kid="k2")), answer()])
    assert await ring.key(ISSUER, "k1")
    timer.now += FRESH
    assert await ring.key(ISSUER, "k1")  # nobody waits for the new set
    await settle(ring)
    assert await ring.key(ISSUER, "k1") is None
    assert await ring.key(ISSUER, "k2")
    timer.now += FRESH
    await ring.key(ISSUER, "k2")
    await settle(ring)
    assert await ring.key(ISSUER, "k2") is None  # an empty set withdraws all


async def test_keys_outlast_an_issuer_that_is_down_for_an_hour_at_most(ring, idp, pair, timer, caplog):
    idp.mock(side_effect=[answer(pair)] + [httpx.ConnectError("down")] * 20)
    assert await ring.key(ISSUER, "k1")
    for _ in range(5):
        timer.now += FRESH
        assert await ring.key(ISSUER, "k1")
        await settle(ring)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]  # said once, not each time
    assert URL not in caplog.text
    timer.now = KEPT
    assert await ring.key(ISSUER, "k1") is None
    timer.now += WINDOW
    idp.mock(return_value=answer(pair))
    assert await ring.key(ISSUER, "k1")
    assert len(caplog.records) == 2  # and once when it is over


@pytest.mark.parametrize(
    "fault",
    [
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.Response(500),
        httpx.Response(302, headers={"location": "https://elsewhere.example/jwks.json"}),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, content=b" " * (MOST_BYTES + 1)),
        httpx.Response(204),
    ],
    ids=["refused", "slow", "500", "a redirect", "a page", "too large", "nothing"],
)
async def test_whatever_goes_wrong_is_no_key_and_no_exception(ring, idp, pair, fault):
    idp.mock(**({"side_effect": fault} if isinstance(fault, Exception) else {"return_value": fault}))
    assert await ring.key(ISSUER, "k1") is None
    assert await ring.key(ISSUER, "k1") is None
    assert idp.call_count == 1


async def test_a_bad_answer_does_not_displace_the_keys_held(ring, idp, pair, timer):
    idp.mock(side_effect=[answer(pair), httpx.Response(200, text="<html>")])
    assert await ring.key(ISSUER, "k1")
    timer.now += FRESH
    await ring.key(ISSUER, "k1")
    await settle(ring)
    assert idp.call_count == 2
    assert await ring.key(ISSUER, "k1")


async def test_a_stranger_makes_the_broker_fetch_nothing(idp, pair):
    async with Authenticator([ISSUER], AUDIENCE) as authenticator:
        for token in (pair.sign(ordinary(iss="https://stranger.example")), "a.b.c"):
            with pytest.raises(NotAuthenticated):
                await authenticator.authenticate(f"Bearer {token}")
    assert idp.call_count == 0


async def test_closing_ends_a_fetch_under_way(idp):
    begun = asyncio.Event()

    async def never(request):
        begun.set()
        await asyncio.Event().wait()

    idp.mock(side_effect=never)
    async with Keyring([ISSUER]) as ring:
        waiting = asyncio.create_task(ring.key(ISSUER, "k1"))
        await begun.wait()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_over_a_real_socket_a_token_is_verified_and_a_redirect_is_not_followed(pair):
    asked = []

    async def jwks(request):
        asked.append((request.path, request.headers.get("Accept-Encoding")))
        return web.json_response({"keys": [pair.jwk]})

    async def moved(request):
        asked.append((request.path, None))
        raise web.HTTPFound("/jwks.json")

    app = web.Application()
    app.router.add_get("/jwks.json", jwks)
    app.router.add_get("/moved.json", moved)
    async with TestServer(app) as server:
        header = f"Bearer {pair.sign(ordinary())}"
        for path, good in (("/jwks.json", True), ("/moved.json", False)):
            issuer = Issuer(iss=RJ1, organisation="RJ1", jwks_url=str(server.make_url(path)))
            async with Authenticator([issuer], AUDIENCE) as authenticator:
                if good:
                    assert (await authenticator.authenticate(header)).requester.organisation == "RJ1"
                else:
                    with pytest.raises(NotAuthenticated):
                        await authenticator.authenticate(header)
    assert asked == [("/jwks.json", "identity"), ("/moved.json", None)]


async def test_a_compressed_answer_can_not_grow(pair):
    import gzip

    async def bomb(request):
        body = gzip.compress(json.dumps({"keys": [pair.jwk], "x": "0" * 10_000_000}).encode())
        return web.Response(body=body, headers={"Content-Encoding": "gzip"})

    app = web.Application()
    app.router.add_get("/jwks.json", bomb)
    async with TestServer(app) as server:
        issuer = Issuer(iss=RJ1, organisation="RJ1", jwks_url=str(server.make_url("/jwks.json")))
        async with Keyring([issuer]) as ring:
            assert await ring.key(issuer, "k1") is None
