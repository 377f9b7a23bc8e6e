"""Organisations whose answers are large, or made to cost: one process, told what to answer with.

    python -m tests.bench.heavy COUNT

It prints its ports. Each line on its standard input, `{"heavy": [0], "what": "60 KB"}`, says which of them answer
with what; it prints the size of that. The rest know the patient and hold nothing more.
"""

import asyncio
import gzip
import json
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

from tests.bench.records import BIRTH_DATE, number_of, records
from tests.bench.wire import Http

__all__ = ["BODIES", "RAW"]

_BULK = 7_900_000
_NHS = "https://fhir.nhs.uk/Id/nhs-number"
_SUBJECT = '"subject":{"reference":"Patient/p"}'
_OBSERVATION = '{"resourceType":"Observation","id":"a","status":"final",' + _SUBJECT + ',"code":{"text":"a"},'


def _ordinary(size: int) -> str:
    """About so many bytes of entries of real shape: one record again and again, each time under other ids."""
    ((patient, *rest),) = (record.resources for ((record,),) in [records(1, 1, bills=False)])
    text = json.dumps(rest, separators=(",", ":"), ensure_ascii=False).replace(f"Patient/{patient['id']}", "Patient/p")
    ids = "|".join(re.escape(one["id"][:-5]) for one in rest)
    made: list[str] = []
    held = 0
    while held < size:
        again = re.sub(f'(?<=["/])({ids})[^"]{{5}}(?=")', rf"\g<1>{len(made):05d}", text)
        for one in json.loads(again):
            address = f"http://127.0.0.1/{one['resourceType']}/{one['id']}"
            entry = json.dumps(
                {"fullUrl": address, "resource": one, "search": {"mode": "match"}}, separators=(",", ":")
            )
            held += len(entry)
            if held >= size:
                break
            made.append(entry)
    return ",".join(made)


