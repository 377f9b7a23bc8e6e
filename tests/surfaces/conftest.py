"""The surfaces with every room real but the lookup, which a test writes as a function over events."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from broker.app import issuers
from broker.auth import Authenticator, Refusals, sign_demo_token
from broker.journal import Journal, records_of
from broker.keys import Keys
from broker.lookup.values import CategoryRow, Entry, Part, Restrictions, Row, Started, Status, Summary
from broker.objections import ObjectionIndex
from broker.registry import Registry
from broker.settings import load
from broker.store import open_store
from broker.surfaces import add_surfaces, rooms
from broker.surfaces.callers import REPEATS, Repeats
from policies import Policies

NUMBER, BORN = "9990000018", "1948-03-02"
PATIENT = {"nhs_number": NUMBER, "birth_date": BORN}

BROKER_TOML = """
[server]
listen = "127.0.0.1:0"
public_url = "http://broker.test"
[organisations]
directory = "organisations"
"""
MANIFEST = """
ods_code = "{code}"
name = "{name}"
service_type = "{kind}"
region = "south-east-london"
state = "{state}"
[agreement]
isa_signed = 2025-04-01
isa_expires = 2099-03-31
dspt_expires = 2099-06-30
[[sources]]
name = "epr"
kind = "fhir-r4"
base_url = "http://127.0.0.1:{port}/fhir"
[issuer]
iss = "https://ehr.{code}.example"
demo = true
[contacts]
privacy = "privacy@{code}.example"
subject_access = "sar@{code}.example"
"""
TYPES = ("Patient", "AllergyIntolerance")
RESOURCES = {
    "Patient": {
        "resourceType": "Patient",
        "id": "1",
        "identifier": [{"system": "https://fhir.nhs.uk/Id/nhs-number", "value": NUMBER}],
        "birthDate": BORN,
    },
    "AllergyIntolerance": {
        "resourceType": "AllergyIntolerance",
        "id": "7",
        "patient": {"reference": "Patient/1"},
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "91936005", "display": "CANARY"}]},
    },
}


def write_configuration(directory: Path, *, port: int = 9) -> Path:
    """A configuration with one live trust and a suspended one."""
    organisations = directory / "organisations"
    organisations.mkdir()
    for code, name, state in (("RJ1", "Guy's", "live"), ("RXX", "Gone", "suspended")):
        text = MANIFEST.format(code=code, name=name, kind="acute", state=state, port=port)
        (organisations / f"{code.lower()}.toml").write_text(text)
    file = directory / "broker.toml"
    file.write_text(BROKER_TOML)
    return file


@pytest.fixture
def config(tmp_path):
    return write_configuration(tmp_path)


@pytest.fixture
def settings(config):
    return load(config, {})


@pytest.fixture
def sign(settings):
    """Makes a token: of a doctor at RJ1 with the patient in context, unless told otherwise."""
    registry = Registry.load(settings.organisations.directory, settings=settings)
    issuer = next(each for each in issuers(settings, registry) if each.organisation == "RJ1")

    def make(**changes):
        claims = {
            "audience": settings.server.public_url,
            "role_code": "R8000",
            "organisation": "RJ1",
            "nhs_number": NUMBER,
            "birth_date": BORN,
            "relationship": "encounter",
        }
        return sign_demo_token(issuer, **(claims | changes))

    return make


class FakeLookup:
    """A lookup whose events a test writes; remembers what it was told."""

    def __init__(self, events):
        self.lookup_id = "lookup-1"
        self.told: list[str] = []
        self.settled = asyncio.Event()
        self._events = events

    def __aiter__(self):
        return self._events()

    def abandon(self):
        self.told.append("abandoned")
        self.settled.set()

    def delivered(self, arrived, *, code=None, shown=None):
        self.told.append("delivered" if arrived else "not-delivered")
        self.code, self.shown = code, shown
        self.settled.set()


class FakeLookups:
    """Begins lookups of the events that a test sets."""

    taking = True

    def __init__(self):
        self.events: Callable[[], AsyncIterator] = answered
        self.begun: list[tuple] = []
        self.lookups: list[FakeLookup] = []

    def begin(self, caller, query, *, surface=None, streaming=False):
        self.begun.append((caller, query, streaming))
        self.lookups.append(FakeLookup(self.events))
        return self.lookups[-1]


def row(source="RJ1-epr", status=Status.ANSWERED, resources=1):
    organisation = source.partition("-")[0]
    return Row(
        source=source,
        organisation=organisation,
        name="Guy's",
        service_type="acute",
        status=status,
        categories={"allergies": CategoryRow(status=status, resources=resources)},
        resources=resources,
        elapsed_ms=12,
    )


def entry(order, kind, identifier, mode="match"):
    content = json.dumps({"resourceType": kind, "id": identifier}, separators=(",", ":")).encode()
    return Entry(order=order, type=kind, id=identifier, content=content, mode=mode)


def summary(*rows, complete=True, entries=()):
    return Summary(
        lookup_id="lookup-1",
        complete=complete,
        required_met=True,
        patient_id="sealed",
        nhs_number=NUMBER,
        birth_date=BORN,
        rows=rows or (row(),),
        restrictions=Restrictions(),
        entries=entries or (entry((0, "Patient", ""), "Patient", "sealed"),),
    )


PART = Part(
    row=row(),
    entries=(
        entry((2, "AllergyIntolerance", "b"), "AllergyIntolerance", "b"),
        entry((3, "x"), "Practitioner", "c", "include"),
    ),
)
OTHER_PART = Part(row=row("G85001-gpc"), entries=(entry((1, "AllergyIntolerance", "a"), "AllergyIntolerance", "a"),))


async def answered():
    yield Started(lookup_id="lookup-1", rows=(row(status=Status.WAITING, resources=0),))
    yield PART
    yield OTHER_PART
    yield summary()


@pytest.fixture
def lookups():
    return FakeLookups()


@pytest.fixture(scope="session")
def policies():
    return Policies.load(None)


@pytest.fixture
async def app(settings, lookups, policies):
    """Every room that a surface uses, the lookup alone a fake."""
    keys = Keys.open(settings.audit.keys)
    registry = Registry.load(settings.organisations.directory, settings=settings)
    store = await open_store(settings.store.url)
    journal = await Journal.open(settings.audit.directory, keys, node="test")
    app = web.Application()
    add_surfaces(app)
    async with (
        ObjectionIndex(store, keys, max_age=10) as objections,
        Authenticator(issuers(settings, registry), settings.server.public_url) as authenticator,
    ):
        app[rooms.SETTINGS] = settings
        app[rooms.REGISTRY] = registry
        app[rooms.POLICIES] = policies
        app[rooms.JOURNAL] = journal
        app[rooms.KEYS] = keys
        app[rooms.OBJECTIONS] = objections
        app[rooms.AUTHENTICATOR] = authenticator
        app[rooms.REFUSALS] = Refusals()
        repeats = app[REPEATS] = Repeats(journal)
        app[rooms.LOOKUPS] = lookups
        yield app
        repeats.close()
    await journal.close()
    await store.dispose()


@pytest.fixture
async def server(app):
    async with TestServer(app, handler_cancellation=True) as server:
        yield server


@pytest.fixture
async def client(server):
    async with TestClient(server) as client:
        yield client


@pytest.fixture
def ask(client, sign):
    """Posts a body (the ordinary one unless told otherwise) as the ordinary doctor."""

    async def post(body=None, *, token=None, headers=None, data=None):
        sent = {"Authorization": f"Bearer {token or sign()}", "Content-Type": "application/json"} | (headers or {})
        data = json.dumps({"patient": PATIENT} | (body or {})) if data is None else data
        response = await client.post("/lookups", data=data, headers=sent)
        await response.read()
        return response

    return post


@pytest.fixture
def records(settings):
    """The journal's records of one event, as they are on disk."""

    def read(event):
        lines = [
            line
            for file in settings.audit.directory.iterdir()
            if file.is_file()
            for line in file.read_bytes().splitlines()
        ]
        found = []
        for line in lines:
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict) and record.get("event") == event:
                found.append(record)
        return found

    return read


