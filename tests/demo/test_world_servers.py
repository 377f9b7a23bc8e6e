"""The servers are honest FHIR servers, each with habits of its own, which its CapabilityStatement declares."""

import json

import aiohttp
import pytest

from broker.demo.world import DOWN, ORGANISATIONS

OKAFOR = "9990000018"
UP = [
    organisation.source(site)
    for organisation in ORGANISATIONS
    for site in organisation.sites
    if organisation.source(site) != DOWN
]


def matches(bundle):
    return [entry["resource"] for entry in bundle.get("entry", []) if entry["search"]["mode"] == "match"]


@pytest.mark.parametrize("source", UP)
async def test_every_server_declares_only_what_works(client, source):
    statement = await client.get(source, "/metadata")
    assert statement["resourceType"] == "CapabilityStatement"
    assert statement["fhirVersion"] == "4.0.1"
    (rest,) = statement["rest"]
    listed = {resource["type"]: resource for resource in rest["resource"]}
    assert "Patient" in listed
    everything = bool(listed["Patient"].get("operation"))
    batch = {"code": "batch"} in rest.get("interaction", [])
    await client.get(source, "/Patient/nobody/$everything", status=404)
    body = {"resourceType": "Bundle", "type": "batch", "entry": []}
    await client.post(source, "", json=body, status=200 if batch else 405)
    assert (source in {"RJ1-epr", "RYX-rio"}) is everything
    assert (source in {"G85001-gp", "RV5-epjs"}) is batch


async def test_everything_holds_the_whole_record_and_whoever_it_names(client):
    patient = await client.local_id("RJ1-epr", OKAFOR)
    bundle = await client.get("RJ1-epr", f"/Patient/{patient}/$everything")
    types = {resource["resourceType"] for resource in matches(bundle)}
    assert {"Patient", "AllergyIntolerance", "Encounter", "Organization", "Practitioner"} <= types


async def test_where_fullurls_are_urns_so_are_the_references_and_each_resolves(client):
    patient = await client.local_id("RYX-rio", OKAFOR)
    bundle = await client.get("RYX-rio", f"/Patient/{patient}/$everything")
    addresses = {entry["fullUrl"] for entry in bundle["entry"]}
    assert all(address.startswith("urn:uuid:") for address in addresses)
    named = {reference for resource in matches(bundle) for reference in references(resource)}
    assert named
    assert named <= addresses


async def test_one_ignores_the_size_asked_for_and_gives_three_at_a_time(client):
    patient = await client.local_id("RJZ-epr", "9990000107")
    first = await client.get("RJZ-epr", "/Observation", patient=patient, _count="100")
    pages = await client.pages("RJZ-epr", first)
    assert [len(page["entry"]) for page in pages] == [3, 3, 3]
    found = [resource["id"] for page in pages for resource in matches(page)]
    assert len(set(found)) == first["total"] == 9


async def test_one_pages_at_its_base_by_a_search_that_it_keeps_and_tells_no_total_before_the_end(client):
    patient = await client.local_id("RJ1-epr", OKAFOR)
    first = await client.get("RJ1-epr", f"/Patient/{patient}/$everything", _count="4")
    pages = await client.pages("RJ1-epr", first)
    assert len(pages) > 1
    assert "_getpages=" in first["link"][-1]["url"]
    assert ["total" in page for page in pages] == [False] * (len(pages) - 1) + [True]
    await client.get("RJ1-epr", "", _getpages="long-gone", _getpagesoffset="4", _count="4", status=410)


async def test_some_take_searches_by_post_alone_and_some_by_get_alone(client):
    form = {"identifier": f"https://fhir.nhs.uk/Id/nhs-number|{OKAFOR}"}
    await client.get("710-mosaic", "/Patient", **form, status=405)
    assert matches(await client.post("710-mosaic", "/Patient/_search", data=form))
    await client.post("Y09001-adastra", "/Patient/_search", data=form, status=405)
    assert matches(await client.get("Y09001-adastra", "/Patient", **form))
    await client.post("RJZ-epr", "/Patient/_search", json=form, status=415)


async def test_one_warns_beside_what_it_found_and_not_where_it_found_nothing(client):
    patient = await client.local_id("Y09001-adastra", OKAFOR)
    bundle = await client.get("Y09001-adastra", "/Encounter", patient=patient)
    (warning,) = [entry["resource"] for entry in bundle["entry"] if entry["search"]["mode"] == "outcome"]
    assert warning["issue"][0]["severity"] == "warning"
    assert bundle["total"] == 1
    assert "entry" not in await client.get("Y09001-adastra", "/Condition", patient=patient)


async def test_a_batch_answers_each_entry_by_itself(client):
    patient = await client.local_id("G85001-gp", OKAFOR)
    asked = [f"Immunization?patient={patient}", f"Patient/{patient}", "Patient/nobody", "Account?patient=1"]
    entries = [{"request": {"method": "GET", "url": url}} for url in asked]
    entries.append({"request": {"method": "DELETE", "url": f"Patient/{patient}"}})
    reply = await client.post("G85001-gp", "", json={"resourceType": "Bundle", "type": "batch", "entry": entries})
    assert reply["type"] == "batch-response"
    assert [entry["response"]["status"] for entry in reply["entry"]] == ["200", "200", "404", "404", "405"]
    assert len(matches(reply["entry"][0]["resource"])) == 3


async def test_a_search_without_a_patient_finds_nothing_and_an_unknown_parameter_is_refused_where_it_is_strict(client):
    refused = await client.get("RJZ-epr", "/Condition", status=400)
    assert refused["issue"][0]["severity"] == "error"
    await client.get("RJZ-epr", "/Condition", patient="1000", colour="red", status=400)
    patient = await client.local_id("Y09001-adastra", OKAFOR)
    await client.get("Y09001-adastra", "/Condition", patient=patient, colour="red")
    await client.get("RJ1-lab", "/Immunization", patient="1", status=404)


async def test_the_dead_one_refuses_connections_until_it_is_brought_back_at_the_same_address(client):
    with pytest.raises(aiohttp.ClientConnectorError):
        await client.get(DOWN, "/metadata")
    assert "answering" in await client.control("revive", "RD8")
    await client.get(DOWN, "/metadata")
    await client.control("stop", DOWN)
    with pytest.raises(aiohttp.ClientConnectionError):
        await client.get(DOWN, "/metadata")
    await client.control("revive", DOWN)
    await client.get(DOWN, "/metadata")
    assert DOWN in await client.control("revive", "nobody", status=404)


async def test_a_body_that_is_no_batch_is_refused(client):
    for body in (b"{", b"[]", json.dumps({"entry": [{}]}).encode(), b"\xff"):
        await client.post("G85001-gp", "", data=body, status=400)


def references(node):
    if isinstance(node, dict):
        if isinstance(node.get("reference"), str):
            yield node["reference"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)
