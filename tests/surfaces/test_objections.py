"""`/objections`: the register over HTTP, in the JSON of `broker objection`, with the rights that a token gives."""

import asyncio
import json
import re

import pytest
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from broker.app import create_app, issuers
from broker.auth import sign_demo_token
from broker.clock import london_today
from broker.errors import ConfigurationError
from broker.registry import Registry
from broker.settings import load

TODAY = london_today().isoformat()
NUMBER, OTHER = "9990000018", "9990000026"
PATIENT = {"nhs_number": NUMBER}
RECORD = {"patient": PATIENT, "asked_by": "patient", "effect_explained": True}
NOT_UPHELD = {"status": "not-upheld", "reason": "To keep somebody safe.", "ico_route_told": True}


@pytest.fixture
def settings(config):
    with config.open("a") as file:
        file.write(
            '[objections]\nlead_controller = "QKK"\n[[issuers]]\niss = "https://operator.example"\ndemo = true\n'
        )
    return load(config, {})


@pytest.fixture
async def client(settings):
    """The whole service, every room real."""
    async with TestServer(create_app(settings)) as server, TestClient(server) as client:
        yield client


@pytest.fixture
def sign_as(settings):
    """Makes a token of somebody at an organisation; the lead controller's come from the operator's issuer."""
    registry = Registry.load(settings.organisations.directory, settings=settings)
    known = {each.organisation: each for each in issuers(settings, registry)}

    def make(role, organisation="RJ1", user="555254240100"):
        issuer = known.get(organisation, known[None])
        claims = {"role_code": role, "organisation": organisation, "user": user}
        return sign_demo_token(issuer, audience=settings.server.public_url, **claims)

    return make


@pytest.fixture
def say(client, sign_as):
    """Sends one request as the doctor, or as somebody else; gives status and JSON."""

    async def send(method, path, body=None, *, token=None):
        headers = {"Authorization": f"Bearer {token or sign_as('R8000')}"}
        async with client.request(method, path, json=body, headers=headers) as response:
            return response.status, json.loads(await response.read()), response.headers

    return send


@pytest.fixture
def officer(sign_as):
    return sign_as("R0001", "QKK", "555000000001")


@pytest.fixture
def records(settings):
    """What the journal holds of one event."""

    def read(event):
        files = sorted(settings.audit.directory.rglob("*.jsonl"))
        lines = [json.loads(line) for file in files for line in file.read_bytes().splitlines()]
        return [each for each in lines if each["event"] == event]

    return read


async def test_an_objection_from_first_word_to_the_patient_being_told(say, officer):
    status, made, headers = await say("POST", "/objections", RECORD)
    assert (status, made["status"], made["scope"], made["version"]) == (201, "received", {"kind": "whole"}, 1)
    assert headers["Location"] == f"http://broker.test/objections/{made['id']}"
    decisions = f"/objections/{made['id']}/decisions"
    status, reviewed, _ = await say("POST", decisions, {"status": "under-review", "version": 1}, token=officer)
    assert (status, reviewed["status"]) == (200, "under-review")
    status, decided, _ = await say("POST", decisions, NOT_UPHELD, token=officer)
    assert (status, decided["decided_by"]["organisation"], decided["told_at"]) == (200, "QKK", None)
    status, told, _ = await say("POST", decisions, {"status": "not-upheld", "told": TODAY}, token=officer)
    assert (status, told["told_at"]) == (200, TODAY)
    status, shown, _ = await say("GET", f"/objections/{made['id']}")
    assert status == 200
    assert [each["status"] for each in shown["history"]] == ["received", "under-review", "not-upheld", "not-upheld"]
    assert shown["history"][2]["reason"] == "To keep somebody safe."
    status, withdrawn, _ = await say("POST", f"/objections/{made['id']}/withdrawal", {"version": 4})
    assert (status, withdrawn["status"]) == (200, "withdrawn")


@pytest.mark.parametrize(
    "scope",
    [
        {"kind": "whole"},
        {"kind": "organisation", "organisation": "RJ1"},
        {"kind": "category", "category": "mental-health"},
        {"kind": "staff", "staff": {"issuer": "https://ehr.RJ1.example", "subject": "555"}},
        {"kind": "staff", "staff": {"staff_id": "555254240100"}},
    ],
)
async def test_a_scope_is_written_as_it_is_shown(say, scope):
    status, made, _ = await say("POST", "/objections", RECORD | {"scope": scope})
    assert (status, made["scope"]) == (201, scope)


async def test_the_letter_comes_as_text(client, say, officer):
    _, made, _ = await say("POST", "/objections", RECORD)
    for body in ({"status": "under-review"}, NOT_UPHELD):
        await say("POST", f"/objections/{made['id']}/decisions", body, token=officer)
    headers = {"Authorization": f"Bearer {officer}"}
    async with client.get(f"/objections/{made['id']}/letter", headers=headers) as response:
        assert (response.status, response.content_type) == (200, "text/plain")
        text = await response.text()
    assert "To keep somebody safe." in text
    assert "Information Commissioner" in text
    assert NUMBER not in text


