"""What happens to one request, in order; and that every end of it is recorded once."""

import asyncio
import gc

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from adapters import errors
from adapters.contract import Identity
from broker.errors import (
    Conflict,
    IdentityNotConfirmed,
    JournalUnavailable,
    Overloaded,
    OwnRecord,
    PurposeNotPermitted,
    RegisterUnavailable,
    SourcesFailed,
)
from broker.lookup.service import Limits
from broker.lookup.values import Failed, Part, Started, Summary
from policies.values import Objection

OTHER = "9990000026"


@pytest.fixture
def trust(world, give):
    """The reader's own trust, and another; both answer in full."""
    world.add("RJ1", give.whole(give.allergy()))
    world.add("RJZ", give.whole(give.allergy(), give.observation()))
    return world


async def test_a_lookup_gives_its_parts_and_then_its_summary(trust):
    heard = await trust.look_up()
    assert [type(event) for event in heard.events] == [Part, Part, Summary]
    assert heard.statuses == {"RJ1-epr": "answered", "RJZ-epr": "answered"}
    assert heard.summary.complete
    assert trust.events(heard) == ["intent", "plan", "outcome"]
    outcome = trust.outcome(heard)
    assert (outcome["outcome"], outcome["complete"]) == ("released", True)
    assert [(row["source"], row["resources"]) for row in outcome["sources"]] == [("RJ1-epr", 1), ("RJZ-epr", 2)]
    assert outcome["policies"]
    assert outcome["policy_set"] == trust.policies.hash


async def test_a_stream_starts_with_its_plan_and_gives_each_part_when_it_is_ready(trust):
    heard = await trust.look_up("allergies", streaming=True)
    assert [type(event) for event in heard.events] == [Started, Part, Part, Summary]
    assert {row.status.value for row in heard.started.rows} == {"waiting"}
    assert trust.events(heard) == ["intent", "plan", "part", "part", "outcome"]
    assert "waiting" not in heard.statuses.values()


async def test_the_reply_holds_what_was_asked_and_no_place_of_it_is_missing(trust):
    heard = await trust.look_up("allergies")
    assert [one["resourceType"] for one in heard.released] == [
        "Patient",
        "AllergyIntolerance",
        "AllergyIntolerance",
        "Linkage",
    ]
    body = heard.summary.as_json()
    assert body["patient"]["nhs_number"] == trust.number
    assert body["required_met"] is True


# What is written comes before what is done


async def test_the_intent_is_durable_before_the_identity_service_is_asked(trust, give):
    trust.identity = give.identity()
    trust.held.hold()
    lookup = trust.begin()
    await trust.held.is_waiting()
    assert not trust.identity.asked
    trust.held.let_go()
    heard = await trust.hear(lookup)
    assert len(trust.identity.asked) == 1
    assert heard.statuses["identity"] == "answered"


@pytest.mark.parametrize("streaming", [False, True])
async def test_the_plan_is_durable_before_any_source_is_asked_or_named(trust, streaming):
    trust.held.hold()
    lookup = trust.begin(streaming=streaming)
    hearing = asyncio.ensure_future(trust.hear(lookup))
    await trust.held.is_waiting()
    assert not any(source.asked for source in trust.sources.values())
    assert lookup._events.empty()
    trust.held.let_go()
    assert (await hearing).summary.complete


async def test_the_plan_is_a_second_durable_line_where_an_identity_service_was_asked_first(trust, give):
    asked = asyncio.Event()

    async def before():
        trust.held.hold()
        asked.set()

    trust.identity = give.identity(before=before)
    lookup = trust.begin()
    await asked.wait()
    await trust.held.is_waiting()
    assert not any(source.asked for source in trust.sources.values())
    trust.held.let_go()
    assert (await trust.hear(lookup)).summary.complete


