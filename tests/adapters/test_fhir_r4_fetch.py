"""What `fetch` promises, against servers that behave well: three ways to ask, one answer."""

import asyncio

import msgspec
import pytest
from aiohttp import web

from adapters.contract import Arrival
from adapters.errors import PatientNotFound

WORLD = ["Patient/1000", "Encounter/2", "AllergyIntolerance/3", "Condition/4", "Condition/5"]


@pytest.fixture
def world(fhir):
    return [
        fhir.patient(),
        fhir.record("Encounter", "2"),
        fhir.record("AllergyIntolerance", "3"),
        fhir.record("Condition", "4"),
        fhir.record("Condition", "5"),
        fhir.patient("1001", "9990000034"),
        fhir.record("Condition", "6", of="1001"),
    ]


@pytest.mark.parametrize(
    "options",
    [{"everything": True}, {"batch": True}, {}, {"post": False}, {"mode": None}, {"gzip": True}, {"page_size": 1}],
    ids=str,
)
async def test_every_way_of_asking_gives_the_same_record(start, connect, fhir, world, options):
    server = await start(*world, **options)
    got = await fhir.gather(connect(server).fetch(fhir.ask()))
    assert got.error is None
    assert sorted(set(got.names)) == sorted(WORLD)
    assert got.findings == {
        "Patient": "answered",
        "AllergyIntolerance": "answered",
        "Condition": "answered",
        "Encounter": "answered",
        "HealthcareService": "answered",
    }
    assert got.notes == set()
    assert [msgspec.json.decode(r.content)["id"] for r in got.arrived(Arrival.PATIENT)] == ["1000"]


async def test_everything_is_preferred_where_it_is_offered_and_a_batch_where_that_is_listed(
    start, connect, fhir, world
):
    server = await start(*world, everything=True, batch=True)
    await fhir.gather(connect(server).fetch(fhir.ask()))
    assert len(server.asked("$everything")) == 1
    assert len(server.seen) == 3
    server = await start(*world, batch=True)
    await fhir.gather(connect(server).fetch(fhir.ask()))
    assert [seen.method for seen in server.seen if seen.path == ""] == ["POST"]
    assert len(server.seen) == 3


async def test_the_statement_is_read_once_however_many_lookups_want_it(start, connect, fhir, world):
    server = await start(*world, everything=True)
    adapter = connect(server)
    await asyncio.gather(*(fhir.gather(adapter.fetch(fhir.ask())) for _ in range(5)))
    await fhir.gather(adapter.fetch(fhir.ask()))
    assert len(server.asked("/metadata")) == 1


async def test_searches_go_as_forms_and_no_nhs_number_stands_in_an_address(start, connect, fhir, world):
    server = await start(*world)
    await fhir.gather(connect(server).fetch(fhir.ask(numbers=(fhir.number, fhir.old_number))))
    searches = server.asked("POST")
    assert {seen.headers["Content-Type"] for seen in searches} == {"application/x-www-form-urlencoded"}
    assert {seen.headers["Cache-Control"] for seen in searches} == {"no-cache"}
    assert {seen.headers["X-Request-ID"] for seen in server.seen} == {"lookup-1"}
    assert not any(fhir.number in f"{seen.path}?{seen.query}" for seen in server.seen)
    assert not any("Cookie" in seen.headers for seen in server.seen)


async def test_post_that_is_refused_falls_back_to_get_once_and_is_remembered(start, connect, fhir, world):
    server = await start(*world, post=False)
    adapter = connect(server)
    await fhir.gather(adapter.fetch(fhir.ask()))
    await fhir.gather(adapter.fetch(fhir.ask()))
    assert len(server.asked("POST")) == 1


async def test_one_type_that_refuses_post_does_not_put_nhs_numbers_into_addresses(start, connect, fhir, world):
    server = await start(*world)
    server.overrides["POST /Condition/_search"] = fhir.answering({}, 405)
    adapter = connect(server)
    for _ in range(2):
        got = await fhir.gather(adapter.fetch(fhir.ask()))
        assert sorted(set(got.names)) == sorted(WORLD)
    assert len(server.asked("POST /Condition")) == 1
    assert not any(fhir.number in seen.query for seen in server.seen)


@pytest.mark.parametrize("status", [404, 405, 501])
@pytest.mark.parametrize(("offer", "path"), [("everything", "GET /Patient/1000/$everything"), ("batch", "POST ")])
async def test_an_approach_that_is_refused_is_given_up_once_and_remembered(
    start, connect, fhir, world, offer, path, status
):
    server = await start(*world, **{offer: True})
    server.overrides[path] = fhir.answering(fhir.outcome("error", "not-supported"), status)
    adapter = connect(server)
    for _ in range(2):
        got = await fhir.gather(adapter.fetch(fhir.ask()))
        assert sorted(set(got.names)) == sorted(WORLD)
        assert set(got.findings.values()) == {"answered"}
    assert len([seen for seen in server.seen if f"{seen.method} {seen.path}" == path]) == 1


