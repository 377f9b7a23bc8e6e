"""Python looks for cycles when little is there to look through, and never on its own."""

import asyncio
import gc

import pytest

from broker import collector
from broker.collector import collecting, decoded


class Loop:
    """Something that only the collector frees."""

    freed = 0

    def __init__(self):
        self.me = self

    def __del__(self):
        type(self).freed += 1


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(collector, "_EVERY", 0.01)
    monkeypatch.setattr(Loop, "freed", 0)
    yield
    gc.unfreeze()


async def freed():
    async with asyncio.timeout(10):
        while not Loop.freed:
            await asyncio.sleep(0.01)


async def test_it_collects_now_and_then_and_not_by_itself(quick):
    async with collecting():
        assert not gc.isenabled()
        Loop()
        await freed()
    assert gc.isenabled()


async def test_it_collects_once_an_answer_was_judged_and_not_while_it_is(quick):
    async with collecting():
        with decoded(8_000_000):
            Loop()
            for _ in range(20):
                await asyncio.sleep(0.01)
            assert not Loop.freed
        await freed()


async def test_it_does_not_wait_for_ever(quick, monkeypatch):
    monkeypatch.setattr(collector, "_PATIENCE", 1e6)
    async with collecting():
        with decoded(8_000_000):
            Loop()
            await freed()


async def test_many_new_objects_are_no_good_moment_either(quick, monkeypatch):
    monkeypatch.setattr(collector, "_FEW", 1_000)
    async with collecting():
        many = [[n] for n in range(5_000)]
        Loop()
        for _ in range(20):
            await asyncio.sleep(0.01)
        assert not Loop.freed
        many.clear()
        await freed()


async def test_nothing_is_collected_here_unless_it_is_asked_to(quick):
    with decoded(60_000):
        pass
    assert gc.isenabled()


async def test_very_many_new_objects_are_not_even_counted(quick, monkeypatch):
    monkeypatch.setattr(collector, "_FEW", 100)
    looks = []
    monkeypatch.setattr(gc, "get_objects", lambda generation: looks.append(generation) or [])
    async with collecting():
        many = [[n] for n in range(50_000)]
        Loop()
        for _ in range(20):
            await asyncio.sleep(0.01)
        assert not looks
        many.clear()
        await freed()
