"""Nothing kept: marked data sent down every path, good and bad, and everything that the process wrote searched for it."""

import asyncio
import base64
import json
import secrets

import pytest
from aiohttp import web

from broker import nhs_number

pytestmark = pytest.mark.blocking

NUMBER, BORN = nhs_number.make(4242), "1951-07-23"
"""Of nobody in the documentation, whose examples may be read by everybody."""


class Marked:
    """Records whose every word, id and number is marked."""

    def __init__(self, house):
        self.mark = f"Canary{secrets.token_hex(6)}"
        self._house = house

    def __str__(self):
        return self.mark

    def record(self, kind, key, **more):
        named = self._house.record(
            kind, f"{self.mark}-{key}", of=f"{self.mark}-p", code=f"{self.mark}-code", text=f"{self}"
        )
        everywhere = {
            "text": {"status": "generated", "div": f"<div xmlns='http://www.w3.org/1999/xhtml'>{self}</div>"},
            "identifier": [{"system": f"https://{self}.example", "value": f"{self}-id"}],
            "note": [{"text": f"{self} {NUMBER}"}],
            "extension": [{"url": f"https://{self}.example", "valueString": f"{self}"}],
            "meta": {"tag": [{"system": "x", "code": f"{self}-tag"}], "profile": [f"https://{self}.example"]},
        }
        return named | everywhere | more

    def resources(self):
        return (
            self._house.Patient(NUMBER, BORN).at(
                f"{self.mark}-p", name=[{"family": f"{self}"}], address=[{"line": [f"{self}"]}]
            ),
            self.record("AllergyIntolerance", "a", encounter={"reference": f"Encounter/{self.mark}-e"}),
            self.record(
                "Condition", "c", contained=[{"resourceType": "Practitioner", "id": "x", "name": [{"text": f"{self}"}]}]
            ),
            self.record(
                "Encounter", "e", status="finished", location=[{"location": {"reference": f"Location/{self}"}}]
            ),
            self.record("DocumentReference", "d", content=[{"attachment": {"data": f"{self}", "title": f"{self}"}}]),
            self.record("Observation", "o", code=7, valueString={"wrong": f"{self}"}),
        )


def bad_moods(mark):
    """What a source may do wrong, with marked words wherever it can put some."""
    words = f"{mark} {NUMBER} {BORN}"
    outcome = {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": words, "diagnostics": words}],
    }

    def answering(status, body, kind="application/fhir+json", **headers):
        async def answer(_):
            return web.Response(status=status, body=body, content_type=kind, reason=f"{mark}", headers=headers)

        return answer

    def entry(resource):
        return json.dumps({"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": resource}]}).encode()

    async def half(request):
        response = web.StreamResponse(headers={"Content-Length": "9000", "Content-Type": "application/fhir+json"})
        await response.prepare(request)
        await response.write(words.encode())
        request.transport.abort()
        return response

    async def hanging(_):
        await asyncio.Event().wait()

    stranger = {
        "resourceType": "Patient",
        "id": f"{mark}",
        "identifier": [{"system": "https://fhir.nhs.uk/Id/nhs-number", "value": "9990000034"}],
        "birthDate": BORN,
    }
    mine = stranger | {"identifier": [{"system": "https://fhir.nhs.uk/Id/nhs-number", "value": NUMBER}]}
    link = {"relation": "next", "url": f"https://{mark}.example/{NUMBER}"}
    paged = {"resourceType": "Bundle", "type": "searchset", "link": [link], "entry": [{"resource": mine}]}
    return {
        "500": answering(500, json.dumps(outcome).encode()),
        "401": answering(401, words.encode(), "text/plain", **{"WWW-Authenticate": words}),
        "403": answering(403, json.dumps(outcome).encode()),
        "404": answering(404, json.dumps(outcome).encode()),
        "429": answering(429, words.encode(), "text/plain", **{"Retry-After": words}),
        "a redirect": answering(302, b"", Location=f"http://127.0.0.1:9/{mark}/{NUMBER}"),
        "an outcome": answering(200, json.dumps(outcome).encode()),
        "HTML": answering(200, f"<html>{words}</html>".encode(), "text/html"),
        "no JSON": answering(200, words.encode()),
        "JSON that breaks off": answering(200, b'{"resourceType": "Bundle", "entry": [{"resource": "' + words.encode()),
        "a key twice": answering(200, entry(mine).replace(b'"id"', f'"{mark}": 1, "{mark}": 2, "id"'.encode())),
        "no UTF-8": answering(200, b'{"resourceType": "Bundle", "id": "\xff' + words.encode() + b'"}'),
        "too deep": answering(200, f'{{"resourceType": "{mark}", "x": '.encode() + b"[" * 100_000),
        "a number that is none": answering(200, entry(mine).replace(b'"id"', b'"x": 1e9999999999999999999, "id"')),
        "a type that is none": answering(200, entry({"resourceType": words, "id": words})),
        "an id that is none": answering(200, entry(mine | {"id": words})),
        "another patient": answering(200, entry(stranger)),
        "another birth date": answering(200, entry(mine | {"birthDate": "1950-01-01"})),
        "no birth date": answering(200, entry({key: mine[key] for key in ("resourceType", "id", "identifier")})),
        "a link elsewhere": answering(200, json.dumps(paged).encode()),
        "half": half,
        "hanging": hanging,
    }


