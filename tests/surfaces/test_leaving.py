"""A caller that stops: its sources are stopped too, and the journal says once what became of the lookup."""

import asyncio
from contextlib import asynccontextmanager

import aiohttp
import pytest

from broker.app import running

BODY = {"patient": {"nhs_number": "9990000018", "birth_date": "1948-03-02"}}
FORMS = ("application/json", "application/x-ndjson", "text/event-stream")


@asynccontextmanager
async def asking(base, token, accept):
    headers = {"Authorization": f"Bearer {token}", "Accept": accept}
    async with aiohttp.ClientSession() as session:
        task = asyncio.ensure_future(session.post(f"{base}/lookups", json=BODY, headers=headers))
        yield task
        task.cancel()
        await asyncio.wait([task])


@pytest.mark.parametrize("accept", FORMS)
async def test_who_leaves_before_the_first_source_answered_stops_it(
    silent, point_at, sign, outcomes, eventually, accept
):
    settings = point_at(silent.port)
    async with running(settings) as base:
        async with asking(base, sign(), accept) as task:
            await silent.asked.wait()
            if accept != "application/json":
                await (await task).content.readuntil(b"waiting")
                (await task).close()
        await asyncio.wait_for(silent.left.wait(), 3)
        await eventually(lambda: outcomes(settings) == ["abandoned"])
    assert outcomes(settings) == ["abandoned"]


@pytest.mark.parametrize("accept", FORMS)
async def test_who_leaves_when_some_sources_have_answered_stops_the_others(
    source, silent, config, point_at, sign, outcomes, eventually, accept
):
    manifest = config.parent / "organisations" / "rj1.toml"
    second = f'[[sources]]\nname = "pas"\nkind = "fhir-r4"\nbase_url = "http://127.0.0.1:{silent.port}/fhir"\n'
    manifest.write_text(manifest.read_text() + second)
    settings = point_at(source.port)
    async with running(settings) as base:
        async with asking(base, sign(), accept) as task:
            await silent.asked.wait()
            if accept != "application/json":
                await (await task).content.readuntil(b"CANARY")
                (await task).close()
        await asyncio.wait_for(silent.left.wait(), 3)
        await eventually(lambda: outcomes(settings) == ["abandoned"])
    assert outcomes(settings) == ["abandoned"]
