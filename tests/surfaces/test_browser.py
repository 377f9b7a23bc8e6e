"""A plugin in a real browser: a page of one origin that calls a broker of another."""

import asyncio
import json
import os
import shutil
import signal
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from broker.app import running

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: install the package chromium")

PAGE = """<!doctype html><title>Plugin</title><script type="module">
const {broker, token} = GIVEN;
const ask = (accept, more = {}) => fetch(`${broker}/lookups`, {
  method: "POST",
  headers: {
    "Accept": accept, "Authorization": `Bearer ${token}`, "Content-Type": "application/json",
    "Prefer": "return=representation", "X-Request-ID": "ward-plugin-1",
  },
  body: JSON.stringify({patient: {nhs_number: "9990000018", birth_date: "1948-03-02"}}),
  ...more,
});
const failing = async (doing) => { try { await doing(); return "no"; } catch (error) { return error.name; } };
const story = async () => { STORY };
const told = await story().catch((error) => ({failed: String(error)}));
await fetch("/told", {method: "POST", body: JSON.stringify(told)});
</script>"""

READS = """
  const reply = await ask("text/event-stream");
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (let piece; !(piece = await reader.read()).done;) text += piece.value;
  const whole = await ask("application/json");
  const wrong = await ask("application/json", {headers: {"Authorization": "Bearer wrong"}});
  const about = await fetch(`${broker}/about`);
  return {
    status: reply.status, id: reply.headers.get("X-Request-ID"),
    events: [...text.matchAll(/^event: (.*)$/gm)].map((found) => found[1]),
    data: [...text.matchAll(/^data: (.*)$/gm)].map((found) => Object.keys(JSON.parse(found[1]))),
    whole: (await whole.json()).sources.map((row) => row.status),
    wrong: [wrong.status, (await wrong.json()).error.code],
    about: about.status,
    withCookies: await failing(() => ask("application/json", {credentials: "include"})),
  };
"""
STOPS = """
  const stop = new AbortController();
  const reply = await ask("text/event-stream", {signal: stop.signal});
  const reader = reply.body.getReader();
  await reader.read();
  stop.abort();
  return {read: await failing(() => reader.read())};
"""
FAILS = """
  return {
    lookup: await failing(() => ask("text/event-stream")),
    about: await failing(() => fetch(`${broker}/about`)),
  };
"""


class Plugin:
    """Serves one page, shows it to a browser, and hears from the page how it went."""

    def __init__(self, directory):
        self._directory = directory
        self._given, self._story = {}, ""
        self._told: asyncio.Future = asyncio.get_running_loop().create_future()
        app = web.Application()
        app.add_routes([web.get("/", self._page), web.post("/told", self._hear)])
        self.server = TestServer(app)

    @property
    def origin(self):
        return f"http://127.0.0.1:{self.server.port}"

    async def _page(self, _):
        page = PAGE.replace("GIVEN", json.dumps(self._given)).replace("STORY", self._story)
        return web.Response(text=page, content_type="text/html")

    async def _hear(self, request):
        self._told.set_result(await request.json())
        return web.Response()

    async def tells(self, story, **given):
        self._given, self._story = given, story
        async with _browser(self._directory, f"{self.origin}/"):
            return await asyncio.wait_for(self._told, 60)


@asynccontextmanager
async def _browser(directory, url):
    quiet = asyncio.subprocess.DEVNULL
    arguments = [*FLAGS, f"--user-data-dir={directory}", url]
    process = await asyncio.create_subprocess_exec(
        CHROMIUM, *arguments, stdout=quiet, stderr=quiet, start_new_session=True
    )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


@pytest.fixture
async def plugin(tmp_path):
    plugin = Plugin(tmp_path / "browser")
    async with plugin.server:
        yield plugin


@pytest.fixture
def named(config):
    """Writes origins into the configuration."""

    def write(*origins):
        config.write_text(config.read_text().replace("[server]\n", f"[server]\norigins = {json.dumps(origins)}\n"))

    return write


async def test_a_page_of_a_named_origin_reads_a_stream_a_whole_reply_and_an_error(
    plugin, named, source, point_at, sign
):
    named(plugin.origin)
    async with running(point_at(source.port)) as base:
        told = await plugin.tells(READS, broker=base, token=sign())
    assert told.pop("id")
    assert told == {
        "status": 200,
        "events": ["started", "source", "summary"],
        "data": [["lookup_id", "sources"], ["source", "bundle"], told["data"][2]],
        "whole": ["answered"],
        "wrong": [401, "not-authenticated"],
        "about": 200,
        "withCookies": "TypeError",
    }


async def test_a_page_that_stops_reading_stops_the_sources(plugin, named, silent, point_at, sign, outcomes, eventually):
    named(plugin.origin)
    settings = point_at(silent.port)
    async with running(settings) as base:
        told = await plugin.tells(STOPS, broker=base, token=sign())
        assert told == {"read": "AbortError"}
        await asyncio.wait_for(silent.left.wait(), 3)
        await eventually(lambda: outcomes(settings) == ["abandoned"])


async def test_a_page_of_another_origin_is_kept_out_by_the_browser(plugin, named, source, point_at, sign, outcomes):
    named("https://ehr.example")
    settings = point_at(source.port)
    async with running(settings) as base:
        told = await plugin.tells(FAILS, broker=base, token=sign())
    assert told == {"lookup": "TypeError", "about": "TypeError"}
    assert outcomes(settings) == [], "its preflight was refused, and it never asked"
