"""Organisations run by HAPI FHIR: each patient's record split over two such servers, whose ids collide."""

import os
import signal
from collections import Counter

import pytest

from tests.interop.records import CLINICAL, NHS, STAFF, contents, patient_of
from tests.interop.servers import put, request

pytestmark = [pytest.mark.blocking, pytest.mark.timeout(400)]

PATIENTS = ("Louis_Erdman", "Jeffry_Jenkins", "Franklyn_Klein")


def test_the_same_id_is_somebody_elses_or_something_else_at_the_other_server(hapis):
    """Two servers that number from 1000: without this the tests below would prove little."""
    louis, *_ = everybody = hapis.patients.values()
    assert hapis.one.patients(louis.nhs_number) == hapis.two.patients(louis.nhs_number) == ["1000"]
    assert hapis.one.holds(louis).keys() & hapis.two.holds(louis).keys()
    pairs = [(one, other) for one in everybody for other in everybody if one != other]
    assert any(hapis.one.holds(one).keys() & hapis.two.holds(other).keys() for one, other in pairs)


@pytest.mark.parametrize("name", [*PATIENTS, "Bill_Reinger"])
def test_the_servers_hold_what_was_loaded_in_pages(hapis, name):
    for server, loaded in zip(hapis, hapis.loaded[name], strict=True):
        assert Counter(key.partition("/")[0] for key in server.holds(hapis.patients[name])) == loaded
    (local,) = hapis.two.patients(hapis.patients[name].nhs_number)
    assert hapis.two.search(f"Observation?patient={local}")[1] > 1


@pytest.mark.parametrize("name", PATIENTS)
async def test_everything_that_either_holds_comes_back_exactly_once(hapis, broker, name):
    """Content and references alike, whichever way the servers are asked: by everything first, then by searches."""
    patient = hapis.patients[name]
    for _ in range(2):
        reply = await broker.look_up(patient)
        assert (reply.status, reply.complete) == (200, True), reply.rows
        for server in hapis:
            held = server.holds(patient)
            came = reply.of(server.source)
            assert contents(came) == contents(held)
            assert {one["resourceType"] for one in came.values()} <= {*CLINICAL, *STAFF}
            assert reply.row(server.source)["resources"] == len(held)
            assert reply.row(server.source)["status"] == "answered"
        names = [f"{one['resourceType']}/{one['id']}" for one in reply.resources()]
        assert len(names) == len(set(names))


async def test_who_is_known_to_one_alone_has_no_record_at_the_other(hapis, broker):
    patient = hapis.patients["Bill_Reinger"]
    reply = await broker.look_up(patient)
    assert reply.complete
    assert reply.rows["RJ1-epr"] == "no-record-found"
    assert reply.of("RJ1-epr") == {}
    assert len(reply.of("RJZ-epr")) >= len(hapis.two.holds(patient))


async def test_what_is_written_is_there_at_once_and_what_is_deleted_is_gone(hapis, open_broker):
    """A server that answers from its cache for a minute is asked for the record as it is now."""
    patient = patient_of("Clemente_Kreiger")
    broker = await open_broker(*hapis, patients=[patient])
    search = f"{hapis.two.base}/Patient?identifier={NHS}|{patient.nhs_number}"
    assert request("GET", search, **{"Cache-Control": "max-age=60"})[1]["total"] == 0
    reply = await broker.look_up(patient)
    assert reply.complete
    assert reply.rows["RJZ-epr"] == "no-record-found"

    put("Clemente_Kreiger", hapis.two)
    assert request("GET", search, **{"Cache-Control": "max-age=60"})[1]["total"] == 0
    held = hapis.two.holds(patient)
    reply = await broker.look_up(patient)
    assert reply.complete
    assert contents(reply.of("RJZ-epr")) == contents(held)

    gone = next(key for key in held if request("DELETE", f"{hapis.two.base}/{key}")[0] == 200)
    assert request("GET", f"{hapis.two.base}/{gone}")[0] == 410
    reply = await broker.look_up(patient)
    assert reply.complete
    left = {key: one for key, one in held.items() if key != gone}
    assert contents(reply.of("RJZ-epr")) == contents(left)


async def test_two_local_records_of_one_patient_are_both_given(hapis, open_broker):
    """A transaction that is posted twice makes the patient twice."""
    patient = patient_of("Garrett_Thompson")
    for _ in range(2):
        put("Garrett_Thompson", hapis.one)
    broker = await open_broker(*hapis, patients=[patient])
    held = hapis.one.holds(patient)
    assert len(hapis.one.patients(patient.nhs_number)) == 2
    reply = await broker.look_up(patient)
    assert reply.complete
    assert contents(reply.of("RJ1-epr")) == contents(held)
    assert set(contents(held).values()) == {2}


async def test_links_to_an_address_that_nobody_declared_cut_the_record(hapis, open_broker):
    """Hazard absence-taken-for-nothing: what follows the first page is not had, and the row says so."""
    patient = hapis.patients["Louis_Erdman"]
    broker = await open_broker(*hapis, patients=[patient], link_bases=[])
    reply = await broker.look_up(patient)
    assert reply.rows["RJ1-epr"] == "answered"
    assert reply.rows["RJZ-epr"] == "truncated"
    assert not reply.complete


async def test_a_server_that_hangs_costs_its_own_row(hapis, open_broker):
    patient = hapis.patients["Louis_Erdman"]
    broker = await open_broker(*hapis, patients=[patient], timeout="4s")
    held = hapis.one.holds(patient)
    os.kill(hapis.pid(hapis.two), signal.SIGSTOP)
    try:
        reply = await broker.look_up(patient)
    finally:
        os.kill(hapis.pid(hapis.two), signal.SIGCONT)
    assert reply.rows["RJZ-epr"] == "timed-out"
    assert not reply.complete
    assert contents(reply.of("RJ1-epr")) == contents(held)


async def test_a_server_that_is_down_costs_its_own_row(hapis, broker, stopped):
    """Hazard absence-taken-for-nothing."""
    patient = hapis.patients["Louis_Erdman"]
    reply = await broker.look_up(patient)
    assert reply.status == 200
    assert reply.rows[stopped.source] == "unreachable"
    assert not reply.complete
    assert contents(reply.of("RJ1-epr")) == contents(hapis.one.holds(patient))
    alone = await broker.look_up(hapis.patients["Bill_Reinger"])
    assert alone.rows["RJ1-epr"] == "no-record-found"
    assert alone.rows[stopped.source] == "unreachable"
    assert not alone.complete
