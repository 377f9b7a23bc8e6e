"""A store, a journal, and somebody who receives alerts and can be told to behave badly."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from broker.alerts import Alerting, Pace, Receiver
from broker.journal import Journal
from broker.keys import Keys
from broker.store import ALERTS, open_store

SECRET = bytes(range(32))
IN_A_FILE = f"whsec_{base64.b64encode(SECRET).decode()}\n"
QUICK = Pace(first=0.01, most=0.02, timeout=2.0, look=0.05)

Mood = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def taken(_: web.Request) -> web.StreamResponse:
    return web.Response(status=202)


@dataclass
class Sent:
    """One request as it came."""

    headers: Any
    body: bytes

    @property
    def said(self) -> dict[str, Any]:
        return json.loads(self.body)


@dataclass
class Office:
    """Receives alerts.

    Attributes:
        mood: answers.
        got: every request.
        came: set when one comes.
    """

    mood: Mood = taken
    got: list[Sent] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.got.append(Sent(request.headers, await request.read()))
        self.came.set()
        return await self.mood(request)


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    open_office = Office()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", open_office.answer)
    async with TestServer(app) as server:
        open_office.url = str(server.make_url("/alerts"))
        yield open_office


@dataclass
class World:
    """What is around the alerts."""

    url: str
    engine: AsyncEngine
    journal: Journal
    directory: Path

    def alerting(self, office: Office | None = None, *, pace: Pace = QUICK, **more: Any) -> Alerting:
        receiver = None if office is None else Receiver(url=office.url, secrets=(SECRET,))
        return Alerting(self.journal, self.engine, node="node-1", receiver=receiver, pace=pace, **more)

    async def journalled(self) -> list[dict[str, Any]]:
        """What the journal holds of alerts, in order."""
        await self.journal.record("alert.sent", alert_id="the-last", delivered=True, tries=1)
        lines = [
            json.loads(line)
            for file in sorted(self.directory.glob("*.jsonl"))
            for line in file.read_bytes().splitlines()
        ]
        return [line for line in lines if line["event"].startswith("alert.") and line["alert_id"] != "the-last"]

    async def waiting(self) -> list[Any]:
        async with self.engine.connect() as connection:
            return list(await connection.execute(select(ALERTS)))

    async def until_journalled(self, event: str) -> dict[str, Any]:
        async with asyncio.timeout(10):
            while True:
                for line in await self.journalled():
                    if line["event"] == event:
                        return line
                await asyncio.sleep(0.01)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    url = f"sqlite+aiosqlite:///{tmp_path}/broker.db"
    engine = await open_store(url)
    journal = await Journal.open(tmp_path / "journal", Keys.open(tmp_path / "keys"), node="node-1")
    yield World(url, engine, journal, tmp_path / "journal")
    await journal.close()
    await engine.dispose()
