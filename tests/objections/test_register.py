"""Who may say no for a patient, who decides, and what is written down of it."""

import asyncio
from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from broker.clock import london_today
from broker.errors import (
    BrokerError,
    Conflict,
    InvalidNhsNumber,
    InvalidRequest,
    JournalUnavailable,
    NotFound,
    RegisterUnavailable,
    RoleNotPermitted,
)
from broker.objections import WHOLE, ObjectionRecord, ObjectionRegister, Scope, Status
from broker.objections.rules import check_decision, standing_of
from policies.values import Objection

TODAY = date(2026, 11, 22)


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request, new_store):
    return new_store(request.param)


async def test_an_objection_is_shown_in_the_form_of_the_interface(world, doctor):
    made = await world.record()
    await world.decide(made.id, "under-review")
    await world.decide(made.id, "not-upheld")
    told = london_today()
    shown = (await world.decide(made.id, "not-upheld", told=told)).as_json()
    assert list(shown) == [
        "id",
        "version",
        "status",
        "scope",
        "asked_by",
        "recorded_by",
        "recorded_at",
        "decided_by",
        "decided_at",
        "told_at",
        "review_on",
        "origin",
    ]
    assert shown["id"] == made.id
    assert (shown["version"], shown["status"], shown["scope"]) == (4, "not-upheld", {"kind": "whole"})
    assert shown["recorded_by"] == {
        "issuer": "https://ehr.rj1.example",
        "subject": "doctor",
        "name": "Dr A Example",
        "organisation": "RJ1",
        "role": "clinician",
    }
    assert shown["decided_by"]["name"] == "P Officer"
    assert datetime.fromisoformat(shown["recorded_at"]) <= datetime.fromisoformat(shown["decided_at"])
    assert shown["told_at"] == told.isoformat()
    again = (await world.register.show(doctor, made.id)).as_json()
    assert [each["status"] for each in again.pop("history")] == ["received", "under-review", "not-upheld", "not-upheld"]
    assert again == shown


async def test_every_change_is_in_the_journal_before_it_is_answered(world, patient, doctor):
    made = await world.record()
    await world.decide(made.id, "under-review")
    await world.register.withdraw(doctor, made.id)
    lines = world.journalled()
    assert [(line["event"], line["version"], line["status"]) for line in lines] == [
        ("objection.recorded", 1, "received"),
        ("objection.decided", 2, "under-review"),
        ("objection.decided", 3, "withdrawn"),
    ]
    assert {line["objection_id"] for line in lines} == {made.id}
    assert {line["patient"] for line in lines} == {world.keys.seal_patient(patient)}
    assert [line["user"]["subject"] for line in lines] == ["doctor", "officer", "doctor"]


async def test_what_the_journal_can_not_take_does_not_happen(world, doctor):
    made = await world.record()
    await world.journal.close()
    with pytest.raises(JournalUnavailable):
        await world.record()
    with pytest.raises(JournalUnavailable):
        await world.register.withdraw(doctor, made.id)
    assert await world.register.list(doctor) == (made,)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"patient": "9990000000"}, InvalidNhsNumber),
        ({"patient": "x"}, InvalidNhsNumber),
        ({"asked_by": "neighbour"}, InvalidRequest),
        ({"effect_explained": False}, InvalidRequest),
    ],
)
async def test_an_objection_says_for_whom_who_asked_and_that_the_effect_was_explained(
    world, doctor, patient, wrong, error
):
    given = {"patient": patient, "asked_by": "patient", "effect_explained": True} | wrong
    with pytest.raises(error):
        await world.register.record(doctor, **given)
    assert await world.register.list(doctor) == ()