async def test_a_parts_line_is_durable_before_the_part_comes_out(world, give):
    gate = asyncio.Event()
    world.add("RJ1", give.these(gate.wait, give.patient(), give.allergy(), give.answered()))
    lookup = world.begin(streaming=True)
    events = aiter(lookup)
    assert isinstance(await anext(events), Started)
    world.held.hold()
    gate.set()
    await world.held.is_waiting()
    assert lookup._events.empty()
    world.held.let_go()
    assert isinstance(await anext(events), Part)
    assert "part" in world.events(lookup)
    assert isinstance([event async for event in events][-1], Summary)


@pytest.mark.parametrize("streaming", [False, True])
async def test_the_outcome_is_durable_before_the_reply_comes_out(world, give, streaming):
    gate = asyncio.Event()
    world.add("RJ1", give.these(gate.wait, give.patient(), give.allergy(), give.answered()))
    lookup = world.begin(streaming=streaming)
    events = aiter(lookup)
    if streaming:
        await anext(events)
        gate.set()
        world_hold = anext(events)  # the part
        await world_hold
    world.held.hold()
    gate.set()
    await world.held.is_waiting()
    assert not any(isinstance(event, Part | Summary) for event in lookup._events._queue)
    world.held.let_go()
    rest = [event async for event in events]
    assert isinstance(rest[-1], Summary)
    assert world.outcome(lookup)["outcome"] == "released"


async def test_a_refusal_is_durable_before_it_comes_out(trust):
    trust.held.hold()
    lookup = trust.begin(caller=trust.caller(purpose="HRESCH"))
    await trust.held.is_waiting()
    assert lookup._events.empty()
    trust.held.let_go()
    heard = await trust.hear(lookup)
    assert isinstance(heard.error, PurposeNotPermitted)


# Refused


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ({"purpose": "HRESCH"}, PurposeNotPermitted),
        ({"own_number": "9990000018"}, OwnRecord),
    ],
)
async def test_a_refusal_asks_nobody_and_is_recorded_with_its_code(trust, give, how, error):
    trust.identity = give.identity()
    heard = await trust.look_up(caller=trust.caller(**how))
    assert isinstance(heard.error, error)
    assert trust.events(heard) == ["intent", "outcome"]
    outcome = trust.outcome(heard)
    assert (outcome["outcome"], outcome["code"]) == ("refused", error.code)
    assert not trust.identity.asked
    assert not any(source.asked for source in trust.sources.values())


async def test_the_identity_services_other_date_of_birth_ends_it_before_any_source_is_asked(trust, give):
    trust.identity = give.identity(error=IdentityNotConfirmed())
    heard = await trust.look_up()
    assert isinstance(heard.error, IdentityNotConfirmed)
    assert trust.events(heard) == ["intent", "outcome"]
    assert (trust.outcome(heard)["outcome"], trust.outcome(heard)["code"]) == ("refused", "identity-not-confirmed")
    assert not any(source.asked for source in trust.sources.values())


async def test_another_date_of_birth_at_every_source_that_knows_the_number_is_a_conflict(world, give):
    world.add("RJ1", give.whole(birthDate="1950-01-01"))
    world.add("RJZ", give.whole(birthDate="1950-01-01"))
    world.add("RM1", give.these(errors.PatientNotFound()))
    world.add("RM2", give.these(errors.SourceFailed()))
    for streaming in (False, True):
        heard = await world.look_up(streaming=streaming)
        assert isinstance(heard.error, IdentityNotConfirmed)
        assert {row["source"]: row["status"] for row in heard.error.sources} == {
            "RJ1-epr": "wrong-patient",
            "RJZ-epr": "wrong-patient",
            "RM1-epr": "no-record-found",
            "RM2-epr": "failed",
        }
        assert world.outcome(heard)["outcome"] == "refused"
        assert world.events(heard).count("wrong-patient") == 2
        assert "1950-" not in str(world.records(heard))


