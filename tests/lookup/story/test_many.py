"""Many lookups on one node: who waits, what is counted, and what an adapter that hangs on can't do."""

import asyncio

import pytest
import structlog

from adapters.contract import Learned
from adapters.errors import SourceBusy, SourceFailed
from adapters.findings import Finding
from broker.errors import Overloaded, TooManyRequests
from broker.lookup import Limits, Quota, Quotas
from broker.lookup.values import Status


class Gated:
    """A source that answers once the gate is open."""

    def __init__(self, world, give, code="RJ1"):
        self.gate = asyncio.Event()
        self.told = world.add(code, give.these(self.gate.wait, give.patient(), give.allergy(), give.answered()))


async def test_one_more_than_a_node_runs_waits_for_its_turn_without_asking_anybody(world, give):
    world.limits = Limits(concurrency=2, grace=0.01)
    world.identity = give.identity()
    source = Gated(world, give)
    first, second, third = world.begin(), world.begin(), world.begin()
    async with asyncio.timeout(5):
        while len(source.told.asked) < 2:
            await asyncio.sleep(0.001)
    await give.settled()
    assert len(world.identity.asked) == 2
    source.gate.set()
    for lookup in (first, second, third):
        assert (await world.hear(lookup)).summary.complete
    assert len(world.identity.asked) == 3


async def test_a_turn_that_does_not_come_is_refused_in_time_and_recorded(world, give):
    world.limits = Limits(concurrency=1, grace=0.01)
    source = Gated(world, give)
    running = world.begin()
    heard = await world.look_up(timeout=0.2)
    assert isinstance(heard.error, Overloaded)
    assert heard.error.retry_after
    assert world.events(heard) == ["intent", "outcome"]
    assert (world.outcome(heard)["outcome"], world.outcome(heard)["code"]) == ("failed", "overloaded")
    source.gate.set()
    assert (await world.hear(running)).summary


async def test_one_who_may_not_ask_does_not_wait_to_hear_it(world, give):
    world.limits = Limits(concurrency=1, grace=0.01)
    source = Gated(world, give)
    running = world.begin()
    heard = await world.look_up(caller=world.caller(role="R0000"))
    assert heard.error.code == "role-not-permitted"
    source.gate.set()
    assert (await world.hear(running)).summary


async def test_a_caller_who_leaves_the_queue_frees_its_place(world, give):
    world.limits = Limits(concurrency=1, grace=0.01)
    source = Gated(world, give)
    running, leaving = world.begin(), world.begin()
    await give.settled()
    leaving.abandon()
    await world.hear(leaving)
    assert world.outcome(leaving)["outcome"] == "abandoned"
    waiting = world.begin()
    source.gate.set()
    assert (await world.hear(running)).summary
    assert (await world.hear(waiting)).summary


def held(world):
    return world.service._admission.claimed


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("arrived", [False, True])
async def test_what_a_lookup_holds_counts_until_its_reply_has_left(world, give, streaming, arrived):
    world.add("RJ1", give.whole(give.allergy(note=[{"text": "x" * 5000}])))
    heard = await world.look_up(streaming=streaming)
    entries = sum(len(entry.content) for part in heard.parts for entry in part.entries)
    assert entries > 5000
    assert held(world) == (0 if streaming else entries), "a stream's parts have left; a whole reply has not"
    heard.lookup.delivered(arrived)
    assert held(world) == 0
    heard.lookup.delivered(arrived)
    assert held(world) == 0


async def test_what_has_arrived_counts_while_it_waits_to_be_judged(world, give):
    world.limits = Limits(grace=0.01, memory=10)
    gate = asyncio.Event()
    large = give.allergy(note=[{"text": "x" * 2_000_000}])
    world.add("RJ1", give.these(give.patient(), large, gate.wait, give.answered()))
    lookup = world.begin()
    async with asyncio.timeout(5):
        while held(world) < 2_000_000:
            await asyncio.sleep(0)
    gate.set()
    (await world.hear(lookup)).lookup.delivered(True)
    assert held(world) == 0


