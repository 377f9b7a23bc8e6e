"""What a patient told one organisation about sharing its record, found as a code in that record."""

import json

import pytest
from aiohttp import web

SNOMED = "http://snomed.info/sct"
READ = "http://read.info/readv2"
REFUSED, GIVEN, THIRD_PARTY = "416409005", "417528008", "320011000000108"
PRACTICE = "G85001-epr"
NOT_LOOKED_UP = "whether the patient refused sharing here could not be looked up"


@pytest.fixture
def said(house):
    """An entry of a record that says it."""

    def make(code, when="2020-01-01", *, system=SNOMED, id_="1009", **more):
        observation = house.record("Observation", id_, status="final", effectiveDateTime=when, **more)
        return observation | {"code": {"coding": [{"system": system, "code": code}]}}

    return make


async def replies(doctor, patient, **how):
    """The same asked whole and as a stream; of each, its rows, whether it is complete, and all of its text."""
    for ask in (doctor.look_up, doctor.stream):
        reply = await ask(patient, **how)
        assert reply.status == 200
        data = reply.json if ask == doctor.look_up else reply.events[-1]["data"]
        yield {row["source"]: row for row in data["sources"]}, data["complete"], reply.text


@pytest.mark.parametrize("asked", [{}, {"categories": ["problems"]}, {"categories": ["allergies", "results"]}], ids=str)
@pytest.mark.parametrize(
    "habits", [{}, {"everything": True}, {"batch": True}, {"post": False}, {"strict": True}], ids=str
)
async def test_an_organisation_that_was_told_not_to_share_shares_nothing_whatever_is_asked(
    open_world, house, said, asked, habits
):
    """Seed questions 13 and 14; hazard objection-ignored."""
    world = await open_world(*house.usual(**habits))
    world.practice.holds(said(REFUSED))
    async for rows, complete, text in replies(world.doctor(), world.mrs_okafor, **asked):
        assert {source: row["status"] for source, row in rows.items()} == {
            "RJ1-epr": "answered",
            "RJZ-epr": "answered",
            PRACTICE: "withheld-by-source",
        }
        assert not complete
        assert rows[PRACTICE].get("resources", 0) == 0
        assert f"{PRACTICE}.1001" not in text
        assert REFUSED not in text
    assert REFUSED not in json.dumps(world.journal())
    assert world.verify().ok


async def test_its_own_staff_see_its_own_record_and_theirs_is_shared_with_it(world, said):
    """Hazard objection-hides-ones-own-records."""
    world.practice.holds(said(REFUSED))
    async for rows, complete, _ in replies(world.doctor("G85001"), world.mrs_okafor):
        assert {row["status"] for row in rows.values()} == {"answered"}
        assert complete


async def test_the_latest_dated_of_refusal_and_consent_holds(world, doctor, said):
    world.practice.holds(said(REFUSED, "2020-01-01"), said(GIVEN, "2023-05", id_="1010"))
    async for rows, complete, _ in replies(doctor, world.mrs_okafor):
        assert rows[PRACTICE]["status"] == "answered"
        assert complete
    world.practice.holds(said(REFUSED, "2024", id_="1011"))
    async for rows, _, _ in replies(doctor, world.mrs_okafor):
        assert rows[PRACTICE]["status"] == "withheld-by-source"


@pytest.mark.parametrize(
    ("system", "code"),
    [(SNOMED, "416308001"), (READ, "93C3."), (READ, "9Ndo."), (READ, "9Nu0."), (READ, "9Nu4.")],
)
async def test_an_opt_out_of_a_national_service_or_of_research_does_not_stop_care(world, doctor, said, system, code):
    """Seed questions 16 and 17."""
    world.practice.holds(said(code, system=system))
    async for rows, complete, _ in replies(doctor, world.mrs_okafor):
        assert rows[PRACTICE]["status"] == "answered"
        assert complete


async def test_what_came_only_to_be_heeded_is_not_shown_where_it_was_not_asked(world, doctor, said):
    world.practice.holds(said(GIVEN), said("1234567", id_="1010"), said(THIRD_PARTY, id_="1011"))
    reply = await doctor.look_up(world.mrs_okafor, categories=["problems"])
    assert reply.rows[PRACTICE] == "answered"
    assert not reply.resources("Observation")
    assert reply.row(PRACTICE)["resources"] == 1


