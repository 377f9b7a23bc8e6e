"""The broker among software of others: how it is opened, and how it is asked."""

import asyncio
import contextlib
import json
from dataclasses import dataclass
from typing import Any

import aiohttp

from broker.app import issuers, running
from broker.auth.tokens import sign_demo_token
from broker.registry import Registry
from broker.settings import load
from tests.interop.records import Patient
from tests.interop.servers import HERE, free_ports, need_node

BROKER_TOML = """\
[server]
listen = "127.0.0.1:{port}"
public_url = "http://127.0.0.1:{port}"
[lookup]
deadline = "30s"
source_timeout = "20s"
[organisations]
directory = "organisations"
[identity]
kind = "file"
directory = "identity"
"""


@dataclass(frozen=True)
class Reply:
    """What `POST /lookups` answered."""

    status: int
    body: dict[str, Any]

    @property
    def complete(self):
        return self.body["complete"]

    @property
    def rows(self):
        return {row["source"]: row["status"] for row in self.body["sources"]}

    def row(self, source):
        (row,) = [row for row in self.body["sources"] if row["source"] == source]
        return row

    def resources(self, *kinds):
        found = [entry["resource"] for entry in self.body["bundle"]["entry"]]
        return [one for one in found if not kinds or one["resourceType"] in kinds]

    def of(self, source):
        """What one source gave, `Type/id` to resource."""
        return {
            f"{one['resourceType']}/{one['id']}": one
            for one in self.resources()
            if one.get("meta", {}).get("source", "").endswith(f":{source}")
        }


@dataclass(frozen=True)
class Broker:
    """A broker that listens, asked by a doctor of the first organisation."""

    address: str
    session: aiohttp.ClientSession
    issuer: Any
    organisation: str

    @property
    def fhir(self):
        return f"{self.address}/fhir"

    def token(self, patient):
        return sign_demo_token(
            self.issuer,
            audience=self.address,
            role_code="R8000",
            organisation=self.organisation,
            relationship="encounter",
            **patient.claimed,
        )

    async def look_up(self, patient, **body):
        headers = {"Authorization": f"Bearer {self.token(patient)}", "Accept": "application/json"}
        body = {"patient": patient.claimed, **body}
        async with self.session.post(f"{self.address}/lookups", json=body, headers=headers) as response:
            return Reply(response.status, json.loads(await response.text(), parse_float=str))


@dataclass(frozen=True)
class Demo:
    """The demo world, with a broker before it, and Mrs Okafor."""

    broker: Broker
    control: str
    patient: Patient

    async def stop(self, source):
        async with self.broker.session.post(f"{self.control}/stop/{source}") as response:
            assert response.status == 200


@contextlib.asynccontextmanager
async def asked_by(organisation, file):
    """The broker that this configuration describes, asked by a doctor of that organisation."""
    settings = load(file, {})
    registry = Registry.load(settings.organisations.directory, settings=settings)
    issuer = next(one for one in issuers(settings, registry) if one.organisation == organisation)
    async with running(settings) as address, aiohttp.ClientSession() as session:
        yield Broker(address, session, issuer, organisation)


def configured(room, servers, patients, **source):
    """A configuration over these servers, for these patients; `source` is added to each source's manifest."""
    for folder in ("organisations", "identity"):
        (room / folder).mkdir()
    for server in servers:
        (room / "organisations" / f"{server.code}.toml").write_text(server.manifest(**source))
    for patient in patients:
        (room / "identity" / f"{patient.nhs_number}.json").write_text(json.dumps(patient.pds()))
    file = room / "broker.toml"
    file.write_text(BROKER_TOML.format(port=free_ports(1)[0]))
    return file


async def node(script, **request):
    """What a script of this folder prints for a request, both JSON."""
    need_node()
    process = await asyncio.create_subprocess_exec(
        *("node", str(HERE / script)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, said = await process.communicate(json.dumps(request).encode())
    assert process.returncode == 0, said.decode()
    return json.loads(out, parse_float=str)
