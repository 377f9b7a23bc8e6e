"""Bad input: a clear OperationOutcome with a stable code, written down where the caller is known, and nobody asked."""

import json
from collections import Counter

import pytest

NUMBER = "https://fhir.nhs.uk/Id/nhs-number|9990000018"
OTHER = "https://fhir.nhs.uk/Id/nhs-number|9990000026"

SEARCHES = {
    "no patient": ({}, "patient-required"),
    "an empty patient": ({"patient": ""}, "patient-required"),
    "only a count": ({"_count": "5"}, "patient-required"),
    "two patients": ([("patient.identifier", NUMBER), ("patient.identifier", NUMBER)], "invalid-request"),
    "two ways": ([("patient.identifier", NUMBER), ("patient", "x")], "invalid-request"),
    "another patient": ({"patient.identifier": OTHER}, "patient-mismatch"),
    "an id of nobody": ({"patient": "1000"}, "invalid-request"),
    "a number that fails Modulus 11": ({"patient.identifier": NUMBER[:-1] + "9"}, "invalid-nhs-number"),
    "a number alone": ({"patient.identifier": "9990000018"}, "invalid-request"),
    "a number of another system": ({"patient.identifier": "urn:x|9990000018"}, "invalid-request"),
    "a count of none": ({"patient.identifier": NUMBER, "_count": "0"}, "invalid-request"),
    "a count that is no number": ({"patient.identifier": NUMBER, "_count": "ten"}, "invalid-request"),
    "a count that stands twice": (
        [("patient.identifier", NUMBER), ("_count", "1"), ("_count", "1")],
        "invalid-request",
    ),
    "everything along with it": ({"patient.identifier": NUMBER, "_include": "*"}, "not-supported"),
    "a code": ({"patient.identifier": NUMBER, "code": "123"}, "not-supported"),
    "a modifier": ({"patient:Patient": "x"}, "not-supported"),
    "an id": ({"patient.identifier": NUMBER, "_id": "x"}, "not-supported"),
    "a summary": ({"patient.identifier": NUMBER, "_summary": "count"}, "not-supported"),
    "a format": ({"patient.identifier": NUMBER, "_format": "json"}, "not-supported"),
    "an empty one": ({"patient.identifier": NUMBER, "onset": ""}, "not-supported"),
    "a number as its name": ({"patient.identifier": NUMBER, "9990000018": "x"}, "not-supported"),
    "the identifier of a patient elsewhere": ({"identifier": NUMBER}, "not-supported"),
}
STATUS = {"patient-mismatch": 403}


async def test_each_fault_of_a_search_has_its_code_is_written_down_and_asks_nobody(plugin, world, house, refusals):
    for name, (given, code) in SEARCHES.items():
        for answer in (
            await plugin.ask("Condition", params=given),
            await plugin.ask("Condition/_search", "POST", data=given),
        ):
            assert (answer.status, answer.code) == (STATUS.get(code, 400), code), name
            assert answer.issues[0]["details"]["text"], name
            assert "99900000" not in answer.text, name
    expected = Counter([code for _, code in SEARCHES.values()] * 2)
    await house.eventually(lambda: refusals(world) == expected)
    refused = world.journal("request.refused")
    assert {one["surface"] for one in refused} == {"fhir"}
    assert "99900000" not in json.dumps(refused)
    assert world.lookups() == []
    assert world.nobody_was_asked()


async def test_a_parameter_that_is_not_supported_is_named_where_that_says_nothing_else(plugin):
    answer = await plugin.search("Condition", **{"clinical-status": "active"})
    assert "clinical-status" in answer.issues[0]["details"]["text"]


async def test_a_parameter_of_address_and_body_stands_twice(plugin):
    answer = await plugin.ask(
        "Condition/_search", "POST", params={"patient.identifier": NUMBER}, data={"patient.identifier": NUMBER}
    )
    assert (answer.status, answer.code) == (400, "invalid-request")


async def test_a_search_by_json_is_told_to_send_a_form(plugin, world):
    answer = await plugin.ask("Condition/_search", "POST", json={"patient.identifier": NUMBER})
    assert (answer.status, answer.code) == (400, "invalid-request")
    assert "application/x-www-form-urlencoded" in answer.issues[0]["details"]["text"]
    assert world.nobody_was_asked()


