"""What one source's answer, silence or fault becomes, and what it does to the others."""

import asyncio

import pytest
import structlog

from adapters import errors
from adapters.contract import Learned, Resource, Unread
from adapters.findings import Finding
from broker.errors import SourcesFailed, SourcesTimedOut
from broker.lookup import breaker as breakers
from broker.lookup import sources
from broker.lookup.judging import judge, reading

LEAVES = {
    errors.SourceFailed: "failed",
    errors.SourceRefused: "refused",
    errors.SourceUnreachable: "unreachable",
    errors.SourceTimedOut: "timed-out",
    errors.SourceBusy: "busy",
    errors.SourceMalformed: "malformed",
    errors.SourceTruncated: "truncated",
    errors.AdapterError: "failed",
}


@pytest.fixture
def trust(world, give):
    """The reader's own trust, which answers in full."""
    world.add("RJ1", give.whole(give.allergy()))
    return world


def categories(row):
    return {name: one.status.value for name, one in row.categories.items()}


# Errors


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.__name__)
async def test_each_error_of_an_adapter_becomes_its_status_in_every_category(trust, give, leaf):
    trust.add("RJZ", give.these(leaf("a note", retry_after=1.2)))
    heard = await trust.look_up("allergies", "results")
    row = heard.rows["RJZ-epr"]
    assert row.status.value == LEAVES[leaf]
    assert set(categories(row).values()) == {LEAVES[leaf]}
    assert row.retry_after_s == 2
    assert "a note" in row.notes
    assert not heard.summary.complete
    assert heard.statuses["RJ1-epr"] == "answered"


@pytest.mark.parametrize("fault", [KeyError("Edith Okafor"), ZeroDivisionError(), asyncio.CancelledError()])
async def test_a_fault_of_an_adapter_costs_its_source_and_is_logged_without_content(trust, give, fault):
    trust.add("RJZ", give.these(give.patient(), give.allergy(), fault))
    with structlog.testing.capture_logs() as logged:
        heard = await trust.look_up("allergies")
    assert heard.statuses == {"RJ1-epr": "answered", "RJZ-epr": "failed"}
    assert logged == [
        {"event": "adapter.fault", "adapter": "Told", "error": type(fault).__name__, "log_level": "error"},
        {"event": "source.failed", "source": "RJZ-epr", "status": "failed", "log_level": "warning"},
    ]
    assert heard.summary.restrictions.location_hidden


class _Odd(errors.AdapterError):
    finding = Finding.ANSWERED


@pytest.mark.parametrize(
    "given",
    [
        Resource(5),
        Resource("{}" * 20_000),
        Resource(b'{"resourceType":"Observation"}', full_url=5),
        Resource(b"{}", None),
        Resource({"resourceType": "Observation", "id": "1", "status": object()}),
        Learned(frozenset({"Flag"}), None),
        Learned(None, Finding.ANSWERED),
        Learned(frozenset({"Flag"}), Finding.ANSWERED, notes=(5,)),
        _Odd(),
        errors.SourceFailed(b"x"),
        errors.SourceFailed(retry_after="5"),
        errors.SourceFailed(retry_after=float("nan")),
        errors.SourceFailed(retry_after=float("inf")),
    ],
    ids=lambda given: type(given).__name__,
)
async def test_what_does_not_keep_the_contract_costs_its_source_alone(trust, give, given):
    trust.add("RJZ", give.these(give.patient(), give.observation(), given, give.answered()))
    heard = await trust.look_up("allergies", "results")
    assert heard.statuses["RJ1-epr"] == "answered"
    assert heard.rows["RJZ-epr"].status.value in {"failed", "truncated"}
    assert heard.rows["RJZ-epr"].retry_after_s is None


async def test_what_can_not_be_judged_costs_its_source_and_is_logged_by_type_alone(trust, give, monkeypatch):
    def broken(resources, *items):
        if "broken" in str([one.content for one in resources]):
            raise KeyError("Edith Okafor")
        return (yield from reading.read(resources, *items))

    monkeypatch.setattr(judge, "read", broken)
    trust.add("RJZ", give.whole(give.observation("broken")))
    with structlog.testing.capture_logs() as logged:
        heard = await trust.look_up("allergies", "results")
    assert heard.statuses == {"RJ1-epr": "answered", "RJZ-epr": "failed"}
    assert heard.rows["RJZ-epr"].resources == 0
    assert {"event": "source.unjudged", "source": "RJZ-epr", "error": "KeyError", "log_level": "error"} in logged


