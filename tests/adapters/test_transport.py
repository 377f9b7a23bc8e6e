"""What the transport makes of everything that can happen on a socket: one leaf of the error tree for each."""

import asyncio
import gzip

import pytest
from aiohttp import web

from adapters.auth import AuthNotUsable
from adapters.contract import Auth, Limits, Source
from adapters.errors import (
    AdapterError,
    SourceBusy,
    SourceFailed,
    SourceMalformed,
    SourceRefused,
    SourceTimedOut,
    SourceTruncated,
    SourceUnreachable,
)
from adapters.transport import Transport


@pytest.fixture
async def raw():
    """Starts a server that writes these bytes, as they are, to whoever has sent a request (or at once)."""
    servers, speaking = [], set()

    async def begin(*chunks, reset=False, hang=False, at_once=False):
        requests = []

        async def speak(reader, writer):
            speaking.add(asyncio.current_task())
            try:
                requests.append(b"" if at_once else await reader.readuntil(b"\r\n\r\n"))
                for chunk in chunks:
                    writer.write(chunk)
                    await writer.drain()
                    await asyncio.sleep(0)
                if hang:
                    await asyncio.Event().wait()
                if reset:
                    writer.transport.abort()
            except (asyncio.IncompleteReadError, asyncio.CancelledError, OSError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(speak, "127.0.0.1", 0)
        servers.append(server)
        begin.requests = requests
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/fhir"

    yield begin
    for server in servers:
        server.close()
    for task in speaking:
        task.cancel()
    await asyncio.gather(*speaking, return_exceptions=True)


@pytest.fixture
def exchange(transport):
    def build(base_url, *, seconds=3.0, **options):
        base_url = getattr(base_url, "base_url", base_url)
        source = Source(**{"name": "a", "organisation": "RJ1", "kind": "k", "base_url": base_url} | options)
        deadline = asyncio.get_running_loop().time() + seconds
        return transport.open(source).exchange(deadline=deadline, correlation_id="lookup-1")

    return build


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, SourceRefused),
        (403, SourceRefused),
        (429, SourceBusy),
        (400, SourceFailed),
        (409, SourceFailed),
        (500, SourceFailed),
        (503, SourceFailed),
        (301, SourceFailed),
        (304, SourceFailed),
        (307, SourceFailed),
    ],
)
async def test_a_status_that_means_the_same_everywhere_is_an_error(start, fhir, exchange, status, error):
    server = await start()
    headers = {"Location": "http://127.0.0.1:1/"} if 300 <= status < 400 else {}
    server.overrides["GET /x"] = fhir.answering("SECRET", status, **headers)
    with pytest.raises(error) as raised:
        await exchange(server).get("/x")
    assert len(server.seen) == (2 if status == 503 else 1)
    assert "SECRET" not in str(raised.value)
    assert "127.0.0.1" not in str(raised.value)


@pytest.mark.parametrize("status", [200, 201, 404, 405, 410, 415, 501])
async def test_a_status_whose_meaning_depends_comes_with_its_body(start, fhir, exchange, status):
    server = await start()
    server.overrides["GET /x"] = fhir.answering([1], status)
    answer = await exchange(server).get("/x")
    assert (answer.status, answer.body) == (status, b"[1]")


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [
        ("30", 30, 30),
        ("0", 0, 0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
        ("Wed, 21 Oct 2099 07:28:00 GMT", 3600, 3600),
        ("99999999999999999999", 3600, 3600),
    ],
)
async def test_retry_after_is_taken_in_both_forms(start, fhir, exchange, value, least, most):
    server = await start()
    server.overrides["GET /x"] = fhir.answering([], 429, **{"Retry-After": value})
    with pytest.raises(SourceBusy) as raised:
        await exchange(server).get("/x")
    assert least <= raised.value.retry_after <= most


@pytest.mark.parametrize(
    "value",
    [
        "soon",
        "",
        "Mon, 01 Jan 0001 00:00:00 +9999",
        "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
        "Fri, 31 Dec 2099 23:59:59 +99999999999999999999",
    ],
)
async def test_a_retry_after_that_says_nothing_is_left_out(start, fhir, exchange, value):
    server = await start()
    server.overrides["GET /x"] = fhir.answering([], 503, **{"Retry-After": value})
    with pytest.raises(SourceFailed) as raised:
        await exchange(server).get("/x")
    assert raised.value.retry_after is None


