"""What the patient objects to: what is asked, what is told, and what a change on the way does."""

import asyncio
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.errors import RegisterUnavailable
from broker.objections.stance import Stance
from policies.values import Objection

UPHELD = Objection.UPHELD
OTHERS = ("RA1", "RB1", "RC1")
CATEGORIES = ("allergies", "results")


def objecting(*, organisation=None, category=None, standing=UPHELD):
    return Stance(
        organisations={organisation: standing} if organisation else {},
        categories={category: standing} if category else {},
    )


def told(heard, code):
    """All that a reply says of one organisation, times of what has something to show aside."""
    (row,) = [row.as_json() for row in heard.last.rows if row.organisation == code]
    shown = [entry for entry in heard.text.split('"') if entry.startswith(f"{code}-epr.")]
    return json.dumps(row), shown


async def look_up(worlds, give, holding, stance, *, streaming=False, failing=None):
    """What a doctor of RJ1 hears, who has an allergy of hers; `holding`: what the others have."""
    async with worlds() as world:
        world.objections = give.objections(stance)
        world.add("RJ1", give.whole(give.allergy()))
        made = {"allergies": give.allergy, "results": give.observation}
        for code in OTHERS:
            if code == failing:
                world.add(code, give.these(OSError()))
            else:
                held = [made[name]() for name in CATEGORIES if name in holding.get(code, ())]
                world.add(code, give.whole(*held))
        heard = await world.look_up(*CATEGORIES, streaming=streaming)
        return heard, [code for code in OTHERS if world.sources[f"{code}-epr"].asked]


@settings(max_examples=12)
@given(
    holding=st.fixed_dictionaries({code: st.sets(st.sampled_from(CATEGORIES)) for code in OTHERS}),
    objected=st.sampled_from(OTHERS),
    other=st.sampled_from(OTHERS),
    streaming=st.booleans(),
)
async def test_an_organisation_objected_to_can_not_be_told_from_one_that_holds_nothing(
    worlds, give, holding, objected, other, streaming
):
    """Hazard objection-undone-by-its-reply."""
    first, asked = await look_up(worlds, give, holding, objecting(organisation=objected), streaming=streaming)
    assert objected not in asked
    # Another world: it holds nothing, and the patient objects to something that nobody has.
    empty = {**holding, objected: set()}
    second, asked = await look_up(worlds, give, empty, objecting(organisation="RX9"), streaming=streaming)
    assert asked == list(OTHERS)
    assert told(first, objected) == told(second, objected)
    assert [row.source for row in first.last.rows] == [row.source for row in second.last.rows]
    assert not first.summary.complete
    assert not second.summary.complete
    if streaming:
        assert first.started.rows == second.started.rows
        assert {part.row.source for part in first.parts} == {part.row.source for part in second.parts}


@settings(max_examples=12)
@given(
    holding=st.fixed_dictionaries({code: st.sets(st.sampled_from(CATEGORIES)) for code in OTHERS}),
    category=st.sampled_from(CATEGORIES),
    failing=st.sampled_from([None, *OTHERS]),
)
async def test_a_category_objected_to_can_not_be_told_from_one_in_which_there_is_nothing(
    worlds, give, holding, category, failing
):
    first, _ = await look_up(worlds, give, holding, objecting(category=category), failing=failing)
    empty = {code: held - {category} for code, held in holding.items()}
    second, _ = await look_up(worlds, give, empty, objecting(organisation="RX9"), failing=failing)
    for heard in (first, second):
        rows = {row.organisation: row.as_json() | {"elapsed_ms": None} for row in heard.last.rows}
        rows.pop("RJ1")
        heard.told = json.dumps(rows)
    assert first.told == second.told
    assert first.rows["RJ1-epr"].categories == second.rows["RJ1-epr"].categories


@pytest.mark.parametrize("standing", [Objection.UPHELD, Objection.UNDECIDED])
async def test_it_is_honoured_while_it_is_undecided(worlds, give, standing):
    heard, asked = await look_up(worlds, give, {}, objecting(organisation="RA1", standing=standing))
    assert asked == ["RB1", "RC1"]
    assert heard.summary.restrictions.objection
    assert heard.summary.restrictions.override_available


async def test_one_that_is_not_upheld_changes_nothing(worlds, give):
    heard, asked = await look_up(worlds, give, {}, objecting(organisation="RA1", standing=Objection.NOT_UPHELD))
    assert asked == list(OTHERS)
    assert heard.summary.complete
    assert not heard.summary.restrictions.objection


async def test_one_to_the_readers_own_organisation_is_about_others_alone(worlds, give):
    heard, _ = await look_up(worlds, give, {}, objecting(organisation="RJ1"))
    assert heard.summary.complete


async def test_a_role_that_may_not_lift_it_is_not_told_that_there_is_one(world, give):
    world.objections = give.objections(objecting(organisation="RA1"))
    world.add("RJ1", give.whole(give.allergy()))
    world.add("RA1", give.whole(give.allergy()))
    heard = await world.look_up("allergies", caller=world.caller(role="R8003"))
    assert not heard.summary.restrictions.objection
    assert not heard.summary.restrictions.override_available
    assert not heard.summary.complete
    assert heard.statuses["RA1-epr"] == "withheld"


