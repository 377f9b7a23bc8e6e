"""Bad input: a clear error with a stable code, recorded where the caller is known, and no source asked."""

import asyncio
import gzip
import json

import pytest

PATIENT = {"nhs_number": "9990000018", "birth_date": "1948-03-02"}


def with_patient(**changes):
    return {"patient": PATIENT | changes}


BAD = {
    "a check digit that is wrong": (with_patient(nhs_number="9990000019"), "invalid-nhs-number"),
    "spaces as printed": (with_patient(nhs_number="999 000 0018"), "invalid-nhs-number"),
    "digits of another script": (with_patient(nhs_number="९९९०००००१८"), "invalid-nhs-number"),
    "a number that is not text": (with_patient(nhs_number=9990000018), "invalid-nhs-number"),
    "no number": ({"patient": {"birth_date": "1948-03-02"}}, "invalid-nhs-number"),
    "nine digits": (with_patient(nhs_number="999000001"), "invalid-nhs-number"),
    "no birth date": ({"patient": {"nhs_number": "9990000018"}}, "invalid-birth-date"),
    "a birth date that never was": (with_patient(birth_date="1948-02-30"), "invalid-birth-date"),
    "a partial birth date": (with_patient(birth_date="1948-03"), "invalid-birth-date"),
    "a birth date written otherwise": (with_patient(birth_date="02/03/1948"), "invalid-birth-date"),
    "a birth date in basic form": (with_patient(birth_date="19480302"), "invalid-birth-date"),
    "a birth date with a time": (with_patient(birth_date="1948-03-02T00:00:00"), "invalid-birth-date"),
    "a birth date to come": (with_patient(birth_date="2999-01-01"), "invalid-birth-date"),
    "a birth date that is null": (with_patient(birth_date=None), "invalid-birth-date"),
    "no patient": ({}, "patient-required"),
    "an empty patient": ({"patient": {}}, "invalid-request"),
    "a patient that is a list": ({"patient": ["9990000018"]}, "invalid-request"),
    "a patient that is null": ({"patient": None}, "invalid-request"),
    "an unknown key": ({"patient": PATIENT, "pateint": {}}, "invalid-request"),
    "an unknown key of the patient": (with_patient(name="x"), "invalid-request"),
    "an unknown category": ({"patient": PATIENT, "categories": ["allergies", "horoscopes"]}, "unknown-category"),
    "no categories": ({"patient": PATIENT, "categories": []}, "invalid-request"),
    "categories that are text": ({"patient": PATIENT, "categories": "allergies"}, "invalid-request"),
    "categories that are null": ({"patient": PATIENT, "categories": None}, "invalid-request"),
    "a category that is empty": ({"patient": PATIENT, "categories": [""]}, "invalid-request"),
    "a category that is a number": ({"patient": PATIENT, "categories": [1]}, "invalid-request"),
    "a timeout longer than the deadline": ({"patient": PATIENT, "timeout": "6s"}, "timeout-too-long"),
    "a timeout of minutes": ({"patient": PATIENT, "timeout": "5m"}, "timeout-too-long"),
    "a timeout without unit": ({"patient": PATIENT, "timeout": "3"}, "invalid-request"),
    "a timeout that is a number": ({"patient": PATIENT, "timeout": 3}, "invalid-request"),
    "a timeout of zero": ({"patient": PATIENT, "timeout": "0s"}, "invalid-request"),
    "a timeout below zero": ({"patient": PATIENT, "timeout": "-1s"}, "invalid-request"),
    "a timeout of nothing": ({"patient": PATIENT, "timeout": ""}, "invalid-request"),
    "an unknown organisation": ({"patient": PATIENT, "require": ["ZZ9"]}, "unknown-organisation"),
    "a suspended organisation": ({"patient": PATIENT, "require": ["RJ1", "RXX"]}, "unknown-organisation"),
    "an empty require": ({"patient": PATIENT, "require": []}, "invalid-request"),
}

DECLARED = {"basis": "self-declared", "reason": "She is on my ward."}
OVERRIDE = {"reason": "04", "text": "She is unconscious."}
FIELDS = {
    "relationship": [None, {}, [], "self-declared"],
    "relationship.basis": [DECLARED | {"basis": one} for one in (None, "", "encounter", 1)],
    "relationship.reason": [
        {"basis": "self-declared"},
        *(DECLARED | {"reason": one} for one in (None, "", "  ", 1, "x" * 2001, "\ud800")),
    ],
    "relationship.pateint": [DECLARED | {"pateint": "x"}],
    "override": [None, {}, [], "04"],
    "override.reason": [{"text": "x"}, *(OVERRIDE | {"reason": one} for one in ("00", "07", "4", 4, None, ""))],
    "override.text": [{"reason": "04"}, *(OVERRIDE | {"text": one} for one in (None, "", "\n", [], "x" * 2001))],
    "override.pateint": [OVERRIDE | {"pateint": "x"}],
}
BAD |= {
    f"{field}, {n}": ({"patient": PATIENT, field.partition(".")[0]: value}, "invalid-request")
    for field, values in FIELDS.items()
    for n, value in enumerate(values)
}


