"""Every story, asked of a broker that runs in the demo world: what must come comes, and what must not does not."""

import contextlib
import json
import socket

import aiohttp
import pytest

from broker.app import issuers, running
from broker.auth.tokens import sign_demo_token
from broker.demo.objecting import record_objections
from broker.demo.show import show_audit, show_lookup
from broker.demo.world import DOWN, ORGANISATIONS, STORIES, open_world, write_world
from broker.demo.world.expected import EXPECTED
from broker.journal import records_of
from broker.registry import Registry
from broker.settings import load

STORY = {story.person.superseded or story.person.nhs_number: story for story in STORIES}
NAMES = {number: story.person.name for number, story in STORY.items()}
PRACTICES = {f"{one.ods_code}-gp": one.ods_code for one in ORGANISATIONS if one.service_type == "gp-practice"}


class Doctor:
    """Asks as a doctor of the organisation where the patient is now."""

    def __init__(self, session, address, settings, world):
        self._session = session
        self._address = address
        self._settings = settings
        self.world = world
        registry = Registry.load(settings.organisations.directory, settings=settings)
        self._issuers = {issuer.organisation: issuer for issuer in issuers(settings, registry)}

    async def look_up(self, number):
        story = STORY[number]
        who = {"nhs_number": number, "birth_date": story.person.birth_date}
        token = sign_demo_token(
            self._issuers[story.reader],
            audience=self._settings.server.public_url,
            role_code="R8000",
            organisation=story.reader,
            relationship="encounter",
            **who,
        )
        headers = {"Authorization": f"Bearer {token}"}
        async with self._session.post(f"{self._address}/lookups", json={"patient": who}, headers=headers) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    def records(self, lookup_id):
        return records_of(self._settings.audit.directory, lookup_id)


@pytest.fixture
async def doctor(tmp_path):
    async with contextlib.AsyncExitStack() as stack:
        world = await stack.enter_async_context(open_world(down=(), hurry=True))
        with socket.socket() as free:  # only now: the world takes any free port too
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        settings = load(write_world(tmp_path, world.sources, port=port), {})
        await record_objections(settings)
        address = await stack.enter_async_context(running(settings))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield Doctor(session, address, settings, world)


def resources(reply):
    return [entry["resource"] for entry in reply["bundle"]["entry"]]


def source_of(resource):
    return resource["meta"]["source"].rpartition(":")[2]


def coded(reply, kind, code):
    return [one for one in resources(reply) if one["resourceType"] == kind and f'"{code.code}"' in json.dumps(one)]


@pytest.mark.parametrize("number", EXPECTED, ids=NAMES.get)
async def test_each_story_comes_through_as_it_promises(doctor, number):
    expected, story = EXPECTED[number], STORY[number]
    reply = await doctor.look_up(number)
    assert reply["complete"] is expected.complete
    rows = {row["source"]: row["status"] for row in reply["sources"] if row["service_type"] != "identity"}
    if not reply["restrictions"]["location_hidden"]:
        in_scope = {
            organisation.source(site)
            for organisation in ORGANISATIONS
            for site in organisation.sites
            if PRACTICES.get(organisation.source(site), story.person.practice) == story.person.practice
        }
        assert rows == dict.fromkeys(in_scope, "no-record-found") | dict(expected.rows)
    for kind, code, source in expected.shows:
        found = {source_of(one) for one in coded(reply, kind, code)}
        assert source in found if source else found
    text = json.dumps(reply, ensure_ascii=False)
    for word in expected.hides:
        assert word not in text
    linkages = [
        {item["resource"]["reference"] for item in one["item"]}
        for one in resources(reply)
        if one["resourceType"] == "Linkage"
    ]
    for kind, code, sources in expected.links:
        named = {f"{kind}/{one['id']}": source_of(one) for one in coded(reply, kind, code)}
        assert any({named.get(reference) for reference in linkage} == sources for linkage in linkages)
    issues = [one for one in resources(reply) if one["resourceType"] == "DetectedIssue"]
    assert bool(issues) is expected.contradicts
    assert show_lookup(reply)


async def test_two_doses_of_one_vaccine_are_never_linked(doctor):
    reply = await doctor.look_up("9990000018")
    doses = {
        f"Immunization/{one['id']}": one["occurrenceDateTime"]
        for one in resources(reply)
        if one["resourceType"] == "Immunization"
    }
    for one in resources(reply):
        if one["resourceType"] == "Linkage":
            days = {
                doses[item["resource"]["reference"]] for item in one["item"] if item["resource"]["reference"] in doses
            }
            assert len(days) <= 1


async def test_an_allergy_noted_at_a_clinic_that_is_never_shared_stays_and_says_nothing_of_it(doctor):
    reply = await doctor.look_up("9990000026")
    (latex,) = [one for one in resources(reply) if one["resourceType"] == "AllergyIntolerance"]
    assert latex["criticality"] == "high"
    assert not {"encounter", "recorder", "recordedDate", "note"} & set(latex)


async def test_the_dead_one_shows_plainly_and_once_brought_back_the_same_lookup_is_complete(doctor):
    async with aiohttp.ClientSession() as session:
        await session.post(f"{doctor.world.control}/stop/{DOWN}")
        before = await doctor.look_up("9990000018")
        assert not before["complete"]
        assert {row["source"]: row["status"] for row in before["sources"]}[DOWN] == "unreachable"
        shown = show_lookup(before)
        assert "NOT COMPLETE" in shown
        assert f"{DOWN} unreachable" in shown
        await session.post(f"{doctor.world.control}/revive/{DOWN}")
    after = await doctor.look_up("9990000018")
    assert after["complete"]
    assert "Anaphylaxis" in show_lookup(after)


async def test_the_audit_trail_reads_in_words_and_names_no_patient(doctor):
    reply = await doctor.look_up("9990000018")
    words = show_audit(doctor.records(reply["lookup_id"]))
    assert "lookup.intent" in words
    assert "lookup.outcome" in words
    assert "9990000018" not in words
    assert "Okafor" not in words
