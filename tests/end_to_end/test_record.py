"""No release without a record: what the journal holds of every reply and every refusal."""

import asyncio
import resource

import pytest

ASKED = ["lookup.intent", "lookup.plan", "lookup.outcome", "lookup.delivered"]


async def test_every_reply_is_intended_planned_ended_and_delivered_in_this_order(world, doctor, house):
    """Seed questions 7 and 20: who looked at what, and when."""
    reply = await doctor.look_up(world.mrs_okafor, categories=["allergies", "problems"])
    await house.eventually(lambda: world.journal("lookup.delivered"))
    assert world.told(reply.json["lookup_id"]) == ASKED
    (intent,), (outcome,) = world.journal("lookup.intent"), world.journal("lookup.outcome")
    assert (
        intent["user"].items()
        >= {
            "subject": "555254240100",
            "name": "Dr A Example",
            "organisation": "RJ1",
            "role": "clinician",
            "role_code": "R8000",
        }.items()
    )
    assert (intent["purpose"], intent["relationship"]["basis"]) == ("TREAT", "encounter")
    assert intent["categories"] == ["allergies", "problems"]
    assert (outcome["outcome"], outcome["complete"]) == ("released", True)
    assert [row["source"] for row in outcome["sources"]] == [row["source"] for row in reply.json["sources"]]
    assert outcome["sources"][0]["categories"] == reply.json["sources"][0]["categories"]
    assert outcome["policies"]
    assert len(outcome["policy_set"]) == 64
    streamed = await doctor.stream(world.mrs_okafor)
    lookup_id = streamed.events[0]["data"]["lookup_id"]
    await house.eventually(lambda: len(world.journal("lookup.delivered")) == 2)
    assert world.told(lookup_id) == [*ASKED[:2], *["lookup.part"] * 3, *ASKED[2:]]
    assert world.verify().ok


REFUSED = {
    "a receptionist": ({"role_code": "R8009"}, {}, "role-not-permitted"),
    "a role that there is not": ({"role_code": "R9999"}, {}, "role-not-permitted"),
    "a pharmacist who asks for plans": ({"role_code": "R1290"}, {"categories": ["care-plans"]}, "role-not-permitted"),
    "research": ({"purpose": "HRESCH"}, {}, "purpose-not-permitted"),
    "insurance": ({"purpose": "HPAYMT"}, {}, "purpose-not-permitted"),
    "an emergency that was not declared": ({"purpose": "BTG"}, {}, "purpose-not-permitted"),
    "no relationship": ({"relationship": None}, {}, "relationship-needed"),
    "one's own record": ({"own_nhs_number": "9990000018"}, {}, "own-record"),
}


@pytest.mark.parametrize(("claims", "body", "code"), REFUSED.values(), ids=REFUSED.keys())
async def test_who_may_not_is_refused_and_written_down_and_nobody_is_asked(world, doctor, claims, body, code):
    """Seed questions 7, 11, 20 and 24; hazards role-sees-too-much and use-beyond-direct-care."""
    reply = await doctor.look_up(world.mrs_okafor, token=doctor.token(world.mrs_okafor, **claims), **body)
    assert (reply.status, reply.code) == (403, code)
    assert reply.json["sources"] == []
    assert world.other_hospital.seen == world.practice.seen == []
    (outcome,) = world.journal("lookup.outcome")
    assert (outcome["outcome"], outcome["code"]) == ("refused", code)
    # Where nobody says that she is cared for here, the reader's own hospital is asked first, and nobody else.
    own = ["RJ1-epr"] if code == "relationship-needed" else []
    assert [row["source"] for row in outcome["sources"]] == own
    assert bool(world.hospital.seen) is bool(own)
    assert world.told(outcome["lookup_id"]) == ["lookup.intent", "lookup.outcome"]
    (intent,) = world.journal("lookup.intent")
    assert intent["user"]["role_code"] == claims.get("role_code", "R8000")
    assert world.verify().ok


async def test_the_patient_asked_for_must_be_the_patient_in_the_token(world, doctor):
    """Hazard forged-token."""
    reply = await doctor.look_up(world.mr_reyes, token=doctor.token(world.mrs_okafor))
    assert (reply.status, reply.code) == (403, "patient-mismatch")
    assert world.nobody_was_asked()
    (record,) = world.journal("request.refused")
    assert (record["code"], record["surface"]) == ("patient-mismatch", "lookups")
    assert record["patient"], "whom they asked for, sealed"
    assert world.lookups() == []


async def test_an_organisation_whose_agreement_lapsed_neither_reads_nor_answers(open_world, house):
    """Hazard agreement-lapsed-and-still-sharing."""
    organisations = house.usual()
    organisations[1].expires = "2026-01-31"
    world = await open_world(*organisations)
    reply = await world.doctor("RJZ").look_up(world.mrs_okafor)
    assert (reply.status, reply.code) == (403, "organisation-not-taking-part")
    assert world.nobody_was_asked()
    reply = await world.doctor("RJ1").look_up(world.mrs_okafor)
    assert reply.rows == {"RJ1-epr": "answered", "G85001-epr": "answered", "RJZ-epr": "agreement-lapsed"}
    assert not reply.complete
    assert world.other_hospital.seen == []


