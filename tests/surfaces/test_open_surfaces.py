"""What needs no token: health, about, the document, and addresses that are none."""

import json
import re

import pytest

from broker.errors import BrokerError, NotBuilt
from broker.lookup.values import STATEMENT, Status
from broker.surfaces import rooms
from broker.surfaces.openapi import document


def leaves(kind):
    return [leaf for each in kind.__subclasses__() for leaf in (leaves(each) or [each])]


async def test_a_process_that_answers_is_live(client):
    assert await (await client.get("/health/live")).json() == {"status": "live"}


async def test_it_is_ready_when_a_lookup_would_be_served(client):
    response = await client.get("/health/ready")
    assert response.status == 200
    assert await response.json() == {
        "status": "ready",
        "checks": {"lookups": True, "journal": True, "objections": True, "organisations": True},
    }


async def test_it_is_not_ready_once_the_journal_takes_nothing(client, app):
    await app[rooms.JOURNAL].close()
    response = await client.get("/health/ready")
    assert response.status == 503
    checks = (await response.json())["checks"]
    assert checks == {"lookups": True, "journal": False, "objections": True, "organisations": True}


async def test_it_is_not_ready_once_no_lookup_is_begun(client, lookups):
    lookups.taking = False
    response = await client.get("/health/ready")
    assert response.status == 503
    assert not (await response.json())["checks"]["lookups"]


async def test_about_tells_a_patient_who_takes_part_and_whom_to_ask(client):
    reply = await (await client.get("/about")).json()
    assert [each["ods_code"] for each in reply["organisations"]] == ["RJ1"], "a suspended one takes no part"
    assert reply["organisations"][0]["subject_access"] == "sar@RJ1.example"
    assert reply["statement"] == STATEMENT
    assert "PALS" in reply["complaining"]
    assert "Information Commissioner" in reply["information_commissioner"]["name"]
    assert "object" in reply["objecting"]
    assert "Data Protection Act 2018" in reply["copy_of_your_record"]


async def test_an_address_that_is_none_is_not_found(client):
    response = await client.get("/patients/9990000018")
    assert response.status == 404
    assert (await response.json())["error"]["code"] == "not-found"
    assert "9990000018" not in await response.text()
    assert response.headers["Cache-Control"] == "no-store"


async def test_another_method_is_told_which_there_are(client):
    response = await client.get("/lookups")
    assert (response.status, (await response.json())["error"]["code"]) == (405, "method-not-allowed")
    assert response.headers["Allow"] == "POST"


async def test_every_route_is_in_the_document_and_nothing_else_is(app):
    served = {
        (route.method.lower(), route.resource.canonical)
        for route in app.router.routes()
        if route.method != "HEAD" and route.resource
    }
    written = {(method, path) for path, methods in document("http://x")["paths"].items() for method in methods}
    assert served == written


async def test_the_document_is_openapi_whose_references_all_lead_somewhere(client):
    found = await (await client.get("/openapi.json")).json()
    assert found["openapi"] == "3.1.0"
    assert found["info"]["version"] != "0"
    assert found["servers"] == [{"url": "http://broker.test"}]
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(found)):
        place = found
        for step in reference.split("/"):
            place = place[step]
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            assert operation["operationId"], (path, method)
            assert operation["summary"]
            assert operation["responses"]


async def test_the_document_names_the_categories_and_statuses_that_there_are(app):
    schemas = document("http://x")["components"]["schemas"]
    assert schemas["Category"]["enum"] == list(app[rooms.POLICIES].tables.categories)
    assert schemas["Status"]["enum"] == [status.value for status in Status]


@pytest.mark.parametrize("error", [leaf for leaf in leaves(BrokerError) if leaf.__module__ == "broker.errors"])
def test_every_error_of_a_lookup_stands_under_its_status(error):
    elsewhere = {"not-found", "method-not-allowed", "conflict"} | {"withheld", "page-expired", "sources-unavailable"}
    responses = document("http://x")["paths"]["/lookups"]["post"]["responses"]
    if error.code not in elsewhere and error is not NotBuilt:
        assert error.code in responses[str(error.status)]["description"]