@pytest.mark.parametrize("field", FIELDS)
async def test_the_message_names_the_field(ask, field):
    for value in FIELDS[field]:
        reply = await (await ask({field.partition(".")[0]: value})).json()
        assert reply["error"]["message"].startswith((field, "override.reason", "relationship.basis"))


@pytest.mark.parametrize("given", ["", "A" * 40, "not an id", "9990000018"])
async def test_an_override_id_that_can_be_none_is_refused(ask, lookups, given):
    reply = await (await ask(headers={"Override-Id": given})).json()
    assert reply["error"]["code"] == "invalid-request"
    assert lookups.begun == []


async def test_what_somebody_says_of_themselves_reaches_the_lookup(ask, lookups):
    assert (await ask({"relationship": DECLARED, "override": OVERRIDE})).status == 200
    ((_, query, _),) = lookups.begun
    assert query.declared == DECLARED["reason"]
    assert (query.override.reason, query.override.text) == ("04", "She is unconscious.")


async def test_a_token_without_a_patient_is_good_for_a_self_declared_lookup_alone(ask, lookups, sign):
    token = sign(nhs_number=None, birth_date=None, relationship=None)
    for body in ({}, {"override": OVERRIDE}, {"relationship": DECLARED, "override": OVERRIDE}):
        reply = await (await ask(body, token=token)).json()
        assert reply["error"]["code"] == "patient-mismatch"
    assert lookups.begun == []
    assert (await ask({"relationship": DECLARED}, token=token)).status == 200
    assert len(lookups.begun) == 1


@pytest.mark.parametrize(("body", "code"), BAD.values(), ids=BAD.keys())
async def test_a_fault_in_the_body_has_its_code_and_asks_nobody(ask, lookups, records, body, code):
    response = await ask(data=json.dumps(body))
    reply = await response.json()
    assert response.status == 400
    assert reply["error"]["code"] == code
    assert reply["error"]["message"]
    assert reply["sources"] == []
    assert lookups.begun == []
    (record,) = records("request.refused")
    assert record["code"] == code
    assert record["user"]["subject"] == "555254240100"
    assert record["user"]["role"] == "clinician"
    assert "9990000018" not in json.dumps(record)


UNREADABLE = {
    "nothing": b"",
    "not JSON": b"patient=9990000018",
    "cut off": b'{"patient": {"nhs_number": "999',
    "two values": b"{} {}",
    "a list": b"[]",
    "text": b'"x"',
    "not UTF-8": b'{"patient": "\xff"}',
    "UTF-16": '{"patient": {}}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"patient": {}}',
    "a key twice": b'{"patient": {}, "patient": {}}',
    "a key twice, written differently": b'{"patient": {}, "p\\u0061tient": {}}',
    "a key of the patient twice": b'{"patient": {"nhs_number": "9990000018", "nhs_number": "9990000026"}}',
    "NaN": b'{"timeout": NaN}',
    "Infinity": b'{"timeout": -Infinity}',
    "a number too long to be one": b'{"timeout": ' + b"1" * 5000 + b"}",
    "nested deep": b'{"patient": ' + b"[" * 20 + b"]" * 20 + b"}",
    "nested very deep": b'{"patient": ' + b"[" * 30_000,
    "objects nested very deep": b'{"a":' * 10_000,
    "a lone surrogate as a key": b'{"\\ud800": 1}',
}


@pytest.mark.parametrize("data", UNREADABLE.values(), ids=UNREADABLE.keys())
async def test_what_is_not_one_plain_json_object_is_an_invalid_request(ask, lookups, records, data):
    response = await ask(data=data)
    assert (response.status, (await response.json())["error"]["code"]) == (400, "invalid-request")
    assert lookups.begun == []
    assert len(records("request.refused")) == 1