async def test_another_date_of_birth_at_one_of_two_is_the_wrong_patient_there(world, give):
    world.add("RJ1", give.whole(give.allergy()))
    world.add("RJZ", give.whole(give.allergy(), birthDate="1950-01-01"))
    heard = await world.look_up("allergies")
    assert heard.statuses == {"RJ1-epr": "answered", "RJZ-epr": "wrong-patient"}
    assert not any("RJZ" in one["id"] for one in heard.released)
    (event,) = [record for record in world.records(heard) if record["event"] == "lookup.wrong-patient"]
    assert (event["source"], event["organisation"]) == ("RJZ-epr", "RJZ")


async def test_a_source_that_answers_about_somebody_else_is_no_conflict(world, give):
    world.add("RJ1", give.whole(number=OTHER))
    heard = await world.look_up("allergies")
    assert isinstance(heard.error, SourcesFailed)
    assert heard.statuses == {"RJ1-epr": "wrong-patient"}
    assert world.outcome(heard)["outcome"] == "failed"


async def test_nobody_looks_themselves_up_by_another_of_their_numbers(trust, give):
    trust.identity = give.identity(numbers=(trust.number, OTHER))
    heard = await trust.look_up(caller=trust.caller(own_number=OTHER))
    assert isinstance(heard.error, OwnRecord)
    assert not any(source.asked for source in trust.sources.values())


# Objections and identity


async def test_a_whole_objection_leaves_the_readers_own_records(trust, give):
    trust.objections = give.objections(Objection.UNDECIDED)
    trust.identity = give.identity(patient={"resourceType": "Patient", "name": [{"family": "Okafor"}]})
    heard = await trust.look_up()
    assert heard.statuses == {"identity": "withheld", "RJ1-epr": "answered", "RJZ-epr": "withheld"}
    assert not trust.sources["RJZ-epr"].asked
    assert not heard.summary.complete
    assert "Okafor" not in heard.text


async def test_an_objection_counts_under_every_number_of_the_patient(trust, give):
    trust.identity = give.identity(numbers=(trust.number, OTHER))
    trust.objections = give.objections(Objection.UPHELD, numbers=frozenset({OTHER}))
    heard = await trust.look_up()
    assert heard.statuses["RJZ-epr"] == "withheld"


async def test_an_objection_that_comes_while_the_identity_service_answers_is_honoured(trust, give):
    trust.objections = give.objections()

    async def before():
        trust.objections.stands = Objection.UNDECIDED

    trust.identity = give.identity(before=before)
    heard = await trust.look_up()
    assert heard.statuses["RJZ-epr"] == "withheld"


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("now", [Objection.UPHELD, Objection.UNDECIDED])
async def test_an_objection_that_comes_while_sources_answer_ends_the_lookup(trust, give, streaming, now):
    async def objects():
        trust.objections.stands = now

    trust.add("RM1", give.these(objects, give.patient(), give.allergy(), give.answered()))
    heard = await trust.look_up("allergies", streaming=streaming)
    assert isinstance(heard.error, Conflict)
    assert (trust.outcome(heard)["outcome"], trust.outcome(heard)["code"]) == ("refused", "conflict")
    assert not [part for part in heard.parts if part.row.source == "RM1-epr"]
    again = await trust.look_up("allergies", streaming=streaming)
    assert again.statuses == {"RJ1-epr": "answered", "RJZ-epr": "withheld", "RM1-epr": "withheld"}


@pytest.mark.parametrize("before", [Objection.UPHELD, Objection.NONE])
async def test_an_objection_that_goes_while_sources_answer_ends_nothing(trust, give, before):
    async def decided():
        trust.objections.stands = Objection.NOT_UPHELD

    trust.objections = give.objections(before)
    trust.add("RJ1", give.these(decided, give.patient(), give.allergy(), give.answered()))
    heard = await trust.look_up("allergies")
    assert heard.statuses["RJ1-epr"] == "answered"


async def test_a_register_that_nobody_heard_from_refuses_before_anybody_is_asked(trust, give):
    trust.objections = give.objections(RegisterUnavailable())
    trust.identity = give.identity()
    heard = await trust.look_up()
    assert isinstance(heard.error, RegisterUnavailable)
    assert (trust.outcome(heard)["outcome"], trust.outcome(heard)["code"]) == ("failed", "register-unavailable")
    assert not trust.identity.asked
    assert not any(source.asked for source in trust.sources.values())