async def test_a_hundred_kilobytes_are_too_much(plugin, world):
    answer = await plugin.form("Condition", {"patient.identifier": "9" * 100_000})
    assert (answer.status, answer.code) == (413, "too-large")
    answer = await plugin.search("Condition", x="9" * 100_000)
    assert (answer.status, answer.code) == (413, "too-large")
    assert world.nobody_was_asked()


BEYOND = [
    ("Banana", "GET", 404, "not-found"),
    ("Banana/1", "GET", 404, "not-found"),
    ("Linkage", "GET", 400, "not-supported"),
    ("Practitioner", "GET", 400, "not-supported"),
    ("Patient/$everything", "GET", 501, "not-supported"),
    ("Patient/$summary", "GET", 501, "not-supported"),
    ("Patient/x/$everything", "GET", 501, "not-supported"),
    ("Patient/x/$everything", "POST", 501, "not-supported"),
    ("Patient/%24everything", "GET", 501, "not-supported"),
    ("Patient/$everything", "POST", 501, "not-supported"),
    ("$process-message", "POST", 501, "not-supported"),
    ("$versions", "GET", 501, "not-supported"),
    ("_history", "GET", 501, "not-supported"),
    ("Condition/_history", "GET", 501, "not-supported"),
    ("Condition/x/_history", "GET", 501, "not-supported"),
    ("Condition/x/_history/1", "GET", 501, "not-supported"),
    ("Patient/x/Condition", "GET", 501, "not-supported"),
]


@pytest.mark.parametrize(("path", "method", "status", "code"), BEYOND)
async def test_what_is_not_here_is_said_in_words_and_written_down(plugin, world, path, method, status, code):
    answer = await plugin.ask(path, method)
    assert (answer.status, answer.code) == (status, code)
    assert answer.issues[0]["details"]["text"]
    assert [one["code"] for one in world.journal("request.refused")] == [code]
    assert world.nobody_was_asked()


@pytest.mark.parametrize(
    ("path", "method", "allowed"),
    [
        ("Condition", "POST", "GET"),
        ("Condition/x", "PUT", "GET"),
        ("Condition/x", "PATCH", "GET"),
        ("Condition/x", "DELETE", "GET"),
        ("Condition/x", "POST", "GET"),
        ("Condition", "DELETE", "GET"),
        ("Condition/_search", "GET", "POST"),
        ("Condition", "HEAD", "GET"),
        ("Condition/x", "HEAD", "GET"),
        ("", "GET", "POST"),
    ],
)
async def test_nothing_is_written_and_a_head_is_no_lookup(plugin, world, path, method, allowed):
    answer = await plugin.ask(path, method)
    assert answer.status == 405
    assert answer.headers["Allow"] == allowed
    if method != "HEAD":
        assert answer.code == "method-not-allowed"
    assert world.lookups() == []


async def test_every_error_is_an_outcome(plugin, world):
    for path in ("Condition", "Condition/x", "Condition/_search"):
        method = "POST" if path.endswith("_search") else "GET"
        answer = await plugin.ask(path, method, headers={"Authorization": "Bearer x"})
        assert (answer.status, answer.code) == (401, "not-authenticated")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    answer = await plugin.search("Condition", headers={"Accept": "application/fhir+xml"})
    assert (answer.status, answer.code) == (400, "not-supported")
    for given in ("x", "", "A" * 40, "a" * 40, "9990000018"):
        answer = await plugin.search("Condition", headers={"Override-Id": given})
        assert (answer.status, answer.code) == (400, "invalid-request")
    assert world.nobody_was_asked()


async def test_a_token_without_a_patient_searches_nobody(world, plugin, doctor):
    headers = {"Authorization": f"Bearer {doctor.token()}"}
    for path in (
        f"Condition?patient.identifier={NUMBER}",
        "Condition/RJ1-epr.1.abcdefgh",
        f"Patient?identifier={NUMBER}",
    ):
        answer = await plugin.ask(path, headers=headers)
        assert (answer.status, answer.code) == (403, "patient-mismatch")
    assert world.nobody_was_asked()