async def test_somebody_without_a_care_role_may_neither_record_nor_look(world, person):
    clerk = person(role="administrator")
    made = await world.record()
    for attempt in (
        world.record(actor=clerk),
        world.register.list(clerk),
        world.register.show(clerk, made.id),
        world.register.withdraw(clerk, made.id),
        world.register.decide(clerk, made.id, status="upheld"),
    ):
        with pytest.raises(RoleNotPermitted):
            await attempt
    assert [line["code"] for line in world.journalled()[1:]] == ["role-not-permitted"] * 5


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"operator": False}, NotFound),
        ({"organisation": "RRV"}, NotFound),
        ({"role": "clinician"}, NotFound),
        ({"organisation": "RJ1"}, RoleNotPermitted),
        ({"role": "clinician", "organisation": "RJ1"}, RoleNotPermitted),
        ({"role": None}, RoleNotPermitted),
    ],
)
async def test_only_the_lead_controllers_officers_decide_with_a_token_of_the_operators(world, officer, changed, error):
    """Whoever may not even see it is told no more than that of one that is not there, and who decides."""
    made = await world.record()
    other = replace(officer, **changed)
    with pytest.raises(error) as refused:
        await world.register.decide(other, made.id, status="under-review")
    if error is NotFound:
        assert "lead controller's privacy officer or Caldicott guardian" in str(refused.value)
        with pytest.raises(NotFound) as unknown:
            await world.register.decide(other, "0" * 16, status="under-review")
        assert str(unknown.value) == str(refused.value)
    guardian = replace(officer, role="caldicott-guardian")
    assert (await world.register.decide(guardian, made.id, status="under-review")).status == "under-review"


async def test_whoever_recorded_it_does_not_decide_it_under_whatever_issuer(world, officer):
    made = await world.record(actor=replace(officer, issuer="https://other.example"))
    with pytest.raises(RoleNotPermitted, match="somebody else"):
        await world.register.decide(officer, made.id, status="under-review")
    other = replace(officer, subject="other")
    assert (await world.register.decide(other, made.id, status="under-review")).version == 2


async def test_without_a_lead_controller_nobody_decides(world, officer, policies):
    made = await world.record()
    register = ObjectionRegister(world.engine, world.keys, world.journal, policies, lead_controller=None)
    for who in (officer, replace(officer, organisation="RJ1")):
        with pytest.raises((NotFound, RoleNotPermitted), match="lead_controller"):
            await register.decide(who, made.id, status="under-review")


async def test_what_another_organisation_recorded_is_not_there_for_a_care_role(world, person, officer):
    made = await world.record()
    stranger = person(organisation="RRV", subject="stranger")
    with pytest.raises(NotFound) as hidden:
        await world.register.show(stranger, made.id)
    with pytest.raises(NotFound) as unknown:
        await world.register.show(stranger, "0" * 16)
    assert str(hidden.value) == str(unknown.value)
    with pytest.raises(NotFound):
        await world.register.withdraw(stranger, made.id)
    assert await world.register.list(stranger) == ()
    assert await world.register.list(officer) == (made,)


async def test_a_list_may_be_of_one_patient_or_one_status(world, officer, patient):
    first = await world.record()
    second = await world.record(patient="9990000018" if patient != "9990000018" else "9990000026")
    reviewed = await world.decide(second.id, "under-review")
    assert await world.register.list(officer, patient=patient) == (first,)
    assert await world.register.list(officer, status="under-review") == (reviewed,)
    assert {each.id for each in await world.register.list(officer)} == {first.id, second.id}
    for wrong, error in (({"status": "open"}, InvalidRequest), ({"patient": "1"}, InvalidNhsNumber)):
        with pytest.raises(error):
            await world.register.list(officer, **wrong)


async def test_of_two_who_change_the_same_version_the_second_is_told(world):
    made = await world.record()
    await world.decide(made.id, "under-review", version=1)
    with pytest.raises(Conflict, match="meanwhile"):
        await world.decide(made.id, "upheld", version=1)
    assert (await world.decide(made.id, "upheld", version=2)).version == 3


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"ico_route_told": True}, InvalidRequest, "reason"),
        ({"reason": "  ", "ico_route_told": True}, InvalidRequest, "reason"),
        ({"reason": "x" * 2001, "ico_route_told": True}, InvalidRequest, "at most 2000"),
        ({"reason": "Safeguarding."}, InvalidRequest, "Information Commissioner"),
        (
            {"reason": "Safeguarding.", "ico_route_told": True, "told": date.max},
            InvalidRequest,
            "not one to come",
        ),
    ],
)
async def test_not_upheld_needs_its_reason_and_where_to_complain(world, officer, given, error, words):
    made = await world.record()
    await world.decide(made.id, "under-review")
    with pytest.raises(error, match=words):
        await world.register.decide(officer, made.id, status="not-upheld", **given)
    assert (await world.register.show(officer, made.id)).status == "under-review"


