"""Breaking the glass: by whom, why, for how long, what it lifts, and who hears of it."""

import asyncio
import json

import pytest

OVERRIDE = {"reason": "04", "text": "She is unconscious, and nobody is with her."}


@pytest.fixture
def object_to():
    """Records an objection as somebody would, and waits until it is in force."""

    async def record(world, patient, **scope):
        nurse = world.doctor().token(role_code="R8001", user="555000000002")
        body = {"patient": {"nhs_number": patient.nhs_number}, "asked_by": "patient", "effect_explained": True}
        for kind in scope:
            body["scope"] = {"kind": kind, **scope}
        headers = {"Authorization": f"Bearer {nurse}"}
        async with world.session.post(f"{world.address}/objections", json=body, headers=headers) as response:
            assert response.status == 201, await response.text()
            made = await response.json()
        async with asyncio.timeout(10):
            while not (await world.doctor().look_up(patient)).json.get("restrictions", {}).get("objection"):
                await asyncio.sleep(0.1)
        world.forget()
        return made

    return record


def fhir(world, token, path, **headers):
    return world.session.get(f"{world.address}/fhir/{path}", headers={"Authorization": f"Bearer {token}"} | headers)


async def test_it_lifts_an_objection_and_says_so_once(world, doctor, object_to):
    """Seed question 14; hazards objection-ignored, override-unseen."""
    who = world.mrs_okafor
    await object_to(world, who)
    reply = await doctor.look_up(who)
    assert reply.json["restrictions"]["override_available"]
    assert reply.json["override_id"] is None

    reply = await doctor.look_up(who, override=OVERRIDE)
    assert set(reply.rows.values()) == {"answered"}
    assert reply.complete
    assert not reply.json["restrictions"]["override_available"]
    opened = reply.json["override_id"]
    assert who.nhs_number not in opened

    (alert,) = world.journal("alert.raised")
    assert (alert["kind"], alert["to"], alert["lookup_id"]) == ("override", ["RJ1"], reply.json["lookup_id"])
    intent = next(one for one in world.journal("lookup.intent") if one["lookup_id"] == reply.json["lookup_id"])
    assert (intent["override"]["reason"], intent["override"]["again"]) == ("04", False)
    assert "unconscious" not in json.dumps(world.journal())

    # It holds for what this person asks next, on every surface, and tells nobody again.
    token = doctor.token(who)
    condition = f"Condition?patient={reply.json['patient']['id']}"
    async with fhir(world, token, condition) as answer:
        assert "total" not in await answer.json()
    async with fhir(world, token, condition, **{"Override-Id": opened}) as answer:
        bundle = await answer.json()
        assert (answer.status, bundle["total"]) == (200, 3)
    assert len(world.journal("alert.raised")) == 1
    assert world.journal("lookup.intent")[-1]["override"] == {"reason": "04", "text": None, "again": True}
    assert world.verify().ok


async def test_who_decides_after_it_was_opened_hears_of_it_with_its_next_use(world, doctor, object_to):
    """Hazard override-unseen."""
    who = world.mrs_okafor
    opened = (await doctor.look_up(who, override=OVERRIDE)).json
    condition = f"Condition?patient={opened['patient']['id']}"
    made = await object_to(world, who, organisation="RJZ")
    officer = world.doctor("RJZ").token(role_code="R0001", user="555000000003")
    decisions = f"{world.address}/objections/{made['id']}/decisions"
    for body in ({"status": "under-review", "version": 1}, {"status": "upheld", "reason": "She asked.", "version": 2}):
        async with world.session.post(decisions, json=body, headers={"Authorization": f"Bearer {officer}"}) as answer:
            assert answer.status == 200, await answer.text()
    await asyncio.sleep(1)
    async with fhir(world, doctor.token(who), condition, **{"Override-Id": opened["override_id"]}) as answer:
        assert answer.status == 200
    alerts = [(one["kind"], one["to"]) for one in world.journal("alert.raised")]
    assert alerts == [("override", ["RJ1"]), ("override", ["RJZ"])]