async def test_an_everything_that_took_many_pages_is_not_chosen_the_next_time(start, connect, fhir, world):
    server = await start(*world, everything=True, page_size=1)
    server.overrides["POST /Condition/_search"] = fhir.answering({"resourceType": "Bundle"})
    adapter = connect(server)
    await fhir.gather(adapter.fetch(fhir.ask()))
    await fhir.gather(adapter.fetch(fhir.ask()))
    assert len(server.asked("$everything")) == 1
    assert len(server.asked("POST /Encounter")) == 1


async def test_an_approach_that_failed_is_not_chosen_the_next_time(start, connect, fhir, world):
    server = await start(*world, everything=True, batch=True)
    server.overrides["GET /Patient/1000/$everything"] = fhir.answering({}, 500)
    server.overrides["POST "] = fhir.answering("<html>", 200)
    adapter = connect(server)
    findings = [(await fhir.gather(adapter.fetch(fhir.ask()))).findings["Condition"] for _ in range(4)]
    assert findings == ["failed", "malformed", "answered", "answered"]


async def test_a_statement_goes_on_being_read_for_another_when_the_first_to_want_it_leaves(start, connect, fhir, world):
    server = await start(*world, everything=True)
    wanted, release = asyncio.Event(), asyncio.Event()

    async def slow(_request):
        wanted.set()
        await release.wait()
        return fhir.json_answer(server.statement())

    server.overrides["GET /metadata"] = slow
    adapter = connect(server)
    first = asyncio.create_task(fhir.gather(adapter.fetch(fhir.ask())))
    second = asyncio.create_task(fhir.gather(adapter.fetch(fhir.ask())))
    await wanted.wait()
    first.cancel()
    await asyncio.wait({first})
    release.set()
    await second
    assert len(server.asked("/metadata")) == 1
    assert len(server.asked("$everything")) == 1


async def test_a_statement_that_never_comes_costs_its_share_of_time_and_the_record_comes_by_searches(
    start, connect, fhir, world
):
    server = await start(*world, everything=True)

    async def never(_request):
        await asyncio.Event().wait()

    server.overrides["GET /metadata"] = never
    adapter = connect(server)
    got = await fhir.gather(adapter.fetch(fhir.ask(seconds=1)))
    assert sorted(set(got.names)) == sorted(WORLD)
    assert len(server.asked("POST /Condition")) == 1
    await fhir.gather(adapter.fetch(fhir.ask(seconds=1)))
    assert len(server.asked("/metadata")) == 1, "the next lookup does not wait for it again"


@pytest.mark.parametrize("body", [{"resourceType": "Bundle"}, {"resourceType": "CapabilityStatement"}, [], "x"])
async def test_a_statement_that_says_nothing_leaves_searches(start, connect, fhir, world, body):
    server = await start(*world)
    server.overrides["GET /metadata"] = fhir.answering(body)
    got = await fhir.gather(connect(server).fetch(fhir.ask()))
    assert sorted(set(got.names)) == sorted(WORLD)


async def test_a_server_of_another_fhir_version_is_not_believed(start, connect, fhir, world):
    server = await start(*world)
    statement = server.statement() | {"fhirVersion": "3.0.2"}
    server.overrides["GET /metadata"] = fhir.answering(statement)
    got = await fhir.gather(connect(server).fetch(fhir.ask()))
    assert got.error.finding == "failed"
    assert got.learned == []


async def test_a_type_that_is_not_listed_is_not_provided_and_for_context_counts_as_empty(start, connect, fhir, world):
    server = await start(*world, types=["Patient", "AllergyIntolerance"])
    got = await fhir.gather(connect(server).fetch(fhir.ask()))
    assert got.findings == {
        "Patient": "answered",
        "AllergyIntolerance": "answered",
        "Condition": "not-provided",
        "Encounter": "answered",
        "HealthcareService": "answered",
    }
    assert server.asked("Condition") == []


async def test_the_parameter_is_the_one_that_the_statement_lists(start, connect, fhir, world):
    server = await start(*world)
    statement = server.statement()
    listed = statement["rest"][0]["resource"]
    listed[1]["searchParam"] = [{"name": "patient"}]
    listed[2]["searchParam"] = [{"name": "code"}, {"name": "subject"}]
    listed[3]["interaction"] = [{"code": "read"}]
    server.overrides["GET /metadata"] = fhir.answering(statement)
    got = await fhir.gather(connect(server).fetch(fhir.ask()))
    assert b"subject=Patient%2F1000" in server.asked("POST /Condition")[0].body
    assert b"patient=Patient%2F1000" in server.asked("POST /AllergyIntolerance")[0].body
    assert server.asked("Encounter") == []
    assert got.findings["Encounter"] == "answered", "context that can't be searched is read by reference"


