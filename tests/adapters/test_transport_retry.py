"""One more try where it may help, and never where it can only make things worse."""

import asyncio
import time
from email.utils import formatdate

import pytest
from aiohttp import web

from adapters import transport as under_test
from adapters.contract import Limits, Source
from adapters.errors import (
    AdapterError,
    SourceBusy,
    SourceFailed,
    SourceMalformed,
    SourceTimedOut,
    SourceUnreachable,
)


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    """Every pause, at once over; and between which bounds its length was drawn."""
    made = []

    async def pause(seconds):
        made.append(seconds)

    class Sleepless:
        sleep = staticmethod(pause)

        def __getattr__(self, name):
            return getattr(asyncio, name)

    monkeypatch.setattr(under_test, "asyncio", Sleepless())
    return made


@pytest.fixture
def exchange(transport):
    def build(base_url, *, seconds=3.0, **options):
        source = Source(**{"name": "a", "organisation": "RJ1", "kind": "k", "base_url": base_url} | options)
        deadline = asyncio.get_running_loop().time() + seconds
        return transport.open(source).exchange(deadline=deadline, correlation_id="lookup-1")

    return build


@pytest.fixture
async def site(start, fhir):
    """A server that gives these answers in turn, the last for ever: a status, or one with `Retry-After`."""
    server = await start()

    def answers(*told):
        left = list(told)

        async def answer(_request):
            one = left.pop(0) if len(left) > 1 else left[0]
            status, after = one if isinstance(one, tuple) else (one, None)
            return fhir.json_answer([], status, **({} if after is None else {"Retry-After": after}))

        for method in ("GET", "POST"):
            server.overrides[f"{method} /x"] = answer
        return server

    return answers


@pytest.mark.parametrize("status", [502, 503, 504])
@pytest.mark.parametrize("method", ["get", "post"])
async def test_what_a_proxy_says_in_passing_is_tried_once_more(site, exchange, pauses, status, method):
    server = site(status, 200)
    call = exchange(server.base_url)
    answer = await (call.get("/x") if method == "get" else call.post("/x", b"a=b", "text/plain"))
    assert answer.status == 200
    assert len(server.seen) == 2
    assert server.seen[0].body == server.seen[1].body
    assert len(pauses) == 1
    assert 0.05 <= pauses[0] <= 0.2


async def test_the_pause_is_of_random_length_so_that_those_who_failed_together_do_not_come_back_together(
    site, exchange, pauses
):
    server = site(503)
    for _ in range(5):
        with pytest.raises(SourceFailed):
            await exchange(server.base_url).get("/x")
    assert len(set(pauses)) == 5


async def test_a_second_failure_is_the_answer(site, exchange, pauses):
    server = site(503, 502, 200)
    with pytest.raises(SourceFailed, match="502"):
        await exchange(server.base_url).get("/x")
    assert len(server.seen) == 2


async def test_a_source_that_is_back_in_a_moment_is_reached(unused, exchange, monkeypatch, start):
    """The first attempt finds nobody listening."""
    server = None

    async def revive(_seconds):
        nonlocal server
        server = await asyncio.start_server(_hello, "127.0.0.1", unused)

    monkeypatch.setattr(under_test.asyncio, "sleep", revive)
    answer = await exchange(f"http://127.0.0.1:{unused}/fhir").get("/x")
    server.close()
    assert answer.body == b"hello"


async def test_a_name_that_nobody_knows_is_looked_up_once_more_and_no_oftener(exchange, pauses):
    with pytest.raises(SourceUnreachable):
        await exchange("http://nowhere.invalid/fhir").get("/x")
    assert len(pauses) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 409, 429, 500, 505, 301])
async def test_no_other_status_is_tried_again(site, exchange, pauses, status):
    server = site(status, 200)
    with pytest.raises(AdapterError):
        await exchange(server.base_url).get("/x")
    assert len(server.seen) == 1
    assert pauses == []


async def test_bad_tls_is_not_tried_again(start, exchange, pauses):
    server = await start()
    with pytest.raises(SourceUnreachable):
        await exchange(server.base_url.replace("http:", "https:")).get("/x")
    assert pauses == []


async def test_an_answer_that_has_begun_is_not_asked_for_again(start, exchange, pauses):
    server = await start()

    async def half(request):
        response = web.StreamResponse()
        response.content_length = 100
        await response.prepare(request)
        await response.write(b"half")
        request.transport.close()
        return response

    server.overrides["GET /x"] = half
    with pytest.raises(SourceMalformed):
        await exchange(server.base_url).get("/x")
    assert (len(server.seen), pauses) == (1, [])


async def test_a_source_that_says_when_is_asked_again_then(site, exchange, pauses):
    server = site((503, "2"), 200)
    assert (await exchange(server.base_url).get("/x")).status == 200
    assert pauses == [2.0]


