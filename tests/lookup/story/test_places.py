"""Where the patient lives and is seen: what of it shows, in rows, entries and their order."""

import asyncio
import json
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.lookup.judging.hiding import Hiding
from broker.lookup.places import Places
from broker.lookup.values import Row, Status, Summary

CODES = ("RA1", "RJ1", "RJZ", "RM1")
NAMES = [f"The {code}" for code in CODES]


@pytest.fixture
def trusts(world, give):
    """Four trusts with an allergy each, so that there is something to link, and a contradiction."""

    def make(*, labelled=None, gates=None, world=world):
        for code in CODES:
            said = give.allergy()
            if code == "RM1":
                none = {"coding": [{"system": "http://snomed.info/sct", "code": "716186003"}]}
                said = give.allergy(code=none)
            label = "R" if code == labelled else None
            address = [{"line": ["1 High Street"]}]
            wait = [] if gates is None else [gates[code].wait]
            world.add(
                code, give.these(*wait, give.patient(label=label, address=address), said, give.answered()), region="n"
            )
        return world

    return make


def names_a_place(text):
    return [word for word in (*CODES, *NAMES, "High Street") if word in text]


# What the identity service says


async def test_where_nobody_says_no_the_home_is_hidden_and_the_places_are_not(trusts):
    heard = await trusts().look_up()
    assert "High Street" not in heard.text
    assert heard.summary.restrictions.location_hidden
    assert list(heard.rows) == [f"{code}-epr" for code in CODES]


async def test_what_is_required_does_not_tell_where_a_restricted_patient_is_known(trusts, give):
    world = trusts()
    world.identity = give.identity(restricted="yes")
    asked = [await world.look_up(require=frozenset({code})) for code in ("RJ1", "G99999")]
    assert [heard.summary.required_met for heard in asked] == [False, False]


async def test_where_the_patient_is_not_restricted_all_shows(trusts, give):
    world = trusts()
    world.identity = give.identity(
        restricted="no", patient={"resourceType": "Patient", "address": [{"line": ["1 High Street"]}]}
    )
    heard = await world.look_up()
    assert "High Street" in heard.text
    assert not heard.summary.restrictions.location_hidden


@pytest.mark.parametrize("streaming", [False, True])
async def test_where_the_patient_is_restricted_no_place_shows_anywhere(trusts, give, streaming):
    world = trusts()
    known = {
        "resourceType": "Patient",
        "address": [{"line": ["1 High Street"]}],
        "generalPractitioner": [{"identifier": {"value": "RA1"}}],
    }
    world.identity = give.identity(restricted="yes", practice="RA1", patient=known)
    heard = await world.look_up(streaming=streaming)
    shown = heard.text + json.dumps([row.as_json() for one in heard.events[:-1] for row in _rows(one)])
    assert not names_a_place(shown)
    assert sorted(row.source for row in heard.last.rows if row.organisation is None and row.source) == [
        "acute-1",
        "acute-2",
        "acute-3",
        "acute-4",
        "identity",
    ]
    assert heard.summary.restrictions.location_hidden
    assert heard.summary.complete is False  # its practice takes no part
    assert heard.rows["acute-1"].status is Status.ANSWERED


def _rows(event):
    return getattr(event, "rows", None) or [event.row]


async def test_the_journal_has_the_places_all_the_same(trusts, give):
    world = trusts()
    world.identity = give.identity(restricted="yes")
    heard = await world.look_up(streaming=True)
    for event in ("lookup.plan", "lookup.outcome"):
        (record,) = [one for one in world.records(heard) if one["event"] == event]
        assert [row["organisation"] for row in record["sources"]] == [None, *CODES]


async def test_an_activity_that_opens_restricted_records_shows_it_all(trusts, give):
    for service in (give.identity(restricted="yes"), None):
        world = trusts(labelled="RJZ")
        if service is not None:
            world.identity = service
        heard = await world.look_up(caller=world.caller(activities=("B0360", "B1611")))
        assert [row.organisation for row in heard.last.rows if row.organisation] == list(CODES)
    assert {"The RJZ"} <= {row.name for row in heard.last.rows}


async def test_an_error_names_no_place_either(world, give):
    world.add("RJ1", give.these(OSError()))
    world.identity = give.identity(restricted="yes")
    heard = await world.look_up()
    assert "RJ1" not in json.dumps([heard.error.sources, [row.as_json() for row in heard.last.rows]])
    assert heard.statuses["acute-1"] == "failed"


# What a source says


@pytest.mark.parametrize("first", CODES)
@pytest.mark.parametrize("labelled", ["RJZ", "RA1"])
async def test_a_label_at_one_source_hides_the_whole_reply_whoever_came_first(trusts, give, first, labelled):
    gates = {code: asyncio.Event() for code in CODES}
    world = trusts(labelled=labelled, gates=gates)
    lookup = world.begin()
    gates[first].set()
    await world.sources[f"{first}-epr"].began.wait()
    await asyncio.sleep(0.005)
    for gate in gates.values():
        gate.set()
    heard = await world.hear(lookup)
    assert not names_a_place(heard.text + json.dumps([row.as_json() for one in heard.parts for row in _rows(one)]))
    assert heard.summary.restrictions.location_hidden
    assert sorted(part.row.source for part in heard.parts) == [f"acute-{n}" for n in (1, 2, 3, 4)]


