"""FHIR libraries that others wrote, asking `/fhir` as their own documentation shows.

Each sees every resource that `POST /lookups` gives, and none can take a partial answer for a whole one.
"""

import json
from collections import Counter, defaultdict
from types import SimpleNamespace

import pytest
from fhirpy import AsyncFHIRClient
from fhirpy.base.exceptions import OperationOutcome, ResourceNotFound

from tests.interop.asking import node
from tests.interop.records import patient_of
from tests.interop.servers import put, request

pytestmark = [pytest.mark.blocking, pytest.mark.timeout(400)]

PREFER = "partial-results"


@pytest.fixture
async def chart(demo):
    """What `POST /lookups` gives of Mrs Okafor."""
    return await Chart.of(demo.broker, demo.patient)


class Chart:
    """A lookup, as callers of `/fhir` should see it.

    Attributes:
        patient: the id of the Patient.
        ids: type to the ids of all matches, contradictions that the broker found among them.
        others: ids of what accompanies them.
        types: those of matches, then one of which there is nothing.
        few: some of them, where each is asked many times.
    """

    def __init__(self, reply, searched):
        self.patient = reply.body["patient"]["id"]
        self.ids = defaultdict(set)
        self.others = set()
        for entry in reply.body["bundle"]["entry"]:
            kind, key = entry["resource"]["resourceType"], entry["resource"]["id"]
            match = entry["search"]["mode"] == "match"
            (self.ids[kind] if match else self.others).add(key)
            if kind == "DetectedIssue":  # beside what it is about, and searched by itself
                self.ids[kind].add(key)
        del self.ids["Patient"]
        assert self.ids.keys() <= searched
        self.types = [*self.ids, min(searched - self.ids.keys())]
        self.few = [*self.types[:4], self.types[-1]]

    @classmethod
    async def of(cls, broker, patient):
        reply = await broker.look_up(patient)
        async with broker.session.get(f"{broker.fhir}/metadata") as response:
            (rest,) = json.loads(await response.text())["rest"]
        return cls(reply, {one["type"] for one in rest["resource"] if "searchParam" in one} - {"Patient"})


def fhirpy(demo, **headers):
    token = f"Bearer {demo.broker.token(demo.patient)}"
    return AsyncFHIRClient(demo.broker.fhir, authorization=token, extra_headers=headers or None)


async def asked(demo, chart, client, **more):
    token = demo.broker.token(demo.patient)
    asked = {"base": demo.broker.fhir, "token": token, "patient": chart.patient, "types": chart.types}
    return await node(f"{client}.mjs", **asked | more)


# fhirpy


@pytest.mark.parametrize("count", [None, 3])
async def test_fhirpy_sees_every_resource(demo, chart, count):
    client = fhirpy(demo)
    for kind in chart.types:
        search = client.resources(kind).search(patient=chart.patient)
        found = await (search.limit(count) if count else search).fetch_all()
        assert Counter(one.id for one in found) == Counter(chart.ids[kind])
        whole = await search.fetch()
        assert {one.id for one in whole} == chart.ids[kind]
        first = await search.first()
        assert (first.id in chart.ids[kind]) if first else not chart.ids[kind]


async def test_fhirpy_reads_what_a_resource_refers_to(demo, chart):
    client = fhirpy(demo)
    for kind in ("MedicationRequest", "DiagnosticReport", "Condition"):
        for one in await client.resources(kind).search(patient=chart.patient).fetch_all():
            patient = await one.subject.to_resource()
            assert (patient["resourceType"], patient.id) == ("Patient", chart.patient)
            again = await client.reference(kind, one.id).to_resource()
            assert again.serialize() == one.serialize()
            if "encounter" in one:
                assert (await one.encounter.to_resource()).id in chart.ids["Encounter"]
    with pytest.raises(ResourceNotFound):
        await client.reference("Condition", "nothing").to_resource()


async def test_what_fhirpy_can_ask_and_the_broker_can_not_do_is_refused(demo, chart):
    """A parameter that is ignored would give another answer than was asked for."""
    search = fhirpy(demo).resources("Condition").search(patient=chart.patient)
    for asked in (
        search.sort("-onset-date").fetch_all,
        search.elements("code").fetch_all,
        search.include("Condition", "encounter").fetch_raw,
        search.search(clinical_status="active").fetch,
        search.search(patient="another").fetch,
        fhirpy(demo).resources("Condition").fetch_all,
        search.count,
    ):
        with pytest.raises(OperationOutcome) as said:
            await asked()
        assert said.value.resource["issue"][0]["severity"] == "error"


