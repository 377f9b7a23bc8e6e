"""Who is let in, and what is written down of those who are not."""

import asyncio
import json

import pytest

from broker.errors import JournalUnavailable, Overloaded, TooManyRequests
from broker.surfaces import rooms
from broker.surfaces.callers import REPEATS, record_outstanding

PATIENT = {"nhs_number": "9990000018", "birth_date": "1948-03-02"}


async def post(client, **headers):
    return await client.post("/lookups", json={"patient": PATIENT}, headers=headers)


@pytest.mark.parametrize("header", [None, "Bearer x.y.z", "Basic eDp5", "", "Bearer " + "a" * 20_000 + ".b.c"])
async def test_no_token_and_a_bad_one_get_the_same_answer(client, lookups, header):
    if header and len(header) > 8190:
        header = header[:8000]
    response = await post(client, **({} if header is None else {"Authorization": header}))
    assert response.status == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert await response.json() == {
        "error": {"code": "not-authenticated", "message": "A valid token of a registered issuer is needed."},
        "sources": [],
    }
    assert lookups.begun == []


async def test_two_tokens_are_none(client, sign):
    headers = [("Authorization", f"Bearer {sign()}"), ("Authorization", f"Bearer {sign()}")]
    response = await client.post("/lookups", json={"patient": PATIENT}, headers=headers)
    assert response.status == 401


async def test_a_token_for_another_broker_is_not_valid_here(ask, sign):
    assert (await ask(token=sign(audience="http://elsewhere.test"))).status == 401


async def test_without_a_token_the_body_is_not_even_read(client):
    response = await client.post("/lookups", data=b"x" * 100_000)
    assert response.status == 401


async def test_a_flood_without_tokens_costs_one_record_a_second_and_is_counted(client, records):
    await asyncio.gather(*(post(client) for _ in range(50)))
    found = records("authentication.refused")
    assert 1 <= len(found) <= 3
    assert found[0]["address"] == "127.0.0.1"
    assert found[0]["reason"] == "missing"
    assert sum(record["count"] for record in found) <= 50


async def test_why_a_token_does_not_count_is_in_the_journal_and_not_in_the_answer(ask, sign, records):
    response = await ask(token=sign(audience="http://elsewhere.test"))
    assert response.status == 401
    assert "audience" not in await response.text()
    assert [record["reason"] for record in records("authentication.refused")] == ["audience"]


async def test_the_address_is_the_peers_whatever_a_header_says(client, records):
    await post(client, **{"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9"})
    assert [record["address"] for record in records("authentication.refused")] == ["127.0.0.1"]


@pytest.mark.parametrize(
    "token",
    [
        {"nhs_number": "9990000026"},
        {"birth_date": "1948-03-03"},
        {"nhs_number": None, "birth_date": None, "relationship": None},
        {"nhs_number": None},
        {"birth_date": None},
    ],
    ids=["another number", "another birth date", "no patient", "only a birth date", "only a number"],
)
async def test_the_patient_asked_for_is_the_one_in_the_token(ask, sign, lookups, records, token):
    response = await ask(token=sign(**token))
    assert (response.status, (await response.json())["error"]["code"]) == (403, "patient-mismatch")
    assert lookups.begun == []
    (record,) = records("request.refused")
    assert record["code"] == "patient-mismatch"
    assert record["purpose"] == "TREAT"
    assert record["user"]["jti"]


async def test_a_refusal_that_cannot_be_recorded_is_no_ordinary_refusal(ask, app, monkeypatch):
    async def full(*_, **__):
        raise JournalUnavailable("disk /var/lib/journal is full of 9990000018")

    monkeypatch.setattr(app[rooms.JOURNAL], "record", full)
    response = await ask(data=b"{}")
    assert response.status == 503
    assert (await response.json())["error"] == {"code": "journal-unavailable", "message": JournalUnavailable.default}


async def test_who_has_no_token_learns_nothing_of_a_journal_that_fails(client, app, monkeypatch):
    async def full(*_, **__):
        raise JournalUnavailable

    monkeypatch.setattr(app[rooms.JOURNAL], "record", full)
    assert (await post(client)).status == 401


async def test_a_record_of_a_refusal_names_the_reader_and_never_the_token(ask, sign, records, settings):
    token = sign()
    await ask(data=b'{"secret-word": 1}', token=token)
    (record,) = records("request.refused")
    assert record["user"]["organisation"] == "RJ1"
    assert record["user"]["role_code"] == "R8000"
    written = b"".join(file.read_bytes() for file in settings.audit.directory.iterdir() if file.is_file())
    assert token.encode() not in written
    assert b"secret-word" not in written
    assert json.dumps(PATIENT["nhs_number"]).encode() not in written


async def test_refusals_of_one_who_asks_too_much_are_counted_and_none_is_lost(ask, app, lookups, records, eventually):
    refuse_all(lookups, TooManyRequests)
    for _ in range(30):
        response = await ask()
        assert response.status == 429
        assert response.headers["Retry-After"] == "2"
    await eventually(lambda: sum(record["count"] for record in records("request.refused")) == 30)
    told = records("request.refused")
    assert len(told) < 30
    assert {record["code"] for record in told} == {"too-many-requests"}
    assert told[0]["count"] == 1
    assert len({record["patient"] for record in told}) == 1
    assert told[0]["patient"]


async def test_what_was_only_counted_is_recorded_when_the_broker_stops(ask, app, lookups, records, eventually):
    refuse_all(lookups, Overloaded)
    for _ in range(5):
        assert (await ask()).status == 503
    await record_outstanding(app[rooms.JOURNAL], app[rooms.REFUSALS], app[REPEATS])
    await eventually(lambda: sum(record["count"] for record in records("request.refused")) == 5)


async def test_each_person_has_a_record_of_their_own(ask, sign, lookups, records):
    refuse_all(lookups, TooManyRequests)
    for user in ("a", "b"):
        assert (await ask(token=sign(user=user))).status == 429
    assert [record["user"]["subject"] for record in records("request.refused")] == ["a", "b"]


async def test_refusals_about_several_patients_that_were_counted_together_name_none(
    ask, app, sign, records, eventually
):
    for number in ("9990000026", "9990000026", "9990000034"):
        assert (await ask(token=sign(nhs_number=number))).status == 403
    app[REPEATS].close()
    await eventually(lambda: len(records("request.refused")) == 2)
    first, others = records("request.refused")
    assert (first["count"], others["count"]) == (1, 2)
    assert first["patient"]


async def test_whoever_sends_what_is_wrong_again_and_again_has_a_record_a_second_for_each_code(
    ask, app, records, eventually
):
    for _ in range(20):
        assert (await ask({"categories": ["no such"]})).status == 400
        assert (await ask({"no such field": 1})).status == 400
    app[REPEATS].close()
    await eventually(lambda: sum(record["count"] for record in records("request.refused")) == 40)
    told = records("request.refused")
    assert {record["code"] for record in told} == {"unknown-category", "invalid-request"}
    assert len(told) <= 8
    assert [record["count"] for record in told[:2]] == [1, 1], "the first of each code, at once"


def refuse_all(lookups, error):
    def begin(*_, **__):
        raise error(retry_after=1.5)

    lookups.begin = begin