async def test_sources_are_asked_by_every_number_that_the_identity_service_confirms(trust, give):
    trust.identity = give.identity(numbers=(trust.number, OTHER))
    await trust.look_up()
    assert trust.sources["RJZ-epr"].asked[0].identity == Identity(numbers=(trust.number, OTHER), birth_date=trust.born)


async def test_an_identity_service_without_an_answer_hides_the_home_and_is_not_complete(trust, give):
    trust.identity = give.identity(status="timed-out", restricted="unknown")
    heard = await trust.look_up("allergies")
    assert heard.statuses == {"identity": "timed-out", "RJ1-epr": "answered", "RJZ-epr": "answered"}
    assert not heard.summary.complete
    assert heard.summary.restrictions.location_hidden


# The caller goes away


STAGES = ["at once", "intent", "identity", "plan", "source", "read", "part", "outcome", "done"]


class Stage:
    """A lookup that stands still at one of its stages."""

    def __init__(self, world, give, stage):
        self.world, self.stage = world, stage
        self.reached = asyncio.Event()
        self.at_most_one = True

        async def identity():
            await self.stand("identity")
            if stage == "plan":
                world.held.hold()

        async def source():
            await self.stand("source")

        async def before_the_end():
            if stage in {"part", "outcome"}:
                world.held.hold()

        async def reads(_references):
            await self.stand("read")
            return
            yield

        observed = give.observation(encounter={"reference": "Encounter/e1"})
        fetch = give.these(source, give.patient(), observed, give.answered(), before_the_end)
        world.identity = give.identity(before=identity)
        world.add("RJ1", give.told(fetch, reads=reads))
        world.add("RJZ", give.whole(give.allergy()))

    async def stand(self, here):
        if self.stage == here:
            self.reached.set()
            await asyncio.get_running_loop().create_future()

    async def begin(self):
        """The lookup, at its stage."""
        held = self.stage in {"intent", "plan", "part", "outcome"}
        if self.stage == "intent":
            self.world.held.hold()
        lookup = self.world.begin("allergies", "results", streaming=self.stage == "part")
        if held:
            await self.world.held.is_waiting()
        elif self.stage == "done":
            await asyncio.wait([lookup.task])
        elif self.stage != "at once":
            await self.reached.wait()
        return lookup


@pytest.mark.parametrize("stage", STAGES)
async def test_a_caller_who_goes_away_ends_it_wherever_it_is_with_one_outcome(world, give, stage):
    lookup = await Stage(world, give, stage).begin()
    lookup.abandon()
    await give.settled()
    world.held.let_go()
    heard = await world.hear(lookup)
    if stage == "at once":
        return  # it never began: no intent, and nothing to answer for
    await world.journal.close()
    events = world.events(lookup)
    released = stage in {"outcome", "done"}
    assert world.outcome(lookup)["outcome"] == ("released" if released else "abandoned")
    assert events[-1] == ("not-delivered" if released else "outcome")
    assert not isinstance(heard.last, Summary) or released
    for told in world.sources.values():
        assert len(told.ended) == len(told.asked) + len(told.read_for)


@given(stage=st.sampled_from(STAGES), ticks=st.integers(0, 40), gone=st.sampled_from(["abandon", "close", "both"]))
async def test_there_is_one_outcome_for_every_intent_whenever_it_is_cut(worlds, give, stage, ticks, gone):
    async with worlds() as world:
        lookup = await Stage(world, give, stage).begin()
        for _ in range(ticks):
            await asyncio.sleep(0)
        if gone != "close":
            lookup.abandon()
        if gone != "abandon":
            closing = asyncio.ensure_future(world.service.close())
            await give.settled()
        world.held.let_go()
        heard = await world.hear(lookup)
        if gone != "abandon":
            await closing
        for told in world.sources.values():
            assert len(told.ended) == len(told.asked) + len(told.read_for)
        await world.journal.close()
        events = world.events(lookup)
        assert events.count("outcome") == events.count("intent")
        if isinstance(heard.last, Summary):
            assert world.outcome(lookup)["outcome"] == "released"
        elif events:
            outcome = world.outcome(lookup)["outcome"]
            cut = {"abandoned"} if gone == "abandon" else {"abandoned", "failed"}
            assert outcome in cut or events[-1] == "not-delivered"
        assert world.verified().ok, world.verified().faults


