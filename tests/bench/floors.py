"""What the broker is measured beside: the same requests to the same sources, and next to nothing done with the answers.

    python -m tests.bench.floors fan-out|decode|fhirpy      (what to ask, as one line of JSON on standard input)
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from urllib.parse import urlencode

import aiohttp
import msgspec
from aiohttp import web
from fhirpy import AsyncFHIRClient

_NHS = "https://fhir.nhs.uk/Id/nhs-number"
_FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/fhir+json"}
_JSON = {"Accept": "application/fhir+json"}

Ask = Callable[[str, str, str], Awaitable[bytes]]
"""Of the source's address, the NHS number and the local id: what goes into the reply."""


async def _twice(session: aiohttp.ClientSession, base: str, number: str, local_id: str) -> tuple[bytes, bytes]:
    """The two requests that the broker makes of a source: who is it, and everything."""
    form = urlencode({"identifier": f"{_NHS}|{number}", "_count": 500}).encode()
    async with session.post(f"{base}/Patient/_search", data=form, headers=_FORM) as answer:
        found = await answer.read()
    async with session.get(f"{base}/Patient/{local_id}/$everything?_count=500", headers=_JSON) as answer:
        return found, await answer.read()


def _fan_out(session: aiohttp.ClientSession) -> Ask:
    async def ask(base: str, number: str, local_id: str) -> bytes:
        return (await _twice(session, base, number, local_id))[1]

    return ask


def _decode(session: aiohttp.ClientSession) -> Ask:
    decode = msgspec.json.Decoder().decode
    encode = msgspec.json.Encoder().encode

    async def ask(base: str, number: str, local_id: str) -> bytes:
        found, record = await _twice(session, base, number, local_id)
        encode(decode(found))
        return encode(decode(record))

    return ask


def _fhirpy() -> Ask:
    """fhirpy's `fetch()` twice: it parses each Bundle and makes an object of every resource in it. Nothing is encoded."""
    clients: dict[str, AsyncFHIRClient] = {}

    async def ask(base: str, number: str, local_id: str) -> bytes:
        client = clients.setdefault(base, AsyncFHIRClient(base))
        await client.resources("Patient").search(identifier=f"{_NHS}|{number}").fetch()
        await client.resources("Patient").search(_id=local_id, _revinclude="*").fetch()
        return b"1"

    return ask


async def _main(what: str) -> None:
    asked = json.loads(sys.stdin.readline())
    async with AsyncExitStack() as house:
        # As the broker's own pool is made.
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30)
        session = await house.enter_async_context(
            aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), read_bufsize=1 << 18)
        )
        ask = {"fan-out": lambda: _fan_out(session), "decode": lambda: _decode(session), "fhirpy": _fhirpy}[what]()

        async def look_up(request: web.Request) -> web.Response:
            number = json.loads(await request.read())["patient"]["nhs_number"]
            found = await asyncio.gather(
                *(ask(base, number, ids[number]) for base, ids in zip(asked["bases"], asked["ids"], strict=True))
            )
            return web.Response(body=b'{"records":[' + b",".join(found) + b"]}", content_type="application/json")

        app = web.Application()
        app.router.add_post("/lookups", look_up)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(json.dumps({"port": runner.addresses[0][1]}), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1]))