async def test_resources_may_come_many_at_once(trust, give):
    trust.add("RJZ", give.these([give.patient(), give.allergy()], [], (give.observation(),), give.answered()))
    heard = await trust.look_up("allergies", "results")
    assert heard.rows["RJZ-epr"].resources == 2


@pytest.mark.parametrize("given", [{"resourceType": "Observation"}, ["x"], None, "Observation"])
async def test_what_is_no_resource_and_no_finding_costs_the_source_that_gave_it(trust, give, given):
    told = trust.add("RJZ", give.these(give.patient(), given, give.answered()))
    with structlog.testing.capture_logs() as logged:
        heard = await trust.look_up("allergies")
    assert heard.statuses == {"RJ1-epr": "answered", "RJZ-epr": "failed"}
    assert told.ended == ["GeneratorExit"]
    assert [line["event"] for line in logged] == ["adapter.fault", "source.failed"]


async def test_a_fault_while_reading_costs_what_depends_on_it_alone(trust, give):
    async def broken(_references):
        raise KeyError("Edith Okafor")
        yield

    told = trust.add(
        "RJZ",
        give.told(
            give.whole(give.observation(encounter={"reference": "Encounter/e1"}), give.observation("o2")), reads=broken
        ),
    )
    with structlog.testing.capture_logs() as logged:
        heard = await trust.look_up("results")
    assert told.read_for == [("Encounter/e1",)]
    assert heard.statuses["RJZ-epr"] == "truncated"
    assert heard.rows["RJZ-epr"].resources == 1
    assert [line["error"] for line in logged] == ["KeyError"]


def _gives(what):
    """What reads a source with this one word to say."""

    async def reads(_references):
        if isinstance(what, Exception):
            raise what
        if what == "slow":
            await asyncio.get_running_loop().create_future()
        if what is not None:
            yield what

    return reads


@pytest.mark.parametrize(
    "what",
    [
        *(
            Unread("Encounter/e1", one)
            for one in (Finding.FAILED, Finding.BUSY, Finding.REFUSED, Finding.TIMED_OUT, Finding.MALFORMED)
        ),
        errors.SourceFailed("status 503"),
        errors.SourceUnreachable(connected=True),
        "slow",
        None,
        Resource(b"{"),
    ],
    ids=repr,
)
async def test_what_depends_on_what_could_not_be_read_is_left_out_and_its_row_says_so(trust, give, what):
    results = give.observation(encounter={"reference": "Encounter/e1"}), give.observation("o2")
    trust.add("RJZ", give.told(give.whole(*results), reads=_gives(what)), timeout=0.3)
    heard = await trust.look_up("results")
    row = heard.rows["RJZ-epr"]
    assert (row.status.value, row.resources) == ("truncated", 1)
    assert any("was not read" in note for note in row.notes)
    assert not heard.summary.complete


async def test_what_depends_on_what_a_source_says_is_not_there_is_released(trust, give):
    absent = _gives(Unread("Encounter/e1", Finding.ANSWERED))
    trust.add("RJZ", give.told(give.whole(give.observation(encounter={"reference": "Encounter/e1"})), reads=absent))
    heard = await trust.look_up("results")
    assert (heard.statuses["RJZ-epr"], heard.rows["RJZ-epr"].resources) == ("answered", 1)
    assert heard.summary.complete


# Knowing nobody


async def test_a_source_that_does_not_know_the_patient_has_no_record(trust, give):
    trust.add("RJZ", give.these(errors.PatientNotFound()))
    heard = await trust.look_up("allergies")
    assert categories(heard.rows["RJZ-epr"]) == {"allergies": "no-record-found"}
    assert heard.summary.complete


async def test_a_registered_practice_that_does_not_know_its_patient_says_so(trust, give):
    trust.add("G1", give.these(errors.PatientNotFound()), kind="gp-practice")
    heard = await trust.look_up("allergies", caller=trust.caller(registered_practice="G1"))
    assert categories(heard.rows["G1-epr"]) == {"allergies": "patient-not-found"}
    assert not heard.summary.complete
    heard = await trust.look_up("allergies")
    assert heard.statuses["G1-epr"] == "no-record-found"


# All of them


