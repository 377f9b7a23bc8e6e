"""The whole house, opened and closed: one lookup through every room, and what stops a start."""

import asyncio
import json
import os
import signal
import sys

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from broker.app import running
from broker.errors import ConfigurationError
from broker.journal import records_of, verify
from broker.settings import load

PATIENT = {"nhs_number": "9990000018", "birth_date": "1948-03-02"}


async def look_up(base, token, **headers):
    headers |= {"Authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{base}/lookups", json={"patient": PATIENT}, headers=headers) as response,
    ):
        return response.status, await response.text()


async def test_one_lookup_through_every_room(source, point_at, sign, eventually):
    settings = point_at(source.port)
    async with running(settings) as base:
        status, text = await look_up(base, sign())
        reply = json.loads(text)
        assert status == 200, text
        assert [row["status"] for row in reply["sources"]] == ["answered"]
        assert "CANARY" in text
        streamed_status, streamed = await look_up(base, sign(), Accept="application/x-ndjson")
        events = [json.loads(line) for line in streamed.splitlines()]
        assert (streamed_status, [event["event"] for event in events]) == (200, ["started", "source", "summary"])

        def told():
            return [record["event"] for record in records_of(settings.audit.directory, reply["lookup_id"])]

        await eventually(lambda: "lookup.delivered" in told())
        assert told()[0] == "lookup.intent"
        assert told().count("lookup.outcome") == 1
    assert verify(settings.audit.directory).ok
    for file in settings.file.parent.rglob("*"):
        assert not file.is_file() or b"CANARY" not in file.read_bytes(), file


async def test_a_source_that_is_down_is_an_error_with_its_row(unused_port, point_at, sign):
    async with running(point_at(unused_port)) as base:
        status, text = await look_up(base, sign())
    reply = json.loads(text)
    assert (status, reply["error"]["code"]) == (502, "sources-failed")
    assert [row["status"] for row in reply["sources"]] == ["unreachable"]
    assert "127.0.0.1" not in text, "the address of a source is nobody's business"


async def test_a_caller_that_leaves_is_written_down(point_at, sign, settings, eventually):
    async def never(_):
        await asyncio.sleep(60)

    app = web.Application()
    app.router.add_route("*", "/{any:.*}", never)
    async with TestServer(app) as slow, running(point_at(slow.port)) as base:
        async with aiohttp.ClientSession() as session:
            asking = asyncio.ensure_future(
                session.post(
                    f"{base}/lookups", json={"patient": PATIENT}, headers={"Authorization": f"Bearer {sign()}"}
                )
            )
            await eventually(lambda: b"lookup.plan" in written(settings))
            asking.cancel()
            await asyncio.wait([asking])
        await eventually(lambda: b'"abandoned"' in written(settings))
    assert written(settings).count(b'"lookup.outcome"') == 1


async def test_a_lookup_that_has_begun_is_finished_when_the_service_stops(point_at, sign, settings, eventually):
    go_on = asyncio.Event()

    async def late(_):
        await go_on.wait()
        return web.Response(status=500)

    app = web.Application()
    app.router.add_route("*", "/{any:.*}", late)
    async with TestServer(app) as slow:
        service = running(point_at(slow.port))
        base = await service.__aenter__()
        asking = asyncio.create_task(look_up(base, sign()))
        await eventually(lambda: b"lookup.plan" in written(settings))
        stopping = asyncio.create_task(service.__aexit__(None, None, None))
        await asyncio.sleep(0.05)
        go_on.set()
        status, _ = await asking
        await stopping
    assert status == 502
    assert verify(settings.audit.directory).ok
    assert written(settings).count(b'"lookup.outcome"') == 1


async def test_a_token_far_too_long_is_refused_like_any_other(settings):
    async with running(settings) as base:
        status, text = await look_up(base, "a" * 10_000)
    assert status == 401
    assert "aaa" not in text


async def test_refusals_that_were_only_counted_are_recorded_when_the_service_stops(settings):
    async with running(settings) as base:
        for _ in range(4):
            assert (await look_up(base, "a.b.c"))[0] == 401
    lines = [json.loads(line) for line in written(settings).splitlines()]
    counts = [line["count"] for line in lines if line["event"] == "authentication.refused"]
    assert sum(counts) == 4
    assert len(counts) < 4


def written(settings):
    return b"".join(file.read_bytes() for file in settings.audit.directory.iterdir() if file.is_file())


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("broker.toml", ""),
        ("broker.toml", "[server]\nlisten = 1\n"),
        ("organisations/rj1.toml", ""),
        ("organisations/rj1.toml", 'ods_code = "RJ1"\n'),
    ],
)
async def test_a_bad_or_empty_configuration_stops_the_start(config, file, text):
    (config.parent / file).write_text(text)
    with pytest.raises(ConfigurationError) as stopped:
        async with running(load(config, {})):
            pass
    assert file.rpartition("/")[2] in str(stopped.value)


async def test_a_start_that_fails_leaves_nothing_open(config, settings, unused_port):
    settings.audit.directory.parent.mkdir(parents=True)
    settings.audit.directory.write_text("in the way")
    with pytest.raises(ConfigurationError):
        async with running(settings):
            pass
    settings.audit.directory.unlink()
    async with running(settings) as base:
        assert base.startswith("http://127.0.0.1:")


async def test_an_address_that_somebody_else_has_stops_the_start(config, unused_port):
    config.write_text(config.read_text().replace("127.0.0.1:0", f"127.0.0.1:{unused_port}"))
    async with running(load(config, {})):
        with pytest.raises(ConfigurationError, match="listen"):
            async with running(load(config, {})):
                pass


@pytest.mark.blocking
async def test_the_service_ends_in_order_when_it_is_told_to(config, settings):
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import sys; from broker.cli import main; sys.exit(main())",
        "serve",
        "--config",
        str(config),
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONWARNINGS": "error"},
    )
    said = [json.loads(await process.stderr.readline())]
    while said[-1]["event"] != "broker.started":
        said.append(json.loads(await process.stderr.readline()))
    async with aiohttp.ClientSession() as session, session.get(f"{said[-1]['listening']}/health/ready") as response:
        assert response.status == 200
    process.send_signal(signal.SIGTERM)
    rest = (await process.communicate())[1].decode().splitlines()
    assert process.returncode == 0
    assert [json.loads(line)["event"] for line in rest] == ["broker.stopping", "broker.stopped"]
    assert b"journal.stopped" in written(settings)


@pytest.fixture
def unused_port():
    import socket

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
