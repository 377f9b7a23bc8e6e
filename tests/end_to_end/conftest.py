"""A world with names: organisations as real servers in this process, the whole broker, and doctors who ask it."""

import asyncio
import contextlib
import json
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from broker.app import issuers, running
from broker.auth.tokens import sign_demo_token
from broker.demo.world.organisations import CLINICAL, Habits, Site
from broker.demo.world.records import Records
from broker.demo.world.server import FhirServer
from broker.journal import records_of, verify
from broker.journal.recovery import reaches
from broker.journal.segment import lines_of, segments_of
from broker.registry import Registry
from broker.settings import load

NHS = "https://fhir.nhs.uk/Id/nhs-number"
FHIR_JSON = "application/fhir+json"
TYPES = (*CLINICAL, "Goal", "ImagingStudy")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Patient:
    """Somebody who is looked up."""

    nhs_number: str
    birth_date: str
    family: str = "Okafor"

    @property
    def claimed(self):
        return {"nhs_number": self.nhs_number, "birth_date": self.birth_date}

    def at(self, local_id, **more):
        """Their Patient, as an organisation holds it."""
        return {
            "resourceType": "Patient",
            "id": local_id,
            "identifier": [{"system": NHS, "value": self.nhs_number}],
            "birthDate": self.birth_date,
            "name": [{"family": self.family}],
        } | more

    def pds(self, *, restricted=False, practice=None, **more):
        """Their Patient, as the national service answers."""
        patient = {
            "resourceType": "Patient",
            "id": self.nhs_number,
            "identifier": [{"system": NHS, "value": self.nhs_number}],
            "birthDate": self.birth_date,
            "name": [{"use": "usual", "family": self.family, "period": {"start": self.birth_date}}],
            "meta": {
                "security": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality",
                        "code": "R" if restricted else "U",
                    }
                ]
            },
        }
        if practice:
            identifier = {"system": "https://fhir.nhs.uk/Id/ods-organization-code", "value": practice}
            patient["generalPractitioner"] = [{"type": "Organization", "identifier": identifier}]
        return patient | more


MRS_OKAFOR = Patient("9990000018", "1948-03-02")
MR_REYES = Patient("9990000026", "1991-07-19", "Reyes")


def record(kind, local_id, of="1000", code="1", text="", **more):
    """A resource about the patient with that id at its server."""
    owner = "patient" if kind in {"AllergyIntolerance", "Immunization"} else "subject"
    coding = {"system": "http://snomed.info/sct", "code": code} | ({"display": text} if text else {})
    coded = {} if kind in {"Encounter", "EpisodeOfCare"} else {"code": {"coding": [coding]}}
    return {"resourceType": kind, "id": local_id, owner: {"reference": f"Patient/{of}"}, **coded, **more}


@dataclass(frozen=True)
class Seen:
    """One request, as an organisation's server saw it."""

    method: str
    path: str
    body: str

    def __str__(self):
        return f"{self.method} {self.path}"


