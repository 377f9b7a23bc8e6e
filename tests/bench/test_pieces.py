"""The pieces of the benchmark that its figures rest on."""

import asyncio
import gzip
import json
import os
import ssl
import time
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.bench.load import Connection, Wrong, burst
from tests.bench.records import number_of, records
from tests.bench.trust import make_trust
from tests.bench.wire import Http, Sent, response
from tests.bench.world import Process

_ASK = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def test_an_answer_in_chunks_is_read_whole_and_the_connection_kept():
    async def answer(request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse()
        stream.enable_chunked_encoding()
        await stream.prepare(request)
        for piece in (b"one,", b"two,", b"x" * 300_000):
            await stream.write(piece)
        return stream

    async with _served(answer) as server:
        connection = Connection(server.port)
        first, second = await connection.call(_ASK), await connection.call(_ASK)
        await connection.close()
    assert first == second == b"one,two," + b"x" * 300_000


async def test_an_answer_that_is_not_as_it_should_be_ends_the_run():
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=b"partial")

    async with _served(answer) as server:
        with pytest.raises(Wrong):
            await burst(server.port, [_ASK], 1, b"complete")


async def test_the_sources_note_when_all_of_an_answer_was_written_and_not_before():
    """A reader that is slow: the system's buffers are full long before the end."""
    sent = Sent()
    whole = response("x" * 30_000_000)
    server = await asyncio.get_running_loop().create_server(
        lambda: Http(lambda _target, _body: whole, set(), sent), "127.0.0.1", 0
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1], limit=1 << 16)
    writer.write(_ASK)
    await reader.readexactly(100_000)
    assert sent.last == 0
    half = time.monotonic_ns()
    await reader.readexactly(len(whole) - 100_000)
    assert half < sent.last <= time.monotonic_ns()
    writer.close()
    server.close()


async def test_a_client_that_trusts_the_authority_of_a_run_believes_its_sources_and_no_other_does(tmp_path: Path):
    trust = make_trust(tmp_path)
    of_server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    of_server.load_cert_chain(trust.server)
    server = await asyncio.get_running_loop().create_server(
        lambda: Http(lambda _target, _body: response(1), set()), "127.0.0.1", 0, ssl=of_server
    )
    port = server.sockets[0].getsockname()[1]
    believing = ssl.create_default_context(cafile=str(trust.authority))
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=believing)
    writer.write(_ASK)
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.close()
    await writer.wait_closed()
    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncio.open_connection("127.0.0.1", port, ssl=ssl.create_default_context())
    server.close()


def test_a_zipped_response_says_so_and_holds_the_same():
    head, _, body = response({"a": 1}, zipped=True).partition(b"\r\n\r\n")
    assert b"Content-Encoding: gzip" in head
    assert json.loads(gzip.decompress(body)) == {"a": 1}


@pytest.mark.parametrize("size", [6_000, 60_000, 600_000])
def test_a_record_is_as_large_as_asked_and_of_one_patient(size: int):
    ((record,),) = records(1, 1, size=size)
    text = json.dumps(record.resources, separators=(",", ":"))
    assert 0.7 * size < len(text) < 1.1 * size
    assert record.resources[0]["resourceType"] == "Patient"
    assert number_of(0) in text
    assert set(_patients_named(record.resources)) == {f"Patient/{record.local_id}"}
    ids = [(resource["resourceType"], resource["id"]) for resource in record.resources]
    assert len(set(ids)) == len(ids)


def test_cpu_of_a_process_is_counted_finely():
    process = Process(os.getpid(), 0, Path(os.devnull))
    before, mine = process.cpu(), time.process_time()
    sum(range(300_000))
    assert process.cpu() - before == pytest.approx(time.process_time() - mine, abs=0.02)
    assert process.cpu() > before


def _patients_named(content: object) -> list[str]:
    match content:
        case {"reference": str(reference)} if reference.startswith("Patient/"):
            return [reference]
        case dict():
            return [one for value in content.values() for one in _patients_named(value)]
        case list() | tuple():
            return [one for value in content for one in _patients_named(value)]
        case _:
            return []


def _served(answer) -> TestServer:
    app = web.Application()
    app.router.add_get("/", answer)
    return TestServer(app)