class Searched:
    """A broker in a process of its own over marked records; and what it said that is no record of the patient."""

    def __init__(self, world, house, mark):
        self.world = world
        self.mark = mark
        self.her = house.Patient(NUMBER, BORN)
        self.doctor = world.doctor()
        self.token = self.doctor.token(self.her)
        self.said: list[str] = []

    async def good_paths(self):
        """The mark is in the replies, or nothing would be shown by its not being elsewhere."""
        for how in ({}, {"accept": "application/x-ndjson"}, {"categories": ["allergies"], "require": ["RJZ"]}):
            reply = await self.doctor.look_up(self.her, **how)
            assert reply.status == 200
            assert str(self.mark) in reply.text
            assert NUMBER in reply.text
        assert (await self.world.doctor(role_code="R1290").look_up(self.her)).status == 200
        self.said += [str(seen) for one in self.world.organisations.values() for seen in one.seen]

    async def bad_sources(self):
        """Every way in which a source goes wrong: in one search, in all, and at all sources."""
        for name, mood in bad_moods(self.mark).items():
            self.world.other_hospital.moods["POST /AllergyIntolerance/_search"] = mood
            self.keep(await self.doctor.look_up(self.her))
            self.world.other_hospital.mood = mood
            for ask in (self.doctor.look_up, self.doctor.stream):
                assert (await ask(self.her)).status == 200, name
            for one in self.world.organisations.values():
                one.mood = mood
            if name != "hanging":
                self.keep(await self.doctor.look_up(self.her))
            for one in self.world.organisations.values():
                one.mood = None
        await self.world.other_hospital.stop()
        self.keep(await self.doctor.look_up(self.her))

    def keep(self, reply):
        """Of a reply the rows, of an error all of it."""
        self.said += [json.dumps(reply.json["sources"]), reply.text if reply.status != 200 else ""]

    async def bad_callers(self):
        """Who leaves, who may not, who sends what is wrong, and addresses that hold what they must not."""
        await self.while_it_waits(lambda asking: asking.cancel())
        patient = f'"patient": {{"nhs_number": "{NUMBER}", "birth_date": "{BORN}"}}'
        for data in (
            f'{{"{self.mark}": "{NUMBER}"}}',
            f'{{"patient": {{"nhs_number": "{NUMBER}", "birth_date": "{self.mark}"}}}}',
            f'{{{patient}, "categories": ["{self.mark}"]}}',
            f'{{{patient}, "require": ["{self.mark}", "{NUMBER}"]}}',
            f'{{{patient}, "timeout": "{self.mark}"}}',
            f"{self.mark} {NUMBER}",
        ):
            self.keep(await self.doctor.look_up(self.her, token=self.token, data=data))
        self.keep(await self.doctor.look_up(self.her, token=f"{self.mark}.{NUMBER}.x"))
        self.keep(await self.doctor.look_up(self.world.mr_reyes, token=self.token))
        self.keep(await self.world.doctor(role_code="R8009").look_up(self.her))
        bearer = {"Authorization": f"Bearer {self.token}"}
        for method, path, more in (
            ("GET", f"/lookups/{NUMBER}?name={self.mark}", {}),
            ("POST", f"/{self.mark}/{NUMBER}", {}),
            ("PUT", "/lookups", {}),
            ("POST", "/lookups", {"Content-Type": f"text/{self.mark}"}),
            ("GET", f"/fhir/Patient/{NUMBER}", {}),
            *(("GET", path, {}) for path in ("/openapi.json", "/about", "/health/live", "/health/ready", "/metrics")),
        ):
            url = self.world.address + path
            async with self.world.session.request(method, url, headers=bearer | more) as response:
                self.said.append(await response.text())

    async def the_end(self):
        """The service is told to stop while a lookup is under way."""
        await self.while_it_waits(lambda _: self.world.process.terminate())
        async with asyncio.timeout(20):
            assert await self.world.process.wait() == 0
        assert self.world.verify().ok
        assert len(self.world.journal("lookup.outcome")) == len(self.world.lookups())

    async def while_it_waits(self, act):
        practice = self.world.practice
        practice.open.clear()
        practice.asked.clear()
        asking = asyncio.create_task(self.doctor.look_up(self.her, timeout="1s"))
        await asyncio.wait_for(practice.asked.wait(), 5)
        act(asking)
        await asyncio.wait([asking])
        practice.open.set()