class Organisation:
    """An organisation: its manifest, and its FHIR server, which can be told to behave badly.

    Attributes:
        mood: answers every request in place of the server; None is an honest day.
        moods: the same for one `METHOD /path` each.
        seen: every request that reached it.
        asked: set when one does.
        left: set when the broker has closed a connection before its answer.
        open: while it is not set, every request waits.
    """

    def __init__(self, code, service_type="acute", *, name=None, timeout="3s", excluded=(), categories=None, **habits):
        self.code = code
        self.service_type = service_type
        self.name = name or f"{code} NHS Trust"
        self.source = f"{code}-epr"
        self.timeout = timeout
        self.excluded = excluded
        self.categories = categories
        self.state = "live"
        self.expires = "2099-03-31"
        self.resources: dict[str, dict[str, Any]] = {}
        self.mood: Handler | None = None
        self.moods: dict[str, Handler] = {}
        self.seen: list[Seen] = []
        self.asked = asyncio.Event()
        self.left = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()
        self._habits = Habits(**({"delay": 0.0, "ids": "uuid"} | habits))
        self._bound = _bind()
        self.port = self._bound.getsockname()[1]
        self.base_url = f"http://127.0.0.1:{self.port}/fhir"
        self._runner: web.AppRunner | None = None

    def holds(self, *resources):
        """Take these into its records."""
        for resource in resources:
            self.resources[f"{resource['resourceType']}/{resource['id']}"] = resource
        return self

    def loses(self, *names):
        """Give up the resources with these names, `Type/id`."""
        for name in names:
            del self.resources[name]

    async def revive(self):
        """Listen. What it holds when it is asked is what it answers."""
        self._server = FhirServer(Site(name="epr", types=TYPES, habits=self._habits), Records({}, {}), self.base_url)
        app = self._server.app()
        app.middlewares.append(self._door)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.SockSite(self._runner, self._bound).start()

    async def stop(self):
        """Refuse connections."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
            self._bound = _bind(self.port)

    async def close(self):
        await self.stop()
        self._bound.close()

    @web.middleware
    async def _door(self, request, handler):
        path = request.path.removeprefix("/fhir")
        self.seen.append(Seen(request.method, request.path_qs, await request.text()))
        self.asked.set()
        self._server._records = Records(self.resources, self._members())
        act = self.moods.get(f"{request.method} {path}") or self.mood or handler
        try:
            await self.open.wait()
            return await act(request)
        except asyncio.CancelledError:
            self.left.set()
            raise

    def _members(self):
        """Whose record each resource is in."""
        members: dict[str, tuple[str, ...]] = {}
        for name, resource in self.resources.items():
            owner = resource["id"] if resource["resourceType"] == "Patient" else _owner(resource)
            if owner is not None:
                members[owner] = (*members.get(owner, ()), name)
        return members

    def manifest(self):
        lines = [
            f'ods_code = "{self.code}"',
            f"name = {json.dumps(self.name)}",
            f'service_type = "{self.service_type}"',
            'region = "south-east-london"',
            f'state = "{self.state}"',
            f"agreement = {{isa_signed = 2025-04-01, isa_expires = {self.expires}, dspt_expires = {self.expires}}}",
            f'issuer = {{iss = "https://ehr.{self.code.lower()}.example", demo = true}}',
            f"services = {{excluded = {json.dumps(list(self.excluded))}}}",
            "[[sources]]",
            'name = "epr"',
            'kind = "fhir-r4"',
            f'base_url = "{self.base_url}"',
            f'timeout = "{self.timeout}"',
        ]
        if self.categories is not None:
            lines.append(f"categories = {json.dumps(list(self.categories))}")
        return "\n".join(lines)


def _bind(port=0):
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    return bound


def _owner(resource):
    owner = (resource.get("subject") or resource.get("patient") or {}).get("reference", "")
    if resource["resourceType"] == "Appointment":
        actors = [one.get("actor", {}).get("reference", "") for one in resource.get("participant", ())]
        owner = next((actor for actor in actors if actor.startswith("Patient/")), "")
    return owner.removeprefix("Patient/") if owner.startswith("Patient/") else None


@dataclass
class Reply:
    """What the broker answered."""

    status: int
    headers: Any
    text: str

    @property
    def json(self):
        return json.loads(self.text)

    @property
    def events(self):
        return [json.loads(line) for line in self.text.splitlines()]

    @property
    def complete(self):
        return self.json["complete"]

    @property
    def code(self):
        return self.json["error"]["code"]

    @property
    def rows(self):
        """Source to status."""
        return {row["source"]: row["status"] for row in self.json["sources"]}

    def row(self, source):
        (row,) = [row for row in self.json["sources"] if row["source"] == source]
        return row

    def category(self, source, name):
        return self.row(source)["categories"][name]["status"]

    def resources(self, kind=None):
        found = [entry["resource"] for entry in self.json["bundle"]["entry"]]
        return [one for one in found if kind in {None, one["resourceType"]}]

    def sources_of(self, kind):
        """Which sources gave a resource of this type."""
        return {one["meta"]["source"].rpartition(":")[2] for one in self.resources(kind)}


class Doctor:
    """Somebody who asks: a clinician of an organisation, with a patient in context."""

    def __init__(self, world, organisation, **claims):
        self._world = world
        self._organisation = organisation
        self._claims = claims

    def token(self, patient=None, **claims):
        about = {} if patient is None else {**patient.claimed, "relationship": "encounter"}
        asserted = {"role_code": "R8000", "organisation": self._organisation, **about, **self._claims, **claims}
        issuer = self._world.issuers[self._organisation]
        return sign_demo_token(issuer, audience=self._world.settings.server.public_url, **asserted)

    @contextlib.asynccontextmanager
    async def asks(self, patient, *, token=None, accept="application/json", data=None, **body):
        """The response, while it arrives."""
        headers = {
            "Authorization": f"Bearer {token or self.token(patient)}",
            "Accept": accept,
            "Content-Type": "application/json",
        }
        data = json.dumps({"patient": patient.claimed, **body}) if data is None else data
        url = f"{self._world.address}/lookups"
        async with self._world.session.post(url, data=data, headers=headers) as response:
            yield response

    async def look_up(self, patient, **how):
        async with self.asks(patient, **how) as response:
            return Reply(response.status, response.headers, await response.text())

    async def stream(self, patient, **how):
        return await self.look_up(patient, accept="application/x-ndjson", **how)


@dataclass
class World:
    """A broker that listens, and the organisations that it asks."""

    organisations: dict[str, Organisation]
    settings: Any
    address: str
    session: aiohttp.ClientSession
    issuers: dict[str | None, Any]
    said: Callable[[], str] = str
    process: Any = None
    mrs_okafor: Patient = MRS_OKAFOR
    mr_reyes: Patient = MR_REYES
    _doctor: Doctor | None = field(default=None)

    def __getitem__(self, code):
        return self.organisations[code]

    @property
    def hospital(self):
        return self["RJ1"]

    @property
    def other_hospital(self):
        return self["RJZ"]

    @property
    def practice(self):
        return self["G85001"]

    def doctor(self, organisation="RJ1", **claims):
        return Doctor(self, organisation, **claims)

    def forget(self):
        """As if no organisation had been asked yet."""
        for organisation in self.organisations.values():
            organisation.seen.clear()
            organisation.asked.clear()
            organisation.left.clear()

    def nobody_was_asked(self):
        return not any(organisation.seen for organisation in self.organisations.values())

    def journal(self, event=None):
        """Every record that counts, in order, or those of one event."""
        directory = self.settings.audit.directory
        names = segments_of(directory)
        reach = reaches(directory, names)
        lines = [line for name in names for line in lines_of(directory / str(name), reach.get(name))]
        records = [json.loads(line) for line in lines if line.endswith(b"\n")]
        return [one for one in records if event in {None, one["event"]}]

    def lookups(self):
        """The ids of lookups, in the order of their intents."""
        return [one["lookup_id"] for one in self.journal("lookup.intent")]

    def told(self, lookup_id):
        return [one["event"] for one in records_of(self.settings.audit.directory, lookup_id)]

    async def ready(self):
        """The status of `/health/ready`."""
        async with self.session.get(f"{self.address}/health/ready") as response:
            return response.status

    async def becomes_ready(self):
        async with asyncio.timeout(10):
            while await self.ready() != 200:
                await asyncio.sleep(0.02)

    def verify(self):
        return verify(self.settings.audit.directory)


def plain(value):
    """Without what differs between any two lookups: times, and numbers of the journal."""
    if isinstance(value, dict):
        own = {"elapsed_ms", "lookup_id", "seq", "time", "previous"}
        return {key: plain(one) for key, one in value.items() if key not in own}
    return [plain(one) for one in value] if isinstance(value, list) else value


async def answered(ask, status):
    """The first reply with this status, asking until it comes."""
    async with asyncio.timeout(10):
        while (reply := await ask()).status != status:
            await asyncio.sleep(0.05)
        return reply


async def eventually(holds, seconds=5.0):
    """Wait until `holds()`; for what follows an answer by a moment."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it never came to hold"
        await asyncio.sleep(0.01)