async def test_where_all_that_is_asked_failed_what_is_objected_to_does_not_show_by_it(worlds, give):
    async with worlds() as world:
        world.objections = give.objections(objecting(organisation="RA1"))
        for code in ("RJ1", "RB1"):
            world.add(code, give.these(OSError()))
        world.add("RA1", give.whole(give.allergy()))
        heard = await world.look_up("allergies")
        assert heard.statuses == {"RJ1-epr": "failed", "RA1-epr": "withheld", "RB1-epr": "failed"}


@pytest.mark.parametrize(
    ("before", "after", "ends"),
    [
        (Stance(), Stance(whole=UPHELD), True),
        (Stance(), objecting(organisation="RA1"), True),
        (Stance(), objecting(category="results"), True),
        (objecting(organisation="RB1"), objecting(organisation="RA1"), True),
        (objecting(organisation="RB1"), Stance(whole=UPHELD), True),
        (Stance(), objecting(organisation="RJ1"), False),
        (objecting(organisation="RA1"), Stance(), False),
        (Stance(whole=UPHELD), objecting(organisation="RA1"), False),
        (Stance(), objecting(organisation="RA1", standing=Objection.NOT_UPHELD), False),
    ],
)
@pytest.mark.parametrize("streaming", [False, True])
async def test_one_that_forbids_more_while_sources_are_asked_ends_it(world, give, before, after, ends, streaming):
    """Hazard objection-ignored: in force within a second."""
    world.objections = give.objections(before)

    async def objects():
        world.objections.stands = after

    world.add("RJ1", give.these(give.patient(), objects, give.allergy(), give.answered()))
    heard = await world.look_up("allergies", streaming=streaming)
    if ends:
        assert heard.error.code == "conflict"
        assert world.outcome(heard)["outcome"] == "refused"
    else:
        assert heard.summary


@pytest.mark.parametrize("streaming", [False, True])
async def test_one_under_a_number_that_only_a_source_knows_withholds_all_that_is_not_out_yet(world, give, streaming):
    """Hazard objection-under-another-number."""
    other = "9990000026"
    world.objections = give.objections(Stance(whole=UPHELD), frozenset({other}))
    old = {"system": "https://fhir.nhs.uk/Id/nhs-number", "value": other, "use": "old", "period": {"end": "2001"}}
    mine = {"system": "https://fhir.nhs.uk/Id/nhs-number", "value": world.number}
    told = asyncio.Event()

    async def tells():
        told.set()

    world.add("RJ1", give.whole(give.allergy()))
    world.add("RA1", give.these(give.patient(identifier=[mine, old]), give.allergy(), give.answered(), tells))
    world.add("RB1", give.these(give.patient(), told.wait, give.allergy(), give.answered()))
    heard = await world.look_up("allergies", streaming=streaming)
    assert heard.statuses == {"RJ1-epr": "answered", "RA1-epr": "withheld", "RB1-epr": "withheld"}
    assert "RA1-epr." not in heard.text
    assert "RB1-epr." not in heard.text
    assert heard.summary.restrictions.objection
    assert world.outcome(heard)["sources"][0]["status"] == "withheld"


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_refusal_in_one_of_an_organisations_systems_holds_for_all_of_them(world, give, streaming):
    refused = {"coding": [{"system": "http://snomed.info/sct", "code": "416409005"}]}
    dissent = give.observation("d1", code=refused, effectiveDateTime="2024-01-01")
    world.add("RJ1", give.whole(give.allergy()))
    world.add("RA1", give.whole(give.allergy()), give.whole(dissent))
    heard = await world.look_up("allergies", streaming=streaming)
    assert heard.statuses == {
        "RJ1-epr": "answered",
        "RA1-epr": "withheld-by-source",
        "RA1-two": "withheld-by-source",
    }
    assert "RA1-epr." not in heard.text


async def test_where_nobody_knows_nobody_is_asked(world, give):
    source = world.add("RJ1", give.whole(give.allergy()))
    world.objections = give.objections(RegisterUnavailable())
    assert (await world.look_up("allergies")).error.code == "register-unavailable"
    assert source.asked == []


async def test_a_refusal_of_somebody_whom_only_words_name_is_told_to_who_can_read_them(world, give):
    """A record says 320011000000108: somebody must find out with whom; nothing is kept back."""
    named = {"coding": [{"system": "http://snomed.info/sct", "code": "320011000000108"}]}
    world.add("RJ1", give.whole(give.allergy()))
    world.add("RA1", give.whole(give.allergy(), give.observation("d1", code=named)))
    heard = await world.look_up("allergies")
    assert heard.statuses["RA1-epr"] == "answered"
    (alert,) = world.alerts
    assert (alert.kind, set(alert.to), alert.source) == ("consent-third-party", {"RA1"}, "RA1-epr")
