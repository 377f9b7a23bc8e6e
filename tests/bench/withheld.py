"""How much of a record goes with one excluded item: to withhold too much is a hazard as real as to leak.

Each Condition of the Synthea records, and each Observation of the GP Connect ones, is given an excluded code in turn,
and the record is judged for a reader who sees everything. GP Connect's are STU3: the elements that decide are called
here as R4 calls them, as far as a rename does it.
"""

import json
import random
import re
import statistics
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from adapters.contract import Arrival, Identity, Resource
from broker.lookup.judging.guard import guard
from broker.lookup.judging.reading import read
from broker.lookup.judging.screen import Scope, screen
from broker.lookup.judging.whose import WrongPatient
from policies import Policies
from policies.values import Coding, Sight
from tests.bench.records import BIRTH_DATE, number_of
from tests.bench.world import World

__all__ = ["Shares", "measure", "record_of", "shares"]

_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
_NHS = "https://fhir.nhs.uk/Id/nhs-number"
_EXCLUDED: Coding = ("urn:bench", "excluded")
_SEED = 20260115
_EACH = (4, 24)
"""Items of each record that are excluded, one after the other, in a quick run and in a whole one."""
_LEAST = 50
"""Resources: of a smaller record a share says nothing."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """What was withheld of records for one excluded item.

    Attributes:
        records: of how many.
        of_items: for each item, what is not released any more, as a share of all that the record holds.
    """

    records: int
    of_items: Sequence[float]


async def measure(_at: World, _core: int, _load_core: int, *, quick: bool, say: Callable[[str], None]) -> None:
    """Exclude one item after the other, and print the shares."""
    policies = Policies.load(None)
    say("share of a record withheld for one excluded item, the item itself among it")
    say(f"{'':<44}{'records':>8}{'items':>7}{'median':>9}{'most':>9}   prototype")
    for name, files, kind, before in (
        ("Synthea, one Condition", "synthea-r4/*_*-*.json", "Condition", "0.56 %, at most 20 %"),
        ("GP Connect, one Observation", "gpconnect-stu3/**/*.json", "Observation", "0.7 %, at most 7.7 %"),
    ):
        found = shares(policies, _records(files), kind, _EACH[not quick])
        if not found.of_items:
            say(f"{name:<44}{'the records are not beside the checkout':>33}")
            continue
        middle, most = statistics.median(found.of_items), max(found.of_items)
        say(f"{name:<44}{found.records:>8}{len(found.of_items):>7}{middle:>9.2%}{most:>9.1%}   {before}")


def shares(policies: Policies, records: Iterator[Sequence[dict[str, Any]]], kind: str, each: int) -> Shares:
    """The share of every record that goes with one of its items of this FHIR type.

    Args:
        policies: whose closure table is followed.
        records: each with its Patient first.
        kind: FHIR type.
        each: how many items of a record, chosen by a fixed seed.
    """
    chance = random.Random(_SEED)
    of_items, count = [], 0
    for record in records:
        items = [n for n, resource in enumerate(record) if resource["resourceType"] == kind]
        try:
            whole = _released(policies, record)
        except WrongPatient:  # a record of several patients, to test just that
            continue
        count += bool(items)
        for n in chance.sample(items, min(each, len(items))):
            marked = {"coding": [*record[n].get("code", {}).get("coding", ()), _coding()]}
            left = _released(policies, [*record[:n], record[n] | {"code": marked}, *record[n + 1 :]])
            of_items.append((whole - left) / len(record))
    return Shares(records=count, of_items=of_items)


def record_of(bundle: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The resources of a Bundle, as a source would give them of one patient; its Patient first, with a test number.

    Raises ValueError where it holds no Patient.
    """
    entries = [entry for entry in bundle.get("entry", ()) if isinstance(entry.get("resource"), dict)]
    addresses = {
        entry["fullUrl"]: f"{entry['resource']['resourceType']}/{entry['resource'].get('id')}"
        for entry in entries
        if str(entry.get("fullUrl", "")).startswith("urn:")
    }
    text = json.dumps([entry["resource"] for entry in entries])
    text = re.sub(r'"(urn:uuid:[^"]+)"', lambda found: json.dumps(addresses.get(found[1], found[1])), text)
    resources = [_as_r4(one) for one in json.loads(text)]
    patients = [one for one in resources if one["resourceType"] == "Patient"]
    if not patients:
        raise ValueError("a record without its Patient")
    patient = patients[0] | {"identifier": [{"system": _NHS, "value": number_of(0)}], "birthDate": BIRTH_DATE}
    return [patient, *(one for one in resources if one["resourceType"] != "Patient")]


_TYPES = {"ProcedureRequest": "ServiceRequest", "ReferralRequest": "ServiceRequest"}
_VISIT = {"Condition", "DiagnosticReport", "MedicationRequest", "Observation", "Procedure", "ServiceRequest"}
"""R4 types whose `encounter` STU3 calls `context`."""


def _as_r4(resource: dict[str, Any]) -> dict[str, Any]:
    """A resource with the elements that decide by their names in R4; one of R4 stays as it is."""
    kind = _TYPES.get(resource["resourceType"], resource["resourceType"])
    one = resource | {"resourceType": kind}
    if kind in _VISIT and "context" in one:
        one["encounter"] = one.pop("context")
    if kind == "Observation" and isinstance(one.get("related"), list):
        one["hasMember"] = [part["target"] for part in one.pop("related") if part.get("type") == "has-member"]
    return one


def _records(pattern: str) -> Iterator[list[dict[str, Any]]]:
    for path in sorted(_DATA.glob(pattern)):
        try:
            record = record_of(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, AttributeError, KeyError):  # a template, or a test of what can't be read
            continue
        if len(record) >= _LEAST:
            yield record


def _released(policies: Policies, record: Sequence[Mapping[str, Any]]) -> int:
    """How many resources of a record are released to a reader who sees everything."""
    tables = policies.tables
    resources = [
        Resource(json.dumps(one).encode(), Arrival.RECORD if n else Arrival.PATIENT) for n, one in enumerate(record)
    ]
    items, _ = _end(read(resources))
    guarded = _end(guard(items, Identity(numbers=(number_of(0),), birth_date=BIRTH_DATE), ()))
    scope = Scope(
        asked=tables.categories, offered=tables.categories, excluded=frozenset({_EXCLUDED}), runs_excluded=False
    )
    return len(_end(screen(guarded, tables, scope, lambda asked: dict.fromkeys(asked, Sight.SHOW), final=True)).kept)


def _coding() -> dict[str, str]:
    return dict(zip(("system", "code"), _EXCLUDED, strict=True))


def _end(paced: Generator[None, None, T]) -> T:
    """What a paced piece of work comes to."""
    while True:
        try:
            next(paced)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