async def test_marked_data_leaves_in_replies_and_nowhere_else(open_world, house, tmp_path):
    """Hazards clinical-data-kept and journal-leaks-the-record."""
    mark = Marked(house)
    organisations = house.usual()
    for one in organisations:
        one.resources.clear()
        one.holds(*mark.resources())
    organisations[0].excluded = ("sexual-health",)
    organisations[1].timeout = "400ms"
    searched = Searched(await open_world(*organisations, apart=True), house, mark)
    await searched.good_paths()
    await searched.bad_sources()
    await searched.bad_callers()
    await searched.the_end()

    secret = [str(mark), NUMBER, BORN, searched.token.rpartition(".")[2]]
    secret += [base64.b64encode(word.encode()).decode()[:-4] for word in secret[:2]]
    for text in searched.said:
        for word in secret:
            assert word not in text, f"{word} in {text[:200]}"
    files = {file.name: file.read_bytes().lower() for file in tmp_path.rglob("*") if file.is_file()}
    assert {"stderr", "broker.db"} <= files.keys()
    assert any(name.endswith(".jsonl") and len(content) > 10_000 for name, content in files.items())
    for name, content in files.items():
        for word in secret:
            assert word.lower().encode() not in content, f"{word} in {name}"
    log = searched.world.said()
    assert {json.loads(line)["event"] for line in log.splitlines()} >= {"broker.started", "broker.stopped"}


async def test_a_source_that_takes_no_post_is_the_only_one_whose_url_names_the_number(open_world, house):
    """A number in a URL is a number in somebody's log: it is there only where a server leaves no other way."""
    world = await open_world(*house.usual(), house.Organisation("R1H", post=False))
    assert (await world.doctor().look_up(world.mrs_okafor)).complete
    number = world.mrs_okafor.nhs_number
    told = {code for code, one in world.organisations.items() if any(number in seen.path for seen in one.seen)}
    assert told == {"R1H"}
    assert all(number not in seen.path for seen in world["R1H"].seen if "/Patient?" not in seen.path)