BROKER_TOML = """\
[server]
listen = "127.0.0.1:0"
public_url = "http://broker.test"
{server}
[lookup]
deadline = "{deadline}"
{lookup}
[limits]
{limits}
[organisations]
directory = "organisations"
[identity]
{identity}
[objections]
lead_controller = "QKK"
max_age = "{max_age}"
[[issuers]]
iss = "https://operator.example"
demo = true
"""
SERVE = "import sys; from broker.cli import main; sys.exit(main())"


def write(directory, organisations, *, identity=None, deadline="5s", max_age="10s", server="", lookup="", limits=""):
    """A configuration, as somebody would write it; `identity` maps NHS numbers to PDS Patients, or is the lines of its table.

    `server`, `lookup` and `limits` are further lines of these tables.
    """
    (directory / "organisations").mkdir(parents=True)
    for one in organisations:
        (directory / "organisations" / f"{one.code}.toml").write_text(one.manifest())
    kind = 'kind = "none"'
    if isinstance(identity, str):
        kind = identity
    elif identity is not None:
        kind = 'kind = "file"\ndirectory = "identity"'
        (directory / "identity").mkdir()
        for number, patient in identity.items():
            (directory / "identity" / f"{number}.json").write_text(json.dumps(patient))
    file = directory / "broker.toml"
    file.write_text(
        BROKER_TOML.format(
            identity=kind, deadline=deadline, max_age=max_age, server=server, lookup=lookup, limits=limits
        )
    )
    return file