async def test_telling_the_patient_is_recorded_once(world, officer):
    made = await world.record()
    await world.decide(made.id, "under-review")
    await world.decide(made.id, "not-upheld")
    with pytest.raises(Conflict, match="told"):
        await world.register.decide(officer, made.id, status="not-upheld")
    with pytest.raises(InvalidRequest, match="before the day on which it was made"):
        await world.decide(made.id, "not-upheld", told=london_today() - timedelta(days=1))
    told = await world.decide(made.id, "not-upheld", told=london_today())
    assert told.told_at == london_today()
    with pytest.raises(Conflict, match="already recorded"):
        await world.decide(made.id, "not-upheld", told=london_today())


async def test_no_patient_was_told_before_there_was_a_decision(world):
    made = await world.record()
    await world.decide(made.id, "under-review")
    given = {"reason": "Safeguarding.", "ico_route_told": True}
    with pytest.raises(InvalidRequest, match="told"):
        await world.decide(made.id, "not-upheld", told=london_today() - timedelta(days=1), **given)
    assert (await world.decide(made.id, "not-upheld", told=london_today(), **given)).told_at == london_today()


@pytest.mark.parametrize(
    ("recorder", "decider"),
    [
        ({"subject": "jsmith", "staff_id": "555000000001"}, {"subject": "J.Smith", "staff_id": "555000000001"}),
        ({"subject": "jsmith", "staff_id": "555000000001"}, {"subject": "555000000001"}),
        ({"subject": "555000000001"}, {"subject": "jsmith", "staff_id": "555000000001"}),
        ({"subject": "jsmith"}, {"subject": "JSmith@nhs.example"}),
        ({"subject": "jsmith", "staff_id": "555000000001"}, {"subject": "JSMITH "}),
    ],
)
async def test_nobody_decides_what_they_recorded_under_another_spelling_of_their_name(
    world, person, officer, recorder, decider
):
    made = await world.record(actor=person(**recorder))
    with pytest.raises(RoleNotPermitted, match="Whoever recorded"):
        await world.decide(made.id, "under-review", actor=replace(officer, **decider))


async def test_two_people_with_one_name_are_told_apart_by_their_staff_ids(world, person, officer):
    made = await world.record(actor=person(subject="admin", staff_id="555000000001"))
    other = replace(officer, subject="admin", staff_id="555000000002")
    assert (await world.decide(made.id, "under-review", actor=other)).status == "under-review"


@pytest.mark.parametrize(
    "scope", [Scope.member("https://ehr.rj1.example", "nurse"), Scope.stated(staff_id="555000000077")]
)
async def test_whom_a_patient_objects_to_neither_sees_it_nor_decides_nor_takes_it_back(
    world, person, officer, doctor, scope
):
    first, made, last = await world.record(), await world.record(scope=scope), await world.record()
    for named in (
        person(subject="nurse", staff_id="555000000077"),
        replace(officer, subject="Nurse", staff_id="555000000077"),
    ):
        seen = await world.register.list(named, limit=2)
        assert {each.id for each in seen} == {first.id, last.id}
        for attempt in (
            world.register.show(named, made.id),
            world.decide(made.id, "under-review", actor=named),
            world.register.withdraw(named, made.id),
        ):
            with pytest.raises(NotFound):
                await attempt
    assert (await world.register.withdraw(doctor, made.id)).status == "withdrawn"


@pytest.mark.parametrize(
    ("field", "kept"),
    [("status", "odd"), ("scope", "odd"), ("scope_value", "junk"), ("recorded_by", "{"), ("recorded_by", "[]")],
)
async def test_a_row_that_can_not_be_read_is_named_and_those_after_it_are_listed(world, doctor, field, kept):
    made = await world.record(scope=Scope.stated(category="allergies"))
    last = await world.record()
    async with world.engine.begin() as connection:
        # The order of two of the same second is that of their ids.
        first = text("UPDATE objections SET recorded_at = '2026-01-01T00:00:00Z' WHERE id = :id")
        await connection.execute(first, {"id": made.id})
        chosen = text(f"UPDATE objections SET {field} = :kept WHERE id = :id")
        await connection.execute(chosen, {"kept": kept, "id": made.id})
    for attempt in (world.register.list(doctor), world.register.show(doctor, made.id)):
        with pytest.raises(RegisterUnavailable, match=rf"{made.id}: its {field.removesuffix('_value')}"):
            await attempt
    assert await world.register.list(doctor, after=made.id) == (last,)


