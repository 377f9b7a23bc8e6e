"""Work that pauses, so that the loop is never held for long."""

import asyncio
import time

import pytest

from broker.lookup.pace import paced


async def test_others_get_their_turn_while_long_work_is_done_and_its_result_comes_back():
    done = 0

    def work():
        nonlocal done
        for _ in range(20):
            until = time.perf_counter() + 0.001
            while time.perf_counter() < until:
                pass
            done += 1
            yield
        return "result"

    seen = []

    async def other():
        while done < 20:
            seen.append(done)
            await asyncio.sleep(0)

    watching = asyncio.ensure_future(other())
    assert await paced(work()) == "result"
    await watching
    assert len(set(seen)) >= 5


async def test_short_work_does_not_pause():
    turns = []
    asyncio.get_running_loop().call_soon(turns.append, 1)

    def work():
        yield
        yield

    assert await paced(work()) is None
    assert not turns


async def test_a_fault_of_the_work_comes_out():
    def work():
        yield
        raise KeyError

    with pytest.raises(KeyError):
        await paced(work())


async def test_being_cancelled_ends_the_work():
    ended = asyncio.Event()

    def work():
        try:
            while True:
                yield
        finally:
            ended.set()

    task = asyncio.ensure_future(paced(work()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    del task
    await ended.wait()
