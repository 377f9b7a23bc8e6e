"""The organisations: one process that answers for all of them with bytes made beforehand, as cheaply as Python can.

    python -m tests.bench.sources SOURCES PATIENTS [bills]

It prints one line of JSON (addresses, ids) once it listens. On its control address, `GET /sick` makes the last source
hang and the last but one refuse connections, `GET /well` makes both answer again, `GET /requests` counts.
"""

import asyncio
import json
import re
import sys
from collections.abc import Callable
from typing import Any

from tests.bench.records import Record, have_synthea, number_of, records

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_NUMBER = re.compile(rb"999\d{7}")
_TYPE = re.compile(rb"/fhir/([A-Za-z]+)\?patient=([^&]+)")
_ID = re.compile(rb"[?&]_id=([^&]+)")

Responder = Callable[[bytes, bytes], bytes | None]
"""Of target and body, the whole response; None for one that never comes."""


class Http(asyncio.Protocol):
    """HTTP/1.1 with Content-Length, one request after the other, which is all that clients of a benchmark send."""

    def __init__(self, respond: Responder, open_transports: set[asyncio.BaseTransport]) -> None:
        self._respond = respond
        self._open = open_transports
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._open.add(transport)

    def connection_lost(self, _: Exception | None) -> None:
        self._open.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        held = self._held + data
        while (end := held.find(b"\r\n\r\n")) >= 0:
            found = _LENGTH.search(held, 0, end)
            length = int(found[1]) if found else 0
            after = end + 4 + length
            if len(held) < after:
                break
            response = self._respond(held[held.index(b" ") + 1 : held.index(b" HTTP/1.1")], held[end + 4 : after])
            if response is not None:
                self._transport.write(response)
            held = held[after:]
        self._held = held


def response(content: Any, status: str = "200 OK") -> bytes:
    """A whole response."""
    body = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/fhir+json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


_NOT_FOUND = response({"resourceType": "OperationOutcome", "issue": []}, "404 Not Found")


class Site:
    """One organisation's server."""

    def __init__(self, held: list[Record]) -> None:
        self.held = held
        self.requests = 0
        self.hanging = False
        self.port = 0
        self.sizes: list[int] = []
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.BaseTransport] = set()
        self._answers: dict[bytes, bytes] = {}
        self._by_number: dict[bytes, bytes] = {}
        self._by_id: dict[bytes, bytes] = {}
        self._by_type: dict[tuple[bytes, bytes], bytes] = {}

    async def start(self) -> None:
        """Listen, on the same port each time."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Http(self._respond, self._open), "127.0.0.1", self.port)
        if not self.port:
            self.port = self._server.sockets[0].getsockname()[1]
            self._prepare()

    def stop(self) -> None:
        """Refuse connections, and break those that there are."""
        assert self._server is not None
        self._server.close()
        for transport in list(self._open):
            transport.close()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}/fhir"

    def _prepare(self) -> None:
        types = {resource["resourceType"] for record in self.held for resource in record.resources}
        self._answers[b"/fhir/metadata"] = response(_capability(types))
        for patient, record in enumerate(self.held):
            local = record.local_id.encode()
            record_body = response(self._bundle(record.resources, own=1))
            self._by_number[number_of(patient).encode()] = response(self._bundle(record.resources[:1], own=1))
            self._by_id[local] = record_body
            self._answers[b"/fhir/Patient/" + local + b"/$everything"] = record_body
            for name in {resource["resourceType"] for resource in record.resources}:
                of_type = tuple(resource for resource in record.resources if resource["resourceType"] == name)
                self._by_type[name.encode(), local] = response(self._bundle(of_type, own=len(of_type)))
            self.sizes.append(len(record_body))

    def _bundle(self, resources: tuple[dict[str, Any], ...], own: int) -> dict[str, Any]:
        entry = [
            {
                "fullUrl": f"{self.base}/{resource['resourceType']}/{resource['id']}",
                "resource": resource,
                "search": {"mode": "match" if n < own else "include"},
            }
            for n, resource in enumerate(resources)
        ]
        return {"resourceType": "Bundle", "type": "searchset", "total": own, "entry": entry}

    def _respond(self, target: bytes, body: bytes) -> bytes | None:
        self.requests += 1
        if self.hanging:
            return None
        found = self._answers.get(target.partition(b"?")[0])
        if found is not None:
            return found
        by_id = _ID.search(target)
        if by_id is not None:
            return self._by_id.get(by_id[1], _NOT_FOUND)
        of_type = _TYPE.match(target)
        if of_type is not None:
            return self._by_type.get((of_type[1], of_type[2]), _NOT_FOUND)
        number = _NUMBER.search(body or target)
        if number is not None and target.startswith(b"/fhir/Patient"):
            return self._by_number.get(number[0], _NOT_FOUND)
        return _NOT_FOUND


def _capability(types: set[str]) -> dict[str, Any]:
    everything = {"name": "everything", "definition": "http://hl7.org/fhir/OperationDefinition/Patient-everything"}
    listed = [
        {
            "type": name,
            "interaction": [{"code": "read"}, {"code": "search-type"}],
            "searchParam": [{"name": "identifier" if name == "Patient" else "patient", "type": "token"}],
            **({"operation": [everything]} if name == "Patient" else {}),
        }
        for name in sorted(types - {"Organization", "Practitioner"})
    ]
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [{"mode": "server", "resource": listed}],
    }


class Control:
    """What the benchmark asks of the organisations."""

    def __init__(self, sites: list[Site]) -> None:
        self._sites = sites

    async def serve(self) -> int:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Http(self._respond, set()), "127.0.0.1", 0)
        self._server = server
        return int(server.sockets[0].getsockname()[1])

    def _respond(self, target: bytes, _: bytes) -> bytes:
        dead, hanging = self._sites[-2:]
        if target == b"/sick":
            dead.stop()
            hanging.hanging = True
        elif target == b"/well":
            hanging.hanging = False
            self._starting = asyncio.ensure_future(dead.start())
        return response([site.requests for site in self._sites])


async def _main(sources: int, patients: int, *, bills: bool) -> None:
    sites = [Site(held) for held in records(sources, patients, bills=bills)]
    for site in sites:
        await site.start()
    control = Control(sites)
    ready = {
        "control": await control.serve(),
        "bases": [site.base for site in sites],
        "ids": [[record.local_id for record in site.held] for site in sites],
        "resources": [[len(record.resources) for record in site.held] for site in sites],
        "types": [
            [sorted({one["resourceType"] for one in record.resources}) for record in site.held] for site in sites
        ],
        "bytes": [site.sizes for site in sites],
        "synthea": have_synthea(),
    }
    print(json.dumps(ready), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), int(sys.argv[2]), bills="bills" in sys.argv))