async def test_when_all_fail_it_is_an_error_with_every_row(world, give):
    world.add("RJ1", give.these(errors.SourceBusy(retry_after=7)))
    world.add("RJZ", give.these(errors.SourceTimedOut()))
    world.add("RM1", give.whole(), categories=("documents",))
    heard = await world.look_up("allergies")
    assert isinstance(heard.error, SourcesFailed)
    assert heard.error.retry_after == 7
    assert [row["source"] for row in heard.error.sources] == ["RJ1-epr", "RJZ-epr", "RM1-epr"]
    assert heard.statuses == {"RJ1-epr": "busy", "RJZ-epr": "timed-out", "RM1-epr": "not-provided"}
    outcome = world.outcome(heard)
    assert (outcome["outcome"], outcome["code"], outcome["complete"]) == ("failed", "sources-failed", False)
    assert [row["status"] for row in outcome["sources"]] == ["busy", "timed-out", "not-provided"]


async def test_when_all_run_out_of_time_it_is_that(world, give):
    world.add("RJ1", give.these(errors.SourceTimedOut()))
    world.add("RJZ", give.these(errors.SourceTimedOut()))
    heard = await world.look_up("allergies")
    assert isinstance(heard.error, SourcesTimedOut)
    assert world.outcome(heard)["code"] == "sources-timed-out"


async def test_one_that_does_not_know_the_patient_did_answer(world, give):
    world.add("RJ1", give.these(errors.SourceFailed()))
    world.add("RJZ", give.these(errors.PatientNotFound()))
    heard = await world.look_up("allergies")
    assert not heard.summary.complete


async def test_where_none_was_to_be_asked_the_rows_say_it_all(world, give):
    told = world.add("RJ1", give.whole(), categories=("documents",))
    heard = await world.look_up("allergies")
    assert heard.summary.complete
    assert heard.statuses == {"RJ1-epr": "not-provided"}
    assert not told.asked


async def test_a_world_without_a_source_is_not_complete(world):
    world.add("RJ1")
    heard = await world.look_up("allergies")
    assert not heard.summary.complete
    assert not heard.last.rows


# Required


async def test_what_is_required_must_be_asked_and_definite(trust, give):
    trust.add("RJZ", give.these(errors.SourceFailed()))
    trust.add("RM1", give.whole(), agreement=give.lapsed)
    for required, met in (((), True), (("RJ1",), True), (("RJ1", "RJZ"), False), (("RM1",), False), (("G1",), False)):
        heard = await trust.look_up("allergies", require=frozenset(required))
        assert heard.summary.required_met is met
        assert heard.statuses["RJ1-epr"] == "answered"


# Time


async def test_a_source_that_never_answers_is_cut_and_its_generator_closed(trust, give):
    told = trust.add("RJZ", give.these(give.patient(), give.never), timeout=0.02)
    heard = await trust.look_up("allergies")
    assert heard.statuses == {"RJ1-epr": "answered", "RJZ-epr": "timed-out"}
    assert told.ended == ["CancelledError"]
    assert heard.rows["RJZ-epr"].notes[0].startswith("no full answer in ")


async def test_a_callers_shorter_deadline_cuts_them_all(world, give):
    told = [world.add(code, give.these(give.patient(), give.never), timeout=60) for code in ("RJ1", "RJZ")]
    heard = await world.look_up("allergies", timeout=0.02)
    assert isinstance(heard.error, SourcesTimedOut)
    assert [one.ended for one in told] == [["CancelledError"]] * 2


async def test_a_caller_may_only_shorten_the_deadline_and_a_share_of_it_is_kept(world, give):
    told = world.add("RJ1", give.whole(), timeout=60)
    loop = asyncio.get_running_loop()
    for asked_for, counts in ((None, 5.0), (2.0, 2.0), (60.0, 5.0)):
        began = loop.time()
        await world.look_up("allergies", timeout=asked_for)
        given = told.asked[-1].deadline - began
        assert 0.85 * counts <= given <= 0.85 * counts + (loop.time() - began)


async def test_a_source_gets_no_more_than_its_own_time(world, give):
    told = world.add("RJ1", give.whole(), timeout=1.0)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await world.look_up("allergies")
    assert 1.0 <= told.asked[0].deadline - began <= 1.0 + (loop.time() - began)


async def test_what_a_cut_source_had_finished_is_given_once_its_context_was_whole(trust, give):
    trust.add(
        "RJZ",
        give.these(
            give.patient(),
            give.answered("Patient", *give.context),
            give.allergy(),
            give.answered("AllergyIntolerance"),
            give.observation(),
            give.never,
        ),
        timeout=0.02,
    )
    heard = await trust.look_up("allergies", "results", "problems", "medications")
    assert categories(heard.rows["RJZ-epr"]) == {
        "allergies": "answered",
        "results": "timed-out",
        "problems": "no-record-found",
        "medications": "timed-out",
    }
    assert heard.statuses["RJZ-epr"] == "timed-out"
    types = [one["resourceType"] for one in heard.released if "RJZ" in one["id"]]
    assert types == ["AllergyIntolerance", "Observation"]