@pytest.mark.parametrize("status", [301, 400, 403, 500])
async def test_where_retry_after_means_something_else_or_nothing_it_is_not_taken(start, fhir, exchange, status):
    server = await start()
    server.overrides["GET /x"] = fhir.answering([], status, **{"Retry-After": "30"})
    with pytest.raises(AdapterError) as raised:
        await exchange(server).get("/x")
    assert raised.value.retry_after is None


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:1/fhir", "http://nowhere.invalid/fhir"])
async def test_no_connection_is_unreachable(exchange, base_url):
    with pytest.raises(SourceUnreachable) as raised:
        await exchange(base_url).get("/x")
    assert not raised.value.connected


async def test_a_source_that_speaks_no_tls_is_unreachable(raw, exchange):
    base_url = await raw(b"HTTP/1.1 400 Bad Request\r\n\r\n", at_once=True)
    with pytest.raises(SourceUnreachable) as raised:
        await exchange(base_url.replace("http:", "https:")).get("/x")
    assert not raised.value.connected


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("reset", [True, False])
async def test_a_connection_lost_before_an_answer_is_unreachable_after_one_more_try(raw, exchange, method, reset):
    base_url = await raw(reset=reset)
    call = exchange(base_url)
    with pytest.raises(SourceUnreachable) as raised:
        await (call.get("/x") if method == "get" else call.post("/x", b"a=b", "text/plain"))
    assert raised.value.connected, "the host is there: this says nothing against what else is behind it"
    assert len(raw.requests) == 2


@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize(
    "answer",
    [
        OK + b"half",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Encoding: gzip\r\n\r\nhalf",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
    ],
    ids=["short", "chunks", "bad chunk", "bad gzip", "not HTTP", "bad header"],
)
async def test_an_answer_that_stops_half_way_or_can_not_be_decoded_is_malformed(raw, exchange, answer, reset):
    with pytest.raises(SourceMalformed):
        await exchange(await raw(answer, reset=reset)).get("/x")


@pytest.mark.parametrize("said", [b"", OK + b"half"], ids=["silent", "half a body"])
async def test_a_source_that_hangs_is_timed_out(raw, exchange, said):
    with pytest.raises(SourceTimedOut):
        await exchange(await raw(said, hang=True), seconds=0.1).get("/x")


async def test_a_source_that_trickles_is_timed_out_however_busy_it_looks(start, exchange):
    server = await start()

    async def trickle(request):
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.01)

    server.overrides["GET /x"] = trickle
    with pytest.raises(SourceTimedOut):
        await exchange(server, seconds=0.2).get("/x")


async def test_gzip_is_asked_for_and_taken(start, fhir, exchange):
    server = await start(gzip=True)
    server.overrides["GET /x"] = fhir.answering("x" * 10_000)
    assert len((await exchange(server).get("/x")).body) == 10_002
    assert server.seen[0].headers["Accept-Encoding"] == "gzip"


@pytest.mark.parametrize("declared", [True, False])
async def test_more_bytes_than_are_taken_end_the_reading(start, exchange, declared):
    server = await start()

    async def huge(request):
        response = web.StreamResponse()
        if declared:
            response.content_length = 1 << 30
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65536)

    server.overrides["GET /x"] = huge
    with pytest.raises(SourceTruncated):
        await exchange(server, limits=Limits(bytes=1_000_000)).get("/x")


async def test_a_bomb_is_measured_as_it_unfolds(raw, exchange):
    bomb = gzip.compress(b"\0" * 50_000_000)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    with pytest.raises((SourceTruncated, SourceMalformed)):
        await exchange(await raw(head + bomb), limits=Limits(bytes=1_000_000)).get("/x")


async def test_bytes_are_counted_over_the_whole_exchange(start, fhir, exchange):
    server = await start()
    server.overrides["GET /x"] = fhir.answering("x" * 600)
    call = exchange(server, limits=Limits(bytes=1000))
    await call.get("/x")
    with pytest.raises(SourceTruncated):
        await call.get("/x")


async def test_no_more_requests_at_once_than_the_source_takes_and_waiting_in_vain_is_busy(start, fhir, exchange):
    server = await start()
    release, full, inside, most = asyncio.Event(), asyncio.Event(), 0, 0

    async def slow(_request):
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        if inside == 2:
            full.set()
        await release.wait()
        inside -= 1
        return fhir.json_answer([])

    server.overrides["GET /x"] = slow
    limits = Limits(connections=2)
    calls = [asyncio.create_task(exchange(server, limits=limits).get("/x")) for _ in range(6)]
    await full.wait()
    with pytest.raises(SourceBusy):
        await exchange(server, limits=limits, seconds=0.1).get("/x")
    release.set()
    assert {answer.status for answer in await asyncio.gather(*calls)} == {200}
    assert most == 2


