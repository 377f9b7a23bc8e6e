"""The right patient, and all of the right patient: ids that collide, several local records, many asked for at once."""

import asyncio
import json

import pytest
from aiohttp import web

from broker.keys import Keys
from broker.lookup.ids import Ids


async def test_two_servers_with_the_same_ids_never_meet(world, doctor):
    """Hazard wrong-patient: every server here has a `Patient/1000` and an `AllergyIntolerance/1001`."""
    reply = await doctor.look_up(world.mrs_okafor)
    assert reply.complete
    allergies = reply.resources("AllergyIntolerance")
    assert {one["id"].rpartition(".")[0] for one in allergies} == {"RJ1-epr.1001", "RJZ-epr.1001", "G85001-epr.1001"}
    assert len({entry["fullUrl"] for entry in reply.json["bundle"]["entry"]}) == len(reply.json["bundle"]["entry"])
    (patient,) = reply.resources("Patient")
    assert {one["patient"]["reference"] for one in allergies} == {f"Patient/{patient['id']}"}


@pytest.fixture
async def shared(open_world, house):
    """A world in which each hospital has two patients, whose ids are crossed between the two."""
    codes = {house.mrs_okafor: "11111", house.mr_reyes: "22222"}
    organisations = [house.Organisation("RJ1", everything=True), house.Organisation("RJZ")]
    for one, ids in zip(organisations, (("1000", "1001"), ("1001", "1000")), strict=True):
        for (patient, code), key in zip(codes.items(), ids, strict=True):
            one.holds(patient.at(key), *(house.record("Condition", f"{key}-{n}", of=key, code=code) for n in range(5)))
    return await open_world(*organisations)


async def test_many_lookups_at_once_never_mix_two_patients(shared, house):
    """Hazard wrong-patient."""
    doctor = shared.doctor()
    asks = [doctor.look_up, doctor.stream] * 8
    who = [house.mrs_okafor, house.mr_reyes, house.mr_reyes, house.mrs_okafor] * 4
    replies = await asyncio.gather(*(ask(patient) for ask, patient in zip(asks, who, strict=True)))
    for reply, patient in zip(replies, who, strict=True):
        mine, other = ("11111", "22222") if patient is house.mrs_okafor else ("22222", "11111")
        assert reply.status == 200
        assert reply.text.count(f'"{mine}"') == 10
        assert f'"{other}"' not in reply.text
    assert len(shared.lookups()) == 16
    assert shared.verify().ok


async def test_an_id_of_one_patients_reply_means_nothing_in_anothers(shared, house):
    """Hazard wrong-patient."""
    key = Keys.open(shared.settings.audit.keys).id_check_key
    reply = await shared.doctor().look_up(house.mrs_okafor)
    for one in reply.resources("Condition"):
        home = Ids(key, house.mrs_okafor.nhs_number).home(one["id"])
        assert (home.source, home.id) == tuple(one["id"].rpartition(".")[0].split("."))
        assert Ids(key, house.mr_reyes.nhs_number).home(one["id"]) is None


@pytest.mark.parametrize("habits", [{"everything": True}, {}, {"batch": True}], ids=["everything", "searches", "batch"])
async def test_a_server_that_has_the_patient_twice_gives_both_records(open_world, house, habits):
    hospital = house.Organisation("RJ1", **habits).holds(
        house.mrs_okafor.at("1"),
        house.mrs_okafor.at("2"),
        house.record("Condition", "a", of="1", code="11111"),
        house.record("Condition", "b", of="2", code="22222"),
    )
    reply = await (await open_world(hospital)).doctor().look_up(house.mrs_okafor)
    assert reply.complete
    assert {one["code"]["coding"][0]["code"] for one in reply.resources("Condition")} == {"11111", "22222"}
    assert len({one["subject"]["reference"] for one in reply.resources("Condition")}) == 1


async def test_one_of_two_local_records_with_another_birth_date_makes_it_somebody_else(open_world, house):
    """Hazard wrong-patient."""
    organisations = house.usual()
    organisations[1].holds(
        house.mrs_okafor.at("2000", birthDate="1984-03-02"), house.record("Condition", "2001", of="2000", code="66666")
    )
    reply = await (await open_world(*organisations)).doctor().look_up(house.mrs_okafor)
    assert reply.rows["RJZ-epr"] == "wrong-patient"
    assert "RJZ-epr.1001" not in reply.text
    assert "66666" not in reply.text
    assert reply.rows["RJ1-epr"] == "answered"


async def test_values_come_out_as_they_went_in_to_the_last_digit(world, doctor):
    """0.010 says more than 0.01."""
    quantity = '{"value": 0.010, "unit": "Größe", "system": "http://unitsofmeasure.org"}'
    bundle = (
        '{"resourceType": "Bundle", "type": "searchset", "total": 1, "entry": [{"resource": {"resourceType": "Observation", '
        '"id": "7", "status": "final", "subject": {"reference": "Patient/1000"}, "code": {"text": "x"}, '
        f'"valueQuantity": {quantity}}}}}]}}'
    )

    async def answer(_):
        return web.Response(body=bundle.encode(), content_type="application/fhir+json")

    world.hospital.moods["POST /Observation/_search"] = answer
    reply = await doctor.look_up(world.mrs_okafor)
    assert '"value":0.010' in reply.text
    (observation,) = reply.resources("Observation")
    assert observation["valueQuantity"] == json.loads(quantity)


async def test_a_source_that_was_started_again_between_two_lookups_is_asked_as_ever(world, doctor):
    """Hazard absence-taken-for-nothing: a pooled connection that is dead is no source that is down."""
    for _ in range(3):
        assert (await doctor.look_up(world.mrs_okafor)).complete
        for organisation in world.organisations.values():
            await organisation.stop()
            await organisation.revive()
    assert (await doctor.look_up(world.mrs_okafor)).complete
