"""A node under too much, sources that ask to be left alone, and a stop that closes every lookup in order."""

import asyncio
import collections
import json
import resource
import signal

import aiohttp
import pytest
from aiohttp import web

from adapters.transport import Transport
from broker import app


def answering(status, **headers):
    """An organisation's mood: this status, whatever it is asked."""

    async def act(_request):
        return web.Response(status=status, headers=headers)

    return act


def outcomes(world):
    """How many outcomes each lookup has that was begun."""
    counted = collections.Counter(one["lookup_id"] for one in world.journal("lookup.outcome"))
    return [counted[lookup_id] for lookup_id in world.lookups()]


async def test_a_source_that_stumbles_once_is_asked_again_and_nobody_notices(world, doctor):
    stumbled = []

    async def once(request):
        stumbled.append(request)
        world.hospital.moods.clear()
        return web.Response(status=503)

    world.hospital.moods["POST /Patient/_search"] = once
    reply = await doctor.look_up(world.mrs_okafor)
    assert len(stumbled) == 1
    assert reply.complete, reply.rows


async def test_a_source_with_too_many_requests_is_left_alone_until_it_said(world, doctor):
    world.hospital.mood = answering(429, **{"Retry-After": "120"})
    first = await doctor.look_up(world.mrs_okafor)
    assert first.row("RJ1-epr")["retry_after_s"] == 120
    world.forget()
    second = await doctor.look_up(world.mrs_okafor)
    assert second.rows["RJ1-epr"] == "busy"
    assert 115 <= second.row("RJ1-epr")["retry_after_s"] <= 120
    assert world.hospital.seen == [], "it was not asked"
    assert second.rows["RJZ-epr"] == "answered"


async def test_a_source_under_maintenance_is_paused_until_it_said(world, doctor):
    world.hospital.mood = answering(503, **{"Retry-After": "3600"})
    assert (await doctor.look_up(world.mrs_okafor)).rows["RJ1-epr"] == "failed"
    world.forget()
    reply = await doctor.look_up(world.mrs_okafor)
    assert reply.rows["RJ1-epr"] == "paused"
    assert 290 <= reply.row("RJ1-epr")["retry_after_s"] <= 300, "five minutes at most"
    assert world.hospital.seen == []


async def test_one_more_lookup_than_a_node_runs_waits_and_then_is_told_to_come_again(open_world, house):
    world = await open_world(*house.usual(), lookup="concurrency = 1")
    world.practice.open.clear()
    doctor = world.doctor()
    running = asyncio.create_task(doctor.look_up(world.mrs_okafor))
    await world.practice.asked.wait()
    refused = await doctor.look_up(world.mrs_okafor, timeout="400ms")
    assert (refused.status, refused.code) == (503, "overloaded")
    assert int(refused.headers["Retry-After"]) >= 1
    lookup_id = refused.headers["X-Request-ID"]
    assert world.told(lookup_id) == ["lookup.intent", "lookup.outcome"], "it waited without asking anybody"
    assert [one["code"] for one in world.journal("lookup.outcome")] == ["overloaded"]
    waiting = asyncio.create_task(doctor.look_up(world.mrs_okafor))
    world.practice.open.set()
    assert (await running).complete
    assert (await waiting).complete
    assert world.verify().ok


async def test_a_node_with_little_memory_does_one_lookup_after_the_other_and_loses_none(open_world, house):
    world = await open_world(*house.usual(), lookup='memory = "1kB"')
    doctor = world.doctor()
    replies = await asyncio.gather(*(doctor.look_up(world.mrs_okafor) for _ in range(6)))
    assert [reply.status for reply in replies] == [200] * 6
    assert all(reply.complete for reply in replies)


async def test_a_script_that_has_run_away_is_told_to_wait_and_cannot_fill_the_disk(open_world, house):
    world = await open_world(*house.usual(), limits="user_per_minute = 5")
    runaway, colleague = world.doctor(), world.doctor(user="another")
    replies = [await runaway.look_up(world.mrs_okafor) for _ in range(45)]
    refused = [reply for reply in replies if reply.status == 429]
    assert [reply.status for reply in replies[:5]] == [200] * 5
    assert len(refused) >= 39
    assert {reply.code for reply in refused} == {"too-many-requests"}
    assert all(int(reply.headers["Retry-After"]) >= 1 for reply in refused)
    assert (await colleague.look_up(world.mrs_okafor)).complete, "nobody else is held up"
    await house.eventually(lambda: sum(one["count"] for one in world.journal("request.refused")) == len(refused))
    records = world.journal("request.refused")
    assert {one["code"] for one in records} == {"too-many-requests"}
    assert len(records) < len(refused)
    assert records[0]["user"]["organisation"] == "RJ1"
    assert world.verify().ok


async def test_one_person_has_only_so_many_at_once(open_world, house):
    world = await open_world(*house.usual(), limits="user_at_once = 2")
    world.practice.open.clear()
    running = [asyncio.create_task(world.doctor().look_up(world.mrs_okafor)) for _ in range(2)]
    await house.eventually(lambda: len(world.journal("lookup.plan")) == 2)
    assert (await world.doctor().look_up(world.mrs_okafor)).status == 429
    world.practice.open.set()
    assert [(await one).status for one in running] == [200, 200]