async def test_it_may_say_so_as_a_date(site, exchange, pauses):
    server = site((503, formatdate(time.time() + 2, usegmt=True)), 200)
    assert (await exchange(server.base_url).get("/x")).status == 200
    assert 0.9 <= pauses[0] <= 2.0


@pytest.mark.parametrize("after", ["3", "60", "86400"])
async def test_one_that_says_later_than_there_is_time_is_not_asked_again(site, exchange, pauses, after):
    server = site((503, after), 200)
    with pytest.raises(SourceFailed) as raised:
        await exchange(server.base_url).get("/x")
    assert (len(server.seen), pauses) == (1, [])
    assert raised.value.retry_after == min(float(after), 3600.0)


async def test_without_time_for_another_answer_there_is_no_retry(site, exchange, pauses):
    server = site(503, 200)
    with pytest.raises(SourceFailed):
        await exchange(server.base_url, seconds=0.14).get("/x")
    assert (len(server.seen), pauses) == (1, [])


async def test_each_request_of_a_lookup_has_its_own_retry(site, exchange, pauses):
    server = site(503, 200, 503, 200)
    call = exchange(server.base_url)
    assert [(await call.get("/x")).status, (await call.get("/x")).status] == [200, 200]
    assert len(server.seen) == 4


async def test_retries_do_not_double_the_load_of_a_source_that_is_failing(site, exchange):
    server = site(503)
    for _ in range(100):
        with pytest.raises(SourceFailed):
            await exchange(server.base_url).get("/x")
    assert 100 + 20 <= len(server.seen) <= 100 + 30, "a fifth of the requests, and ten to begin with"
    spent = len(server.seen)
    with pytest.raises(SourceFailed):
        await exchange(server.base_url, name="another").get("/x")
    assert len(server.seen) == spent + 2, "each source has its own"


async def test_a_retry_gives_its_slot_back_while_it_waits_and_takes_one_again(start, fhir, exchange, monkeypatch):
    server = await start()
    server.overrides["GET /x"] = fhir.answering([], 503)
    server.overrides["GET /y"] = fhir.answering([])
    limits = Limits(connections=1)
    between = []

    async def pause(_seconds):
        between.append((await exchange(server.base_url, limits=limits).get("/y")).status)

    monkeypatch.setattr(under_test.asyncio, "sleep", pause)
    with pytest.raises(SourceFailed):
        await exchange(server.base_url, limits=limits).get("/x")
    assert between == [200]
    assert (await exchange(server.base_url, limits=limits).get("/y")).status == 200


async def test_where_no_slot_is_free_for_it_what_the_source_said_stands(start, fhir, exchange, monkeypatch):
    server = await start()
    server.overrides["GET /x"] = fhir.answering([], 503)
    arrived, release = asyncio.Event(), asyncio.Event()

    async def hang(_request):
        arrived.set()
        await release.wait()
        return fhir.json_answer([])

    server.overrides["GET /y"] = hang
    limits = Limits(connections=1)
    taken = []

    async def pause(_seconds):
        taken.append(asyncio.create_task(exchange(server.base_url, limits=limits).get("/y")))
        await arrived.wait()

    monkeypatch.setattr(under_test.asyncio, "sleep", pause)
    with pytest.raises(SourceFailed, match="503"):
        await exchange(server.base_url, limits=limits, seconds=0.6).get("/x")
    release.set()
    await asyncio.wait(taken)


async def test_a_retry_keeps_the_deadline(start, fhir, exchange, pauses):
    server = await start()
    first = True

    async def then_hang(_request):
        nonlocal first
        if first:
            first = False
            return fhir.json_answer([], 503)
        await asyncio.Event().wait()
        return None

    server.overrides["GET /x"] = then_hang
    with pytest.raises(SourceTimedOut):
        await exchange(server.base_url, seconds=0.5).get("/x")


async def test_our_own_cap_is_no_failure_that_is_tried_again(start, fhir, exchange, pauses):
    server = await start()
    limits = Limits(connections=1)
    arrived, release = asyncio.Event(), asyncio.Event()

    async def hang(_request):
        arrived.set()
        await release.wait()
        return fhir.json_answer([])

    server.overrides["GET /y"] = hang
    holding = asyncio.create_task(exchange(server.base_url, limits=limits).get("/y"))
    await arrived.wait()
    with pytest.raises(SourceBusy):
        await exchange(server.base_url, limits=limits, seconds=0.1).get("/x")
    release.set()
    await asyncio.wait([holding])
    assert pauses == []


async def _hello(reader, writer):
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
    await writer.drain()
    writer.close()


@pytest.fixture
def unused():
    import socket

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