async def test_before_its_context_was_whole_nothing_of_it_is(trust, give):
    most = sorted(give.context)[1:]
    trust.add(
        "RJZ",
        give.these(give.patient(), give.answered("Patient", "AllergyIntolerance", *most), give.allergy(), give.never),
        timeout=0.02,
    )
    heard = await trust.look_up("allergies", "results")
    assert set(categories(heard.rows["RJZ-epr"]).values()) == {"timed-out"}
    assert not [one for one in heard.released if "RJZ" in one["id"]]


async def test_what_a_source_says_of_a_type_holds_also_where_its_end_is_an_error(trust, give):
    trust.add(
        "RJZ",
        give.these(
            give.patient(),
            give.answered("Patient", *give.context),
            give.answered("Observation", finding=Finding.BUSY, retry_after=3),
            give.allergy(),
            give.answered("AllergyIntolerance"),
            errors.SourceUnreachable(),
        ),
    )
    heard = await trust.look_up("allergies", "results", "medications")
    row = heard.rows["RJZ-epr"]
    assert categories(row) == {"allergies": "answered", "results": "unreachable", "medications": "unreachable"}


async def test_a_source_that_ends_without_a_word_on_a_type_is_malformed_there(trust, give):
    trust.add(
        "RJZ",
        give.these(give.patient(), give.answered("Patient", "AllergyIntolerance", *give.context), give.allergy()),
    )
    heard = await trust.look_up("allergies", "immunisations")
    assert categories(heard.rows["RJZ-epr"]) == {"allergies": "answered", "immunisations": "malformed"}


async def test_a_slow_read_at_one_source_does_not_hold_up_the_others(trust, give):
    reading, may_end = asyncio.Event(), asyncio.Event()

    async def slowly(_references):
        reading.set()
        await may_end.wait()
        return
        yield

    trust.add("RA1", give.told(give.whole(give.observation(encounter={"reference": "Encounter/e1"})), reads=slowly))
    trust.add("RJZ", give.these(reading.wait, give.patient(), give.allergy(), give.answered()))
    lookup = trust.begin("allergies", "results", streaming=True)
    arrived = []
    async with asyncio.timeout(2):
        async for event in lookup:
            arrived.append(event)
            if hasattr(event, "row") and event.row.source == "RJZ-epr":
                may_end.set()
    assert [event.row.source for event in arrived[1:-1]] == ["RJ1-epr", "RJZ-epr", "RA1-epr"]


async def test_a_lookup_that_is_cancelled_while_sources_wait_to_be_judged_ends_as_abandoned(trust, give):
    reading = asyncio.Event()

    async def never(_references):
        reading.set()
        await give.never()
        yield

    for code in ("RA1", "RA2", "RA3"):
        trust.add(code, give.told(give.whole(give.observation(encounter={"reference": "Encounter/e1"})), reads=never))
    lookup = trust.begin("results")
    await reading.wait()
    await give.settled()
    lookup.abandon()
    heard = await trust.hear(lookup)
    assert trust.outcome(heard)["outcome"] == "abandoned"


# Breakers


class Clock:
    """Of breakers: it stands still until it is told."""

    def __init__(self):
        self.time = 1000.0

    def __call__(self):
        return self.time