async def test_closing_while_a_release_is_being_written_says_that_it_reached_nobody(world, give):
    lookup = await Stage(world, give, "outcome").begin()
    closing = asyncio.ensure_future(world.service.close())
    while not lookup.task.cancelling():
        await asyncio.sleep(0.001)
    world.held.let_go()
    await closing
    assert isinstance((await world.hear(lookup)).error, Overloaded)
    await world.journal.close()
    assert world.outcome(lookup)["outcome"] == "released"
    assert world.events(lookup)[-1] == "not-delivered"


async def test_a_caller_who_goes_away_leaves_no_source_at_work(world, give):
    told = [world.add(code, give.these(give.patient(), give.never)) for code in ("RJ1", "RJZ", "RM1")]
    lookup = world.begin(streaming=True)
    for one in told:
        await one.began.wait()
    lookup.abandon()
    await world.hear(lookup)
    assert [one.ended for one in told] == [["CancelledError"]] * 3
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    outcome = world.outcome(lookup)
    assert [row["status"] for row in outcome["sources"]] == ["waiting"] * 3


async def test_what_was_known_when_the_caller_left_is_in_the_outcome(world, give):
    gate = asyncio.Event()
    world.add("RJ1", give.whole(give.allergy()))
    told = world.add("RJZ", give.these(gate.wait))
    lookup = world.begin("allergies", streaming=True)
    events = aiter(lookup)
    while not isinstance(await anext(events), Part):
        pass
    await told.began.wait()
    lookup.abandon()
    [_ async for _ in events]
    assert [row["status"] for row in world.outcome(lookup)["sources"]] == ["answered", "waiting"]


# The journal is lost


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("step", range(1, 6))
@pytest.mark.parametrize("for_good", [False, True])
async def test_wherever_the_journal_is_lost_nothing_more_is_released(worlds, give, step, streaming, for_good):
    async with worlds() as world:
        world.identity = give.identity()
        world.add("RJ1", give.whole(give.allergy()))
        first = world.held.syncs
        steps = 4 if streaming else 3
        world.held.fails = lambda count: count - first >= step if for_good else count - first == step
        lookup = world.begin("allergies", streaming=streaming)
        heard = await world.hear(lookup)
        if step > steps:
            assert isinstance(heard.last, Summary)
            return
        assert isinstance(heard.error, JournalUnavailable)
        assert not [event for event in heard.events if isinstance(event, Summary)]
        before = [event for event in heard.events if isinstance(event, Part)]
        assert len(before) == (1 if streaming and step == 4 else 0)
        if step == 1:
            assert not world.identity.asked
        if step <= 2:
            assert not any(source.asked for source in world.sources.values())
        world.held.fails = lambda _: False
        await world.service.close()
        while not world.journal.writable:
            await asyncio.sleep(0.001)
        await world.journal.record("authentication.refused", address=None, reason="expired", count=1)
        lookup.abandon()  # whoever did not wait for the error
        await world.journal.close()
        assert world.verified().ok, world.verified().faults
        if step > 1:
            assert world.outcome(lookup)["outcome"] == "failed"
            assert "not-delivered" not in world.events(lookup)


async def test_a_journal_lost_for_one_source_of_many_ends_all_of_them(world, give):
    gate = asyncio.Event()
    world.add("RJ1", give.these(gate.wait, give.patient(), give.answered()))
    told = world.add("RJZ", give.these(give.patient(), give.never))
    lookup = world.begin(streaming=True)
    events = aiter(lookup)
    await anext(events)
    await told.began.wait()
    world.held.fails = lambda _: True
    gate.set()
    last = [event async for event in events][-1]
    assert isinstance(last, Failed)
    assert isinstance(last.error, JournalUnavailable)
    assert told.ended == ["CancelledError"]


