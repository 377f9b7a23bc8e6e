"""An organisation run by Medplum's FHIR router: no metadata, no $everything, ids that are UUIDs."""

from collections import Counter

import pytest

from tests.interop.records import CLINICAL, contents, patient_of

pytestmark = [pytest.mark.blocking, pytest.mark.timeout(400)]

NAME = "Jeffry_Jenkins"


async def test_everything_that_it_holds_comes_back(medplum, open_broker):
    patient = patient_of(NAME)
    broker = await open_broker(medplum, patients=[patient])
    held = medplum.holds(patient)
    assert len(held) > 100
    for _ in range(2):
        reply = await broker.look_up(patient)
        assert (reply.status, reply.complete) == (200, True), reply.rows
        assert reply.rows[medplum.source] == "answered"
        assert contents(reply.of(medplum.source)) == contents(held)


async def test_who_is_not_known_there_has_no_record(medplum, open_broker):
    stranger = patient_of("Louis_Erdman")
    broker = await open_broker(medplum, patients=[stranger])
    reply = await broker.look_up(stranger)
    assert reply.complete
    assert reply.rows[medplum.source] == "no-record-found"
    assert not reply.of(medplum.source)


async def test_beside_hapi_each_gives_its_own(medplum, hapis, open_broker):
    """The same patient, in the records of three servers of two makes."""
    patient = patient_of(NAME)
    servers = (*hapis, medplum)
    broker = await open_broker(*servers, patients=[patient])
    reply = await broker.look_up(patient)
    assert reply.complete
    for server in servers:
        assert contents(reply.of(server.source)) == contents(server.holds(patient))
    counts = Counter(one["resourceType"] for one in reply.resources(*CLINICAL))
    assert counts.total() == sum(len(server.holds(patient)) for server in servers)