async def test_an_organisation_that_was_suspended_neither_reads_nor_answers(open_world, house):
    organisations = house.usual()
    organisations[1].state = "suspended"
    world = await open_world(*organisations)
    reply = await world.doctor("RJZ").look_up(world.mrs_okafor)
    assert reply.status in {401, 403}
    reply = await world.doctor("RJ1").look_up(world.mrs_okafor)
    assert "RJZ-epr" not in reply.rows
    assert world.other_hospital.seen == []


async def all_is_durable(world, doctor, house):
    """Wait until what was appended is synced: a refusal is answered once its record is, and records keep their order."""
    await house.eventually(lambda: world.journal("lookup.delivered"))
    assert (await doctor.look_up(world.mr_reyes, token=doctor.token(world.mrs_okafor))).status == 403


@pytest.mark.parametrize("accept", ["application/json", "application/x-ndjson"])
async def test_while_the_journal_cannot_be_written_nobody_is_asked_and_nothing_released(world, doctor, house, accept):
    """Hazard release-without-record."""
    assert (await doctor.look_up(world.mrs_okafor)).complete
    await all_is_durable(world, doctor, house)
    world.forget()
    directory = world.settings.audit.directory
    aside = directory.with_name("aside")
    directory.rename(aside)
    for _ in range(2):
        reply = await doctor.look_up(world.mrs_okafor, accept=accept)
        assert (reply.status, reply.code) == (503, "journal-unavailable")
        assert world.nobody_was_asked()
    assert await world.ready() == 503
    aside.rename(directory)
    await world.becomes_ready()
    reply = await doctor.look_up(world.mrs_okafor)
    assert reply.complete
    await house.eventually(lambda: len(world.journal("lookup.delivered")) == 2)
    assert world.verify().ok


async def test_a_journal_that_fails_while_sources_answer_keeps_the_reply_back(world, doctor, house):
    """Hazard release-without-record."""
    world.practice.open.clear()
    asking = asyncio.create_task(doctor.look_up(world.mrs_okafor))
    await asyncio.wait_for(world.practice.asked.wait(), 5)
    directory = world.settings.audit.directory
    aside = directory.with_name("aside")
    directory.rename(aside)
    world.practice.open.set()
    reply = await asking
    assert (reply.status, reply.code) == (503, "journal-unavailable")
    assert "bundle" not in reply.json
    assert "91936005" not in reply.text
    aside.rename(directory)
    await house.eventually(lambda: [one["outcome"] for one in world.journal("lookup.outcome")] == ["failed"])
    assert world.verify().ok


async def test_a_stream_whose_journal_fails_ends_with_an_error_and_without_the_part(world, doctor, house):
    """Hazard release-without-record."""
    world.practice.open.clear()
    world.hospital.open.clear()
    events = []
    directory = world.settings.audit.directory
    aside = directory.with_name("aside")
    async with doctor.asks(world.mrs_okafor, accept="application/x-ndjson") as response:
        async for line in response.content:
            events.append(line.decode())
            if len(events) == 2:  # started, and the one hospital that answered
                directory.rename(aside)
                world.practice.open.set()
                world.hospital.open.set()
    assert '"event":"error"' in events[-1].replace(" ", "")
    assert "journal-unavailable" in events[-1]
    assert not any("RJ1-epr.1001" in line or "G85001-epr.1001" in line for line in events)
    aside.rename(directory)
    await house.eventually(lambda: [one["outcome"] for one in world.journal("lookup.outcome")] == ["failed"])
    assert world.verify().ok


@pytest.mark.blocking
async def test_a_full_disk_stops_the_release_and_room_on_it_starts_it_again(open_world, house):
    """Hazard release-without-record. What the service says on standard error lies on the same disk here."""
    world = await open_world(*house.usual(), apart=True)
    doctor = world.doctor()
    assert (await doctor.look_up(world.mrs_okafor)).complete
    await all_is_durable(world, doctor, house)
    world.forget()
    _, most = resource.prlimit(world.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(world.process.pid, resource.RLIMIT_FSIZE, (64, most))
    reply = await doctor.look_up(world.mrs_okafor)
    assert (reply.status, reply.code) == (503, "journal-unavailable")
    assert world.nobody_was_asked()
    resource.prlimit(world.process.pid, resource.RLIMIT_FSIZE, (most, most))
    await world.becomes_ready()
    assert (await doctor.look_up(world.mrs_okafor)).complete
    await house.eventually(lambda: len(world.journal("lookup.delivered")) == 2)
    assert world.verify().ok


async def test_no_token_or_a_bad_one_learns_nothing_and_is_written_down(world, doctor, house):
    """Hazard forged-token."""
    bad = (
        doctor.token(world.mrs_okafor)[:-6] + "AAAAAA",
        "not a token",
        doctor.token(world.mrs_okafor, clock=lambda: 1_700_000_000.0),
    )
    replies = [await doctor.look_up(world.mrs_okafor, token=token) for token in bad]
    assert {(reply.status, reply.code) for reply in replies} == {(401, "not-authenticated")}
    assert len({reply.text for reply in replies}) == 1
    assert world.nobody_was_asked()
    refused = world.journal("authentication.refused")
    assert refused[0]["reason"] != "not-authenticated", "the operator is told what was wrong"
    assert "9990000018" not in str(refused)
    assert world.lookups() == []
