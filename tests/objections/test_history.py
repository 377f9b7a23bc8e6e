"""Nothing that was ever true of an objection is overwritten."""

from datetime import UTC, date, datetime

import pytest

from broker.clock import london_today
from broker.errors import InvalidBirthDate, JournalUnavailable, RoleNotPermitted
from broker.objections import ImportedObjection, ObjectionRegister, Origin, Scope
from broker.objections.rules import review_day


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request, new_store):
    return new_store(request.param)


async def test_every_version_is_kept_with_who_made_it_when_and_why(world, doctor, officer):
    made = await world.record()
    await world.decide(made.id, "under-review")
    await world.decide(made.id, "not-upheld", reason="A child may be at risk.", ico_route_told=True)
    await world.decide(made.id, "not-upheld", told=london_today())
    await world.register.withdraw(doctor, made.id)
    shown = (await world.register.show(officer, made.id)).as_json()
    assert shown["status"] == "withdrawn"
    assert [(each["version"], each["status"], each["by"]["subject"]) for each in shown["history"]] == [
        (1, "received", "doctor"),
        (2, "under-review", "officer"),
        (3, "not-upheld", "officer"),
        (4, "not-upheld", "officer"),
        (5, "withdrawn", "doctor"),
    ]
    assert [each["reason"] for each in shown["history"]] == [None, None, "A child may be at risk.", None, None]
    assert [each["ico_route_told"] for each in shown["history"]] == [False, False, True, False, False]
    assert [each["told_at"] for each in shown["history"]][2:4] == [None, london_today().isoformat()]
    assert all(datetime.fromisoformat(each["at"]).tzinfo for each in shown["history"])


async def test_what_was_refused_or_could_not_be_journalled_leaves_no_version(world, doctor, officer):
    made = await world.record()
    with pytest.raises(RoleNotPermitted):
        await world.register.decide(doctor, made.id, status="under-review")
    assert len((await world.register.show(officer, made.id)).history) == 1
    await world.journal.close()
    with pytest.raises(JournalUnavailable):
        await world.decide(made.id, "under-review")
    assert len((await world.register.show(officer, made.id)).history) == 1


# A child's objection.


@pytest.mark.parametrize(
    ("asked_by", "born", "day"),
    [
        ("parent", date(2016, 5, 1), date(2032, 5, 1)),
        ("parent", date(2010, 11, 23), date(2026, 11, 23)),
        ("parent", date(2010, 11, 22), None),
        ("parent", date(1980, 5, 1), None),
        ("parent", None, None),
        ("patient", date(2016, 5, 1), None),
        ("parent", date(2016, 2, 29), date(2032, 2, 29)),
    ],
)
def test_a_childs_objection_is_looked_at_again_on_the_sixteenth_birthday(asked_by, born, day):
    assert review_day(asked_by, born, date(2026, 11, 22)) == day


def test_a_leap_day_before_a_century_without_one():
    assert review_day("parent", date(2084, 2, 29), date(2090, 1, 1)) == date(2100, 3, 1)


async def test_a_childs_objection_is_listed_once_its_day_has_come_until_it_is_withdrawn(
    world, officer, doctor, policies
):
    at = {"now": datetime(2026, 3, 1, 12, tzinfo=UTC)}
    register = ObjectionRegister(
        world.engine, world.keys, world.journal, policies, lead_controller="QKK", now=lambda: at["now"]
    )
    given = {"patient": "9990000018", "effect_explained": True}
    child = await register.record(doctor, asked_by="parent", birth_date=date(2010, 6, 1), **given)
    await register.record(doctor, asked_by="parent", birth_date=date(2012, 6, 1), **given)
    await register.record(doctor, asked_by="patient", **given)
    assert child.review_on == date(2026, 6, 1)
    at["now"] = datetime(2026, 5, 31, 22, 59, tzinfo=UTC)  # a minute before midnight in London
    assert await register.list(officer, due=True) == ()
    at["now"] = datetime(2026, 5, 31, 23, 1, tzinfo=UTC)
    assert await register.list(officer, due=True) == (child,)
    await register.withdraw(doctor, child.id)
    assert await register.list(officer, due=True) == ()


async def test_nobody_is_born_tomorrow(world):
    with pytest.raises(InvalidBirthDate):
        await world.record(asked_by="parent", birth_date=date.max)


# Imported ones.


def _row(reference, **given):
    origin = Origin(name="connectcare", reference=reference, dated=date(2020, 1, 31))
    return ImportedObjection(**({"patient": "9990000018", "origin": origin} | given))


async def test_an_imported_objection_is_upheld_with_its_date_and_origin(world, officer):
    (result,) = await world.register.import_rows(officer, [_row("a-1")])
    assert result.new
    shown = (await world.register.show(officer, result.id)).as_json()
    assert shown["status"] == "upheld"
    assert shown["origin"] == {"name": "connectcare", "reference": "a-1", "date": "2020-01-31"}
    assert [shown[by]["subject"] for by in ("recorded_by", "decided_by")] == ["officer", "officer"]
    assert [(each["version"], each["status"]) for each in shown["history"]] == [(1, "upheld")]
    (line,) = world.journalled()
    assert (line["event"], line["origin"], line["status"]) == ("objection.recorded", "connectcare", "upheld")


async def test_importing_again_puts_nothing_down_twice_and_leaves_what_became_of_it(world, officer):
    first = await world.register.import_rows(officer, [_row("a-1"), _row("a-2"), _row("a-1")])
    assert [each.new for each in first] == [True, True, False]
    assert first[0].id == first[2].id
    await world.register.withdraw(officer, first[0].id)
    second = await world.register.import_rows(officer, [_row("a-2"), _row("a-1"), _row("a-3")])
    assert [(each.id, each.new) for each in second[:2]] == [(first[1].id, False), (first[0].id, False)]
    assert second[2].new
    assert (await world.register.show(officer, first[0].id)).status == "withdrawn"
    assert len(await world.register.list(officer)) == 3


async def test_a_row_that_can_not_be_taken_costs_that_row(world, officer):
    found = await world.register.import_rows(
        officer,
        [
            _row("b-1", patient="9990000000"),
            _row("b-2", scope=Scope.stated(organisation="ZZZ")),
            _row("b-3", asked_by="neighbour"),
            _row("b-4", origin=Origin(name="connectcare", reference="b-4", dated=date.max)),
            _row(""),
            _row("b-5", scope=Scope.stated(category="results")),
        ],
    )
    assert [each.new for each in found] == [False] * 5 + [True]
    words = ["NHS number", "organisation", "asked_by", "date", "reference"]
    assert all(word in each.problem for word, each in zip(words, found[:5], strict=True))
    assert len(await world.register.list(officer)) == 1


async def test_importing_takes_the_right_to_decide(world, doctor, person):
    for actor in (doctor, person(role="privacy-officer")):
        with pytest.raises(RoleNotPermitted, match="Imported objections are upheld"):
            await world.register.import_rows(actor, [_row("c-1")])
    assert [line["code"] for line in world.journalled()] == ["role-not-permitted"] * 2


async def test_a_batch_that_can_not_be_journalled_is_not_taken(world, officer):
    await world.journal.close()
    with pytest.raises(JournalUnavailable):
        await world.register.import_rows(officer, [_row("d-1"), _row("d-2")])
    assert await world.register.list(officer) == ()
