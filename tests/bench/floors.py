"""What the broker is measured beside: the same requests to the same sources, and next to nothing done with the answers.

python -m tests.bench.floors fan-out|decode|fetch|fetch-types      (what to ask, as one line of JSON on standard input)
"""

import asyncio
import gc
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from urllib.parse import urlencode

import aiohttp
import msgspec
from aiohttp import web
from fhirpy import AsyncFHIRClient

_NHS = "https://fhir.nhs.uk/Id/nhs-number"
_FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/fhir+json"}
_JSON = {"Accept": "application/fhir+json"}

Ask = Callable[[str, str, str, Sequence[str]], Awaitable[bytes]]
"""Of the source's address, the NHS number, the local id and the types held: what goes into the reply."""


async def _twice(session: aiohttp.ClientSession, base: str, number: str, local_id: str) -> tuple[bytes, bytes]:
    """The two requests that the broker makes of a source: who is it, and everything."""
    form = urlencode({"identifier": f"{_NHS}|{number}", "_count": 500}).encode()
    async with session.post(f"{base}/Patient/_search", data=form, headers=_FORM) as answer:
        found = await answer.read()
    async with session.get(f"{base}/Patient/{local_id}/$everything?_count=500", headers=_JSON) as answer:
        return found, await answer.read()


async def _fan_out(
    session: aiohttp.ClientSession, base: str, number: str, local_id: str, _types: Sequence[str]
) -> bytes:
    return (await _twice(session, base, number, local_id))[1]


_decoder = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()


async def _decode(
    session: aiohttp.ClientSession, base: str, number: str, local_id: str, _types: Sequence[str]
) -> bytes:
    """One decode and one encode of each body."""
    found, record = await _twice(session, base, number, local_id)
    _encoder.encode(_decoder.decode(found))
    return _encoder.encode(_decoder.decode(record))


async def _fetch(base: str, number: str, local_id: str, _types: Sequence[str]) -> bytes:
    """`fetch()` for the patient and once for the whole record, of which it gives only the Patient. Nothing is encoded."""
    client = AsyncFHIRClient(base)
    await client.resources("Patient").search(identifier=f"{_NHS}|{number}").fetch()
    await client.resources("Patient").search(_id=local_id, _revinclude="*").fetch()
    return b"1"


async def _fetch_types(base: str, number: str, local_id: str, types: Sequence[str]) -> bytes:
    """`fetch()` for the patient and for each type that is held: what it takes to be given the record."""
    client = AsyncFHIRClient(base)
    await client.resources("Patient").search(identifier=f"{_NHS}|{number}").fetch()
    await asyncio.gather(
        *(client.resources(name).search(patient=local_id).fetch() for name in types if name != "Patient")
    )
    return b"1"


async def _main(what: str) -> None:
    asked = json.loads(sys.stdin.readline())
    async with AsyncExitStack() as house:
        # As the broker's own pool is made.
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30)
        session = await house.enter_async_context(
            aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), read_bufsize=1 << 18)
        )
        asks: dict[str, Ask] = {
            "fan-out": partial(_fan_out, session),
            "decode": partial(_decode, session),
            "fetch": _fetch,
            "fetch-types": _fetch_types,
        }
        ask = asks[what]

        async def look_up(request: web.Request) -> web.Response:
            number = json.loads(await request.read())["patient"]["nhs_number"]
            found = await asyncio.gather(
                *(
                    ask(base, number, *records[number])
                    for base, records in zip(asked["bases"], asked["records"], strict=True)
                )
            )
            return web.Response(body=b'{"records":[' + b",".join(found) + b"]}", content_type="application/json")

        app = web.Application()
        app.router.add_post("/lookups", look_up)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        if not what.startswith("fetch"):
            # As `broker serve` does: what is compared is the work, not the collector. What fhirpy makes needs collecting.
            gc.collect()
            gc.freeze()
            gc.set_threshold(100_000, 50, 100)
        print(json.dumps({"port": runner.addresses[0][1]}), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1]))