async def test_fhirpy_sends_a_batch(demo, chart):
    entries = [{"request": {"method": "GET", "url": f"{kind}?patient={chart.patient}"}} for kind in chart.types]
    answer = await fhirpy(demo).execute("", data={"resourceType": "Bundle", "type": "batch", "entry": entries})
    assert [entry.response.status for entry in answer.entry] == ["200"] * len(chart.types)
    for kind, entry in zip(chart.types, answer.entry, strict=True):
        matches = [one.resource.id for one in entry.resource.entry if one.search.mode == "match"]
        assert Counter(matches) == Counter(chart.ids[kind])


async def test_fhirpy_can_not_take_a_part_for_the_whole(demo, chart):
    await demo.stop("RJZ-epr")
    client = fhirpy(demo)
    for kind in chart.few:
        search = client.resources(kind).search(patient=chart.patient)
        for every in (search, search.limit(2)):
            with pytest.raises(OperationOutcome) as said:
                await every.fetch_all()
            assert "RJZ" in str(said.value)
    absent = chart.types[-1]
    with pytest.raises(OperationOutcome):
        await client.resources(absent).search(patient=chart.patient).fetch()
    with pytest.raises(OperationOutcome):
        await client.resources(absent).search(patient=chart.patient).first()


async def test_fhirpy_gets_the_part_where_it_says_that_it_can_cope(demo, chart):
    await demo.stop("RJZ-epr")
    part = await Chart.of(demo.broker, demo.patient)
    client = fhirpy(demo, Prefer=PREFER)
    for kind in chart.types:
        search = client.resources(kind).search(patient=chart.patient)
        assert {one.id for one in await search.fetch_all()} == part.ids[kind]
        raw = await search.fetch_raw()
        first = raw.entry[0]
        assert (first.search.mode, first.resource.resource_type) == ("outcome", "OperationOutcome")
        assert any("RJZ" in json.dumps(issue) for issue in first.resource.issue)
    assert sum(map(len, part.ids.values())) < sum(map(len, chart.ids.values()))


# fhir-kit-client


