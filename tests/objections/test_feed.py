"""Whatever becomes of objections, and whenever a node looks: it knows what a plain reading of the register says."""

import asyncio
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker import nhs_number
from broker.keys import Keys
from broker.objections import Actor, Known, ObjectionIndex, ObjectionRegister
from broker.objections.feed import CounterFeed
from broker.objections.roll import Roll, Statement
from broker.objections.scopes import WHOLE, Scope, ScopeKind
from broker.objections.stance import Stance
from broker.store import open_store
from policies.values import Objection

PATIENTS = [nhs_number.make(serial) for serial in (1, 2, 3)]
ISSUER = "https://ehr.rj1.example"
ORGANISATIONS = ("RJ1", "RRV")
SCOPES = (
    WHOLE,
    *(Scope(ScopeKind.ORGANISATION, code) for code in ORGANISATIONS),
    Scope(ScopeKind.CATEGORY, "mental-health"),
    Scope.member(ISSUER, "nurse"),
    Scope(ScopeKind.STAFF, "555254240100"),
)
READERS = (
    {"issuer": ISSUER, "subject": "doctor"},
    {"issuer": ISSUER, "subject": "nurse"},
    {"issuer": "https://ehr.rrv.example", "subject": "nurse", "staff_id": "555254240100"},
)
WORST_FIRST = (Objection.UPHELD, Objection.UNDECIDED, Objection.NOT_UPHELD, Objection.NONE)
NEXT = {
    "received": ("under-review",),
    "under-review": ("upheld", "not-upheld"),
    "not-upheld": ("told",),
    "upheld": (),
    "told": (),
    "withdrawn": (),
}
MEANS = {
    "received": Objection.UNDECIDED,
    "under-review": Objection.UNDECIDED,
    "upheld": Objection.UPHELD,
    "not-upheld": Objection.UNDECIDED,
    "told": Objection.NOT_UPHELD,
    "withdrawn": Objection.NONE,
}

steps = st.lists(
    st.one_of(
        st.tuples(st.just("record"), st.sampled_from(PATIENTS), st.sampled_from(SCOPES)),
        *[st.tuples(st.just("decide"), st.integers(0, 3), st.integers(0, 1))] * 3,
        st.tuples(st.just("withdraw"), st.integers(0, 9)),
        st.tuples(st.just("look")),
        st.tuples(st.just("restart")),
    ),
    max_size=24,
)


@dataclass
class Plain:
    """One objection, as plainly as it can be."""

    id: str
    patient: str
    scope: Scope
    state: str = "received"
    decided: bool = False


@dataclass
class Silent:
    """A journal that keeps nothing."""

    lines: list[str] = field(default_factory=list)

    async def record(self, event: str, **_: Any) -> None:
        self.lines.append(event)

    def append(self, event: str, **_: Any) -> "asyncio.Future[None]":
        self.lines.append(event)
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done


@pytest.mark.parametrize("kind", ["sqlite", "counter"])
@given(history=steps)
@settings(max_examples=40)
def test_the_index_is_what_a_plain_reading_of_the_register_says(kind: str, history, policies, doctor, officer):
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(_live(Path(directory), kind, history, policies, doctor, officer))


async def _live(directory: Path, kind: str, history, policies, doctor: Actor, officer: Actor) -> None:
    keys = Keys(bytes(range(32)))
    engine = await open_store(f"sqlite+aiosqlite:///{directory / 'broker.db'}")
    known = Known(
        organisations=dict.fromkeys(ORGANISATIONS, ""), categories=policies.tables.categories, issuers={ISSUER}
    )
    register = ObjectionRegister(engine, keys, Silent(), policies, lead_controller="QKK", known=known)

    def index() -> ObjectionIndex:
        return ObjectionIndex(engine, keys, max_age=60, feed=CounterFeed(engine) if kind == "counter" else None)

    there: list[Plain] = []
    followed = index()
    for step in [*history, ("look",)]:
        match step:
            case "record", patient, scope:
                made = await register.record(
                    doctor, patient=patient, asked_by="patient", effect_explained=True, scope=scope
                )
                there.append(Plain(made.id, patient, scope))
            case "decide", which, way if there:
                await _decide(register, officer, there[which % len(there)], way)
            case "withdraw", which if there and there[which % len(there)].state != "withdrawn":
                chosen = there[which % len(there)]
                await register.withdraw(doctor, chosen.id)
                chosen.state = "withdrawn"
            case ("look",):
                await followed._look()
                _compare(followed, there)
            case ("restart",):
                await followed.close()
                followed = index()
            case _:
                pass
    await followed.close()
    await engine.dispose()