async def test_the_message_names_what_is_wrong(ask):
    async def said(data):
        return (await (await ask(data=data)).json())["error"]["message"]

    assert "pateint" in await said(b'{"pateint": {}}')
    assert "patient.nmae" in await said(b'{"patient": {"nmae": 1}}')
    assert "categories" in await said(json.dumps({"patient": PATIENT, "categories": []}))
    assert "timeout" in await said(json.dumps({"patient": PATIENT, "timeout": 3}))
    assert "patient" in await said(b'{"patient": 1, "patient": 2}')
    assert "immunisations" in await said(json.dumps({"patient": PATIENT, "categories": ["vaccines"]}))


@pytest.mark.parametrize(
    "data",
    [
        b'{"9990000018": 1}',
        b'{"patient": {"9990000018": 1}}',
        b'{"9990000018": 1, "9990000018": 2}',
        b'{"patient": {"nhs_number": "9990000018", "birth_date": "1948-03-02"}, "categories": ["9990000018"]}',
        b'{"patient": {"nhs_number": "9990000018", "birth_date": "1948-03-02"}, "require": ["9990000018"]}',
        b'{"patient": {"nhs_number": "9990000018 ", "birth_date": "9990000018"}}',
    ],
)
async def test_a_number_in_the_wrong_place_is_not_said_back(ask, data):
    assert "9990000018" not in await (await ask(data=data)).text()


async def test_a_body_that_is_too_large_is_refused_before_it_is_read(ask, lookups, records):
    response = await ask(data=b'{"patient": "' + b"x" * 70_000 + b'"}')
    assert (response.status, (await response.json())["error"]["code"]) == (413, "too-large")
    assert lookups.begun == []
    assert [record["code"] for record in records("request.refused")] == ["too-large"]


async def test_a_body_that_does_not_say_its_length_is_cut_off(ask):
    async def endless():
        for _ in range(200):
            yield b" " * 1000

    response = await ask(data=endless())
    assert response.status == 413


async def test_a_body_that_does_not_arrive_is_not_waited_for(ask, monkeypatch):
    monkeypatch.setattr("broker.surfaces.requests._BODY_SECONDS", 0.05)

    async def slow():
        yield b"{"
        await asyncio.sleep(1)
        yield b"}"

    response = await ask(data=slow())
    assert (response.status, (await response.json())["error"]["code"]) == (400, "invalid-request")


async def test_a_body_that_unpacks_into_too_much_is_refused(ask):
    packed = gzip.compress(b" " * 10_000_000)
    response = await ask(data=packed, headers={"Content-Encoding": "gzip"})
    assert response.status == 413


async def test_a_body_that_is_not_what_its_encoding_says_is_an_invalid_request(ask):
    response = await ask(data=b"not gzip at all", headers={"Content-Encoding": "gzip"})
    assert (response.status, (await response.json())["error"]["code"]) == (400, "invalid-request")


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1"]
)
async def test_another_content_type_is_an_invalid_request(ask, kind):
    response = await ask(headers={"Content-Type": kind})
    assert (response.status, (await response.json())["error"]["code"]) == (400, "invalid-request")


@pytest.mark.parametrize("accept", ["text/plain", "text/html", "application/fhir+json", "application/json;q=0"])
async def test_a_form_that_there_is_not_is_said_so(ask, lookups, accept):
    response = await ask(headers={"Accept": accept})
    assert (response.status, (await response.json())["error"]["code"]) == (400, "not-supported")
    assert lookups.begun == []


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("application/json, application/x-ndjson", "application/json"),
        ("application/json;q=0.5, application/x-ndjson", "application/x-ndjson"),
        ("text/event-stream;q=0.8, application/x-ndjson;q=0.9, */*;q=0.1", "application/x-ndjson"),
        ("text/event-stream", "text/event-stream"),
        ("text/*", "text/event-stream"),
        ("text/html, */*;q=0.1", "application/json"),
        ("*/*, application/json;q=0", "application/x-ndjson"),
        ("APPLICATION/X-NDJSON", "application/x-ndjson"),
    ],
)
async def test_the_form_that_the_caller_prefers_is_given(ask, accept, form):
    response = await ask(headers={"Accept": accept})
    assert (response.status, response.content_type) == (200, form)


async def test_a_child_born_today_can_be_looked_up(ask, sign):
    from broker.surfaces.requests import today

    born = today().isoformat()
    response = await ask({"patient": {"nhs_number": "9990000018", "birth_date": born}}, token=sign(birth_date=born))
    assert response.status == 200


async def test_the_whole_deadline_may_be_asked_for(ask, lookups):
    assert (await ask({"timeout": "5s"})).status == 200
    assert lookups.begun[0][1].timeout == pytest.approx(5)
