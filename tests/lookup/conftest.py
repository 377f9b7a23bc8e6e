"""One source's answer taken through reading, guard and release, as a lookup takes it."""

import json
from dataclasses import dataclass, field

import pytest

from adapters.contract import Arrival, Identity, Resource
from broker.lookup.ids import Ids
from broker.lookup.judging.guard import guard
from broker.lookup.judging.hiding import Hiding
from broker.lookup.judging.reading import read
from broker.lookup.judging.release import Origin, release
from broker.lookup.judging.screen import Kept

NUMBER = "9990000018"
SUPERSEDED = "9990000034"
BORN = "1980-02-29"
BASE = "https://epr.example/fhir"
LINK_BASE = "https://proxy.example/r4"
PATIENT_ID = "sealedpatient"


def run_to_end(generator):
    """What a paced generator gives."""
    while True:
        try:
            next(generator)
        except StopIteration as end:
            return end.value


@dataclass
class Passed:
    """What came through.

    `content` is each released resource by `Type/id` of the source, decoded; `bytes` is all that would leave.
    """

    guarded: object
    unreadable: list
    entries: list
    facts: list
    content: dict = field(default_factory=dict)

    @property
    def bytes(self):
        return b"\n".join(entry.content for entry in self.entries)


class Passage:
    """Takes resources through the rooms of one source."""

    number = NUMBER
    superseded = SUPERSEDED
    born = BORN
    base = BASE
    link_base = LINK_BASE
    patient_id = PATIENT_ID
    identity = Identity(numbers=(NUMBER, SUPERSEDED), birth_date=BORN)
    run = staticmethod(run_to_end)

    @staticmethod
    def patient(id_="ours", number=NUMBER, born=BORN, **more):
        patient = {
            "resourceType": "Patient",
            "id": id_,
            "identifier": [{"system": "https://fhir.nhs.uk/Id/nhs-number", "value": number}],
            "birthDate": born,
            **more,
        }
        return {name: value for name, value in patient.items() if value is not None}

    @staticmethod
    def number_of(value, **more):
        return {"system": "https://fhir.nhs.uk/Id/nhs-number", "value": value, **more}

    @staticmethod
    def read(*resources):
        """Items and types of what can't be read, of resources as dicts, bytes or `Resource`s."""
        return run_to_end(read([_as_resource(one) for one in resources]))

    def guard(self, *resources, patient=True):
        """What the guard leaves; our Patient stands first unless `patient` is False."""
        first = [Resource(json.dumps(self.patient()).encode(), Arrival.PATIENT)] if patient else []
        items, _ = self.read(*first, *resources)
        return run_to_end(guard(items, self.identity, (BASE, LINK_BASE)))

    def whole(self, *resources, patient=True, hiding=Hiding.NOTHING, out=(), source="S-epr"):
        """Read, guard (twice, as where a reading lacked something) and release all that is left."""
        first = [Resource(json.dumps(self.patient()).encode(), Arrival.PATIENT)] if patient else []
        items, unreadable = self.read(*first, *resources)
        run_to_end(guard(items, self.identity, (BASE, LINK_BASE)))
        guarded = run_to_end(guard(items, self.identity, (BASE, LINK_BASE)))
        own_ids = {}
        ids = Ids(b"k" * 32, NUMBER, hidden=hiding is Hiding.PLACES)
        for item in guarded.items:
            own_ids[item.type, ids.make(source, item.id)] = f"{item.type}/{item.id}"
        entries, facts = run_to_end(
            release(
                [Kept(item, ("problems",)) for item in guarded.items],
                out=set(out),
                targets=guarded.targets,
                origin=Origin(
                    source=source,
                    place=source,
                    label="acute",
                    organisation=None if hiding is Hiding.PLACES else "S",
                ),
                ids=ids,
                patient_id=PATIENT_ID,
                hiding=hiding,
                order={"problems": 0},
                where="St Elsewhere",
            )
        )
        passed = Passed(guarded, unreadable, entries, facts)
        passed.content = {own_ids[entry.type, entry.id]: json.loads(entry.content) for entry in entries}
        return passed

    def one(self, resource, *others, **options):
        """The released form of one resource, or None where it does not leave."""
        passed = self.whole(resource, *others, **options)
        return passed.content.get(f"{resource['resourceType']}/{resource['id']}")


def _as_resource(one):
    if isinstance(one, Resource):
        return one
    return Resource(one if isinstance(one, bytes) else json.dumps(one).encode())


@pytest.fixture(scope="session")
def passage():
    return Passage()
