"""The Personal Demographics Service as its contract describes it: a real server that forgives nothing.

It answers `GET {base}/Patient/{NHS number}` and nothing else: without its key 401, with a wrong one 403; 400 where
`X-Request-ID` is missing, no UUID, or one that another number was asked with, where another form than FHIR JSON is
wanted, where the end user's organisation is not named, and where a number fails its check. It can be told to be in a
mood, for a time or for one number.

In place of the key it takes a token of its own, which it grants for an assertion: signed with the key that was
registered, for this address, by this client, not used before, and of five minutes at most.
"""

import asyncio
import contextlib
import json
import re
import time
import uuid
from dataclasses import dataclass, field

import jwt
from aiohttp import web
from aiohttp.test_utils import TestServer

from broker import nhs_number

BASE = "/personal-demographics/FHIR/R4"
KEY = "s3cret-key"
CLIENT, KEY_ID = "care-record-broker-1", "key-1"
_FHIR = "application/fhir+json"
_SPINE = "https://fhir.nhs.uk/R4/CodeSystem/Spine-ErrorOrWarningCode"
_STATUS_OF = {"RESOURCE_NOT_FOUND": 404, "INVALIDATED_RESOURCE": 404, "ACCESS_DENIED": 403}


def outcome(code):
    """What the service says in place of a Patient."""
    coding = {"system": _SPINE, "version": "1", "code": code, "display": "CANARY of the service"}
    issue = {"severity": "error", "code": "value", "details": {"coding": [coding]}, "diagnostics": "CANARY 9990000018"}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def says(status, body=b"", **headers):
    """A mood: this answer, whoever is asked for."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def mood(_):
        return web.Response(status=status, body=content, content_type=_FHIR, headers=named)

    return mood


async def hangs(_):
    """A mood: no answer, ever."""
    await asyncio.Event().wait()


async def resets(request):
    """A mood: the connection is lost before an answer."""
    request.transport.abort()
    await asyncio.Event().wait()


async def stops_half_way(request):
    """A mood: the head, some of the body, and then no more."""
    response = web.StreamResponse(headers={"Content-Type": _FHIR, "Content-Length": "100000"})
    await response.prepare(request)
    await response.write(b'{"resourceType": "Patient", ')
    request.transport.close()
    return response


@dataclass(frozen=True)
class Asked:
    """One request, as the service saw it."""

    number: str
    request_id: str
    organisation: str


@dataclass
class Simulator:
    """The service, its records and its moods.

    Attributes:
        records: what a number is answered with: a Patient, or an OperationOutcome.
        mood: answers in place of the service; None is an honest day.
        moods: the same for one number each.
        asked: every request that kept the contract.
        faults: what was wrong with each that did not.
        came: set when a request is there.
        registered: the public key of the client.
        lasts: what is said of how long a token counts.
        tokens: those that count.
        grants: answers whoever wants one, in place of the service.
    """

    records: dict = field(default_factory=dict)
    mood: object = None
    moods: dict = field(default_factory=dict)
    asked: list = field(default_factory=list)
    faults: list = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)
    registered: object = None
    lasts: object = "599"
    tokens: list = field(default_factory=list)
    grants: object = None
    _used: set = field(default_factory=set)
    _server: TestServer | None = None

    @property
    def base_url(self):
        return f"http://127.0.0.1:{self._server.port}{BASE}"

    @property
    def token_url(self):
        return f"http://127.0.0.1:{self._server.port}/oauth2/token"

    async def start(self, port=None):
        app = web.Application()
        app.router.add_post("/oauth2/token", self._grant)
        app.router.add_route("*", "/{rest:.*}", self._answer)
        self._server = TestServer(app, port=port)
        await self._server.start_server(shutdown_timeout=0.1, access_log=None)

    async def stop(self):
        """Refuse connections."""
        await self._server.close()

    async def _grant(self, request):
        if self.grants is not None:
            return await self.grants(request)
        form = await request.post()
        try:
            claims = jwt.decode(
                form["client_assertion"],
                self.registered,
                algorithms=["RS512", "ES384"],
                audience=self.token_url,
                issuer=CLIENT,
                options={"require": ["iss", "sub", "aud", "jti", "exp"]},
            )
        except (KeyError, jwt.InvalidTokenError):
            return web.json_response({"error": "invalid_client"}, status=401)
        kept = [
            form["grant_type"] == "client_credentials",
            form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            claims["sub"] == CLIENT,
            claims["exp"] <= time.time() + 300,
            claims["jti"] not in self._used,
            jwt.get_unverified_header(form["client_assertion"])["kid"] == KEY_ID,
        ]
        if not all(kept):
            return web.json_response({"error": "invalid_request"}, status=400)
        self._used.add(claims["jti"])
        self.tokens.append(uuid.uuid4().hex)
        return web.json_response({"access_token": self.tokens[-1], "expires_in": self.lasts, "token_type": "Bearer"})

    async def _answer(self, request):
        self.came.set()
        fault = self._fault(request)
        if fault is not None:
            self.faults.append(fault)
            return web.json_response(outcome(fault[1]), status=fault[0], content_type=_FHIR)
        number = request.path.rpartition("/")[2]
        headers = request.headers
        self.asked.append(Asked(number, headers["X-Request-ID"], headers["NHSD-End-User-Organisation-ODS"]))
        mood = self.moods.get(number, self.mood)
        if mood is not None:
            return await mood(request)
        record = self.records.get(number, outcome("RESOURCE_NOT_FOUND"))
        status = 200
        if record["resourceType"] == "OperationOutcome":
            status = _STATUS_OF.get(record["issue"][0]["details"]["coding"][0]["code"], 400)
        return web.json_response(record, status=status, content_type=_FHIR)

    def _fault(self, request):
        """Status and code, in the order in which the service looks; None where the contract is kept."""
        found = re.fullmatch(re.escape(BASE) + r"/Patient/([^/]+)", request.path)
        headers = request.headers
        number, request_id = found[1] if found else "", headers.get("X-Request-ID", "")
        organisation = headers.get("NHSD-End-User-Organisation-ODS", "")
        token = headers.get("Authorization", "").removeprefix("Bearer ")
        contract = [
            ("apikey" in headers or token, 401, "ACCESS_DENIED"),
            (
                headers.get("apikey") == KEY or token in self.tokens,
                403 if "apikey" in headers else 401,
                "ACCESS_DENIED",
            ),
            (found and not request.query_string, 404, "UNSUPPORTED_SERVICE"),  # a search takes no NHS number
            (request.method == "GET" and not request.can_read_body, 405, "INVALID_METHOD"),
            (headers.get("Accept") == _FHIR, 400, "INVALID_VALUE"),
            (request_id and organisation, 400, "MISSING_VALUE"),
            (_fresh(request_id, number, self.asked), 400, "INVALID_VALUE"),
            (re.fullmatch(r"[A-Z0-9]{3,10}", organisation), 400, "INVALID_VALUE"),
            (nhs_number.is_valid(number), 400, "INVALID_RESOURCE_ID"),
        ]
        return next(((status, code) for kept, status, code in contract if not kept), None)


def _fresh(request_id, number, asked):
    """A UUID of its own: only the same request, sent once more, may have it again."""
    try:
        canonical = str(uuid.UUID(request_id)) == request_id.lower()
    except ValueError:
        return False
    return canonical and all(one.number == number for one in asked if one.request_id == request_id)


@contextlib.asynccontextmanager
async def simulated(records=()):
    """A service that listens, with these records."""
    service = Simulator(dict(records))
    await service.start()
    try:
        yield service
    finally:
        await service.stop()
