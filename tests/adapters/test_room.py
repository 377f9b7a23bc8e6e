"""Large answers are in memory up to a bound; beyond it, those that are still read wait for room."""

import asyncio

import msgspec
import pytest

from adapters.contract import Source
from adapters.errors import SourceTimedOut, SourceTruncated
from adapters.room import Room, Share
from adapters.transport import Transport

CHUNK = 1_000_000
LARGE = {"resourceType": "Binary", "id": "b", "data": "QUJD" * 500_000}


@pytest.fixture
def room():
    return Room(2 * CHUNK)


class Reading:
    """A large answer, of which more comes when it is told so."""

    def __init__(self, room):
        self._room = room
        self._more = asyncio.Queue()
        self._came = asyncio.Queue()
        self.task = asyncio.create_task(self._read())

    async def _read(self):
        chunks = []
        with Share(self._room) as share:
            while chunk := await self._more.get():
                chunks.append(chunk)
                await share.grow(len(chunk))
                await self._came.put(None)
            return share.body(chunks)

    async def more(self):
        self._more.put_nowait(b" " * CHUNK)
        await asyncio.wait_for(self._came.get(), 5)

    async def whole(self):
        self._more.put_nowait(b"")
        return await self.task

    async def waits(self):
        self._more.put_nowait(b" " * CHUNK)
        for _ in range(10):
            await asyncio.sleep(0)
        return self._came.empty()


async def test_what_is_parsed_from_a_body_keeps_its_room_and_what_is_dropped_gives_it_back(room):
    with Share(room) as share:
        text = msgspec.json.encode({"resource": LARGE})
        await share.grow(len(text))
        body = share.body([text])
    del share
    parsed = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    del body
    assert room.taken == len(text)
    parsed.clear()
    assert room.taken == 0


async def test_a_small_answer_neither_waits_nor_is_counted_once_it_is_whole(room):
    room.take(5 * CHUNK)
    large = Reading(room)
    assert await large.waits()
    with Share(room) as share:
        await share.grow(1_000)
        assert type(share.body([b" " * 1_000])) is bytes
    assert room.taken == 6 * CHUNK
    large.task.cancel()


async def test_beyond_the_bound_one_goes_on_and_the_others_follow_in_their_order(room):
    first, second, third = (Reading(room) for _ in range(3))
    for reading in (first, second):
        await reading.more()
    assert await first.waits()
    assert await third.waits()
    assert await second.waits()
    await asyncio.wait_for(first._came.get(), 5)
    await first.more()
    kept = await first.whole()
    await asyncio.wait_for(third._came.get(), 5)
    assert second._came.empty()
    body = await third.whole()
    await asyncio.wait_for(second._came.get(), 5)
    assert [len(one) for one in (kept, body, await second.whole())] == [3 * CHUNK, CHUNK, 2 * CHUNK]


async def test_who_waits_goes_on_once_a_body_is_dropped():
    room = Room(3 * CHUNK)
    first, second, third = (Reading(room) for _ in range(3))
    await first.more()
    await first.more()
    kept = [await first.whole()]
    del first
    await second.more()
    assert await third.waits()
    kept.clear()
    await asyncio.wait_for(third._came.get(), 5)
    for reading in (second, third):
        reading.task.cancel()


async def test_who_waits_no_longer_leaves_nothing_behind(room):
    first, second = Reading(room), Reading(room)
    await first.more()
    await first.more()
    assert await second.waits()
    for reading in (second, first):
        reading.task.cancel()
        await asyncio.wait({reading.task})
    assert room.taken == 0
    third = Reading(room)
    for _ in range(5):
        await third.more()
    assert len(await third.whole()) == 5 * CHUNK


async def test_a_source_for_which_there_is_no_room_in_its_time_is_timed_out_and_then_all_goes_on(start, fhir):
    server = await start()
    server.overrides["GET /x"] = fhir.answering(LARGE)
    async with Transport(in_flight=CHUNK) as transport:
        other = Reading(transport.room)
        await other.more()
        await other.more()
        source = Source(name="a", organisation="A", kind="k", base_url=server.base_url)
        channel = transport.open(source)
        now = asyncio.get_running_loop().time()
        with pytest.raises(SourceTimedOut):
            await channel.exchange(deadline=now + 0.3, correlation_id="c").get("/x")
        waiting = asyncio.create_task(channel.exchange(deadline=now + 10, correlation_id="c").get("/x"))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        body = await other.whole()
        assert msgspec.json.decode((await waiting).body) == LARGE
        assert len(body) == 2 * CHUNK


async def test_an_answer_that_is_too_large_gives_its_room_back(start, fhir):
    server = await start()
    server.overrides["GET /x"] = fhir.answering(LARGE)
    async with Transport() as transport:
        source = Source(name="a", organisation="A", kind="k", base_url=server.base_url)
        exchange = transport.open(source).exchange(deadline=asyncio.get_running_loop().time() + 5, correlation_id="c")
        exchange._bytes = CHUNK
        with pytest.raises(SourceTruncated):
            await exchange.get("/x")
        assert transport.room.taken == 0