@pytest.mark.parametrize("how", ["leaves", "fails", "refused", "crashes"])
async def test_however_a_lookup_ends_nothing_is_held_for_it(world, give, how):
    source = Gated(world, give)
    if how == "fails":
        world.add("RJ1", give.these(SourceFailed("status 500")))
    if how == "crashes":
        world.objections = give.objections(KeyError())
    lookup = world.begin(caller=world.caller(relationship=None) if how == "refused" else None)
    if how == "leaves":
        await source.told.began.wait()
        lookup.abandon()
    heard = await world.hear(lookup)
    assert heard.error
    assert held(world) == 0
    await world.service.close()


async def test_a_person_with_too_many_lookups_is_refused_and_let_in_again_when_some_have_ended(world, give):
    source = Gated(world, give)
    world.service._quotas = Quotas(
        user=Quota(per_minute=100, at_once=2), organisation=Quota(per_minute=100, at_once=100)
    )
    running = [world.begin(), world.begin()]
    with pytest.raises(TooManyRequests):
        world.begin()
    source.gate.set()
    replies = [await world.hear(lookup) for lookup in running]
    await give.settled()
    with pytest.raises(TooManyRequests):
        world.begin()  # what nobody has taken yet is held in memory, and is theirs
    replies[0].lookup.delivered(True)
    assert (await world.look_up()).summary


async def test_once_it_stops_no_lookup_is_begun_and_those_that_run_finish(world, give):
    world.limits = Limits(grace=5.0)
    source = Gated(world, give)
    running = world.begin()
    await source.told.began.wait()
    assert world.service.taking
    closing = asyncio.create_task(world.service.close())
    await give.settled()
    assert not world.service.taking
    with pytest.raises(Overloaded) as refused:
        world.begin()
    assert refused.value.retry_after
    source.gate.set()
    heard = await world.hear(running)
    assert heard.summary.complete
    await give.settled()
    assert not closing.done(), "its reply has not left"
    heard.lookup.delivered(True)
    await closing


async def test_whoever_is_in_a_hurry_cuts_the_grace_time_short(world, give):
    world.limits = Limits(grace=3600.0)
    source = Gated(world, give)
    running = world.begin()
    await source.told.began.wait()
    hurry = asyncio.Event()
    closing = asyncio.create_task(world.service.close(hurry))
    await give.settled()
    hurry.set()
    async with asyncio.timeout(2):
        await closing
    error = (await world.hear(running)).error
    assert isinstance(error, Overloaded)
    assert "being stopped" in error.message
    assert (world.outcome(running)["outcome"], world.outcome(running)["code"]) == ("failed", "overloaded")
    assert [row["status"] for row in world.outcome(running)["sources"]] == ["waiting"]


# What a source asked for


@pytest.mark.parametrize(
    ("error", "status"),
    [(SourceBusy("", retry_after=30.0), "busy"), (SourceFailed("status 503", retry_after=30.0), "paused")],
    ids=["429", "503"],
)
async def test_a_source_that_said_when_to_come_back_is_not_asked_before_and_its_row_says_so(world, give, error, status):
    throttled = world.add("RJ1", give.these(error))
    world.add("RJZ", give.whole())
    first = await world.look_up()
    assert first.rows["RJ1-epr"].retry_after_s == 30
    asked = len(throttled.asked)
    second = await world.look_up()
    assert second.statuses == {"RJ1-epr": status, "RJZ-epr": "no-record-found"}
    assert 1 <= second.rows["RJ1-epr"].retry_after_s <= 30
    assert second.rows["RJ1-epr"].notes
    assert len(throttled.asked) == asked


async def test_a_source_that_fails_is_told_of_once_however_many_ask_it(world, give):
    world.add("RJ1", give.these(SourceFailed("status 500 for 9990000018")))
    world.add("RJZ", give.whole(give.allergy()))
    with structlog.testing.capture_logs() as said:
        for _ in range(4):
            assert (await world.look_up()).rows["RJ1-epr"].status == "failed"
    assert said == [{"event": "source.failed", "source": "RJ1-epr", "status": "failed", "log_level": "warning"}]