@pytest.mark.parametrize("count", [None, 3])
async def test_fhir_kit_client_sees_every_resource(demo, chart, count):
    seen = await asked(demo, chart, "fhir-kit-client", count=count)
    assert seen["read"]["id"] == chart.patient
    accompanying = set()
    for kind, pages in seen["searches"].items():
        assert all(page[0][:2] == ["outcome", "OperationOutcome"] for page in pages)
        matches = [key for page in pages for mode, _, key in page if mode == "match"]
        assert Counter(matches) == Counter(chart.ids[kind])
        assert len(pages) == (1 if count is None else max(1, -(-len(matches) // count)))
        accompanying |= {key for page in pages for mode, type_, key in page if mode == "include"}
    assert chart.others - {chart.patient} <= accompanying
    for kind, (status, entries) in zip(chart.types, seen["batch"], strict=True):
        assert status == "200"
        assert Counter(key for mode, _, key in entries if mode == "match") == Counter(chart.ids[kind])


async def test_fhir_kit_client_can_not_take_a_part_for_the_whole(demo, chart):
    await demo.stop("RJZ-epr")
    for count in (None, 2):
        seen = await asked(demo, chart, "fhir-kit-client", count=count, types=chart.few)
        for answer in seen["searches"].values():
            assert answer["status"] == 503
            assert answer["outcome"]["issue"][0]["severity"] == "error"
            assert "RJZ" in json.dumps(answer["outcome"])
    absent = seen["batch"][-1]
    assert absent[0] == "503"


async def test_fhir_kit_client_gets_the_part_where_it_says_that_it_can_cope(demo, chart):
    await demo.stop("RJZ-epr")
    part = await Chart.of(demo.broker, demo.patient)
    seen = await asked(demo, chart, "fhir-kit-client", prefer=PREFER)
    for kind, (page,) in seen["searches"].items():
        assert page[0][:2] == ["outcome", "OperationOutcome"]
        assert {key for mode, _, key in page if mode == "match"} == part.ids[kind]


# SMART's JavaScript client


@pytest.mark.parametrize("count", [None, 3])
async def test_the_smart_client_sees_every_resource(demo, chart, count):
    seen = await asked(demo, chart, "smart-client", count=count)
    assert seen["read"]["id"] == chart.patient
    for answers in (seen["searches"], seen["ofPatient"]):
        for kind, resources in answers.items():
            assert Counter(key for type_, key in resources if type_ == kind) == Counter(chart.ids[kind])
            assert resources[0][0] == "OperationOutcome"


async def test_the_smart_client_can_not_take_a_part_for_the_whole(demo, chart):
    await demo.stop("RJZ-epr")
    for count in (None, 2):
        seen = await asked(demo, chart, "smart-client", count=count, types=chart.few)
        for answers in (seen["searches"], seen["ofPatient"]):
            assert {kind: answer["status"] for kind, answer in answers.items()} == dict.fromkeys(chart.few, 503)


async def test_the_smart_client_gets_the_part_where_it_says_that_it_can_cope(demo, chart):
    await demo.stop("RJZ-epr")
    part = await Chart.of(demo.broker, demo.patient)
    seen = await asked(demo, chart, "smart-client", prefer=PREFER)
    for answers in (seen["searches"], seen["ofPatient"]):
        for kind, resources in answers.items():
            assert resources[0][0] == "OperationOutcome"
            assert {key for type_, key in resources if type_ == kind} == part.ids[kind]


# All of them, where HAPI FHIR is behind the broker


async def test_each_sees_every_resource_of_two_hapi_servers(hapis, broker):
    real = SimpleNamespace(broker=broker, patient=hapis.patients["Louis_Erdman"])
    chart = await Chart.of(real.broker, real.patient)
    assert len(chart.ids["Observation"]) == 50
    client = fhirpy(real)
    for kind in chart.few:
        found = await client.resources(kind).search(patient=chart.patient).limit(20).fetch_all()
        assert Counter(one.id for one in found) == Counter(chart.ids[kind])
    seen = await asked(real, chart, "fhir-kit-client", types=chart.few)
    for kind, (page,) in seen["searches"].items():
        assert Counter(key for mode, _, key in page if mode == "match") == Counter(chart.ids[kind])
    for kind, (_, entries) in zip(chart.few, seen["batch"], strict=True):
        assert Counter(key for mode, _, key in entries if mode == "match") == Counter(chart.ids[kind])
    seen = await asked(real, chart, "smart-client", types=chart.few)
    for kind, resources in seen["searches"].items():
        assert Counter(key for type_, key in resources if type_ == kind) == Counter(chart.ids[kind])


async def test_what_was_deleted_at_its_home_is_not_found(hapis, open_broker):
    """A read goes home, under the whole plan again."""
    put("Junita_Labadie", hapis.two)
    patient = patient_of("Junita_Labadie")
    broker = await open_broker(*hapis, patients=[patient])
    (immunisation, *_) = (await broker.look_up(patient)).resources("Immunization")
    reference = fhirpy(SimpleNamespace(broker=broker, patient=patient)).reference("Immunization", immunisation["id"])
    assert (await reference.to_resource()).id == immunisation["id"]
    local = immunisation["id"].split(".")[1]
    assert request("DELETE", f"{hapis.two.base}/Immunization/{local}")[0] == 200
    with pytest.raises(ResourceNotFound):
        await reference.to_resource()


async def test_none_takes_a_part_for_the_whole_where_a_hapi_server_is_down(hapis, broker, stopped):
    real = SimpleNamespace(broker=broker, patient=hapis.patients["Louis_Erdman"])
    chart = await Chart.of(real.broker, real.patient)
    for kind in chart.few:
        with pytest.raises(OperationOutcome) as said:
            await fhirpy(real).resources(kind).search(patient=chart.patient).fetch_all()
        assert "RJZ" in str(said.value)
    for client in ("fhir-kit-client", "smart-client"):
        seen = await asked(real, chart, client, types=chart.few)
        assert {kind: answer["status"] for kind, answer in seen["searches"].items()} == dict.fromkeys(chart.few, 503)