@pytest.mark.parametrize("reason", ["half a sign \ud800", "a bell \a"])
async def test_a_reason_is_words_that_can_be_printed(world, reason):
    made = await world.record()
    await world.decide(made.id, "under-review")
    with pytest.raises(InvalidRequest, match="reason"):
        await world.decide(made.id, "not-upheld", reason=reason, ico_route_told=True)


async def test_a_withdrawn_objection_stays_withdrawn(world, officer, doctor):
    made = await world.record()
    await world.register.withdraw(doctor, made.id)
    with pytest.raises(Conflict):
        await world.register.withdraw(officer, made.id)
    for status in ("under-review", "upheld", "not-upheld"):
        with pytest.raises(Conflict, match="nothing but withdrawn"):
            await world.decide(made.id, status)


@pytest.mark.parametrize("status", ["received", "withdrawn", "maybe", ""])
async def test_a_decision_is_one_of_three_words(world, officer, status):
    made = await world.record()
    with pytest.raises(InvalidRequest, match="under-review"):
        await world.register.decide(officer, made.id, status=status)


async def test_of_two_who_decide_at_once_one_wins_and_the_other_is_told(world, officer):
    made = await world.record()
    await world.decide(made.id, "under-review")
    guardian = replace(officer, role="caldicott-guardian", subject="guardian")
    found = await asyncio.gather(
        world.decide(made.id, "upheld", version=2),
        world.decide(made.id, "not-upheld", actor=guardian, version=2),
        return_exceptions=True,
    )
    assert sorted(type(each).__name__ for each in found) == ["Conflict", "ObjectionRecord"]
    (won,) = [each for each in found if isinstance(each, ObjectionRecord)]
    shown = await world.register.show(officer, made.id)
    assert (shown.version, shown.status) == (3, won.status)
    assert len(shown.history) == 3


async def test_a_register_that_can_not_be_read_is_said_so_without_a_number(world, doctor, patient):
    async with world.engine.begin() as connection:
        await connection.execute(text("DROP TABLE objections"))
    with pytest.raises(RegisterUnavailable) as caught:
        await world.record()
    assert patient not in f"{caught.value}{caught.value.__cause__}"
    assert world.keys.seal_patient(patient) not in f"{caught.value.__cause__}"
    with pytest.raises(RegisterUnavailable):
        await world.register.list(doctor)


# The machine of states, over every path.

_DECISIONS = st.lists(st.tuples(st.sampled_from(list(Status)), st.booleans(), st.booleans()), max_size=8)


def _apply(current: ObjectionRecord, status: Status, *, complete: bool, told: bool) -> ObjectionRecord:
    if status is Status.WITHDRAWN:
        if current.status is Status.WITHDRAWN:
            raise Conflict
        return replace(current, status=status)
    again = status == current.status
    check_decision(
        current,
        status,
        reason="why" if complete and not again else None,
        ico_route_told=complete,
        told=TODAY if told else None,
        today=TODAY,
    )
    return replace(current, status=status, told_at=TODAY if told else current.told_at)


@given(_DECISIONS)
def test_whatever_is_tried_an_objection_is_honoured_until_it_is_not_upheld_and_told_or_withdrawn(steps):
    current = ObjectionRecord(
        id="1", version=1, status=Status.RECEIVED, scope=WHOLE, recorded_by={"subject": "d"}, recorded_at=""
    )
    way = [current.status]
    for status, complete, told in steps:
        try:
            current = _apply(current, status, complete=complete, told=told)
        except BrokerError:
            continue
        if status != way[-1]:
            assert complete or status is not Status.NOT_UPHELD
            way.append(status)
    order = [Status.RECEIVED, Status.UNDER_REVIEW]
    withdrawn = way[-1] is Status.WITHDRAWN
    decided = way[:-1] if withdrawn else way
    assert decided[:2] == order[: len(decided[:2])]
    assert len(decided) <= 3
    assert Status.WITHDRAWN not in decided
    assert not (len(decided) == 3 and decided[2] not in {Status.UPHELD, Status.NOT_UPHELD})
    standing = standing_of(current.status, told=current.told_at is not None)
    lifted = withdrawn or (current.status is Status.NOT_UPHELD and current.told_at is not None)
    assert (standing in {Objection.NONE, Objection.NOT_UPHELD}) is lifted
