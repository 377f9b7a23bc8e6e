"""What leaves a search open, and which error stands for an empty answer then."""

import asyncio
import json

import pytest
from aiohttp import web

from broker.lookup.rows import DEFINITE
from broker.lookup.values import Restrictions, Status, Summary
from broker.surfaces.fhir.found import Found
from broker.surfaces.fhir.outcome import error_outcome, nothing_found, restriction


def answering(status=200, body=b"", **headers):
    async def answer(_):
        return web.Response(status=status, body=body, content_type="application/fhir+json", headers=headers)

    return answer


async def hanging(_):
    await asyncio.Event().wait()


SUPPRESSED = {
    "resourceType": "Bundle",
    "type": "searchset",
    "entry": [
        {
            "search": {"mode": "outcome"},
            "resource": {
                "resourceType": "OperationOutcome",
                "issue": [{"severity": "information", "code": "suppressed"}],
            },
        }
    ],
}
MOODS = [
    ("failed", answering(500), 502, "sources-failed", ("warning", "exception")),
    ("refused", answering(401), 502, "sources-failed", ("warning", "forbidden")),
    ("malformed", answering(200, b"{"), 502, "sources-failed", ("warning", "structure")),
    ("busy", answering(429, **{"Retry-After": "7"}), 503, "sources-unavailable", ("warning", "throttled")),
    ("timed-out", hanging, 504, "sources-timed-out", ("warning", "timeout")),
]


@pytest.mark.parametrize(("status", "mood", "http", "code", "issue"), MOODS, ids=[one[0] for one in MOODS])
async def test_no_match_is_an_error_that_says_why(open_world, plugin_of, house, status, mood, http, code, issue):
    world = await open_world(*house.usual(timeout="1s"))
    plugin = plugin_of(world)
    world.practice.moods["GET /Immunization"] = world.practice.moods["POST /Immunization/_search"] = mood
    answer = await plugin.search("Immunization")
    assert (answer.status, answer.code) == (http, code)
    assert answer.open == {"G85001": status}
    assert (answer.issues[1]["severity"], answer.issues[1]["code"]) == issue
    assert "Camberwell Green" in answer.issues[1]["details"]["text"]
    assert ("Retry-After" in answer.headers) == (http == 503)
    if status == "busy":  # and is left alone for as long as it asked
        assert answer.headers["Retry-After"] == "7"
        return
    part = await plugin.search("Immunization", headers={"Prefer": "partial-results"})
    assert (part.status, part.open) == (200, {"G85001": status})
    assert {one["severity"] for one in part.issues} <= {"warning", "information"}
    other = await plugin.search("Condition")
    assert (other.status, other.json["total"]) == (200, 3), "what is known of another type is not touched"


async def test_what_a_source_holds_back_is_said_and_is_no_empty_answer(world, plugin):
    held = answering(200, json.dumps(SUPPRESSED).encode())
    world.practice.moods["GET /Immunization"] = world.practice.moods["POST /Immunization/_search"] = held
    answer = await plugin.search("Immunization")
    assert (answer.status, answer.code) == (403, "withheld")
    assert answer.open == {"G85001": "withheld-by-source"}
    assert (answer.issues[1]["severity"], answer.issues[1]["code"]) == ("information", "suppressed")


async def test_what_a_label_keeps_from_a_role_is_said_of_its_type_alone(world, plugin_of, house):
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "V"}
    world.hospital.holds(house.record("Procedure", "5001", status="completed", meta={"security": [label]}))
    nurse = plugin_of(world, role_code="R8001")
    answer = await nurse.search("Procedure")
    assert (answer.status, answer.code) == (403, "withheld")
    assert answer.open == {"RJ1": "withheld"}
    assert "5001" not in answer.text
    patient = await nurse.patient_id()
    batch = await nurse.batch(f"Procedure?patient={patient}", f"Condition?patient={patient}")
    assert [one["response"]["status"] for one in batch.json["entry"]] == ["403", "200"]
    assert (await plugin_of(world).search("Procedure")).json["total"] == 1


