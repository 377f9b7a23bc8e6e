"""Did the patient tell this organisation not to share its record? Looked for in the record itself.

An organisation may have been told, and have written it down as a code, without keeping its record back. The latest
dated of refusal and consent holds, as policies/dissent.toml has it.
"""

from collections.abc import Collection, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from adapters.findings import Finding
from broker.lookup.judging.guard import PAUSE
from broker.lookup.judging.reading import Item
from broker.lookup.rows import STATUS_OF
from policies.codings import usual
from policies.dissents import Dissents
from policies.values import Coding

__all__ = ["NOT_LOOKED_UP", "Refusal", "coded", "find_refusal", "is_unknown"]

NOT_LOOKED_UP = "whether the patient refused sharing here could not be looked up"

_VOID = frozenset({"cancelled", "entered-in-error", "not-done"})
"""Statuses of what was never said (FHIR R4, of Observation, Condition, Consent and Procedure)."""

_DATES = ("effectiveDateTime", "effectiveInstant", "dateTime", "performedDateTime", "recordedDate", "issued")
"""Where the types that may say it have their one date, first what is nearest to its being said."""
_PERIODS = ("effectivePeriod", "performedPeriod", "onsetPeriod")
"""Where they may have a period instead: it was said at its start."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """What one source's record says of sharing it.

    Attributes:
        dissent: nothing of it may be shared with others.
        third_party: the patient named somebody in words, which a person has to read.
    """

    dissent: bool = False
    third_party: bool = False


def coded(dissents: Dissents, types: Collection[str]) -> Mapping[str, frozenset[Coding]]:
    """The further types to be asked for these codes alone, where all of `types` is asked for anyway."""
    return {one: dissents.codings for one in dissents.types if one not in types}


def find_refusal(items: Iterable[Item], dissents: Dissents) -> Generator[None, None, Refusal]:
    """What the resources of this patient at one source say of sharing them, pausing between them."""
    codings, types = dissents.codings, frozenset(dissents.types)
    said: list[tuple[Coding, str | None]] = []
    for n, item in enumerate(items):
        if not n % PAUSE:
            yield
        if item.type in types and not codings.isdisjoint(item.codes) and not _is_void(item.data):
            when = _date_of(item.data)
            said.extend((coding, when) for coding in _codes_of(item.data) if coding in codings)
    third_party = any(coding in dissents.referred for coding, _ in said)
    return Refusal(dissent=dissents.standing(said) == "refused", third_party=third_party)


def is_unknown(findings: Mapping[str, Finding], dissents: Dissents) -> bool:
    """Whether a type that may say it was not answered in full."""
    return any(findings.get(one) is None or findings[one] in STATUS_OF for one in dissents.types)


def _is_void(data: Mapping[str, Any]) -> bool:
    verified = [code for _, code in _codings_in(data.get("verificationStatus"))]
    return not _VOID.isdisjoint(one for one in (data.get("status"), *verified) if isinstance(one, str))


def _codes_of(data: Mapping[str, Any]) -> Iterator[Coding]:
    """What the resource is: of a Consent, what it is about and, however deep, what its rules are for."""
    yield from _codings_in(data.get("code"))
    if data["resourceType"] == "Consent":
        yield from _codings_in(data.get("category"))
        rules = [data.get("provision")]
        while rules:
            rule = rules.pop()
            if isinstance(rule, list):
                rules.extend(rule)
            elif isinstance(rule, dict):
                yield from _codings_in(rule.get("code"))
                rules.append(rule.get("provision"))


def _codings_in(concepts: Any) -> Iterator[Coding]:
    """The codings of a CodeableConcept, or of a list of them, in their usual spelling."""
    for concept in concepts if isinstance(concepts, list) else [concepts]:
        codings = concept.get("coding") if isinstance(concept, dict) else None
        for one in codings if isinstance(codings, list) else [codings]:
            if isinstance(one, dict):
                yield from usual(one.get("system"), one.get("code"))


def _date_of(data: Mapping[str, Any]) -> str | None:
    for element in _DATES:
        if isinstance(data.get(element), str):
            return str(data[element])
    for element in _PERIODS:
        period = data.get(element)
        if isinstance(period, dict) and isinstance(period.get("start"), str):
            return str(period["start"])
    return None
