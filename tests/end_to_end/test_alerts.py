"""Those who must be told are told: signed, naming nobody, with what to look up in the journal."""

import base64
import json
from datetime import timedelta

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from broker.alerts.sending import signature
from broker.clock import london_today
from broker.errors import ConfigurationError

from .conftest import eventually

SECRET = bytes(range(32))


class Office:
    """Receives alerts, and may refuse them."""

    def __init__(self):
        self.got = []
        self.status = 204
        self.url = ""

    async def answer(self, request):
        self.got.append((request.headers.copy(), await request.read()))
        return web.Response(status=self.status)


@pytest.fixture
async def office():
    made = Office()
    app = web.Application()
    app.router.add_post("/alerts", made.answer)
    async with TestServer(app) as server:
        made.url = str(server.make_url("/alerts"))
        yield made


@pytest.fixture
def told(office, tmp_path):
    """The settings of a broker that tells this office."""
    secret = tmp_path / "webhook.secret"
    secret.write_text(f"whsec_{base64.b64encode(SECRET).decode()}\n")
    return {"limits": f'[alerts]\nwebhook = "{office.url}"\nsecret_file = "{secret}"'}


async def about_somebody_else(request):
    return web.json_response(
        {
            "resourceType": "Bundle",
            "type": "searchset",
            "entry": [
                {
                    "resource": {
                        "resourceType": "Patient",
                        "id": "1000",
                        "identifier": [{"system": "https://fhir.nhs.uk/Id/nhs-number", "value": "9990000026"}],
                        "birthDate": "1991-07-19",
                    }
                }
            ],
        },
        content_type="application/fhir+json",
    )


async def test_a_source_that_answers_about_somebody_else_is_told_of(open_world, house, office, told):
    """Hazard wrong-patient."""
    world = await open_world(*house.usual(), **told)
    world.other_hospital.mood = about_somebody_else
    reply = await world.doctor().look_up(world.mrs_okafor)
    assert {row["status"] for row in reply.json["sources"] if row["source"] == "RJZ-epr"} == {"wrong-patient"}
    await eventually(lambda: world.journal("alert.sent"))

    (lookup_id,) = world.lookups()
    (raised,) = world.journal("alert.raised")
    assert (raised["kind"], raised["lookup_id"], raised["source"]) == ("wrong-patient", lookup_id, "RJZ-epr")
    assert "RJZ" in raised["to"]
    ((headers, body),) = office.got
    assert json.loads(body)["data"]["lookup_id"] == lookup_id
    assert headers["webhook-id"] == raised["alert_id"] == json.loads(body)["data"]["id"]
    signed = {"message_id": headers["webhook-id"], "timestamp": int(headers["webhook-timestamp"])}
    assert headers["webhook-signature"] == signature([SECRET], body=body, **signed)
    assert world.verify().ok


async def test_what_is_sent_names_neither_patient_nor_user(open_world, house, office, told):
    world = await open_world(*house.usual(), **told)
    world.other_hospital.mood = about_somebody_else
    doctor = world.doctor(user="555254240100", name="Dr Ada Example")
    await doctor.look_up(world.mrs_okafor)
    await eventually(lambda: office.got)
    for headers, body in office.got:
        words = f"{headers} {body.decode()}"
        for name in ("9990000018", "9990000026", "1948-03-02", "1991-07-19", "Okafor", "Reyes", "555254240100", "Ada"):
            assert name not in words


async def test_a_source_that_keeps_answering_about_somebody_else_is_told_of_once(open_world, house, office, told):
    world = await open_world(*house.usual(), **told)
    world.other_hospital.mood = about_somebody_else
    for _ in range(5):
        await world.doctor().look_up(world.mrs_okafor)
    await eventually(lambda: world.journal("alert.sent"))
    assert len(world.journal("alert.raised")) == 5
    assert len(office.got) == 1


async def test_an_office_that_is_closed_holds_up_no_lookup_and_loses_nothing(open_world, house, office, told):
    office.status = 503
    world = await open_world(*house.usual(), **told)
    world.other_hospital.mood = about_somebody_else
    assert (await world.doctor().look_up(world.mrs_okafor)).status == 200
    await eventually(lambda: office.got)
    assert world.journal("alert.sent") == []
    office.status = 204
    await eventually(lambda: world.journal("alert.sent"), 15)
    assert {headers["webhook-id"] for headers, _ in office.got} == {world.journal("alert.sent")[0]["alert_id"]}


async def test_without_an_office_journal_and_log_say_it(open_world, house):
    world = await open_world(*house.usual(), apart=True)
    world.other_hospital.mood = about_somebody_else
    await world.doctor().look_up(world.mrs_okafor)
    (raised,) = world.journal("alert.raised")
    lines = [json.loads(line) for line in world.said().splitlines()]
    (logged,) = [line for line in lines if line["event"] == "alert.raised"]
    assert (logged["alert_id"], logged["kind"]) == (raised["alert_id"], "wrong-patient")
    assert "9990000018" not in world.said()


async def test_an_agreement_that_ends_soon_is_told_of_at_the_start(open_world, house):
    ending, *others = house.usual()
    ending.expires = (london_today() + timedelta(days=7)).isoformat()
    world = await open_world(ending, *others, apart=True)
    await eventually(lambda: world.journal("alert.raised"))
    (raised,) = world.journal("alert.raised")
    assert (raised["kind"], raised["to"], raised["lookup_id"]) == ("agreement-ending", ["RJ1"], None)
    notices = [json.loads(line) for line in world.said().splitlines() if '"registry.notice"' in line]
    assert ["RJ1.toml: agreement.isa_expires" in line["message"] for line in notices] == [True, False]


async def test_a_secret_that_is_none_stops_the_start(open_world, house, office, tmp_path):
    (tmp_path / "webhook.secret").write_text("hunter2")
    table = f'[alerts]\nwebhook = "{office.url}"\nsecret_file = "{tmp_path / "webhook.secret"}"'
    with pytest.raises(ConfigurationError, match="whsec_") as caught:
        await open_world(*house.usual(), limits=table)
    assert "hunter2" not in str(caught.value)
