"""Objections to less than everything: to an organisation's records, to a kind of information, to a person."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import InvalidRequest, NotFound, RoleNotPermitted, UnknownCategory, UnknownOrganisation
from broker.keys import Keys
from broker.objections import Scope, ScopeKind
from broker.store import OBJECTIONS

KEYS = Keys(bytes(32))


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request, new_store):
    return new_store(request.param)


@pytest.mark.parametrize(
    ("stated", "shown"),
    [
        ({}, {"kind": "whole"}),
        ({"organisation": "RRV"}, {"kind": "organisation", "organisation": "RRV"}),
        ({"category": "results"}, {"kind": "category", "category": "results"}),
        (
            {"staff": "https://ehr.rj1.example,u,1"},
            {"kind": "staff", "staff": {"issuer": "https://ehr.rj1.example", "subject": "u,1"}},
        ),
        ({"staff_id": "555254240100"}, {"kind": "staff", "staff": {"staff_id": "555254240100"}}),
    ],
)
async def test_a_narrower_objection_is_kept_with_what_it_is_about_sealed(world, doctor, stated, shown):
    made = await world.record(scope=Scope.stated(**stated))
    assert made.as_json()["scope"] == shown
    assert (await world.register.show(doctor, made.id)).as_json()["scope"] == shown
    async with world.engine.connect() as connection:
        row = (await connection.execute(OBJECTIONS.select())).one()
    assert row.scope == shown["kind"]
    assert row.scope_value == (world.keys.seal_words(made.scope.value) if stated else None)


@pytest.mark.parametrize(
    ("stated", "error", "words"),
    [
        ({"organisation": "ZZZ"}, UnknownOrganisation, "organisation: no organisation is registered"),
        ({"category": "horoscopes"}, UnknownCategory, "category: there are .*results"),
        ({"staff": "https://unknown.example,sub"}, InvalidRequest, "staff: no tokens of this issuer"),
    ],
)
async def test_what_could_never_be_honoured_is_not_recorded(world, doctor, stated, error, words):
    with pytest.raises(error, match=words):
        await world.record(scope=Scope.stated(**stated))
    assert await world.register.list(doctor) == ()
    assert [line["code"] for line in world.journalled()] == [error.code]


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ({"organisation": "RJ1", "category": "results"}, "one of organisation, category"),
        ({"staff": "somebody"}, "ISS,SUB"),
        ({"staff": ",somebody"}, "ISS,SUB"),
        ({"staff": "https://ehr.rj1.example, "}, "ISS,SUB"),
        ({"staff": "https://ehr.rj1.example," + "x" * 256}, "ISS,SUB"),
        ({"staff_id": "5552"}, "twelve digits"),
    ],
)
def test_a_scope_is_one_thing_and_written_in_full(stated, words):
    with pytest.raises(InvalidRequest, match=words):
        Scope.stated(**stated)


@given(st.sampled_from(list(ScopeKind)[1:]), st.text(st.characters(codec="utf-8"), min_size=1, max_size=40))
def test_what_was_sealed_is_opened_again(kind, value):
    scope = Scope(kind, value)
    assert Scope.opened(KEYS, kind, scope.sealed(KEYS)) == scope


async def test_one_to_an_organisation_is_decided_by_that_organisations_officers_and_nobody_elses(
    world, officer, person
):
    made = await world.record(scope=Scope.stated(organisation="RRV"))
    theirs = person(organisation="RRV", subject="theirs", role="privacy-officer")
    with pytest.raises(NotFound):
        await world.register.decide(officer, made.id, status="under-review")
    for own in (person(subject="own", role="privacy-officer"), person(subject="own", role="clinician")):
        with pytest.raises(RoleNotPermitted, match="of the organisation that it is about"):
            await world.register.decide(own, made.id, status="under-review")
    assert await world.register.list(officer) == ()
    assert await world.register.list(theirs) == (made,)
    assert (await world.register.decide(theirs, made.id, status="under-review")).version == 2
    guardian = replace(theirs, role="caldicott-guardian", subject="other")
    assert (await world.register.decide(guardian, made.id, status="upheld")).decided_by["organisation"] == "RRV"


@pytest.mark.parametrize("stated", [{"category": "results"}, {"staff_id": "555254240100"}])
async def test_one_to_a_category_or_a_person_is_decided_by_the_lead_controller(world, person, stated):
    made = await world.record(scope=Scope.stated(**stated))
    with pytest.raises(RoleNotPermitted, match="lead controller"):
        await world.register.decide(person(subject="own", role="privacy-officer"), made.id, status="under-review")
    assert (await world.decide(made.id, "under-review")).version == 2


async def test_everybody_sees_what_their_own_organisation_recorded_or_may_decide_and_no_more(world, officer, person):
    own = await world.record(scope=Scope.stated(organisation="RRV"))
    whole = await world.record(actor=person(organisation="RRV", subject="there"))
    about_us = await world.record(
        actor=person(organisation="RRV", subject="there"), scope=Scope.stated(organisation="RJ1")
    )
    ours = person(subject="officer-of-ours", role="privacy-officer")
    assert {each.id for each in await world.register.list(person())} == {own.id}
    assert {each.id for each in await world.register.list(ours)} == {own.id, about_us.id}
    assert {each.id for each in await world.register.list(officer)} == {whole.id}
    for who, visible in ((person(), [own]), (ours, [own, about_us]), (officer, [whole])):
        for each in (own, whole, about_us):
            if each in visible:
                assert (await world.register.show(who, each.id)).id == each.id
            else:
                with pytest.raises(NotFound):
                    await world.register.show(who, each.id)


async def test_a_list_comes_in_pages(world, officer, doctor):
    made = {(await world.record()).id for _ in range(5)}
    first = await world.register.list(officer, limit=2)
    second = await world.register.list(officer, limit=2, after=first[-1].id)
    third = await world.register.list(officer, limit=2, after=second[-1].id)
    assert [len(first), len(second), len(third)] == [2, 2, 1]
    assert {each.id for page in (first, second, third) for each in page} == made
    with pytest.raises(NotFound):
        await world.register.list(officer, after="0" * 16)


@pytest.mark.parametrize(
    "subject", [" 555254240100", "555254240100 ", "555254240100\n", "\u202e5552", "\ud800", "a\x00"]
)
def test_a_member_of_staff_is_named_as_tokens_name_them_or_refused(subject):
    with pytest.raises(InvalidRequest, match="staff: write the subject"):
        Scope.stated(staff=f"https://ehr.rj1.example,{subject}")
    with pytest.raises(InvalidRequest, match="staff: write the issuer"):
        Scope.stated(staff=f"{subject},555254240100")