async def test_those_of_one_patient_are_searched_for_without_the_number_in_an_address(say):
    _, made, _ = await say("POST", "/objections", RECORD)
    await say("POST", "/objections", RECORD | {"patient": {"nhs_number": OTHER}})
    status, found, _ = await say("POST", "/objections/_search", {"patient": PATIENT})
    assert (status, [each["id"] for each in found]) == (200, [made["id"]])
    status, found, _ = await say("POST", "/objections/_search", {"patient": PATIENT, "status": "upheld", "due": True})
    assert (status, found) == (200, [])
    status, refused, _ = await say("GET", f"/objections?patient={NUMBER}")
    assert (status, refused["error"]["code"]) == (400, "invalid-request")
    assert NUMBER not in json.dumps(refused)


async def test_a_list_comes_in_pages_that_lead_to_one_another(say, officer):
    made = {(await say("POST", "/objections", RECORD))[1]["id"] for _ in range(3)}
    _, first, headers = await say("GET", "/objections?status=received&limit=2", token=officer)
    address = re.fullmatch(r'<http://broker.test(/objections\?.*)>; rel="next"', headers["Link"])[1]
    _, second, headers = await say("GET", address, token=officer)
    assert {each["id"] for each in first + second} == made
    assert "Link" not in headers


async def test_a_childs_objection_says_when_it_is_looked_at_again(say, officer):
    born = {"nhs_number": NUMBER, "birth_date": "2025-02-03"}
    _, made, _ = await say("POST", "/objections", RECORD | {"patient": born, "asked_by": "parent"})
    assert made["review_on"] == "2041-02-03"
    assert (await say("GET", "/objections?due=true", token=officer))[1] == []


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"patient": {"nhs_number": "9990000000"}}, "invalid-nhs-number", "Modulus"),
        ({"patient": {"nhs_number": 9990000018}}, "invalid-nhs-number", "Modulus"),
        ({"patient": "x"}, "invalid-request", "patient"),
        ({"patient": {"nhs_number": NUMBER, "name": "x"}}, "invalid-request", "patient.name"),
        ({"patient": {"nhs_number": NUMBER, "birth_date": "2099-01-01"}}, "invalid-birth-date", "not in the future"),
        ({"patient": {"nhs_number": NUMBER, "birth_date": "20250101"}}, "invalid-birth-date", "YYYY-MM-DD"),
        ({"asked_by": "neighbour"}, "invalid-request", "asked_by"),
        ({"asked_by": 7}, "invalid-request", "asked_by"),
        ({"effect_explained": False}, "invalid-request", "effect_explained"),
        ({"effect_explained": "yes"}, "invalid-request", "effect_explained"),
        ({"colour": "blue"}, "invalid-request", "colour"),
        ({"scope": "whole"}, "invalid-request", "scope"),
        ({"scope": {"kind": "galaxy"}}, "invalid-request", "scope.kind"),
        ({"scope": {"kind": "whole", "category": "results"}}, "invalid-request", "scope.category"),
        ({"scope": {"kind": "category", "category": "horoscopes"}}, "unknown-category", "category"),
        ({"scope": {"kind": "organisation", "organisation": "ZZZ"}}, "unknown-organisation", "organisation"),
        ({"scope": {"kind": "staff", "staff": "somebody"}}, "invalid-request", "scope.staff"),
        ({"scope": {"kind": "staff", "staff": {"staff_id": "1"}}}, "invalid-request", "staff_id"),
        ({"scope": {"kind": "staff", "staff": {"issuer": "x", "subject": "y"}}}, "invalid-request", "issuer"),
    ],
)
async def test_what_is_wrong_is_named_recorded_and_changes_nothing(say, officer, records, change, code, words):
    status, refused, _ = await say("POST", "/objections", RECORD | change)
    assert (status, refused["error"]["code"]) == (400, code)
    assert words in refused["error"]["message"]
    assert (await say("GET", "/objections", token=officer))[1] == []
    assert [(each["code"], each["surface"]) for each in records("request.refused")] == [(code, "objections")]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "status"),
        ({"status": "maybe"}, "status"),
        ({"status": "under-review", "version": "1"}, "version"),
        ({"status": "under-review", "version": True}, "version"),
        ({"status": "under-review", "told": "yesterday"}, "told"),
        ({"status": "under-review", "ico_route_told": 1}, "ico_route_told"),
        ({"status": "under-review", "reason": " "}, "reason"),
        ({"status": "under-review", "Status": "x"}, "Status"),
    ],
)
async def test_a_decision_with_a_fault_names_the_field(say, officer, body, words):
    _, made, _ = await say("POST", "/objections", RECORD)
    status, refused, _ = await say("POST", f"/objections/{made['id']}/decisions", body, token=officer)
    assert (status, refused["error"]["code"]) == (400, "invalid-request")
    assert words in refused["error"]["message"]