# Delivered


async def test_whether_the_bytes_left_is_said_once(trust):
    for told, line in (
        (lambda lookup: lookup.delivered(True), "delivered"),
        (lambda lookup: lookup.delivered(False), "not-delivered"),
        (lambda lookup: lookup.abandon(), "not-delivered"),
    ):
        heard = await trust.look_up()
        told(heard.lookup)
        heard.lookup.abandon()
        heard.lookup.delivered(True)
        await trust.journal.record("authentication.refused", address=None, reason="expired", count=1)
        assert trust.events(heard) == ["intent", "plan", "outcome", line]


# Many at once


async def test_more_lookups_than_a_node_takes_and_may_wait_are_turned_away(world, give):
    world.limits = Limits(concurrency=2, grace=0.01)
    gate = asyncio.Event()
    world.add("RJ1", give.these(gate.wait, give.patient(), give.answered()))
    running = [world.begin() for _ in range(4)]
    with pytest.raises(Overloaded) as refused:
        world.begin()
    assert refused.value.retry_after
    gate.set()
    for lookup in running:
        assert (await world.hear(lookup)).summary
    assert (await world.look_up()).summary


async def test_closing_lets_lookups_finish_and_ends_those_that_do_not(world, give):
    world.limits = Limits(grace=0.05)
    gate = asyncio.Event()
    world.add("RJ1", give.these(gate.wait, give.patient(), give.answered()))
    told = world.add("RJZ", give.these(give.patient(), give.never), categories=("results",))
    quick, endless = world.begin("allergies"), world.begin("results")
    await told.began.wait()
    gate.set()
    await world.service.close()
    assert endless.task.done()
    assert (await world.hear(quick)).summary.complete
    heard = await world.hear(endless)
    assert isinstance(heard.error, Overloaded)
    assert (world.outcome(endless)["outcome"], world.outcome(endless)["code"]) == ("failed", "overloaded")
    assert told.ended == ["CancelledError"]


async def test_a_fault_of_the_brokers_own_ends_it_without_a_detail(trust, give):
    trust.objections = give.objections(KeyError("Edith Okafor"))
    with structlog.testing.capture_logs() as logged:
        heard = await trust.look_up()
    assert heard.error.code == "failed"
    assert "Edith" not in str(heard.error)
    assert logged == [{"event": "lookup.fault", "error": "KeyError", "log_level": "error"}]
    assert trust.outcome(heard)["outcome"] == "failed"


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_lookup_leaves_nothing_of_a_record_behind(world, give, streaming):
    world.add("RJ1", give.whole(give.observation(note=[{"text": "left behind"}])))
    heard = await world.look_up(streaming=streaming)
    assert "left behind" in heard.text
    del heard
    gc.collect()
    notes = [one for one in gc.get_objects() if isinstance(one, dict) and one.get("note") == [{"text": "left behind"}]]
    assert not notes


# The same for all


@given(st.permutations(["RJ1", "RJZ", "RM1"]))
async def test_whole_or_as_it_arrives_in_whatever_order_it_is_the_same(worlds, give, order):
    texts = {}
    for streaming in (False, True):
        async with worlds() as world:
            gates = {code: asyncio.Event() for code in order}
            for code in order:
                world.add(
                    code,
                    give.these(
                        gates[code].wait, give.patient(), give.allergy(), give.observation(code), give.answered()
                    ),
                )
            lookup = world.begin(streaming=streaming)
            for code in order:
                gates[code].set()
                await give.settled()
            heard = await world.hear(lookup)
            texts[streaming] = heard.text
            if streaming:
                assert {part.row.source: part.row for part in heard.parts} == heard.rows
    assert texts[False] == texts[True]
    assert SEEN.setdefault("text", texts[True]) == texts[True]


SEEN: dict[str, str] = {}