async def eventually(holds, seconds=5.0):
    """Wait until `holds()`; for what follows an answer by a moment."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it never came to hold"
        await asyncio.sleep(0.01)


@pytest.fixture(name="eventually")
def _eventually():
    return eventually


@pytest.fixture
def make():
    """The values of a lookup, for tests that write their own events."""

    class Make:
        row = staticmethod(row)
        entry = staticmethod(entry)
        summary = staticmethod(summary)
        part = PART

    return Make


@pytest.fixture
async def source():
    """A FHIR server with one patient and one allergy."""

    async def metadata(_):
        listed = [{"type": kind, "interaction": [{"code": "search-type"}, {"code": "read"}]} for kind in TYPES]
        return _fhir({
            "resourceType": "CapabilityStatement",
            "status": "active",
            "fhirVersion": "4.0.1",
            "format": ["json"],
            "rest": [{"mode": "server", "resource": listed}],
        })

    async def search(request):
        kind = request.match_info["type"]
        found = [{"resource": RESOURCES[kind], "search": {"mode": "match"}}] if kind in RESOURCES else []
        return _fhir({"resourceType": "Bundle", "type": "searchset", "total": len(found), "entry": found})

    app = web.Application()
    app.add_routes([
        web.get("/fhir/metadata", metadata),
        web.post("/fhir/{type}/_search", search),
        web.get("/fhir/{type}", search),
    ])
    async with TestServer(app) as server:
        yield server


def _fhir(content):
    return web.Response(body=json.dumps(content), content_type="application/fhir+json")


@pytest.fixture
def point_at(config):
    """Points the one live source of the configuration at a port."""

    def point(port):
        manifest = config.parent / "organisations" / "rj1.toml"
        manifest.write_text(manifest.read_text().replace("127.0.0.1:9/", f"127.0.0.1:{port}/"))
        return load(config, {})

    return point


class Silent:
    """A source that takes every request, and answers none."""

    def __init__(self):
        self.asked, self.left = asyncio.Event(), asyncio.Event()
        self.open = 0

    async def serve(self, reader, writer):
        self.open += 1
        self.asked.set()
        try:
            while await reader.read(65_536):
                pass
        except ConnectionError:
            pass
        self.open -= 1
        writer.close()
        if not self.open:
            self.left.set()


@pytest.fixture
async def silent():
    source = Silent()
    async with await asyncio.start_server(source.serve, "127.0.0.1", 0) as server:
        source.port = server.sockets[0].getsockname()[1]
        yield source


WHILE = {"lookup.intent", "lookup.plan", "lookup.part"}


@pytest.fixture
def outcomes():
    """What became of the one lookup in a journal: its outcome, then whether it was sent."""

    def read(settings):
        lines = [line for file in settings.audit.directory.glob("*.jsonl") for line in file.read_text().splitlines()]
        ids = {record["lookup_id"] for record in map(json.loads, lines) if "lookup_id" in record}
        assert len(ids) <= 1
        records = [record for each in ids for record in records_of(settings.audit.directory, each)]
        return [record.get("outcome", record["event"]) for record in records if record["event"] not in WHILE]

    return read