@pytest.mark.parametrize(
    "query", ["due=perhaps", "limit=0", "limit=1001", "limit=x", "status=open", "after=$", "due=true&due=false"]
)
async def test_a_list_asked_for_wrongly_names_the_parameter(say, query):
    status, refused, _ = await say("GET", f"/objections?{query}")
    assert (status, refused["error"]["code"]) == (400, "invalid-request")
    assert query.partition("=")[0] in refused["error"]["message"]


async def test_nobody_without_a_valid_token_reads_or_writes(client):
    for method, path in (
        ("POST", "/objections"),
        ("GET", "/objections"),
        ("POST", "/objections/_search"),
        ("GET", "/objections/1"),
        ("POST", "/objections/1/decisions"),
        ("POST", "/objections/1/withdrawal"),
        ("GET", "/objections/1/letter"),
    ):
        async with client.request(method, path, json=RECORD, headers={"Authorization": "Bearer x"}) as response:
            assert response.status == 401


async def test_a_role_without_the_right_is_refused_and_recorded_once_with_a_count(say, sign_as, records):
    receptionist = sign_as("R8009", user="555000000009")
    for _ in range(3):
        status, refused, _ = await say("POST", "/objections", RECORD, token=receptionist)
        assert (status, refused["error"]["code"]) == (403, "role-not-permitted")
    assert [each["count"] for each in records("request.refused")] == [1]
    async with asyncio.timeout(10):
        while len(records("request.refused")) < 2:
            await asyncio.sleep(0.05)
    assert [each["count"] for each in records("request.refused")] == [1, 2]


async def test_of_two_who_decide_at_once_one_wins_and_the_other_gets_a_conflict(say, sign_as, officer):
    _, made, _ = await say("POST", "/objections", RECORD)
    decisions = f"/objections/{made['id']}/decisions"
    await say("POST", decisions, {"status": "under-review"}, token=officer)
    guardian = sign_as("R5105", "QKK", "555000000002")
    found = await asyncio.gather(
        say("POST", decisions, {"status": "upheld", "version": 2}, token=officer),
        say("POST", decisions, {"status": "upheld", "version": 2}, token=guardian),
    )
    assert sorted(status for status, _, _ in found) == [200, 409]
    (lost,) = [content for status, content, _ in found if status == 409]
    assert lost["error"]["code"] == "conflict"


async def test_the_recorder_does_not_decide_and_what_may_not_be_seen_is_not_there(say, sign_as, officer):
    _, made, _ = await say("POST", "/objections", RECORD, token=officer)
    path = f"/objections/{made['id']}"
    status, refused, _ = await say("POST", f"{path}/decisions", {"status": "under-review"}, token=officer)
    assert (status, refused["error"]["code"]) == (403, "role-not-permitted")
    for method, address in (("GET", path), ("GET", f"{path}/letter"), ("GET", "/objections/0123456789abcdef")):
        status, refused, _ = await say(method, address)
        assert (status, refused["error"]["code"]) == (404, "not-found")


async def test_a_letter_that_can_not_be_written_stops_the_start(config, tmp_path):
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear $patient: $reason. $commissioner")
    with config.open("a") as file:
        file.write('[objections]\nletter = "letter.txt"\n')
    with pytest.raises(ConfigurationError, match=r"\$patient is not known"):
        async with TestServer(create_app(load(config, {}))):
            pass


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"scope": {"kind": ["whole"]}}, "scope.kind"),
        ({"scope": {"kind": {}}}, "scope.kind"),
        ({"scope": {"kind": "staff", "staff": {"issuer": "https://ehr.RJ1.example", "subject": "\ud800"}}}, "subject"),
        ({"asked_by": "\ud800"}, "asked_by"),
        ({"patient": {"nhs_number": [NUMBER]}}, "patient.nhs_number"),
    ],
)
async def test_a_body_of_another_shape_is_refused_by_the_name_of_its_field(say, records, changed, field):
    status, answer, _ = await say("POST", "/objections", RECORD | changed)
    assert (status, answer["error"]["code"]) == (400, "invalid-request")
    assert field in answer["error"]["message"]
    assert [each["code"] for each in records("request.refused")] == ["invalid-request"]


async def test_an_id_that_could_be_none_is_not_found(client, sign_as):
    headers = {"Authorization": f"Bearer {sign_as('R8000')}"}
    for name in ("%00", "%ED%A0%80"):
        async with client.get(URL(f"/objections/{name}", encoded=True), headers=headers) as response:
            assert response.status == 404
