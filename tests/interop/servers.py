"""Servers that others wrote: how they are started, filled, and asked without the broker."""

import contextlib
import functools
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from yarl import URL

from tests.interop.records import CLINICAL, LOADER, NHS, SYNTHEA, Patient, patient_of, split, synthea

HERE = Path(__file__).parent
FHIR_JSON = "application/fhir+json"

SPLIT = ("Louis_Erdman", "Jeffry_Jenkins", "Franklyn_Klein")
"""In the records of both servers: an allergy and imaging; goals; two allergies and much else."""
UNSPLIT = "Bill_Reinger"
"""In the records of the second alone."""


def free_ports(count):
    """Ports that nobody has, below those that a system gives to whoever asks for any: some servers start slowly."""
    ports = []
    for port in random.sample(range(20_000, 32_000), 200):
        with contextlib.suppress(OSError), socket.socket() as tried:
            tried.bind(("127.0.0.1", port))
            ports.append(port)
        if len(ports) == count:
            return ports
    pytest.fail("no ports are free")


def request(method, url, body=None, **headers):
    """What a server answers to one plain request: its status, and its JSON with every number as it was written."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Accept": FHIR_JSON, "Content-Type": FHIR_JSON, "Cache-Control": "no-cache"} | headers
    asked = urllib.request.Request(url, data, headers, method=method)
    try:
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return answer.status, json.loads(answer.read() or b"{}", parse_float=str)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, json.loads(refusal.read() or b"{}")


@dataclass(frozen=True)
class Server:
    """A FHIR server of others: where it listens, and what it says of itself when it is asked without the broker."""

    base: str
    code: str
    declared: str | None = None
    """The address that its links name, if not its own."""

    @property
    def source(self):
        return f"{self.code}-epr"

    def search(self, query):
        """Every resource that a search finds, page by page, and how many pages that took."""
        url, found, pages = f"{self.base}/{query}", [], 0
        while url:
            _, page = request("GET", url)
            pages += 1
            found += [entry["resource"] for entry in page.get("entry", ())]
            url = next((link["url"] for link in page.get("link", ()) if link["relation"] == "next"), None)
            url = url and url.replace(self.declared or self.base, self.base)
        return found, pages

    def patients(self, number):
        """The ids of its records with this NHS number."""
        return [one["id"] for one in self.search(f"Patient?identifier={NHS}|{number}")[0]]

    def holds(self, patient):
        """Its clinical record of a patient, `Type/id` to resource, by its own searches when it was first looked for."""
        return _held(self, patient)

    def manifest(self, **more):
        links = [self.declared] if self.declared else []
        source = {"name": "epr", "kind": "fhir-r4", "base_url": self.base, "link_bases": links, "timeout": "20s"} | more
        return "\n".join([
            f'ods_code = "{self.code}"',
            f'name = "{self.code} NHS Trust"',
            'service_type = "acute"',
            'region = "south-east-london"',
            "agreement = {isa_signed = 2025-04-01, isa_expires = 2099-03-31, dspt_expires = 2099-03-31}",
            f'issuer = {{iss = "https://ehr.{self.code.lower()}.example", demo = true}}',
            "[[sources]]",
            *(f"{key} = {json.dumps(value)}" for key, value in source.items()),
        ])


@functools.cache
def _held(server, patient):
    return {
        f"{kind}/{one['id']}": one
        for local in server.patients(patient.nhs_number)
        for kind in CLINICAL
        for one in server.search(f"{kind}?patient=Patient/{local}")[0]
    }


@dataclass
class Hapis:
    """Two HAPI servers, and who is in their records.

    Attributes:
        one: its links follow the address that was asked.
        two: as behind a proxy, its links name an address where nobody listens.
        patients: those who are in the records of either, by name.
        loaded: name to how many of each type were put into the first server, and into the second.
    """

    one: Server
    two: Server
    room: Path
    patients: dict[str, Patient] = field(default_factory=dict)
    loaded: dict[str, tuple[Counter[str], Counter[str]]] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Server]:
        return iter((self.one, self.two))

    def pid(self, server):
        return int((self.room / f"{URL(server.base).port}.pid").read_text())


def filled(hapis):
    """Each patient split, and each half in its server."""
    halves: tuple[list[Path], list[Path]] = ([], [])
    for name in SPLIT:
        file = synthea(name)
        for n, half in enumerate(split(json.loads(file.read_text()))):
            halves[n].append(hapis.room / str(n) / file.name)
            halves[n][-1].parent.mkdir(exist_ok=True)
            halves[n][-1].write_text(json.dumps(half))
    halves[1].append(synthea(UNSPLIT))
    loading = [load_into(server, *files) for server, files in zip(hapis, halves, strict=True)]
    assert [process.wait(200) for process in loading] == [0, 0]
    for name in (*SPLIT, UNSPLIT):
        hapis.patients[name] = patient_of(name)
        hapis.loaded[name] = tuple(counted(n, halves, synthea(name).name) for n in range(2))
    return hapis


def counted(n, halves, name):
    """How many clinical resources of each type a server was given of one patient."""
    entries = [entry for file in halves[n] if file.name == name for entry in json.loads(file.read_text())["entry"]]
    kinds = Counter(entry["resource"]["resourceType"] for entry in entries)
    return Counter({kind: kinds[kind] for kind in CLINICAL if kinds[kind]})


def load_into(server, *files):
    """Puts these Bundles into a server, with the loader that comes with it."""
    command = [sys.executable, str(LOADER), server.base, *map(str, files)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def put(name, server):
    """Puts one of Synthea's patients into a server, whole."""
    assert load_into(server, synthea(name)).wait(100) == 0


def hapi(does, port, room, **java):
    """Starts or stops a HAPI server, as the script does that comes with it."""
    script = LOADER.with_name("run-hapi.sh")
    options = " ".join(f"-Dhapi.{key}={value}" for key, value in java.items())
    own = {"HAPI_STATE": str(room), "HAPI_PAGE": "10", "HAPI_MAX_PAGE": "10", "HAPI_XMX": "600m", "HAPI_JAVA": options}
    with (room / f"{port}.{does}").open("w") as said:
        command = [str(script), does, str(port)]
        return subprocess.Popen(command, env=os.environ | own, stdout=said, stderr=subprocess.STDOUT)


def need_hapi():
    """Skips where something that HAPI FHIR needs is not here."""
    build = Path(os.environ.get("HAPI_BUILD", Path(tempfile.gettempdir()) / "hapi-r4"))
    if not LOADER.is_file() or not SYNTHEA.is_dir():
        pytest.skip("HAPI FHIR and the synthetic records (shared/ beside the checkout) are not here")
    if shutil.which("java") is None:
        pytest.skip("HAPI FHIR needs java, which is not here")
    if not (build / "target" / "hapi-r4-1.jar").is_file():
        pytest.skip("HAPI FHIR is not built: ../shared/servers/hapi/run-hapi.sh build")


def need_node():
    """Skips where Node, or what the scripts beside this file need of npm, is not here."""
    if shutil.which("node") is None:
        pytest.skip("node is not here")
    if not (HERE / "node_modules" / ".package-lock.json").is_file():
        pytest.skip("what comes from npm is not installed: npm ci --prefix tests/interop")
