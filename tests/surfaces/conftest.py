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
from broker.journal import Journal
from broker.keys import Keys
from broker.lookup.values import CategoryRow, Entry, Part, Restrictions, Row, Started, Status, Summary
from broker.objections import ObjectionIndex
from broker.registry import Registry
from broker.settings import load
from broker.store import open_store
from broker.surfaces import add_surfaces, rooms
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

    def delivered(self, arrived):
        self.told.append("delivered" if arrived else "not-delivered")
        self.settled.set()


class FakeLookups:
    """Begins lookups of the events that a test sets."""

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
        app[rooms.LOOKUPS] = lookups
        yield app
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
