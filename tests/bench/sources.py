"""The organisations: one process that answers for all of them with bytes made beforehand, as cheaply as Python can.

    python -m tests.bench.sources SOURCES PATIENTS [--size BYTES] [--bills] [--gzip] [--certificate FILE]

It prints one line of JSON (addresses, ids) once it listens. On its control address,

    GET /requests   counts the requests to each source so far
    GET /sick       makes the last source hang and the last but one refuse connections
    GET /well       makes both answer again
    GET /slow       has every source take 25 to 150 ms for an answer, so 50 to 300 ms for a record, each its own
    GET /prompt     has them answer at once again
    GET /last       tells when the last byte of the latest answer was written, in nanoseconds of CLOCK_MONOTONIC
"""

import argparse
import asyncio
import json
import random
import re
import ssl
from typing import Any

from tests.bench.records import SIZE, Record, have_synthea, number_of, records
from tests.bench.wire import Http, Sent, response

_NUMBER = re.compile(rb"999\d{7}")
_TYPE = re.compile(rb"/fhir/([A-Za-z]+)\?patient=(?:Patient(?:/|%2F))?([^&]+)")
_ID = re.compile(rb"[?&]_id=([^&]+)")
_SLOW = (0.025, 0.15)
"""Seconds that an answer takes while the sources are slow: drawn anew each time, the same in every run."""

_NOT_FOUND = response({"resourceType": "OperationOutcome", "issue": []}, "404 Not Found")


class Site:
    """One organisation's server. With `tls` it is https; with `zipped` every answer is gzip, asked for or not."""

    def __init__(self, held: list[Record], seed: int, sent: Sent, tls: ssl.SSLContext | None, *, zipped: bool) -> None:
        self.held = held
        self.requests = 0
        self.hanging = False
        self.slow = False
        self.port = 0
        self.sizes: list[int] = []
        self._sent = sent
        self._tls = tls
        self._zipped = zipped
        self._draw = random.Random(seed)
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Transport] = set()
        self._answers: dict[bytes, bytes] = {}
        self._by_number: dict[bytes, bytes] = {}
        self._by_id: dict[bytes, bytes] = {}
        self._by_type: dict[tuple[bytes, bytes], bytes] = {}

    async def start(self) -> None:
        """Listen, on the same port each time."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Http(self._respond, self._open, self._sent, self._delay), "127.0.0.1", self.port, ssl=self._tls
        )
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
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/fhir"

    def _prepare(self) -> None:
        types = {resource["resourceType"] for record in self.held for resource in record.resources}
        self._answers[b"/fhir/metadata"] = self._response(_capability(types))
        for patient, record in enumerate(self.held):
            local = record.local_id.encode()
            whole = self._bundle(record.resources, own=1)
            self.sizes.append(len(response(whole)))
            self._by_id[local] = self._response(whole)
            self._answers[b"/fhir/Patient/" + local + b"/$everything"] = self._by_id[local]
            only_patient = self._bundle(record.resources[:1], own=1)
            self._by_number[number_of(patient).encode()] = self._response(only_patient)
            for name in {resource["resourceType"] for resource in record.resources}:
                of_type = tuple(resource for resource in record.resources if resource["resourceType"] == name)
                self._by_type[name.encode(), local] = self._response(self._bundle(of_type, own=len(of_type)))

    def _response(self, content: dict[str, Any]) -> bytes:
        return response(content, zipped=self._zipped)

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

    def _delay(self) -> float:
        return self._draw.uniform(*_SLOW) if self.slow else 0.0

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

    def __init__(self, sites: list[Site], sent: Sent) -> None:
        self._sites = sites
        self._sent = sent

    async def serve(self) -> int:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Http(self._respond, set()), "127.0.0.1", 0)
        self._server = server
        return int(server.sockets[0].getsockname()[1])

    def _respond(self, target: bytes, _: bytes) -> bytes:
        match target:
            case b"/sick":
                self._sites[-2].stop()
                self._sites[-1].hanging = True
            case b"/well":
                self._sites[-1].hanging = False
                self._starting = asyncio.ensure_future(self._sites[-2].start())
            case b"/slow" | b"/prompt":
                for site in self._sites:
                    site.slow = target == b"/slow"
            case b"/last":
                return response([self._sent.last])
            case _:
                pass
        return response([site.requests for site in self._sites])


async def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.sources")
    parser.add_argument("sources", type=int)
    parser.add_argument("patients", type=int)
    parser.add_argument("--size", type=int, default=SIZE)
    parser.add_argument("--bills", action="store_true")
    parser.add_argument("--gzip", action="store_true")
    parser.add_argument("--certificate")
    wanted = parser.parse_args()
    tls = None
    if wanted.certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(wanted.certificate)
    held = records(wanted.sources, wanted.patients, size=wanted.size, bills=wanted.bills)
    sent = Sent()
    sites = [Site(one, seed, sent, tls, zipped=wanted.gzip) for seed, one in enumerate(held)]
    for site in sites:
        await site.start()
    control = Control(sites, sent)
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
    asyncio.run(_main())