async def test_where_every_source_failed_it_is_an_error_for_who_copes_with_a_part_too(world, plugin):
    for one in world.organisations.values():
        one.mood = answering(500)
    for headers in ({}, {"Prefer": "partial-results"}):
        answer = await plugin.search("Condition", headers=headers)
        assert (answer.status, answer.code) == (502, "sources-failed")
        assert answer.open == {"RJ1": "failed", "RJZ": "failed", "G85001": "failed"}
        assert world.told(world.lookups()[-1])[-1] == "lookup.outcome"


async def test_a_practice_that_is_not_known_leaves_a_read_there_open(open_world, plugin_of, house):
    who = house.mrs_okafor
    world = await open_world(*house.usual(), identity={who.nhs_number: who.pds(practice="G85001")})
    plugin = plugin_of(world)
    (own,) = [one for one in (await plugin.search("Condition")).ids() if "G85001" in one]
    (other,) = [one for one in (await plugin.search("Condition")).ids() if "RJ1" in one]
    moved = {who.nhs_number: who.pds(practice="Z99999")}
    file = world.settings.identity.directory / f"{who.nhs_number}.json"
    file.write_text(json.dumps(moved[who.nhs_number]))
    answer = await plugin.ask(own)
    assert (answer.status, answer.code, answer.open) == (502, "sources-failed", {None: "practice-not-asked"})
    assert (await plugin.ask(other)).status == 200
    world.hospital.loses("Condition/1002")
    assert (await plugin.ask(other)).status == 404
    batch = await plugin.batch(own, other)
    assert [one["response"]["status"] for one in batch.json["entry"]] == ["502", "404"]


async def test_where_there_is_nobody_to_ask_nothing_is_certain(open_world, plugin_of, house):
    reader = house.Organisation("RJ1")
    alone = reader.manifest().partition("[[sources]]")[0]
    reader.manifest = lambda: alone
    plugin = plugin_of(await open_world(reader))
    answer = await plugin.search("Condition")
    assert (answer.status, answer.code) == (502, "sources-failed")
    part = await plugin.search("Condition", headers={"Prefer": "partial-results"})
    assert part.issues[0]["code"] == "incomplete"
    assert "total" not in part.json


def row(status, retry=None):
    return {
        "source": "RJ1-epr",
        "organisation": "RJ1",
        "name": "guy's",
        "status": status,
        "notes": ["a note"],
        "retry_after_s": retry,
    }


@pytest.mark.parametrize("status", [one for one in Status if one not in DEFINITE | {Status.WAITING}])
def test_every_status_that_is_not_definite_has_an_issue_in_words(status):
    error = nothing_found([row(status.value, 3), row("answered")])
    first, second = error_outcome(error)["issue"]
    assert first["severity"] == "error"
    assert second["severity"] in {"warning", "information"}
    assert "uy's" in second["details"]["text"]
    assert second["details"]["text"][0].isupper()
    assert second["diagnostics"] == "RJ1-epr: a note; try again in 3 s"


def test_an_objection_and_a_hidden_address_bound_every_answer_in_fixed_words():
    summary = Summary(
        lookup_id="1",
        complete=True,
        required_met=True,
        patient_id="p",
        nhs_number="9990000018",
        birth_date="1948-03-02",
        rows=(),
        restrictions=Restrictions(objection=True, location_hidden=True),
        entries=(),
    )
    found = Found(summary, {}, {}, [])
    assert found.restrictions == ("objection", "location-hidden")
    for word in found.restrictions:
        issue = restriction(word)
        assert (issue["severity"], issue["code"]) == ("information", "suppressed")
        assert issue["details"]["text"].endswith("ask the patient.")


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ([row("withheld"), row("withheld-by-source")], "withheld"),
        ([row("withheld"), row("timed-out")], "sources-unavailable"),
        ([row("withheld"), row("truncated")], "sources-failed"),
        ([row("timed-out"), row("timed-out"), row("no-record-found")], "sources-timed-out"),
        ([row("failed"), row("paused", 30)], "sources-unavailable"),
        ([row("failed", 3)], "sources-unavailable"),
        ([row("agreement-lapsed")], "sources-failed"),
    ],
)
def test_the_error_says_whether_to_try_again(rows, code):
    assert nothing_found(rows).code == code
