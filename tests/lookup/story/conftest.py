"""A broker without surfaces: real policies, keys and journal; its sources are functions, and its disk can be held."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import pytest

from adapters.contract import Arrival, Learned, Requester, Resource, Source
from adapters.findings import Finding
from broker.alerts import Alert
from broker.auth import Caller
from broker.auth.values import Relationship
from broker.errors import BrokerError
from broker.identity import NoIdentity, Person
from broker.journal import Journal, records_of, verify, writer
from broker.journal.segment import Disk
from broker.keys import Keys
from broker.lookup.service import Limits, LookupService
from broker.lookup.values import Failed, Part, Query, Started, Summary
from broker.objections.stance import Stance
from broker.registry import Organisation, RegisteredSource, Registry
from broker.registry.manifest import Agreement
from policies import Policies
from policies.values import Objection

NUMBER, BORN, TODAY = "9990000018", "1948-03-02", date(2026, 1, 15)
NHS = "https://fhir.nhs.uk/Id/nhs-number"
ROLES = "https://fhir.nhs.uk/CodeSystem/national-rbac-job-role"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"

IN_DATE = Agreement(isa_signed=date(2020, 1, 1), isa_expires=date(2030, 1, 1), dspt_expires=date(2030, 1, 1))
LAPSED = replace(IN_DATE, dspt_expires=date(2026, 1, 14))

POLICIES = Policies.load(None)
EVERY_TYPE = frozenset(POLICIES.tables.home) | POLICIES.tables.context | {"Patient"}
CONTEXT = POLICIES.tables.context


def patient(**more):
    """A source's own Patient of this patient; one labelled restricted with `label="R"`."""
    label = more.pop("label", None)
    labelled = {"meta": {"security": [{"system": CONFIDENTIALITY, "code": label}]}} if label else {}
    identifier = [{"system": NHS, "value": more.pop("number", NUMBER)}]
    data = {"resourceType": "Patient", "id": "p1", "identifier": identifier, "birthDate": BORN} | labelled | more
    return Resource(json.dumps(data).encode(), Arrival.PATIENT)


def allergy(own_id="a1", **more):
    """Penicillin, unless it says otherwise."""
    code = {"coding": [{"system": "http://snomed.info/sct", "code": "91936005", "display": "Allergy to penicillin"}]}
    data = {"resourceType": "AllergyIntolerance", "id": own_id, "patient": {"reference": "Patient/p1"}, "code": code}
    return Resource(json.dumps(data | more).encode())


def observation(own_id="o1", **more):
    """A result."""
    data = {
        "resourceType": "Observation",
        "id": own_id,
        "status": "final",
        "subject": {"reference": "Patient/p1"},
        "code": {"text": "Sodium"},
    }
    return Resource(json.dumps(data | more).encode())


def answered(*types, finding=Finding.ANSWERED, **more):
    """Learned of these types; of every type where none is named."""
    return Learned(frozenset(types) or EVERY_TYPE, finding, **more)


class Told:
    """An adapter that is a function over requests. Remembers what it was asked, and how each call ended."""

    def __init__(self, gives, *, reads=None):
        self._gives, self._reads = gives, reads
        self.asked = []
        self.read_for: list[Sequence[str]] = []
        self.ended: list[str] = []
        self.began = asyncio.Event()

    async def fetch(self, request):
        self.asked.append(request)
        self.began.set()
        async with aclosing(self._watched(self._gives(request))) as given:
            async for one in given:
                yield one

    async def read(self, request, references):
        self.read_for.append(tuple(references))
        if self._reads is not None:
            async with aclosing(self._watched(self._reads(references))) as given:
                async for one in given:
                    yield one

    async def _watched(self, giving):
        try:
            async with aclosing(giving) as given:
                async for one in given:
                    yield one
        except BaseException as error:
            self.ended.append(type(error).__name__)
            raise
        else:
            self.ended.append("finished")


def gives(*arriving):
    """A source that gives these at once: resources, what was learned, errors to raise, functions to await."""

    async def fetch(_request):
        for one in arriving:
            if isinstance(one, BaseException):
                raise one
            if callable(one):
                await one()
            else:
                yield one

    return fetch


def whole(*resources, **more):
    """A source that answers in full."""
    return gives(patient(**more), *resources, answered())


async def never():
    """What an adapter waits for that never answers."""
    await asyncio.get_running_loop().create_future()


