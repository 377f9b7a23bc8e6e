"""One source's answer, made by hand, and the judge that judges it."""

import json
from datetime import date
from types import SimpleNamespace

import pytest

from adapters.contract import Arrival, Identity, Resource, Source
from adapters.findings import Finding
from broker.lookup.fanout import Answer, Further
from broker.lookup.judging.hiding import Hiding
from broker.lookup.judging.judge import Judge
from broker.lookup.plan import Ask
from broker.lookup.values import CategoryRow, Row, Status
from broker.registry import Organisation, RegisteredSource
from broker.registry.manifest import Agreement
from policies import Policies
from policies.values import Objection, Reader

NUMBER = "9990000018"
BORN = "1948-03-02"
TODAY = date(2026, 1, 15)
NHS = "https://fhir.nhs.uk/Id/nhs-number"
BASE = "http://127.0.0.1:1/fhir"

_POLICIES = Policies.load(None)


class Judging:
    """Judges records at one organisation, as one role."""

    tables = _POLICIES.tables
    today = TODAY

    def patient(self, **more):
        """The source's own Patient of this patient."""
        identifier = [{"system": NHS, "value": NUMBER}]
        return {"resourceType": "Patient", "id": "p1", "identifier": identifier, "birthDate": BORN} | more

    def ask(self, *, runs_excluded=False, asked=None, offered=None, practice=False, service="acute", types=()):
        """What the source was asked: everything, unless said otherwise."""
        every = self.tables.categories
        offered = frozenset(every if offered is None else offered)
        asked = tuple(name for name in every if name in offered and (asked is None or name in asked))
        organisation = Organisation(
            ods_code="RJ1",
            name="A trust",
            service_type=service,
            region="London",
            agreement=Agreement(
                isa_signed=date(2020, 1, 1), isa_expires=date(2030, 1, 1), dspt_expires=date(2030, 1, 1)
            ),
            excluded_services=frozenset({"sexual-health"} if runs_excluded else ()),
        )
        row = Row(
            source="RJ1-epr",
            organisation="RJ1",
            name="A trust",
            service_type=service,
            status=Status.WAITING,
            categories={name: CategoryRow(status=Status.WAITING) for name in asked},
            types={name: CategoryRow(status=Status.WAITING) for name in types},
        )
        return Ask(
            organisation=organisation,
            registered=RegisteredSource(
                source=Source(name="RJ1-epr", organisation="RJ1", kind="fhir-r4", base_url=BASE)
            ),
            offered=offered,
            asked=asked,
            row=row,
            registered_practice=practice,
        )

    def findings(self, **other):
        """Every type answered in full, but for those named."""
        types = self.tables.context.union(self.tables.home, self.tables.dissent.types)
        return dict.fromkeys(types, Finding.ANSWERED) | other

    def answer(self, resources, *, findings=None, **more):
        """What the source gave, as objects or as bytes; its Patient first, if none is there."""
        given = list(resources)
        if not any(isinstance(one, dict) and one.get("resourceType") == "Patient" for one in given):
            given.insert(0, self.patient())
        return Answer(
            resources=[one if isinstance(one, Resource) else _resource(one) for one in given],
            findings=self.findings() if findings is None else findings,
            elapsed=0.1,
            **more,
        )

    async def judge(
        self,
        resources=(),
        *,
        role="clinician",
        answer=None,
        behind=(),
        hiding=Hiding.NOTHING,
        own="G85001",
        objected=(),
        override=False,
        labels=False,
        **ask,
    ):
        """Judge an answer.

        Args:
            resources: of the answer.
            role: of the reader.
            answer: instead of resources.
            behind: what the source has and did not give, but gives when it is read.
            hiding: what must not show.
            own: the reader's own organisation; what is judged is of RJ1.
            objected: categories that the patient objects to being shared.
            override: the reader has broken the glass.
            labels: the reader is bound by a restriction found at the source.
            ask: of `Judging.ask`.
        """
        reads = []
        there = {f"{one['resourceType']}/{one['id']}": one for one in behind}

        async def more(references):
            reads.append(list(references))
            came = [_resource(there[one]) for one in references if one in there]
            return Further(came, {one for one in references if one not in there})

        judge = Judge(
            policies=_POLICIES,
            reader=Reader(
                role=role,
                purpose="BTG" if override else "TREAT",
                relationship="encounter",
                taking_part=True,
                override=override,
            ),
            identity=Identity(numbers=(NUMBER,), birth_date=BORN),
            id_key=b"k" * 32,
            patient_id="patient-id",
            today=TODAY,
            label=lambda row: row,
            types=frozenset(ask["types"]) if "types" in ask else None,
            own=own,
            objected=dict.fromkeys(objected, Objection.UPHELD),
        )
        given = self.answer(resources) if answer is None else answer
        judged = await judge.judge(self.ask(**ask), given, hiding, labels=labels, more=more)
        by_id = {}
        for entry in judged.entries:
            one = json.loads(entry.content)
            by_id[one["id"].removeprefix("RJ1-epr.").rsplit(".", 1)[0]] = one
        return SimpleNamespace(
            judged=judged,
            row=judged.row,
            reads=reads,
            bytes=b"\n".join(entry.content for entry in judged.entries),
            by_id=by_id,
            ids={(one["resourceType"], own) for own, one in by_id.items()},
            statuses={name: one.status.value for name, one in judged.row.categories.items()},
            types={name: one.status.value for name, one in judged.row.types.items()},
        )


def _resource(one):
    if isinstance(one, bytes):
        return Resource(one)
    patient = one.get("resourceType") == "Patient"
    return Resource(json.dumps(one).encode(), Arrival.PATIENT if patient else Arrival.RECORD)


@pytest.fixture(scope="session")
def judging():
    return Judging()