async def test_several_local_records_of_one_patient_are_all_fetched(start, connect, fhir, world):
    second = fhir.patient("1002", fhir.old_number)
    server = await start(*world, second, fhir.record("Condition", "7", of="1002"))
    got = await fhir.gather(connect(server).fetch(fhir.ask(numbers=(fhir.number, fhir.old_number))))
    assert sorted(got.names) == sorted([*WORLD, "Patient/1002", "Condition/7"])
    assert [report.types for report in got.learned].count(frozenset({"Condition"})) == 1, "once, when all is there"


async def test_a_type_of_which_one_local_record_failed_is_not_answered(start, connect, fhir, world):
    server = await start(*world, fhir.patient("1002"), everything=True)
    server.overrides["GET /Patient/1002/$everything"] = fhir.answering({}, 500)
    got = await fhir.gather(connect(server).fetch(fhir.ask()))
    assert got.findings["Condition"] == "failed"
    assert "Condition/4" in got.names


async def test_nobody_found_is_an_answer_of_its_own(start, connect, fhir):
    server = await start()
    got = await fhir.gather(connect(server).fetch(fhir.ask()))
    assert isinstance(got.error, PatientNotFound)


async def test_other_patients_are_handed_on_for_the_guard_to_see_and_nothing_is_called_answered(
    start, connect, fhir, world
):
    server = await start(*world, post=True)
    server.overrides["POST /Patient/_search"] = lambda _: server.route_unfiltered()
    server.route_unfiltered = lambda: fhir.answering(server.begin([world[5]]))(None)
    got = await fhir.gather(connect(server).fetch(fhir.ask()))
    assert got.names == ["Patient/1001"]
    assert [r.arrival for r in got.resources] == [Arrival.PATIENT]
    assert got.learned == []
    assert got.error is None


async def test_a_server_that_ignores_the_filter_shows_itself_and_the_right_patient_is_still_fetched(
    start, connect, fhir, world
):
    server = await start(*world)
    server.search = lambda kind, query: server.begin([r for r in world if r["resourceType"] == kind])
    got = await fhir.gather(connect(server).fetch(fhir.ask()))
    assert len(got.arrived(Arrival.PATIENT)) == 2
    assert b"patient=Patient%2F1000" in server.asked("POST /Condition")[0].body


async def test_an_id_that_would_lead_elsewhere_is_not_followed(start, connect, fhir):
    server = await start(fhir.patient("../../admin"), fhir.patient(".."), everything=True)
    got = await fhir.gather(connect(server).fetch(fhir.ask()))
    assert got.error.finding == "malformed"
    assert {seen.path for seen in server.seen} == {"/metadata", "/Patient/_search"}


async def test_included_resources_are_marked_and_a_medication_comes_along_where_that_is_listed(start, connect, fhir):
    prescription = fhir.record("MedicationRequest", "2")
    server = await start(fhir.patient(), prescription, types=["Patient", "MedicationRequest"])
    statement = server.statement()
    statement["rest"][0]["resource"][1]["searchInclude"] = ["MedicationRequest:medication"]
    server.overrides["GET /metadata"] = fhir.answering(statement)
    bundle = server.begin([prescription])
    medication = {"resourceType": "Medication", "id": "9"}
    bundle["entry"].append({"resource": medication, "search": {"mode": "include"}, "fullUrl": "urn:uuid:9"})
    server.overrides["POST /MedicationRequest/_search"] = fhir.answering(bundle)
    request = fhir.ask(categories={"medications": frozenset({"MedicationRequest"})}, context=frozenset())
    got = await fhir.gather(connect(server).fetch(request))
    assert b"_include=MedicationRequest%3Amedication" in server.asked("POST /MedicationRequest")[0].body
    assert [(r.arrival.value, r.full_url) for r in got.resources][1:] == [
        ("record", f"{server.base_url}/MedicationRequest/2"),
        ("included", "urn:uuid:9"),
    ]
    assert got.findings == {"MedicationRequest": "answered"}


async def test_one_search_that_fails_costs_its_types_only(start, connect, fhir, world):
    server = await start(*world)
    server.overrides["POST /Condition/_search"] = fhir.answering(fhir.outcome("fatal", "exception"), 500)
    server.overrides["POST /AllergyIntolerance/_search"] = fhir.answering({}, 429, **{"Retry-After": "7"})
    got = await fhir.gather(connect(server).fetch(fhir.ask()))
    assert got.error is None
    assert got.findings == {
        "Patient": "answered",
        "AllergyIntolerance": "busy",
        "Condition": "failed",
        "Encounter": "answered",
        "HealthcareService": "answered",
    }
    assert [report.retry_after for report in got.learned if report.finding == "busy"] == [7.0]


