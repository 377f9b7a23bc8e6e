"""One answer is judged at a time, small ones first, and none waits for ever."""

import asyncio

import pytest

from broker.lookup.turns import Turns


class Line:
    """Answers that stand in line, and the order in which they had their turn."""

    def __init__(self):
        self.turns = Turns()
        self.had = []
        self.inside = set()
        self.tasks = {}

    def come(self, name, size, *, lends=None):
        go_on = asyncio.Event()
        self.tasks[name] = (asyncio.create_task(self._judge(name, size, go_on, lends)), go_on)

    async def _judge(self, name, size, go_on, lends):
        async with self.turns.of(size) as turn:
            await self._inside(name, go_on)
            if lends is not None:
                async with turn.lent():
                    await lends.wait()
                await self._inside(f"{name} again", go_on)

    async def _inside(self, name, go_on):
        self.had.append(name)
        self.inside.add(name)
        try:
            await go_on.wait()
        finally:
            self.inside.discard(name)

    async def finish(self, name):
        task, go_on = self.tasks[name]
        go_on.set()
        await task
        await settle()


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
async def line():
    made = Line()
    yield made
    for task, _ in made.tasks.values():
        task.cancel()
    await asyncio.gather(*(task for task, _ in made.tasks.values()), return_exceptions=True)


async def test_one_at_a_time_and_the_small_ones_first(line):
    line.come("first", 600_000)
    await settle()
    for name, size in (("large", 900_000), ("small", 6_000), ("middle", 60_000)):
        line.come(name, size)
    await settle()
    assert line.inside == {"first"}
    for name in ("first", "small", "middle", "large"):
        assert line.inside == {name}
        await line.finish(name)
    assert line.had == ["first", "small", "middle", "large"]


async def test_a_large_one_is_judged_beside_the_others_and_only_one_of_them(line):
    line.come("8 MB", 8_000_000)
    line.come("another", 8_000_000)
    line.come("60 KB", 60_000)
    await settle()
    assert line.inside == {"8 MB", "60 KB"}
    await line.finish("60 KB")
    await line.finish("8 MB")
    assert line.inside == {"another"}


async def test_who_waits_for_its_source_lends_its_turn(line):
    came = asyncio.Event()
    line.come("lacks", 60_000, lends=came)
    line.come("next", 60_000)
    line.come("last", 60_000)
    await settle()
    line.tasks["lacks"][1].set()
    await settle()
    assert line.inside == {"next"}
    came.set()
    await settle()
    assert line.inside == {"next"}
    await line.finish("next")
    await line.finish("last")
    await line.finish("lacks")
    assert line.had == ["lacks", "next", "lacks again", "last"]  # it has waited once already


@pytest.mark.parametrize("when", ["waiting", "called", "inside", "lending"])
async def test_who_is_cancelled_leaves_the_line_in_order(line, when):
    line.come("one", 60_000, lends=asyncio.Event() if when == "lending" else None)
    line.come("two", 60_000)
    line.come("three", 60_000)
    await settle()
    if when == "waiting":
        line.tasks["two"][0].cancel()
        await settle()
        await line.finish("one")
    elif when == "called":
        line.tasks["one"][1].set()
        await asyncio.sleep(0)
        line.tasks["two"][0].cancel()  # its turn has come, and it does not know it yet
    elif when == "inside":
        line.tasks["one"][0].cancel()
        await settle()
        await line.finish("two")
    else:
        line.tasks["one"][1].set()
        await settle()
        line.tasks["one"][0].cancel()
        await line.finish("two")
    await settle()
    assert line.inside == {"three"}
    await line.finish("three")
    line.come("four", 60_000)
    await settle()
    assert line.inside == {"four"}