async def test_a_slot_is_free_again_after_every_kind_of_end(start, fhir, exchange):
    server = await start()

    async def hang(_request):
        await asyncio.Event().wait()

    server.overrides["GET /hang"] = hang
    server.overrides["GET /bad"] = fhir.answering([], 500)
    limits = Limits(connections=1)
    with pytest.raises(SourceTimedOut):
        await exchange(server, limits=limits, seconds=0.05).get("/hang")
    with pytest.raises(SourceFailed):
        await exchange(server, limits=limits).get("/bad")
    cancelled = asyncio.create_task(exchange(server, limits=limits).get("/hang"))
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.wait({cancelled})
    assert (await exchange(server, limits=limits).get("/metadata")).status == 200


async def test_there_is_a_cap_over_all_sources(start, fhir):
    one, two = await start(), await start()
    async with Transport(connections=1) as transport:
        arrived = asyncio.Event()

        async def hang(_request):
            arrived.set()
            await asyncio.Event().wait()

        one.overrides["GET /x"] = hang
        now = asyncio.get_running_loop().time()
        sources = [
            Source(name=str(n), organisation="A", kind="k", base_url=s.base_url) for n, s in enumerate((one, two))
        ]
        first, second = (
            transport.open(source).exchange(deadline=now + wait, correlation_id="c")
            for source, wait in zip(sources, (5, 0.2), strict=True)
        )
        holding = asyncio.create_task(first.get("/x"))
        await arrived.wait()
        with pytest.raises(SourceBusy):
            await second.get("/metadata")
        holding.cancel()
        await asyncio.wait({holding})


async def test_connections_are_kept_and_used_again(start, exchange):
    server = await start()
    ports = set()

    async def who(request):
        ports.add(request.transport.get_extra_info("peername"))
        return web.Response()

    server.overrides["GET /x"] = who
    for _ in range(5):
        await exchange(server).get("/x")
    assert len(ports) == 1


async def test_cookies_of_a_source_are_not_kept(start, fhir, exchange):
    server = await start()
    server.overrides["GET /x"] = fhir.answering([], 200, **{"Set-Cookie": "a=b"})
    for _ in range(2):
        await exchange(server).get("/x")
    assert not any("Cookie" in seen.headers for seen in server.seen)


async def test_proxies_of_the_environment_are_not_used(start, exchange, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert (await exchange(await start()).get("/metadata")).status == 200


@pytest.mark.parametrize(
    "target",
    ["x", "/../x", "/%2e%2e/x", "/a b", "/x#y", "http://evil/", "/x\r\nHost: evil", "@evil/", ":1/", "/a\\..\\b"],
)
async def test_a_request_that_would_leave_the_base_is_not_made(start, exchange, target):
    server = await start()
    with pytest.raises(ValueError, match="below base_url"):
        await exchange(server).get(target)
    assert server.seen == []


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        (Auth(kind="api-key", settings={"key": "k1"}), "apikey", "k1"),
        (Auth(kind="api-key", settings={"key": "k1", "header": "X-Api-Key"}), "X-Api-Key", "k1"),
        (Auth(kind="basic", settings={"username": "u", "password": "p"}), "Authorization", "Basic dTpw"),
    ],
    ids=["api-key", "api-key in a header of its own", "basic"],
)
async def test_the_broker_shows_itself_as_the_manifest_says(start, exchange, auth, header, value):
    server = await start()
    await exchange(server, auth=auth).get("/metadata")
    assert server.seen[0].headers[header] == value
    assert value not in repr(auth)


@pytest.mark.parametrize(
    "auth",
    [
        Auth(kind="mtls"),
        Auth(kind="no such kind"),
        Auth(kind="api-key"),
        Auth(kind="basic", settings={"username": "u"}),
        Auth(kind="api-key", settings={"key": "a\r\nHost: evil"}),
    ],
    ids=repr,
)
def test_auth_that_can_not_be_used_is_refused_when_the_adapter_is_made(connect, auth):
    with pytest.raises(AuthNotUsable):
        connect("http://127.0.0.1:1/fhir", auth=auth)


@pytest.mark.parametrize("base_url", ["ftp://h/fhir", "/fhir", "http://u:p@h/fhir", "http://h/fhir?x=y", ""])
def test_a_base_url_that_is_no_address_is_refused_when_the_adapter_is_made(connect, base_url):
    with pytest.raises(ValueError, match="base_url"):
        connect(base_url)