def _tiny(size: int) -> str:
    one = '{"resource":{"resourceType":"Observation","id":"%07d",' + _SUBJECT + "}}"
    return ",".join(one % n for n in range(size // (len(one) + 4)))


def _one(inside: str) -> str:
    return '{"resource":' + _OBSERVATION + inside + "}}"


def _many(one: str, size: int) -> str:
    return ",".join([one] * (size // (len(one) + 1)))


def _deep(size: int) -> str:
    chain = '{"url":"u","extension":[' * 25 + '{"url":"u","valueCode":"c"}' + "]}" * 25
    return _one(f'"extension":[{_many(chain, size)}]')


def _letter(size: int) -> str:
    attachment = '[{"attachment":{"contentType":"application/pdf","data":"' + "QUJD" * (size // 4) + '"}}]'
    return (
        '{"resource":{"resourceType":"DocumentReference","id":"d","status":"current",'
        + _SUBJECT
        + ',"content":'
        + attachment
        + "}}"
    )


def _labels(count: int) -> str:
    names = ("R", "V", "PSY", "HIV", "STD", "SEX", "SDV", "ETH", "NOPAT", "TABOO", "U", "L", "M", "N")
    system = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
    made = []
    for n in range(count):
        labels = [{"system": system, "code": name} for bit, name in enumerate(names) if n >> bit & 1]
        one = {"resourceType": "Observation", "id": f"l{n}", "meta": {"security": labels}, "code": {"text": "a"}}
        made.append(json.dumps({"resource": {**one, "subject": {"reference": "Patient/p"}}}))
    return ",".join(made)


def _web(size: int) -> str:
    """Results that each refer to fifty others."""
    one = '{"resource":{"resourceType":"Observation","id":"w%d",%s,"code":{"text":"a"},"hasMember":[%s]}}'
    count = size // 2200
    return ",".join(
        one % (n, _SUBJECT, ",".join(f'{{"reference":"Observation/w{(n * 7 + m * 13) % count}"}}' for m in range(50)))
        for n in range(count)
    )


BODIES: Mapping[str, Callable[[], str]] = {
    "60 KB": lambda: _ordinary(60_000),
    "600 KB": lambda: _ordinary(600_000),
    "8 MB, ordinary": lambda: _ordinary(_BULK),
    "8 MB, 100,000 tiny resources": lambda: _tiny(_BULK),
    "2 MB, 19,000 tiny resources": lambda: _tiny(1_500_000),
    "8 MB of empty entries": lambda: _many("{}", _BULK),
    "8 MB in one: fields": lambda: _one(",".join(f'"f{n}":1' for n in range(_BULK // 11))),
    "8 MB in one: extensions in extensions": lambda: _deep(_BULK),
    "3.5 MB in one: extensions in extensions": lambda: _deep(3_500_000),
    "8 MB in one: a letter": lambda: _letter(_BULK),
    "8 MB in one: 100,000 codings": lambda: _one(
        '"category":[{"coding":['
        + _many('{"system":"http://snomed.info/sct","code":"123456789","display":"a"}', _BULK)
        + "]}]"
    ),
    "8 MB in one: 200,000 references": lambda: _one(
        '"hasMember":[' + _many('{"reference":"Observation/0123456789"}', _BULK) + "]"
    ),
    "8 MB in one: lists": lambda: _one('"x":[' + _many("[]", _BULK) + "]"),
    "8 MB in one: numbers": lambda: _one('"x":[' + _many("1.5", _BULK) + "]"),
    "8 MB in one: one number": lambda: _one('"x":1.' + "7" * _BULK),
    "200 KB each: fields": lambda: ",".join([_one(",".join(f'"f{n}":1' for n in range(18_000)))] * 38),
    "60 KB each: extensions": lambda: ",".join(
        _deep(58_000).replace('"id":"a"', f'"id":"a{n}"') for n in range(_BULK // 60_000)
    ),
    "8 MB with half an emoji": lambda: _one(r'"note":[{"text":"\ud83d"}]') + "," + _ordinary(_BULK),
    "8 MB, an outcome among it": lambda: (
        _ordinary(_BULK)
        + ',{"resource":{"resourceType":"OperationOutcome","issue":[{"severity":"warning","code":"incomplete"}]}}'
    ),
    "1,000 sets of labels": lambda: _labels(1000),
    "8 MB of references": lambda: _web(_BULK),
    "8 MB in one: blanks before its type": lambda: '{"resource":{' + " " * _BULK + '"resourceType":"Observation"}}',
    "8 MB in one: newlines": lambda: _one('"x":"' + r"\n" * (_BULK // 2) + '"'),
    "8 MB in one: quotes": lambda: _one('"x":"' + r"\"" * (_BULK // 2) + '"'),
    "8 MB in one: Chinese": lambda: _one('"x":"' + "\u6f22" * (_BULK // 3) + '"'),
    "8 MB in one: decimals of 4,900 digits": lambda: _one('"x":[' + _many('{"v":1.' + "7" * 4900 + "}", _BULK) + "]"),
    "in one: 4 MB of Chinese": lambda: _one('"x":"' + "\u6f22" * 1_300_000 + '"'),
    "in one: 6,500 codings": lambda: _one(
        '"category":[{"coding":['
        + ",".join([f'{{"system":"http://snomed.info/sct","code":"{n}","display":"a"}}' for n in range(6_500)])
        + "]}]"
    ),
    "in one: 2,000 components": lambda: _one(
        '"component":['
        + ",".join(
            ['{"code":{"coding":[{"system":"http://loinc.org","code":"8480-6"}]},"valueQuantity":{"value":1.5}}']
            * 2_000
        )
        + "]"
    ),
}
"""What one source holds, as entries of a Bundle."""

RAW: Mapping[str, Callable[[], bytes]] = {
    "an error page of 8 MB": lambda: _plain(b"<p>sorry</p>" * (_BULK // 12), "500 Internal Server Error"),
    "a page of 8 MB that is no JSON": lambda: _plain(b"<p>sorry</p>" * (_BULK // 12)),
    "an outcome of 8 MB": lambda: _plain(
        b'{"resourceType":"OperationOutcome","issue":[' + _many("{}", _BULK).encode() + b"]}"
    ),
    "8 MB of links": lambda: _plain(
        b'{"resourceType":"Bundle","type":"searchset","link":[' + _many("{}", _BULK).encode() + b"]}"
    ),
    "8 MB half way": lambda: _plain(
        b'{"resourceType":"Bundle","type":"searchset","entry":[' + _ordinary(_BULK).encode()
    ),
    "8 MB, ordinary, gzip": lambda: _plain(_bundle(_ordinary(_BULK)), zipped=True),
    "a gzip bomb of 800 MB": lambda: _plain(b" " * 800_000_000, zipped=True),
}
"""Whole answers."""


def _bundle(entries: str) -> bytes:
    return ('{"resourceType":"Bundle","type":"searchset","entry":[' + entries + "]}").encode()


def _plain(body: bytes, status: str = "200 OK", *, zipped: bool = False) -> bytes:
    encoding = ""
    if zipped:
        body = gzip.compress(body, 1)
        encoding = "Content-Encoding: gzip\r\n"
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/fhir+json\r\n{encoding}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _patient() -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": "p",
        "birthDate": BIRTH_DATE,
        "identifier": [{"system": _NHS, "value": number_of(0)}],
    }


def _capability() -> dict[str, Any]:
    everything = {"name": "everything", "definition": "http://hl7.org/fhir/OperationDefinition/Patient-everything"}
    types = [
        "AllergyIntolerance",
        "CarePlan",
        "CareTeam",
        "Condition",
        "Device",
        "DiagnosticReport",
        "DocumentReference",
        "Encounter",
        "Goal",
        "ImagingStudy",
        "Immunization",
        "MedicationRequest",
        "Observation",
        "Procedure",
    ]
    patient = {
        "type": "Patient",
        "interaction": [{"code": "read"}, {"code": "search-type"}],
        "searchParam": [{"name": "identifier", "type": "token"}],
        "operation": [everything],
    }
    others = [
        {
            "type": name,
            "interaction": [{"code": "search-type"}],
            "searchParam": [{"name": "patient", "type": "reference"}],
        }
        for name in types
    ]
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [{"mode": "server", "resource": [patient, *others]}],
    }


class _Sites:
    """Organisations that all know the patient: some of them answer as they are told, the rest briefly."""

    def __init__(self) -> None:
        patient = json.dumps({"resource": _patient()})
        self._patient = _plain(_bundle(patient))
        self._capability = _plain(json.dumps(_capability()).encode())
        self._heavy: list[int] = []
        self._record = self._patient

    def tell(self, heavy: list[int], what: str) -> int:
        """What they answer from here on; its size."""
        self._heavy = heavy
        if what in RAW:
            self._record = RAW[what]()
        else:
            self._record = _plain(_bundle(json.dumps({"resource": _patient()}) + "," + BODIES[what]()))
        return len(self._record)

    def respond(self, site: int, target: bytes) -> bytes:
        if target.startswith(b"/fhir/metadata"):
            return self._capability
        if b"everything" in target and site in self._heavy:
            return self._record
        return self._patient


async def _main(count: int) -> None:
    sites = _Sites()
    loop = asyncio.get_running_loop()
    servers = []
    for n in range(count):

        def respond(target: bytes, _: bytes, n: int = n) -> bytes:
            return sites.respond(n, target)

        servers.append(await loop.create_server(lambda respond=respond: Http(respond, set()), "127.0.0.1", 0))
    print(json.dumps([server.sockets[0].getsockname()[1] for server in servers]), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(sites.tell(**json.loads(line))), flush=True)


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1])))