@pytest.mark.parametrize(("finding", "rests"), [(Finding.FAILED, False), (Finding.BUSY, True)], ids=["503", "429"])
async def test_one_search_that_fails_for_a_while_does_not_take_the_source_from_everybody(world, give, finding, rests):
    part = Learned(frozenset({"Goal"}), finding, retry_after=30.0)
    told = world.add("RJ1", give.these(give.patient(), part, give.answered()))
    first = await world.look_up()
    assert first.rows["RJ1-epr"].retry_after_s == 30
    await world.look_up("allergies")
    assert len(told.asked) == (1 if rests else 2)


async def test_a_lookup_that_probes_and_is_left_lets_the_next_probe(world, give):
    """Half open, through real lookups: one asks, the others do not, and a caller who goes away blocks nobody."""
    gate = asyncio.Event()
    source = world.add("RJ1", give.these(gate.wait, give.patient(), give.answered()))
    base = world.registry.organisations["RJ1"].sources[0].source.base_url
    breakers = world.service._rooms.breakers
    now = asyncio.get_running_loop().time
    for _ in range(5):
        breakers.note(breakers.enter(base), Status.FAILED)
    breakers._breakers[base].until = now()
    probing = world.begin("allergies")
    await source.began.wait()
    assert (await world.look_up("allergies")).error.sources[0]["status"] == "paused"
    probing.abandon()
    await world.hear(probing)
    next_one = world.begin("allergies")
    await give.settled()
    assert (await world.look_up("allergies")).error.sources[0]["status"] == "paused"
    gate.set()
    assert (await world.hear(next_one)).statuses == {"RJ1-epr": "no-record-found"}
    assert (await world.look_up("allergies")).statuses == {"RJ1-epr": "no-record-found"}


# An adapter that does not let itself be cancelled


class Stubborn:
    """Swallows every cancellation until it is told to end; then it gives more."""

    def __init__(self, give):
        self.give = give
        self.end = asyncio.Event()
        self.ended = asyncio.Event()
        self.went_on = False
        self.asked = []
        self.began = asyncio.Event()

    async def fetch(self, request):
        self.asked.append(request)
        yield self.give.patient()
        self.began.set()
        while not self.end.is_set():
            try:
                await self.end.wait()
            except asyncio.CancelledError:
                continue
        try:
            yield Learned(request.types, Finding.ANSWERED)
            self.went_on = True
        finally:
            self.ended.set()

    async def read(self, _request, _references):
        return
        yield


@pytest.fixture
async def stubborn(world, give):
    one = Stubborn(give)
    world.add("RJ1", give.whole())
    world.sources["RJ1-epr"] = one
    world.add("RJZ", give.whole(give.allergy()))
    yield one
    one.end.set()  # or the loop would wait for it for ever
    await give.settled()


async def test_an_adapter_that_swallows_its_cancellation_costs_its_source_and_not_the_deadline(world, give, stubborn):
    began = asyncio.get_running_loop().time()
    with structlog.testing.capture_logs() as logged:
        heard = await world.look_up(timeout=0.4)
    assert asyncio.get_running_loop().time() - began < 2
    assert heard.statuses == {"RJ1-epr": "timed-out", "RJZ-epr": "answered"}
    assert {"event": "adapter.outlasted", "adapter": "Stubborn", "log_level": "error"} in logged
    stubborn.end.set()
    await stubborn.ended.wait()
    await give.settled()
    assert heard.statuses["RJ1-epr"] == "timed-out", "what comes now does not count"
    assert not stubborn.went_on, "nobody takes what it gives, and it is closed"


async def test_it_does_not_hold_up_a_caller_who_leaves_either(world, give, stubborn):
    lookup = world.begin()
    await stubborn.began.wait()
    lookup.abandon()
    async with asyncio.timeout(2):
        await world.hear(lookup)
    assert world.outcome(lookup)["outcome"] == "abandoned"
    stubborn.end.set()
    await stubborn.ended.wait()
    await give.settled()
