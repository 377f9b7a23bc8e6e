"""Ids of two servers that collide, and ids of one patient's reply in another's."""

import pytest

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
