"""What is asked of a server, of all that is wanted: the same for every patient."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from adapters.fhir_r4.approach import Approach
from adapters.fhir_r4.capability import Capability
from adapters.fhir_r4.queries import patient_parameter, takes_code
from adapters.fhir_r4.search import Outcome
from adapters.findings import Finding

__all__ = ["Plan", "Search", "make_plan"]


@dataclass(frozen=True, slots=True)
class Search:
    """How one type is searched.

    Attributes:
        parameter: `patient` or `subject`.
        includes: the server's `searchInclude`.
        by_code: only some codes of it matter, and the server can be asked for them.
    """

    parameter: str
    includes: frozenset[str]
    by_code: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is asked of one server.

    Attributes:
        offered: the approaches that it offers.
        searches: each type that can be searched by patient, context first, with how.
        unsearchable: those it lists that can't be, with what is learned of them unless `$everything` gives them.
        types: all of these.
        at_once: what is learned of the other types without asking, once the patient is found.
    """

    offered: tuple[Approach, ...]
    searches: Mapping[str, Search]
    unsearchable: Mapping[str, Outcome]
    types: frozenset[str]
    at_once: tuple[tuple[frozenset[str], Outcome], ...]


@lru_cache(maxsize=1024)
def make_plan(
    capability: Capability, asked: frozenset[str], context: frozenset[str], coded: frozenset[str] = frozenset()
) -> Plan:
    """Divide the types wanted into what can be asked and what can't.

    Args:
        capability: what the server says that it can do.
        asked: types of the categories asked: one that the server doesn't have is NOT_PROVIDED.
        context: types needed to judge: one that it doesn't list is empty; one that can't be searched is read later.
        coded: types of which only some codes matter: as context, searched by code where that can be.
    """
    searches: dict[str, Search] = {}
    unsearchable: dict[str, Outcome] = {}
    unlisted: set[str] = set()
    judging = context | coded
    wanted = asked | judging
    for name in sorted(wanted - {"Patient"}, key=lambda name: (name not in judging, name)):
        listed = capability.lists(name)
        if listed is None:
            unlisted.add(name)
        elif listed.searchable and (parameter := patient_parameter(name, listed.parameters)):
            by_code = name not in asked | context and takes_code(name, listed.parameters)
            searches[name] = Search(parameter, listed.includes, by_code)
        elif name in asked:
            unsearchable[name] = Outcome(Finding.NOT_PROVIDED, ("can't be searched by patient",))
        else:
            unsearchable[name] = Outcome()
    offered = [Approach.EVERYTHING] if capability.everything else []
    if not offered or asked.isdisjoint(unsearchable):
        offered += [Approach.BATCH, Approach.SEARCHES] if capability.batch else [Approach.SEARCHES]
    answered = (wanted & {"Patient"}) | (unlisted - asked)
    return Plan(
        offered=tuple(offered),
        searches=searches,
        unsearchable=unsearchable,
        types=frozenset(searches) | frozenset(unsearchable),
        at_once=((frozenset(answered), Outcome()), (frozenset(unlisted & asked), Outcome(Finding.NOT_PROVIDED))),
    )