async def test_one_search_of_a_batch_that_fails_costs_its_types_only(start, connect, fhir, world):
    server = await start(*world, batch=True)
    right = server.batch_response

    def wrong(batch):
        response = right(batch)
        response["entry"][1] = {"response": {"status": "403 Forbidden"}}
        response["entry"][2]["resource"] = fhir.outcome("error", "exception")
        return response

    server.batch_response = wrong
    got = await fhir.gather(connect(server).fetch(fhir.ask()))
    assert (got.findings["Encounter"], got.findings["AllergyIntolerance"], got.findings["Condition"]) == (
        "answered",
        "refused",
        "failed",
    )


async def test_a_batch_response_of_another_length_says_nothing(start, connect, fhir, world):
    server = await start(*world, batch=True)
    server.overrides["POST "] = fhir.answering({"resourceType": "Bundle", "type": "batch-response", "entry": []})
    got = await fhir.gather(connect(server).fetch(fhir.ask()))
    assert got.findings["Condition"] == "malformed"


async def test_a_record_comes_in_the_same_order_each_time(start, connect, fhir, world):
    server = await start(*world, batch=True)
    adapter = connect(server)
    orders = [(await fhir.gather(adapter.fetch(fhir.ask()))).names for _ in range(3)]
    assert orders == [WORLD] * 3


def tasks_of_adapters():
    return [task for task in asyncio.all_tasks() if "/adapters/fhir_r4/" in task.get_coro().cr_code.co_filename]


async def test_closing_early_leaves_no_task_and_the_server_sees_it(start, connect, fhir, world):
    server = await start(*world)
    arrived, gone = asyncio.Event(), asyncio.Event()

    async def hang(_request):
        arrived.set()
        try:
            await asyncio.Event().wait()
        finally:
            gone.set()

    server.overrides["POST /Condition/_search"] = hang
    adapter = connect(server)
    items = adapter.fetch(fhir.ask())
    await anext(items)
    await arrived.wait()
    assert tasks_of_adapters()
    await items.aclose()
    assert tasks_of_adapters() == []
    await asyncio.wait_for(gone.wait(), 2)


async def test_a_reader_that_is_cancelled_takes_its_requests_with_it(start, connect, fhir, world):
    server = await start(*world)
    arrived, gone = asyncio.Event(), asyncio.Event()

    async def hang(_request):
        arrived.set()
        try:
            await asyncio.Event().wait()
        finally:
            gone.set()

    server.overrides["POST /Patient/_search"] = hang
    server.overrides["GET /metadata"] = hang
    reader = asyncio.create_task(fhir.gather(connect(server).fetch(fhir.ask())))
    await arrived.wait()
    reader.cancel()
    await asyncio.wait({reader})
    assert reader.cancelled()
    assert tasks_of_adapters() == []
    await asyncio.wait_for(gone.wait(), 2)


async def test_a_search_that_hangs_costs_its_types_and_the_rest_is_told(start, connect, fhir, world):
    server = await start(*world)

    async def hang(_request):
        await asyncio.Event().wait()
        return web.Response()

    server.overrides["POST /Condition/_search"] = hang
    got = await fhir.gather(connect(server).fetch(fhir.ask(seconds=1)))
    assert got.error is None
    assert got.findings["Condition"] == "timed-out"
    assert got.findings["AllergyIntolerance"] == "answered"


async def test_a_deadline_that_has_passed_asks_nothing(start, connect, fhir, world):
    server = await start(*world)
    got = await fhir.gather(connect(server).fetch(fhir.ask(seconds=-1)))
    assert got.error.finding == "timed-out"
    assert server.asked("Patient") == []


@pytest.mark.parametrize("system", ["http://fhir.nhs.net/Id/nhs-number", "urn:oid:2.16.840.1.113883.2.1.4.1"])
async def test_a_patient_whose_number_stands_under_an_older_system_is_fetched(start, connect, fhir, world, system):
    server = await start(*world)
    older = fhir.patient(identifier=[{"system": system, "value": fhir.number}])
    bundle = {"resourceType": "Bundle", "type": "searchset", "total": 1, "entry": [{"resource": older}]}
    server.overrides["POST /Patient/_search"] = fhir.answering(bundle)
    got = await fhir.gather(connect(server).fetch(fhir.ask()))
    assert got.error is None
    assert got.findings["Condition"] == "answered"
    assert "Condition/4" in got.names
