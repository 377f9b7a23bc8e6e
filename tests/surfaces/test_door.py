"""Before any token: heads that do not arrive, connections too many, and what is not HTTP."""

import asyncio
import json
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from broker.app import running
from broker.settings import load
from broker.surfaces import door

HALF = b"GET /about HT"
WHOLE = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"


@asynccontextmanager
async def connected(base):
    reader, writer = await asyncio.open_connection("127.0.0.1", int(base.rpartition(":")[2]))
    try:
        yield reader, writer
    finally:
        writer.close()


async def ended(reader):
    """Waits until the other side has gone; gives what it said before."""
    said = b""
    try:
        async with asyncio.timeout(5):
            while piece := await reader.read(65_536):
                said += piece
    except ConnectionError:
        pass
    return said


UNREADABLE = {
    "a control character in a header": b"GET /about HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer CANARY\x01x\r\n\r\n",
    "a blank before the colon": b"POST /lookups HTTP/1.1\r\nHost: x\r\nAuthorization : Bearer CANARY\r\n\r\n",
    "too many words in the first line": b"GET /CANARY HTTP/1.1 x\r\nHost: x\r\n\r\n",
    "a control character in the address": b"GET /a?n=CANARY\x01 HTTP/1.1\r\nHost: x\r\n\r\n",
    "a method that is none": b"CANARY\x01 / HTTP/1.1\r\n\r\n",
    "a header too long": b"GET / HTTP/1.1\r\nX: " + b"CANARY" * 5000 + b"\r\n\r\n",
    "an expectation": b"GET /about HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: CANARY\r\n\r\n",
    "an expectation nowhere": b"GET /CANARY HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: CANARY\r\n\r\n",
}


async def test_what_is_not_http_is_an_invalid_request_of_which_nothing_is_said_back(settings, capsys):
    async with running(settings) as base:
        capsys.readouterr()
        for name, data in UNREADABLE.items():
            async with connected(base) as (reader, writer):
                writer.write(data)
                head, _, body = (await ended(reader)).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1."), name
            assert head.split()[1] == b"400", name
            reply = json.loads(body)
            assert (reply["error"]["code"], reply["sources"]) == ("invalid-request", []), name
            assert b"CANARY" not in head + body, name
            assert b"aiohttp" not in head, name
            assert b"application/json" in head, name
            assert b"no-store" in head, name
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("before", [b"", WHOLE], ids=["the first", "a later one"])
@pytest.mark.parametrize("sent", [HALF, HALF + b"TP/1.1\r\nHost: x\r\n"], ids=["a line", "headers"])
async def test_a_head_that_does_not_arrive_is_not_waited_for(settings, monkeypatch, before, sent):
    monkeypatch.setattr(door, "_HEAD_SECONDS", 0.1)
    async with running(settings) as base, connected(base) as (reader, writer):
        if before:
            writer.write(before)
            await reader.readuntil(b"}")
        writer.write(sent)
        assert await ended(reader) == b""


async def test_a_connection_may_rest_between_requests_for_longer_than_a_head_may_take(settings, monkeypatch):
    monkeypatch.setattr(door, "_HEAD_SECONDS", 0.05)
    async with running(settings) as base, connected(base) as (reader, writer):
        for _ in range(2):
            writer.write(WHOLE)
            assert b"200" in await reader.readline()
            await reader.readuntil(b"}")
            await asyncio.sleep(0.15)


async def test_who_only_holds_connections_loses_them_to_who_comes_to_ask(settings, monkeypatch):
    monkeypatch.setattr("broker.app.most_connections", lambda: 3)
    async with running(settings) as base, connected(base) as (first, writer), connected(base), connected(base) as last:
        writer.write(HALF)
        async with aiohttp.ClientSession() as session, session.get(f"{base}/health/live") as response:
            assert response.status == 200
        assert await ended(first) == b""
        last[1].write(WHOLE)
        assert b"200" in await last[0].readline()


async def test_a_lookup_keeps_its_connection_however_many_come(config, sign, monkeypatch, eventually):
    monkeypatch.setattr("broker.app.most_connections", lambda: 1)
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def late(_):
        asked.set()
        await go_on.wait()
        return web.Response(status=500)

    app = web.Application()
    app.router.add_route("*", "/{any:.*}", late)
    async with TestServer(app) as slow:
        manifest = config.parent / "organisations" / "rj1.toml"
        manifest.write_text(manifest.read_text().replace("127.0.0.1:9/", f"127.0.0.1:{slow.port}/"))
        async with running(load(config, {})) as base, aiohttp.ClientSession() as session:
            patient = {"nhs_number": "9990000018", "birth_date": "1948-03-02"}
            headers = {"Authorization": f"Bearer {sign()}"}
            asking = asyncio.ensure_future(session.post(f"{base}/lookups", json={"patient": patient}, headers=headers))
            await asked.wait()
            for _ in range(3):
                async with connected(base) as (reader, _):
                    assert await ended(reader) == b"", "refused: every place is taken by who has a token"
            go_on.set()
            async with await asking as response:
                assert response.status == 502


@pytest.mark.parametrize("limit", [64, 128, 256, 1024, 20_000, -1])
def test_half_of_the_file_descriptors_are_left_to_the_rest(monkeypatch, limit):
    monkeypatch.setattr("resource.getrlimit", lambda _: (limit, limit))
    assert 0 < door.backlog() <= 128
    assert 0 < door.most_connections() <= 4096
    assert limit < 0 or door.most_connections() + door.backlog() <= limit / 2