async def test_in_a_stream_a_label_hides_its_part_and_all_later_ones(trusts):
    gates = {code: asyncio.Event() for code in CODES}
    world = trusts(labelled="RJZ", gates=gates)
    lookup = world.begin(streaming=True)
    arrived = []
    order = ["RA1", "RJZ", "RJ1", "RM1"]
    gates[order[0]].set()
    async for event in lookup:
        arrived.append(event)
        if 1 < len(arrived) <= len(order):
            gates[order[len(arrived) - 1]].set()
    started, first, *later, summary = arrived
    assert isinstance(summary, Summary)
    assert first.row.source == "RA1-epr"
    assert [row.source for row in started.rows] == [f"{code}-epr" for code in CODES]
    for part in later:
        content = json.dumps(part.row.as_json()) + "".join(entry.content.decode() for entry in part.entries)
        assert not names_a_place(content)
        assert part.entries
    assert not names_a_place(json.dumps(summary.as_json()))


async def test_in_a_stream_a_part_whose_line_is_being_written_when_places_are_hidden_hides_them(trusts):
    gates = {code: asyncio.Event() for code in CODES}
    world = trusts(labelled="RJZ", gates=gates)
    lookup = world.begin(streaming=True)
    events = aiter(lookup)
    await anext(events)
    world.held.hold()
    gates["RA1"].set()
    await world.held.is_waiting()
    gates["RJZ"].set()
    await asyncio.sleep(0.02)
    world.held.let_go()
    for gate in gates.values():
        gate.set()
    parts = [event async for event in events][:-1]
    for part in parts:
        content = json.dumps(part.row.as_json()) + "".join(entry.content.decode() for entry in part.entries)
        assert not names_a_place(content)


async def test_a_judgement_that_is_made_again_reads_nothing_again(world, give):
    async def reads(_references):
        for one in ():
            yield one

    gate = asyncio.Event()
    told = give.told(give.whole(give.observation(encounter={"reference": "Encounter/e1"})), reads=reads)
    world.add("RJ1", told)
    world.add("RJZ", give.these(gate.wait, give.patient(label="R"), give.answered()))
    lookup = world.begin("results")
    await told.began.wait()
    await asyncio.sleep(0.01)
    gate.set()
    heard = await world.hear(lookup)
    assert not names_a_place(heard.text)
    assert told.read_for == [("Encounter/e1",)]


# Order


@given(st.permutations(CODES), st.sampled_from(CODES))
async def test_neither_the_reply_nor_its_order_depends_on_who_answered_first(trusts, worlds, order, labelled):
    texts = set()
    for arrival in (order, sorted(order)):
        async with worlds() as world:
            gates = {code: asyncio.Event() for code in CODES}
            trusts(labelled=labelled, gates=gates, world=world)
            lookup = world.begin()
            for code in arrival:
                gates[code].set()
                for _ in range(5):
                    await asyncio.sleep(0)
            heard = await world.hear(lookup)
            texts.add(heard.text)
            parts = [part.row.source for part in heard.parts]
            assert parts == sorted(parts)
    assert len(texts) == 1


def row(source, kind="acute"):
    organisation = source.split("-")[0]
    return Row(source=source, organisation=organisation, name=organisation, service_type=kind, status=Status.ANSWERED)


def test_numbers_follow_the_patients_own_order_not_the_names():
    rows = [row(f"R{n}-epr") for n in range(1, 9)]
    orders = set()
    for patient in ("one", "two", "three"):
        shown = Places(
            Hiding.PLACES, rows, lambda name, patient=patient: sha256(f"{patient}{name}".encode()).hexdigest()
        )
        orders.add(tuple(shown.without_place(one).source for one in rows))
    assert len(orders) == 3


def test_hidden_rows_are_the_same_whatever_order_they_were_given_in():
    rows = [row("RA1-epr"), row("RB1-epr"), row("G1-gpc", "gp-practice")]
    one, other = (Places(Hiding.PLACES, given, str.swapcase) for given in (rows, rows[::-1]))
    assert one.shown(rows) == other.shown(rows[::-1])
    assert [shown.source for shown in one.shown(rows)] == ["acute-1", "acute-2", "gp-practice-1"]


def test_rows_of_no_organisation_show_as_they_are():
    identity = Row(
        source="identity", organisation=None, name="Identity", service_type="identity", status=Status.ANSWERED
    )
    none = Row(source=None, organisation=None, name="GP", service_type="gp-practice", status=Status.PRACTICE_NOT_ASKED)
    places = Places(Hiding.PLACES, [identity, none, row("RA1-epr")], str)
    assert places.shown([none, identity]) == (identity, none)


def test_places_are_shown_until_they_are_hidden_and_never_again():
    rows = [row("RA1-epr")]
    places = Places(Hiding.HOME, rows, str)
    assert places.shown(rows) == tuple(rows)
    places.hide()
    assert places.shown(rows)[0].organisation is None