class Streams:
    """Callers who listen, each on a connection of their own."""

    def __init__(self, world, many):
        self._world = world
        self._tasks = [asyncio.create_task(self._one()) for _ in range(many)]
        self.started = 0

    async def _one(self):
        doctor = self._world.doctor()
        events = []
        async with doctor.asks(self._world.mrs_okafor, accept="application/x-ndjson") as response:
            async for line in response.content:
                events.append(json.loads(line))
                self.started += len(events) == 1
        return events

    async def events(self):
        return await asyncio.gather(*self._tasks)


async def asked(session, world, path="/lookups"):
    """One more request over a connection that is kept."""
    headers = {"Authorization": f"Bearer {world.doctor().token(world.mrs_okafor)}"}
    url = world.address + path
    body = {"patient": world.mrs_okafor.claimed}
    how = session.get(url) if path != "/lookups" else session.post(url, json=body, headers=headers)
    async with how as response:
        return response.status, dict(response.headers), await response.json()


async def test_told_to_stop_it_begins_nothing_new_finishes_what_it_can_and_ends(open_world, house):
    """SIGTERM with streams open: those that can finish do; each lookup has one outcome, and the journal is whole."""
    world = await open_world(*house.usual(), apart=True)
    world.practice.open.clear()
    streams = Streams(world, 4)
    async with aiohttp.ClientSession() as kept, asyncio.timeout(30):
        assert (await asked(kept, world, "/health/ready"))[0] == 200
        await house.eventually(lambda: streams.started == 4)
        world.process.send_signal(signal.SIGTERM)
        await house.eventually(lambda: "broker.stopping" in world.said())
        status, headers, reply = await asked(kept, world)
        assert (status, reply["error"]["code"]) == (503, "overloaded")
        assert int(headers["Retry-After"]) >= 1
        status, _, reply = await asked(kept, world, "/health/ready")
        assert (status, reply["checks"]["lookups"]) == (503, False)
        assert (await asked(kept, world, "/health/live"))[0] == 200
        world.practice.open.set()
        for events in await streams.events():
            assert events[-1]["event"] == "summary"
            assert events[-1]["data"]["complete"]
        assert await world.process.wait() == 0
    assert outcomes(world) == [1] * 4
    assert [one["outcome"] for one in world.journal("lookup.outcome")] == ["released"] * 4
    assert len(world.journal("lookup.delivered")) == 4
    assert [one["code"] for one in world.journal("request.refused")] == ["overloaded"]
    assert "broker.stopped" in world.said()
    assert world.verify().ok


async def test_what_has_not_finished_when_the_grace_time_ends_is_closed_with_a_last_event(open_world, house):
    """A source hangs, and the stop is not held up by it for longer than it was told."""
    world = await open_world(*house.usual(timeout="25s"), apart=True, deadline="30s", server='grace = "300ms"')
    world.practice.open.clear()
    streams = Streams(world, 5)
    async with asyncio.timeout(30):
        await house.eventually(lambda: streams.started == 5)
        world.process.send_signal(signal.SIGTERM)
        for events in await streams.events():
            assert [one["event"] for one in events] == ["started", *["source"] * (len(events) - 2), "error"]
            assert events[-1]["data"]["error"]["code"] == "overloaded"
        assert await world.process.wait() == 0
    assert outcomes(world) == [1] * 5
    ended = {(one["outcome"], one["code"]) for one in world.journal("lookup.outcome")}
    assert ended == {("failed", "overloaded")}, "their callers were there, and were told"
    assert world.verify().ok


async def test_a_second_signal_does_not_wait(open_world, house):
    world = await open_world(*house.usual(timeout="100s"), apart=True, deadline="110s", server='grace = "1h"')
    world.practice.open.clear()
    streams = Streams(world, 3)
    async with asyncio.timeout(30):
        await house.eventually(lambda: streams.started == 3)
        world.process.send_signal(signal.SIGTERM)
        await house.eventually(lambda: "broker.stopping" in world.said())
        world.process.send_signal(signal.SIGTERM)
        for events in await streams.events():
            assert events[-1]["event"] == "error"
        assert await world.process.wait() == 0
    assert outcomes(world) == [1] * 3
    assert world.verify().ok


@pytest.mark.parametrize(("files", "used"), [(400, 136), (1024, None), (100, 1), (resource.RLIM_INFINITY, None)])
async def test_more_connections_than_open_files_are_lowered_with_a_word(
    open_world, house, monkeypatch, caplog, files, used
):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    opened = []

    def transport(*, connections, **more):
        opened.append(connections)
        return Transport(connections=connections, **more)

    monkeypatch.setattr(app, "Transport", transport)
    world = await open_world(*house.usual())
    assert opened == [used or 256]
    words = [record.getMessage() for record in caplog.records if record.name == "broker.app"]
    assert (used is not None) == any("[lookup] connections" in one for one in words)
    if files > 200:
        assert (await world.doctor().look_up(world.mrs_okafor)).complete