async def _decide(register: ObjectionRegister, officer: Actor, chosen: Plain, way: int) -> None:
    """The next step, if there is one: by the organisation that it is about, else by the lead controller."""
    following = NEXT[chosen.state]
    if not following:
        return
    state = following[way % len(following)]
    decider = replace(officer, organisation=_decider(chosen.scope))
    told = {"status": "not-upheld", "told": datetime.now(UTC).date()}
    refused = {"status": "not-upheld", "reason": "Safeguarding.", "ico_route_told": True}
    await register.decide(decider, chosen.id, **{"told": told, "not-upheld": refused}.get(state, {"status": state}))
    chosen.state = state
    chosen.decided = chosen.decided or state in {"upheld", "not-upheld"}


def _decider(scope: Scope) -> str:
    return scope.value if scope.kind is ScopeKind.ORGANISATION else "QKK"


def _compare(index: ObjectionIndex, there: Sequence[Plain]) -> None:
    for numbers in ([], *([patient] for patient in PATIENTS), PATIENTS[:2]):
        of_patient = [each for each in there if each.patient in numbers]
        for reader in READERS:
            assert index.stance(numbers, **reader) == _plain_stance(of_patient, reader)


def _plain_stance(of_patient: Sequence[Plain], reader: dict[str, str]) -> Stance:
    mine = {WHOLE, Scope.member(reader["issuer"], reader["subject"])}
    if "staff_id" in reader:
        mine.add(Scope(ScopeKind.STAFF, reader["staff_id"]))
    stated = defaultdict(set)
    decided_by = set()
    for each in of_patient:
        kind = ScopeKind.WHOLE if each.scope in mine else each.scope.kind
        if kind is ScopeKind.STAFF or each.state == "withdrawn":
            continue
        stated[kind, each.scope.value if kind is not ScopeKind.WHOLE else ""].add(MEANS[each.state])
        if each.decided and each.state != "told":
            decided_by.add(_decider(each.scope))
    worst = {what: next(one for one in WORST_FIRST if one in found) for what, found in stated.items()}
    return Stance(
        whole=worst.get((ScopeKind.WHOLE, ""), Objection.NONE),
        organisations={code: found for (kind, code), found in worst.items() if kind is ScopeKind.ORGANISATION},
        categories={name: found for (kind, name), found in worst.items() if kind is ScopeKind.CATEGORY},
        decided_by=frozenset(decided_by),
    )


UPHELD = Statement(Objection.UPHELD, "whole", None, "QKK")
UNDECIDED = Statement(Objection.UNDECIDED, "whole", None, None)

patients = st.text("ab", min_size=1, max_size=3)


@given(
    st.lists(st.tuples(patients, st.sampled_from([UPHELD, UNDECIDED]))),
    st.dictionaries(patients, st.sampled_from([(), (UPHELD,), (UPHELD, UNDECIDED)])),
)
def test_the_roll_gives_what_was_put_in_and_nothing_of_others(stated, changed):
    roll = Roll(stated)
    roll.update(changed)
    for patient in {*(one for one, _ in stated), *changed, "never"}:
        before = sorted(statement for one, statement in stated if one == patient)
        assert sorted(roll.of(patient)) == sorted(changed.get(patient, before))


class Alike(str):
    """A sealed number with the hash of all others."""

    __slots__ = ()

    def __hash__(self) -> int:
        return 7


def test_of_two_patients_with_the_same_hash_too_much_is_honoured_and_never_too_little():
    one, other = Alike("one"), Alike("other")
    roll = Roll([(one, UPHELD), (other, UNDECIDED)])
    assert {*roll.of(one)} == {*roll.of(other)} == {UPHELD, UNDECIDED}
    roll.update({one: ()})
    assert roll.of(one) == ()
    assert UNDECIDED in roll.of(other)