async def test_that_it_could_not_be_looked_up_is_said_and_costs_nothing_else(world, doctor):
    async def fails(_request):
        return web.Response(status=500)

    world.practice.moods["POST /Observation/_search"] = fails
    reply = await doctor.look_up(world.mrs_okafor, categories=["problems"])
    assert reply.rows[PRACTICE] == "answered"
    assert NOT_LOOKED_UP in reply.row(PRACTICE)["notes"]
    assert reply.complete


async def test_no_override_lifts_it(world, doctor, said):
    world.practice.holds(said(REFUSED))
    override = {"reason": "04", "text": "Unconscious, and nobody knows what she takes."}
    reply = await doctor.look_up(world.mrs_okafor, override=override)
    assert reply.status == 200
    assert reply.rows[PRACTICE] == "withheld-by-source"
    assert f"{PRACTICE}.1001" not in reply.text


@pytest.fixture
async def trust(open_world, house):
    """A trust with two systems in a world, and the older of them."""
    hospital, spare, practice = house.usual()
    await spare.close()
    older = house.Organisation("OLD").holds(
        house.mrs_okafor.at("1000"), house.record("Condition", "1002", code="38429", text="An illness")
    )

    async def opened(*, offers=None):
        class Trust(house.Organisation):
            def manifest(self):
                more = ["[[sources]]", 'name = "old"', 'kind = "fhir-r4"', f'base_url = "{older.base_url}"']
                return "\n".join([super().manifest(), *more, *([f"categories = {offers}"] if offers else [])])

        newer = Trust("RJZ").holds(
            house.mrs_okafor.at("1000"),
            house.record("AllergyIntolerance", "1001"),
            house.record("Condition", "1002", code="38421"),
        )
        await older.revive()
        return await open_world(hospital, newer, practice), older

    yield opened
    await older.close()


async def test_told_in_one_system_it_holds_for_every_system_of_that_organisation(trust, said):
    """Whichever of them answers first."""
    world, older = await trust()
    older.holds(said(REFUSED))
    async for rows, complete, text in replies(world.doctor(), world.mrs_okafor):
        assert rows["RJZ-epr"]["status"] == rows["RJZ-old"]["status"] == "withheld-by-source"
        assert rows["RJ1-epr"]["status"] == rows[PRACTICE]["status"] == "answered"
        assert not complete
        assert "RJZ-epr.1001" not in text
        assert "RJZ-old.1002" not in text


async def test_it_holds_although_the_system_that_was_told_offers_nothing_that_is_asked(trust, said):
    world, older = await trust(offers='["results"]')
    for told in (False, True):
        async for rows, _, text in replies(world.doctor(), world.mrs_okafor, categories=["problems"]):
            assert rows["RJZ-epr"]["status"] == ("withheld-by-source" if told else "answered")
            assert rows["RJZ-epr"]["notes"] == []
            assert rows["RJZ-old"]["status"] == "not-provided"
            assert ("RJZ-epr.1002" in text) is not told
            assert "RJZ-old.1002" not in text
        older.holds(said(REFUSED))


async def test_it_holds_for_what_is_read_by_its_id_in_another_system(trust, said):
    world, older = await trust()
    doctor = world.doctor()
    whole = await doctor.look_up(world.mrs_okafor)
    (known,) = [one["id"] for one in whole.resources("Condition") if one["id"].startswith("RJZ-epr")]
    address = f"{world.address}/fhir/Condition/{known}"
    headers = {"Authorization": f"Bearer {doctor.token(world.mrs_okafor)}"}
    for told in (False, True):
        async with world.session.get(address, headers=headers) as answer:
            assert (answer.status == 200) is not told
            assert ("38421" in await answer.text()) is not told
        older.holds(said(REFUSED))


async def test_that_another_system_could_not_be_asked_for_it_is_said_on_the_row_of_the_one_that_was(trust):
    world, older = await trust(offers='["results"]')
    await older.close()
    async for rows, complete, _ in replies(world.doctor(), world.mrs_okafor, categories=["problems"]):
        assert rows["RJZ-epr"]["status"] == "answered"
        assert rows["RJZ-epr"]["notes"] == [NOT_LOOKED_UP]
        assert rows["RJZ-old"]["status"] == "not-provided"
        assert complete


async def test_the_readers_own_organisation_is_not_asked_for_it(trust, said):
    world, older = await trust(offers='["results"]')
    older.holds(said(REFUSED))
    async for rows, _, _ in replies(world.doctor("RJZ"), world.mrs_okafor, categories=["problems"]):
        assert rows["RJZ-epr"]["status"] == "answered"
    assert not older.seen