async def test_an_id_is_good_for_one_person_patient_and_program(world, doctor, house):
    reply = await doctor.look_up(world.mrs_okafor, override=OVERRIDE)
    opened = reply.json["override_id"]
    asked = len(world.lookups())
    world.forget()
    tries = [
        (world.mrs_okafor, opened[:-1] + ("a" if opened[-1] != "a" else "b")),
        (world.mrs_okafor, "a" * len(opened)),
        (world.mr_reyes, opened),
    ]
    tokens = [(doctor.token(patient), one) for patient, one in tries]
    tokens += [
        (doctor.token(world.mrs_okafor, user="555000000009"), opened),
        (doctor.token(world.mrs_okafor, client="another-program"), opened),
        (doctor.token(world.mrs_okafor, organisation="RJZ"), opened),
    ]
    for n, (token, given) in enumerate(tokens):
        who = tries[n][0] if n < len(tries) else world.mrs_okafor
        headers = {"Authorization": f"Bearer {token}", "Override-Id": given}
        async with world.session.post(
            f"{world.address}/lookups", json={"patient": who.claimed}, headers=headers
        ) as answer:
            said = await answer.json()
        assert (answer.status, said["error"]["code"]) == (400, "invalid-request")
        assert "Override-Id" in said["error"]["message"]
        identifier = f"{house.nhs}|{who.nhs_number}"
        async with fhir(world, token, f"Condition?patient.identifier={identifier}", **{"Override-Id": given}) as answer:
            assert answer.status == 400
    assert world.nobody_was_asked()
    assert len(world.lookups()) == asked
    assert world.journal("request.refused")


async def test_a_role_that_may_not_is_refused_with_its_words_on_record(world, doctor):
    """Question 16: breaking the glass is for the roles that the table names."""
    reply = await doctor.look_up(
        world.mrs_okafor, token=doctor.token(world.mrs_okafor, role_code="R8003"), override=OVERRIDE
    )
    assert (reply.status, reply.code) == (403, "role-not-permitted")
    assert world.nobody_was_asked()
    (intent,) = world.journal("lookup.intent")
    assert intent["override"]["reason"] == "04"
    assert intent["override"]["text"]
    assert world.journal("lookup.outcome")[0]["outcome"] == "refused"
    assert world.journal("alert.raised") == []


async def test_breaking_the_glass_is_a_purpose_only_with_an_override(world, doctor):
    token = doctor.token(world.mrs_okafor, purpose="BTG")
    assert (await doctor.look_up(world.mrs_okafor, token=token)).code == "purpose-not-permitted"
    assert world.nobody_was_asked()
    assert (await doctor.look_up(world.mrs_okafor, token=token, override=OVERRIDE)).complete


async def test_it_stands_for_a_missing_relationship(world, doctor):
    token = doctor.token(world.mrs_okafor, relationship=None)
    refused = await doctor.look_up(world.mrs_okafor, token=token)
    assert refused.code == "relationship-needed"
    assert "override" in refused.json["error"]["message"]
    assert "self-declared" in refused.json["error"]["message"]
    assert (await doctor.look_up(world.mrs_okafor, token=token, override=OVERRIDE)).complete


async def test_a_reader_whose_token_names_no_patient_hears_what_they_can_do(world, doctor):
    for more in ({}, {"override": OVERRIDE}):
        reply = await doctor.look_up(world.mrs_okafor, token=doctor.token(), **more)
        assert (reply.status, reply.code) == (403, "patient-mismatch")
        assert "self-declared" in reply.json["error"]["message"]
        assert "break the glass" in reply.json["error"]["message"]
    assert world.nobody_was_asked()


async def test_it_lifts_a_restriction(open_world, house):
    who = house.mrs_okafor
    world = await open_world(*house.usual(), identity={who.nhs_number: who.pds(restricted=True, practice="G85001")})
    doctor = world.doctor()
    reply = await doctor.look_up(who)
    assert (reply.json["restrictions"]["location_hidden"], reply.json["restrictions"]["override_available"]) == (
        True,
        True,
    )
    reply = await doctor.look_up(who, override=OVERRIDE)
    assert "RJZ-epr" in reply.rows
    assert not reply.json["restrictions"]["location_hidden"]


async def test_it_lifts_neither_an_agreement_nor_what_the_law_keeps_out(open_world, house):
    """Hazard override-lifts-exclusion."""
    organisations = house.usual()
    organisations[1].expires = "2025-06-30"
    organisations[0].holds(house.record("Condition", "7001", code="1", text="CANARY", meta=LABELLED))
    world = await open_world(*organisations)
    reply = await world.doctor().look_up(world.mrs_okafor, override=OVERRIDE)
    assert reply.rows["RJZ-epr"] == "agreement-lapsed"
    assert world.other_hospital.seen == []
    assert "CANARY" not in reply.text


LABELLED = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "STD"}]}


async def test_with_it_a_register_that_can_not_be_read_does_not_stop_care(open_world, house):
    world = await open_world(*house.usual(), max_age="1s")
    doctor = world.doctor()
    register = world.settings.file.parent / "state" / "broker.db"
    aside = register.with_name("aside")
    register.rename(aside)
    await house.answered(lambda: doctor.look_up(world.mrs_okafor), 503)
    assert (await doctor.look_up(world.mrs_okafor, override=OVERRIDE)).complete
    assert (await doctor.look_up(world.mrs_okafor)).status == 503
    aside.rename(register)