@contextlib.asynccontextmanager
async def served(file, room):
    """`broker serve` as a process of its own, whose home, temporary files and words are in `room`."""
    room.mkdir(parents=True, exist_ok=True)
    words = room / "stderr"
    own = {name: value for name, value in os.environ.items() if not name.startswith("BROKER_")}
    with words.open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", SERVE, "serve", "--config", str(file)),
            stderr=said,
            stdout=said,
            cwd=room,
            env=own | {"HOME": str(room), "TMPDIR": str(room)},
        )
    try:
        await eventually(lambda: b"broker.started" in words.read_bytes(), 20)
        started = [json.loads(line) for line in words.read_text().splitlines()]
        yield next(one["listening"] for one in started if one["event"] == "broker.started"), words.read_text, process
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(15):
            await process.wait()


@pytest.fixture
async def open_world(tmp_path) -> AsyncIterator[Callable[..., Awaitable[World]]]:
    """Opens a broker over these organisations.

    `apart`: as a process of its own. `down`: codes of those that refuse connections. Further: settings of `write`.
    """
    async with contextlib.AsyncExitStack() as house:

        async def begin(*organisations, apart=False, down=(), **settings):
            for one in organisations:
                house.push_async_callback(one.close)
                if one.code not in down:
                    await one.revive()
            file = write(tmp_path / "broker", organisations, **settings)
            read = load(file, {})
            registry = Registry.load(read.organisations.directory, settings=read)
            known = {each.organisation: each for each in issuers(read, registry)}
            session = await house.enter_async_context(aiohttp.ClientSession())
            codes = {one.code: one for one in organisations}
            if apart:
                address, said, process = await house.enter_async_context(served(file, tmp_path / "room"))
                return World(codes, read, address, session, known, said, process)
            address = await house.enter_async_context(running(read))
            return World(codes, read, address, session, known)

        yield begin


def usual(**options) -> list[Organisation]:
    """Two hospitals and a practice that know Mrs Okafor, each with an allergy and an illness of hers, and no more."""
    made = [Organisation("RJ1", **options), Organisation("RJZ", **options)]
    made.append(Organisation("G85001", "gp-practice", name="Camberwell Green", **options))
    for n, one in enumerate(made):
        one.holds(
            MRS_OKAFOR.at("1000"),
            record("AllergyIntolerance", "1001", code="91936005", text="Allergy to penicillin"),
            record("Condition", "1002", code=f"3842{n}", text="An illness"),
            record("Encounter", "1003", status="finished"),
        )
    return made


@pytest.fixture
async def world(open_world):
    """Two hospitals, a practice, and Mrs Okafor."""
    return await open_world(*usual())


@pytest.fixture
def doctor(world):
    """A doctor of the hospital where she is now."""
    return world.doctor()


@pytest.fixture
def house():
    """What the stories are told with."""
    return SimpleNamespace(
        Organisation=Organisation,
        Patient=Patient,
        answered=answered,
        eventually=eventually,
        mr_reyes=MR_REYES,
        mrs_okafor=MRS_OKAFOR,
        nhs=NHS,
        plain=plain,
        record=record,
        served=served,
        usual=usual,
        write=write,
        root=Path(__file__).resolve().parents[2],
    )
