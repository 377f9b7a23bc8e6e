"""fhirpy, called as its documentation shows, sees every resource, and can't take a part for the whole."""

import fhirpy
import pytest
from fhirpy.base.exceptions import BaseFHIRError, OperationOutcome, ResourceNotFound

IDENTIFIER = {"patient__identifier": "https://fhir.nhs.uk/Id/nhs-number|9990000018"}


@pytest.fixture
def client(plugin):
    return fhirpy.AsyncFHIRClient(plugin.base, authorization=plugin.headers["Authorization"])


async def test_it_finds_the_patient_and_then_everything(client, plugin):
    patient = await client.resources("Patient").search(identifier=plugin.identifier).fetch_all()
    assert [one["birthDate"] for one in patient] == ["1948-03-02"]
    for search in ({"patient": patient[0]["id"]}, IDENTIFIER):
        for pages in (client.resources("Condition"), client.resources("Condition").limit(1)):
            found = await pages.search(**search).fetch_all()
            assert sorted(one["code"]["coding"][0]["code"] for one in found) == ["38420", "38421", "38422"]
    async for one in client.resources("AllergyIntolerance").search(**IDENTIFIER):
        again = await client.reference("AllergyIntolerance", one["id"]).to_resource()
        assert again["meta"]["source"] == one["meta"]["source"]


async def test_it_learns_that_a_source_is_down(client, world):
    await world.practice.stop()
    with pytest.raises(OperationOutcome) as down:
        await client.resources("Condition").search(**IDENTIFIER).fetch_all()
    assert down.value.resource["issue"][0]["details"]["coding"][0]["code"] == "sources-unavailable"
    with pytest.raises(OperationOutcome):
        await client.resources("Condition").search(**IDENTIFIER).limit(1).fetch_all()
    for search in (client.resources("Immunization").search(**IDENTIFIER),):
        for ask in (search.fetch, search.fetch_all, search.first):
            with pytest.raises(OperationOutcome):
                await ask()


async def test_it_learns_that_nothing_is_there(client, world):
    assert await client.resources("Immunization").search(**IDENTIFIER).fetch_all() == []
    assert await client.resources("Immunization").search(**IDENTIFIER).first() is None


async def test_what_it_would_ask_beyond_is_refused(client):
    for search in (
        client.resources("Condition").search(**IDENTIFIER).count,
        client.resources("Condition").search(**IDENTIFIER, code="x").fetch,
        client.resources("Condition").search(**IDENTIFIER).include("Condition", "recorder").fetch_all,
        client.resources("Condition").fetch_all,
    ):
        with pytest.raises(OperationOutcome):
            await search()
    with pytest.raises(ResourceNotFound):
        await client.reference("Condition", "RJ1-epr.1002.abcdefgh").to_resource()
    with pytest.raises(BaseFHIRError):
        await client.resource("Condition", code={"text": "x"}).save()


async def test_a_batch_through_execute(client, plugin):
    patient = await plugin.patient_id()
    answer = await client.execute(
        "/",
        data={
            "resourceType": "Bundle",
            "type": "batch",
            "entry": [
                {"request": {"method": "GET", "url": f"{kind}?patient={patient}"}}
                for kind in ("Condition", "Encounter")
            ],
        },
    )
    assert [one["resource"]["total"] for one in answer["entry"]] == [3, 3]
