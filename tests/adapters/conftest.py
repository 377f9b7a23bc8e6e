"""A FHIR server in a few lines, on a real socket, that can be told to behave badly."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from adapters.contract import Arrival, Identity, Learned, Requester, Resource, Source, SourceRequest
from adapters.fhir_r4 import FhirR4Adapter
from adapters.transport import Transport

NUMBER = "9990000018"
OLD_NUMBER = "9990000026"
NHS = "https://fhir.nhs.uk/Id/nhs-number"
FHIR_JSON = "application/fhir+json"

CATEGORIES = {
    "allergies": frozenset({"AllergyIntolerance"}),
    "problems": frozenset({"Condition"}),
    "demographics": frozenset({"Patient"}),
}
CONTEXT = frozenset({"Encounter", "HealthcareService"})

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def patient(local_id="1000", *numbers, **more):
    identifier = [{"system": NHS, "value": number} for number in numbers or (NUMBER,)]
    return {"resourceType": "Patient", "id": local_id, "identifier": identifier, "birthDate": "1948-03-02"} | more


def record(kind, local_id, of="1000", **more):
    owner = "patient" if kind == "AllergyIntolerance" else "subject"
    return {"resourceType": kind, "id": local_id, owner: {"reference": f"Patient/{of}"}} | more


def outcome(severity, code, text="words of the source"):
    issue = {"severity": severity, "code": code, "diagnostics": text}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def json_answer(value, status=200, **headers):
    return web.Response(body=msgspec.json.encode(value), status=status, content_type=FHIR_JSON, headers=headers or None)


def answering(value, status=200, **headers):
    async def handler(_request):
        return json_answer(value, status, **headers)

    return handler


@dataclass
class Seen:
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


@dataclass
class FhirServer:
    """Holds `resources`; pages like HAPI FHIR, with opaque links at the base."""

    resources: list[dict[str, Any]]
    types: list[str] = field(default_factory=lambda: ["Patient", "AllergyIntolerance", "Condition", "Encounter"])
    everything: bool = False
    batch: bool = False
    post: bool = True
    page_size: int = 100
    totals: bool = True
    gzip: bool = False
    mode: str | None = "match"
    link_base: str | None = None
    overrides: dict[str, Handler] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    base_url: str = ""
    connections: int = 0
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    pages: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def asked(self, fragment):
        return [seen for seen in self.seen if fragment in f"{seen.method} {seen.path}?{seen.query}"]

    async def handle(self, request):
        path = request.path.removeprefix("/fhir")
        body = await request.read()
        self.seen.append(Seen(request.method, path, request.rel_url.raw_query_string, dict(request.headers), body))
        override = self.overrides.get(f"{request.method} {path}")
        answer = await (override(request) if override else self.route(request, path, body))
        if self.gzip and isinstance(answer, web.Response):
            answer.enable_compression(web.ContentCoding.gzip)
        return answer

    async def route(self, request, path, body):  # noqa: PLR0911 - a return for each interaction
        parts = path.strip("/").split("/")
        match request.method, parts:
            case "GET", ["metadata"]:
                return json_answer(self.statement())
            case "GET", [""] if "_getpages" in request.query:
                query = request.query
                return json_answer(self.page(query["_getpages"], int(query["_getpagesoffset"])))
            case "POST", [""] if self.batch:
                return json_answer(self.batch_response(msgspec.json.decode(body)))
            case "POST", [kind, "_search"] if self.post:
                # As HAPI does: only a form is read; with anything else the search runs unfiltered.
                is_form = request.content_type == "application/x-www-form-urlencoded"
                return json_answer(self.search(kind, dict(parse_qsl(body.decode())) if is_form else {}))
            case "GET", ["Patient", local_id, "$everything"] if self.everything:
                hits = [r for r in self.resources if self.belongs(r, local_id) or self.is_patient(r, local_id)]
                return json_answer(self.begin(hits))
            case "GET", [kind] if kind:
                return json_answer(self.search(kind, dict(request.query)))
            case "GET", [kind, local_id]:
                found = [r for r in self.resources if (r["resourceType"], r["id"]) == (kind, local_id)]
                return json_answer(found[0]) if found else json_answer(outcome("error", "not-found"), 404)
        return json_answer(outcome("error", "not-supported"), 405 if request.method == "POST" else 404)

    def statement(self):
        listed = [{"type": kind} for kind in self.types]
        if self.everything:
            listed[0]["operation"] = [{"name": "everything", "definition": "x"}]
        rest = {"mode": "server", "resource": listed, "interaction": [{"code": "batch"}] if self.batch else []}
        return {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "rest": [rest]}

    @staticmethod
    def is_patient(resource, local_id):
        return resource["resourceType"] == "Patient" and resource["id"] == local_id

    @staticmethod
    def belongs(resource, local_id):
        owner = resource.get("subject") or resource.get("patient") or {}
        return owner.get("reference") == f"Patient/{local_id}"

    def search(self, kind, query):
        hits = [r for r in self.resources if r["resourceType"] == kind]
        if "identifier" in query:
            wanted = {tuple(token.split("|")) for token in query["identifier"].split(",")}
            hits = [r for r in hits if wanted & {(i["system"], i["value"]) for i in r["identifier"]}]
        if "_id" in query:
            hits = [r for r in hits if r["id"] in query["_id"].split(",")]
        if owner := query.get("patient") or query.get("subject"):
            hits = [r for r in hits if self.belongs(r, owner.removeprefix("Patient/"))]
        if "code" in query:
            wanted = set(query["code"].split(","))
            hits = [r for r in hits if wanted & {coding["code"] for coding in r.get("code", {}).get("coding", ())}]
        return self.begin(hits)

    def begin(self, hits):
        name = f"search{len(self.pages)}"
        self.pages[name] = hits
        return self.page(name, 0)

    def page(self, name, offset):
        hits = self.pages[name]
        base = self.link_base or self.base_url
        bundle = {"resourceType": "Bundle", "type": "searchset", "link": []}
        if self.totals:
            bundle["total"] = len(hits)
        entries = []
        for hit in hits[offset : offset + self.page_size]:
            entry = {"resource": hit}
            if self.mode:
                entry["fullUrl"] = f"{base}/{hit['resourceType']}/{hit['id']}"
                entry["search"] = {"mode": self.mode}
            entries.append(entry)
        if entries:
            bundle["entry"] = entries
        after = offset + self.page_size
        if after < len(hits):
            url = f"{base}?_getpages={name}&_getpagesoffset={after}&_bundletype=searchset"
            bundle["link"].append({"relation": "next", "url": url})
        return bundle

    def batch_response(self, batch):
        entries = []
        for entry in batch["entry"]:
            path, _, query = entry["request"]["url"].partition("?")
            kind, _, local_id = path.partition("/")
            if not local_id:
                entries.append({
                    "resource": self.search(kind, dict(parse_qsl(query))),
                    "response": {"status": "200 OK"},
                })
                continue
            found = [r for r in self.resources if (r["resourceType"], r["id"]) == (kind, local_id)]
            answer = {"resource": found[0]} if found else {}
            entries.append(answer | {"response": {"status": "200" if found else "404"}})
        return {"resourceType": "Bundle", "type": "batch-response", "entry": entries}


@pytest.fixture
async def start() -> AsyncIterator[Callable[..., Awaitable[FhirServer]]]:
    """Starts a server holding these resources; options are fields of FhirServer."""
    async with contextlib.AsyncExitStack() as stack:

        async def begin(*resources, **options):
            server = FhirServer(list(resources), **options)
            app = web.Application(client_max_size=1 << 24)
            app.router.add_route("*", "/fhir{tail:.*}", server.handle)
            running = TestServer(app, handler_cancellation=True)
            await running.start_server()
            stack.push_async_callback(running.close)
            server.base_url = f"http://127.0.0.1:{running.port}/fhir"
            return server

        yield begin


@pytest.fixture
async def transport():
    async with Transport() as transport:
        yield transport


@pytest.fixture
def connect(transport):
    """Makes the adapter for a server; options are fields of Source."""

    def build(server, **options):
        base_url = server if isinstance(server, str) else server.base_url
        source = {"name": "RJ1-epr", "organisation": "RJ1", "kind": "fhir-r4", "base_url": base_url} | options
        return FhirR4Adapter(Source(**source), transport)

    return build


REQUESTER = Requester(
    issuer="https://ehr.example",
    subject="555254240100",
    name="Dr A Example",
    organisation="RJ1",
    organisation_name="A Trust",
    role_system="s",
    role_code="R8000",
    purpose="TREAT",
    client="ward-plugin",
    token_id="jti",
)


def ask(seconds=4.0, numbers=(NUMBER,), categories=CATEGORIES, context=CONTEXT, coded=None):
    return SourceRequest(
        identity=Identity(numbers=numbers, birth_date="1948-03-02"),
        categories=categories,
        context=context,
        requester=REQUESTER,
        deadline=asyncio.get_running_loop().time() + seconds,
        correlation_id="lookup-1",
        coded=coded or {},
    )


@dataclass
class Got:
    resources: list[Resource]
    learned: list[Learned]
    error: Exception | None = None

    @property
    def names(self):
        """`Type/id` of what came, in the order in which it came."""
        heads = [msgspec.json.decode(resource.content) for resource in self.resources]
        return [f"{head['resourceType']}/{head['id']}" for head in heads]

    @property
    def findings(self):
        return {name: report.finding.value for report in self.learned for name in report.types}

    @property
    def notes(self):
        return {note for report in self.learned for note in report.notes}

    def arrived(self, arrival: Arrival):
        return [r for r in self.resources if r.arrival is arrival]


async def gather(items) -> Got:
    """All that an adapter yields, and the error that ended it."""
    got = Got([], [])
    try:
        async for item in items:
            if isinstance(item, list):
                got.resources.extend(item)
            else:
                (got.resources if isinstance(item, Resource) else got.learned).append(item)
    except Exception as error:  # noqa: BLE001 - the test says which it must be
        got.error = error
    return got


@pytest.fixture
def fhir():
    """What the stories are told with."""
    return SimpleNamespace(
        ask=ask,
        answering=answering,
        gather=gather,
        json_answer=json_answer,
        outcome=outcome,
        patient=patient,
        record=record,
        number=NUMBER,
        old_number=OLD_NUMBER,
        nhs=NHS,
    )