@pytest.fixture
def clock(world, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(breakers.random, "uniform", lambda _low, _high: 1.0)
    world.use_clock = lambda: setattr(world.service._rooms.breakers, "_now", clock)
    return clock


async def trip(world, *, times=5):
    for _ in range(times):
        await world.look_up("allergies")


async def test_a_source_that_fails_again_and_again_is_paused_and_says_until_when(trust, give, clock):
    told = trust.add("RJZ", give.these(errors.SourceFailed()))
    trust.use_clock()
    await trip(trust)
    heard = await trust.look_up("allergies")
    row = heard.rows["RJZ-epr"]
    assert row.status.value == "paused"
    assert row.retry_after_s == 1
    assert categories(row) == {"allergies": "paused"}
    assert len(told.asked) == 5
    assert heard.statuses["RJ1-epr"] == "answered"


async def test_after_a_pause_one_lookup_alone_tries_it(world, give, clock):
    may_answer = asyncio.Event()
    fails = True

    async def fetch(_request):
        if fails:
            raise errors.SourceFailed
        await may_answer.wait()
        yield give.patient()
        yield give.answered()

    told = world.add("RJ1", fetch)
    world.use_clock()
    await trip(world)
    fails = False
    clock.time += 1.1
    lookups = [world.begin("allergies") for _ in range(4)]
    heard = [asyncio.ensure_future(world.hear(lookup)) for lookup in lookups]
    while sum(one.done() for one in heard) < 3:
        await asyncio.wait([one for one in heard if not one.done()], return_when=asyncio.FIRST_COMPLETED)
    others = [one.result() for one in heard if one.done()]
    assert len(told.asked) == 6
    assert {type(one.error) for one in others} == {SourcesFailed}
    assert {one.statuses["RJ1-epr"] for one in others} == {"paused"}
    may_answer.set()
    answers = [one.statuses["RJ1-epr"] for one in await asyncio.gather(*heard)]
    assert sorted(answers) == ["no-record-found", "paused", "paused", "paused"]
    assert (await world.look_up("allergies")).summary.complete


async def test_a_probe_that_its_caller_gave_up_leaves_the_next_one_free(world, give, clock):
    fails = True

    async def fetch(_request):
        if fails:
            raise errors.SourceFailed
        await give.never()
        yield

    told = world.add("RJ1", fetch)
    world.use_clock()
    await trip(world)
    fails = False
    clock.time += 1.1
    for _ in range(2):
        told.began.clear()
        lookup = world.begin("allergies")
        await told.began.wait()
        lookup.abandon()
        await world.hear(lookup)


async def test_a_deadline_that_a_caller_shortened_says_nothing_of_a_source(world, give):
    told = world.add("RJ1", give.these(give.never), timeout=60)
    for _ in range(7):
        heard = await world.look_up("allergies", timeout=0.001)
        assert isinstance(heard.error, SourcesTimedOut)
    assert len(told.asked) == 7


async def test_when_all_are_paused_it_is_an_error_that_says_when_to_try_again(world, give, clock):
    world.add("RJ1", give.these(errors.SourceFailed()))
    world.use_clock()
    await trip(world)
    heard = await world.look_up("allergies")
    assert isinstance(heard.error, SourcesFailed)
    assert heard.error.retry_after == 1


# Too much


async def test_of_too_many_resources_the_rest_is_left_out_and_it_says_so(trust, give, monkeypatch):
    monkeypatch.setattr(sources, "_MOST", 4)
    trust.add("RJZ", give.whole(*(give.allergy(f"a{n}") for n in range(6))))
    heard = await trust.look_up("allergies")
    row = heard.rows["RJZ-epr"]
    assert categories(row) == {"allergies": "truncated"}
    assert row.resources == 3
    assert "more than 4 resources: the rest is left out" in row.notes
    assert not heard.summary.complete


async def test_at_an_organisation_with_excluded_services_too_many_are_none(trust, give, monkeypatch):
    monkeypatch.setattr(sources, "_MOST", 4)
    allergies = [give.allergy(f"a{n}") for n in range(6)]
    trust.add("RJZ", give.whole(*allergies), excluded_services=frozenset({"sexual-health"}))
    heard = await trust.look_up("allergies")
    assert categories(heard.rows["RJZ-epr"]) == {"allergies": "truncated"}
    assert heard.rows["RJZ-epr"].resources == 0


@pytest.mark.parametrize("streaming", [False, True])
async def test_what_cannot_be_judged_in_time_is_not_released(world, give, streaming, monkeypatch):
    def endless(resources, *items):
        while "endless" in str([one.content for one in resources]):
            yield
        return (yield from reading.read(resources, *items))

    monkeypatch.setattr(judge, "read", endless)
    world.add("RJ1", give.whole(give.allergy()))
    world.add("RJZ", give.whole(give.observation("endless")))
    heard = await world.look_up("allergies", "results", timeout=0.6, streaming=streaming)
    assert heard.statuses == {"RJ1-epr": "answered", "RJZ-epr": "timed-out"}
    assert heard.rows["RJZ-epr"].resources == 0
    assert "what it gave could not be judged in time" in heard.rows["RJZ-epr"].notes
    assert {one["id"].split(".")[0] for one in heard.released if one["resourceType"] != "Patient"} == {"RJ1-epr"}


async def test_what_lacks_is_read_in_batches(trust, give, monkeypatch):
    monkeypatch.setattr(sources, "_BATCH", 2)
    results = [give.observation(f"o{n}", encounter={"reference": f"Encounter/e{n}"}) for n in range(5)]
    told = trust.add("RJZ", give.whole(*results))
    await trust.look_up("results")
    assert [len(references) for references in told.read_for] == [2, 2, 1]
