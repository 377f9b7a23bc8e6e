"""What is asked of a server, of all that is wanted: the same for every patient."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from adapters.fhir_r4.approach import Approach
from adapters.fhir_r4.capability import Capability
from adapters.fhir_r4.queries import patient_parameter
from adapters.fhir_r4.search import Outcome
from adapters.findings import Finding

__all__ = ["Plan", "make_plan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is asked of one server.

    Attributes:
        offered: the approaches that it offers.
        searches: each type that can be searched by patient, context first, with its parameter and `searchInclude`.
        unsearchable: those it lists that can't be, with what is learned of them unless `$everything` gives them.
        types: all of these.
        at_once: what is learned of the other types without asking, once the patient is found.
    """

    offered: tuple[Approach, ...]
    searches: Mapping[str, tuple[str, frozenset[str]]]
    unsearchable: Mapping[str, Outcome]
    types: frozenset[str]
    at_once: tuple[tuple[frozenset[str], Outcome], ...]


@lru_cache(maxsize=1024)
def make_plan(capability: Capability, asked: frozenset[str], context: frozenset[str]) -> Plan:
    """Divide the types wanted into what can be asked and what can't.

    Args:
        capability: what the server says that it can do.
        asked: types of the categories asked: one that the server doesn't have is NOT_PROVIDED.
        context: types needed to judge: one that it doesn't list is empty; one that can't be searched is read later.
    """
    searches: dict[str, tuple[str, frozenset[str]]] = {}
    unsearchable: dict[str, Outcome] = {}
    unlisted: set[str] = set()
    wanted = asked | context
    for name in sorted(wanted - {"Patient"}, key=lambda name: (name not in context, name)):
        listed = capability.lists(name)
        if listed is None:
            unlisted.add(name)
        elif listed.searchable and (parameter := patient_parameter(name, listed.parameters)):
            searches[name] = (parameter, listed.includes)
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