class Held:
    """A disk whose syncs can be held, and can fail; it counts them."""

    def __init__(self):
        self._turn = threading.Condition()
        self._held = self._waiting = False
        self.syncs = 0
        self.fails: Callable[[int], bool] = lambda _: False

    def disk(self):
        return Disk(sync=self._sync)

    def hold(self):
        with self._turn:
            self._held = True

    def let_go(self):
        with self._turn:
            self._held = False
            self._turn.notify_all()

    async def is_waiting(self):
        """Until something waits to become durable, and the loop has done all that it can do meanwhile."""
        while not self._waiting:
            await asyncio.sleep(0.001)
        await settled()

    def _sync(self, _descriptor):
        self.syncs += 1
        if self.fails(self.syncs):
            raise OSError(5, "the disk is broken")
        with self._turn:
            while self._held:
                self._waiting = True
                self._turn.wait()
            self._waiting = False


async def settled():
    """The loop has done all that it can do without the world outside."""
    for _ in range(50):
        await asyncio.sleep(0)


@dataclass
class Objections:
    """A register in which this patient's objections stand as told, for numbers that it knows."""

    stands: Objection | Stance | Exception = Objection.NONE
    numbers: frozenset[str] = frozenset()
    asked: list = field(default_factory=list)

    def stance(self, numbers, *, issuer, subject, staff_id=None):
        self.asked.append(tuple(numbers))
        if isinstance(self.stands, Exception):
            raise self.stands
        if self.numbers and not self.numbers & set(numbers):
            return Stance()
        return self.stands if isinstance(self.stands, Stance) else Stance(whole=self.stands)


class Identity:
    """An identity service that says what it is told; `before` is awaited first."""

    def __init__(self, *, before=None, numbers=(NUMBER,), error=None, **says):
        self._before, self._numbers, self._error = before, numbers, error
        self._says = {"status": "answered", "restricted": "no", "elapsed_ms": 1} | says
        self.asked = []

    async def resolve(self, number, birth_date, deadline, organisation):
        self.asked.append((number, birth_date, deadline))
        if self._before is not None:
            await self._before()
        if self._error is not None:
            raise self._error
        one = Person.unconfirmed(number, birth_date).identity
        return Person(identity=type(one)(numbers=self._numbers, birth_date=birth_date), **self._says)


class Heard:
    """What came out of a lookup."""

    def __init__(self, lookup, events):
        self.lookup, self.events = lookup, events
        self.last = events[-1] if events else None

    @property
    def started(self):
        return next(one for one in self.events if isinstance(one, Started))

    @property
    def parts(self):
        return [one for one in self.events if isinstance(one, Part)]

    @property
    def summary(self) -> Summary:
        assert isinstance(self.last, Summary), self.last
        return self.last

    @property
    def error(self) -> BrokerError:
        assert isinstance(self.last, Failed), self.last
        return self.last.error

    @property
    def rows(self):
        return {row.source: row for row in self.last.rows}

    @property
    def statuses(self):
        return {row.source: row.status.value for row in self.last.rows}

    @property
    def entries(self):
        """Everything released, in the order of the reply."""
        every = [*self.summary.entries, *(entry for part in self.parts for entry in part.entries)]
        return sorted(every, key=lambda entry: entry.order)

    @property
    def released(self):
        return [json.loads(entry.content) for entry in self.entries]

    @property
    def text(self):
        """Every byte that a reader might see, elapsed times aside."""
        body = self.summary.as_json()
        for row in body["sources"]:
            row["elapsed_ms"] = None
        return json.dumps(body | {"lookup_id": ""}) + "".join(entry.content.decode() for entry in self.entries)


