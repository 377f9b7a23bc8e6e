"""A world whose broker can be asked as a FHIR server; what is in it stands in `tests/end_to_end/conftest.py`."""

import importlib.util
import json
import socket
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

_file = Path(__file__).parents[2] / "end_to_end" / "conftest.py"
_spec = importlib.util.spec_from_file_location("fhir_stories", _file)
stories = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = stories  # dataclasses look their module up
_spec.loader.exec_module(stories)

open_world, world, doctor, house = stories.open_world, stories.world, stories.doctor, stories.house

ERROR = "urn:care-record-broker:error"
STATUS = "urn:care-record-broker:status"
RESTRICTION = "urn:care-record-broker:restriction"


@pytest.fixture(autouse=True)
def _at_its_own_address(monkeypatch):
    """Links are followed as they are: the broker's public address is where it listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    there = stories.BROKER_TOML.replace("127.0.0.1:0", address).replace("http://broker.test", f"http://{address}")
    monkeypatch.setattr(stories, "BROKER_TOML", there)


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Any
    json: Any
    text: str

    @property
    def issues(self):
        """Of an OperationOutcome, alone or as the first entry of a searchset."""
        resource = self.json
        if resource["resourceType"] == "Bundle":
            first = resource["entry"][0]
            assert first["search"] == {"mode": "outcome"}
            resource = first["resource"]
        assert resource["resourceType"] == "OperationOutcome"
        return resource["issue"]

    @property
    def code(self):
        """The stable code of an error."""
        first = self.issues[0]
        assert first["severity"] == "error"
        (coding,) = first["details"]["coding"]
        assert coding["system"] == ERROR
        return coding["code"]

    @property
    def open(self):
        """Organisation to status, of every row that leaves something open."""
        found = {}
        for issue in self.issues:
            codings = {one["system"]: one["code"] for one in issue["details"].get("coding", ())}
            if STATUS in codings:
                found[codings.get("https://fhir.nhs.uk/Id/ods-organization-code")] = codings[STATUS]
        return found

    @property
    def restrictions(self):
        """Word to issue, of what bounds the answer."""
        codings = [(coding, one) for one in self.issues for coding in one["details"].get("coding", ())]
        return {coding["code"]: one for coding, one in codings if coding["system"] == RESTRICTION}

    def entries(self, mode="match"):
        return [one["resource"] for one in self.json["entry"] if one["search"]["mode"] == mode]

    def ids(self, mode="match"):
        return [f"{one['resourceType']}/{one['id']}" for one in self.entries(mode)]

    def link(self, relation):
        return next((one["url"] for one in self.json["link"] if one["relation"] == relation), None)


def refusals(world):
    """How often each code was written down: within a second, one that repeats another is counted."""
    found = Counter()
    for one in world.journal("request.refused"):
        found[one["code"]] += one.get("count", 1)
    return found


@pytest.fixture(name="refusals")
def _refusals():
    return refusals


class Plugin:
    """A program in a clinician's own system, with a patient open."""

    def __init__(self, world, doctor, patient):
        self.world = world
        self.base = f"{world.address}/fhir"
        self._doctor = doctor
        self._patient = patient
        self.headers = {"Authorization": f"Bearer {doctor.token(patient)}", "Accept": "application/fhir+json"}
        self.identifier = f"https://fhir.nhs.uk/Id/nhs-number|{patient.nhs_number}"

    async def ask(self, path, method="GET", *, headers=None, **options):
        url = path if path.startswith("http") else f"{self.base}/{path}".rstrip("/")
        sent = {**self.headers, **(headers or {})}
        async with self.world.session.request(method, url, headers=sent, **options) as response:
            text = await response.text()
            if text:
                assert response.headers["Content-Type"] == "application/fhir+json; charset=utf-8"
            return Answer(response.status, response.headers, json.loads(text or "null"), text)

    async def search(self, kind, headers=None, **more):
        name = "identifier" if kind == "Patient" else "patient.identifier"
        return await self.ask(kind, params={name: self.identifier, **more}, headers=headers)

    async def form(self, kind, data=None, **options):
        data = {"patient.identifier": self.identifier} if data is None else data
        return await self.ask(f"{kind}/_search", "POST", data=data, **options)

    async def batch(self, *urls, **options):
        entries = [{"request": {"method": "GET", "url": url}} for url in urls]
        return await self.post({"resourceType": "Bundle", "type": "batch", "entry": entries}, **options)

    async def post(self, bundle, **options):
        kind = {"Content-Type": "application/fhir+json", **options.pop("headers", {})}
        return await self.ask("", "POST", data=json.dumps(bundle), headers=kind, **options)

    async def patient_id(self):
        (patient,) = (await self.search("Patient")).entries()
        return patient["id"]

    async def every_page(self, path, **options):
        """Each page, following `next` to the end; the last may be an error."""
        pages = [await self.ask(path, **options)]
        while pages[-1].status == 200 and (url := pages[-1].link("next")):
            pages.append(await self.ask(url, headers=options.get("headers")))
        return pages


@pytest.fixture
def plugin_of():
    def make(world, patient=stories.MRS_OKAFOR, **claims):
        return Plugin(world, world.doctor(**claims), patient)

    return make


@pytest.fixture
def plugin(world, plugin_of):
    return plugin_of(world)
