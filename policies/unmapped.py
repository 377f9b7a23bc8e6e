"""What sample records leave to their type alone: types, code systems and profiles of which no table speaks."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from policies.codings import usual
from policies.tables import Tables

__all__ = ["Unmapped", "unmapped"]

_EARLIER = {
    "DiagnosticRequest": "ServiceRequest",
    "ProcedureRequest": "ServiceRequest",
    "ReferralRequest": "ServiceRequest",
}
"""Types of FHIR STU3, then what they are in R4."""

Counts = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Unmapped:
    """Names and how often each occurs: no code, no display and no value of a record.

    Attributes:
        resources: how many were looked at, contained ones included.
        types: those that no table speaks of: never asked for, and nobody has said why.
        unasked: those that are never asked for, for a reason that categories.toml gives.
        systems: by type: systems whose codes no table speaks of.
        profiles: by type: profiles of which no table speaks.
    """

    resources: int
    types: Counts
    unasked: Counts
    systems: Mapping[str, Counts]
    profiles: Mapping[str, Counts]

    @property
    def nothing(self) -> bool:
        """Whether the tables speak of all that there is."""
        return not (self.types or self.systems or self.profiles)


def unmapped(tables: Tables, samples: Iterable[Any]) -> Unmapped:
    """Look through decoded JSON: Bundles or single resources of FHIR R4, or of STU3 as R4 names its types."""
    known = tables.home.keys() | tables.by_reference | tables.supporting
    seen: Counter[str] = Counter()
    systems: Counter[tuple[str, str]] = Counter()
    profiles: Counter[tuple[str, str]] = Counter()
    spelled: dict[str, bool] = {}
    for sample in samples:
        for kind, part in _parts(sample):
            if isinstance(part.get("resourceType"), str):
                seen[kind] += 1
                profiles.update((kind, profile) for profile in _profiles(part))
            system = part.get("system")
            if isinstance(system, str) and "code" in part:
                if system not in spelled:
                    spelled[system] = _usual(system) in tables.known_systems or system in tables.known_systems
                if not spelled[system]:
                    systems[kind, system] += 1
    judged = {kind for kind in seen if kind in known}
    return Unmapped(
        resources=seen.total(),
        types={kind: n for kind, n in sorted(seen.items()) if kind not in known and kind not in tables.unasked},
        unasked={kind: n for kind, n in sorted(seen.items()) if kind in tables.unasked and kind not in known},
        systems=_by_type({pair: n for pair, n in systems.items() if pair[0] in judged}),
        profiles=_by_type({
            pair: n for pair, n in profiles.items() if pair[0] in judged and pair[1] not in tables.known_profiles
        }),
    )


def _parts(sample: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object of a sample with the type of the resource in which it stands."""
    left: list[tuple[str, Any]] = [("", sample)]
    while left:
        kind, value = left.pop()
        if isinstance(value, dict):
            named = value.get("resourceType")
            if isinstance(named, str):
                kind = _EARLIER.get(named, named)
            yield kind, value
            left.extend((kind, inner) for inner in value.values())
        elif isinstance(value, list):
            left.extend((kind, inner) for inner in value)


def _profiles(resource: dict[str, Any]) -> list[str]:
    meta = resource.get("meta")
    written = meta.get("profile") if isinstance(meta, dict) else None
    return [each.split("|")[0] for each in written if isinstance(each, str)] if isinstance(written, list) else []


def _usual(system: str) -> str:
    """A system in its usual spelling; `usual` needs a code for it."""
    return next((known for known, _ in usual(system, "0")), system)


def _by_type(counts: Mapping[tuple[str, str], int]) -> dict[str, Counts]:
    found: dict[str, Counter[str]] = {}
    for (kind, name), number in sorted(counts.items()):
        found.setdefault(kind, Counter())[name] = number
    return {kind: dict(counted) for kind, counted in found.items()}