class World:
    """Organisations, a journal in a folder, and lookups over them."""

    number, born, today = NUMBER, BORN, TODAY
    policies = POLICIES

    def __init__(self, directory: Path, keys: Keys, held: Held) -> None:
        self.directory, self.keys, self.held = directory, keys, held
        self.sources: dict[str, Told] = {}
        self.identity = NoIdentity()
        self.objections = Objections()
        self.alerts: list[Alert] = []
        self.limits = Limits(grace=0.01)
        self._organisations: dict[str, Organisation] = {}
        self._service: LookupService | None = None

    @property
    def registry(self) -> Registry:
        return Registry(dict(sorted(self._organisations.items())))

    def add(self, code, *gives, kind="acute", timeout=4.0, categories=None, names=("epr", "two"), **more):
        """An organisation with a source for each function; the last source's adapter."""
        registered = []
        for name, function in zip(names, gives, strict=False):
            source = Source(
                name=f"{code}-{name}",
                organisation=code,
                kind="fhir-r4",
                base_url=more.get("base_url", f"https://{code.lower()}-{name}.example/fhir"),
            )
            registered.append(RegisteredSource(source=source, timeout=timeout, categories=categories))
            self.sources[source.name] = function if isinstance(function, Told) else Told(function)
        more.pop("base_url", None)
        self._organisations[code] = Organisation(
            **{"agreement": IN_DATE, "name": f"The {code}", "region": "x"} | more,
            ods_code=code,
            service_type=kind,
            sources=tuple(registered),
        )
        return self.sources[registered[-1].name] if registered else None

    async def open(self):
        self.journal = await Journal.open(self.directory, self.keys, node="node-1", disk=self.held.disk())

    async def close(self):
        self.held.let_go()
        self.held.fails = lambda _: False
        if self._service is not None:
            await self._service.close()
        await self.journal.close()

    @property
    def service(self) -> LookupService:
        if self._service is None:
            self._service = LookupService(
                registry=self.registry,
                policies=POLICIES,
                identity=self.identity,
                objections=self.objections,
                journal=self.journal,
                keys=self.keys,
                adapters=self.sources,
                limits=self.limits,
                today=lambda: TODAY,
                alerts=self,
                lead="QKK",
            )
        return self._service

    def raise_alert(self, alert):
        self.alerts.append(alert)
        return str(len(self.alerts))

    def caller(self, *, organisation="RJ1", role="R8000", purpose="TREAT", relationship="encounter", **more):
        """A doctor at RJ1 who is treating the patient, unless told otherwise."""
        requester = Requester(
            issuer="https://ehr.example",
            subject="555254240100",
            name="Dr A Example",
            organisation=organisation,
            organisation_name="An organisation",
            role_system=ROLES,
            role_code=role,
            purpose=purpose,
            client="ward-plugin",
            token_id="jti-1",
        )
        stated = Relationship(relationship) if relationship else None
        return Caller(requester=requester, operator=False, demo=False, relationship=stated, **more)

    def query(self, *categories, **more):
        return Query(nhs_number=NUMBER, birth_date=BORN, categories=frozenset(categories) or None, **more)

    def begin(self, *categories, streaming=False, caller=None, **more):
        return self.service.begin(caller or self.caller(), self.query(*categories, **more), streaming=streaming)

    async def hear(self, lookup) -> Heard:
        """Every event, to the end."""
        return Heard(lookup, [event async for event in lookup])

    async def look_up(self, *categories, **more) -> Heard:
        return await self.hear(self.begin(*categories, **more))

    def records(self, lookup):
        """The lookup's records, in order."""
        return records_of(self.directory, getattr(lookup, "lookup", lookup).lookup_id)

    def events(self, lookup):
        return [record["event"].removeprefix("lookup.") for record in self.records(lookup)]

    def outcome(self, lookup):
        """The one outcome."""
        (outcome,) = [record for record in self.records(lookup) if record["event"] == "lookup.outcome"]
        return outcome

    def verified(self):
        return verify(self.directory, self.keys.signing_key.public_key())


@pytest.fixture(autouse=True)
def _tried_often(monkeypatch):
    monkeypatch.setattr(writer, "RETRY", 0.001)


@pytest.fixture(scope="session")
def keys(tmp_path_factory):
    return Keys.open(tmp_path_factory.mktemp("keys") / "keys")


@pytest.fixture
def worlds(keys, tmp_path_factory):
    """Makes a world of its own, with `async with`, for tests that need many."""

    @asynccontextmanager
    async def make() -> AsyncIterator[World]:
        world = World(tmp_path_factory.mktemp("journal"), keys, Held())
        await world.open()
        try:
            yield world
        finally:
            await world.close()

    return make


@pytest.fixture
async def world(worlds):
    async with worlds() as made:
        yield made


@pytest.fixture(scope="session")
def give():
    """The words in which a test says what a source gives."""
    return _Words


class _Words:
    patient, allergy, observation = staticmethod(patient), staticmethod(allergy), staticmethod(observation)
    answered, these, whole, never = (
        staticmethod(answered),
        staticmethod(gives),
        staticmethod(whole),
        staticmethod(never),
    )
    settled = staticmethod(settled)
    told, identity, objections, lapsed, context = Told, Identity, Objections, LAPSED, CONTEXT
    every_type = EVERY_TYPE
