"""Did the patient tell this organisation not to share its record? Looked for in the record itself.

An organisation may have been told, and have written it down as a code, without keeping its record back. The latest
dated of refusal and consent holds, as policies/dissent.toml has it. In doubt a refusal counts and a consent does not: a
refusal only planned, or of which nothing says whose it is, is honoured; a consent must be the patient's and in force.
"""

from collections.abc import Collection, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from adapters.findings import Finding
from broker.lookup.judging.compartment import SUBJECT
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

_IN_FORCE = {
    "Consent": frozenset({"active"}),
    "Observation": frozenset({"final", "amended", "corrected"}),
    "Procedure": frozenset({"completed"}),
}
"""The statuses in which a consent counts; a Condition has none, and must not have been found wrong."""
_FOUND_WRONG = frozenset({"entered-in-error", "refuted"})

_DATES = ("effectiveDateTime", "effectiveInstant", "dateTime", "performedDateTime", "recordedDate", "issued")
"""Where the types that may say it have their one date, first what is nearest to its being said."""
_PERIODS = ("effectivePeriod", "performedPeriod")
"""Where they may have a period instead: it was said at its start."""


_Said = tuple[Coding, str | None]
"""A code, with the FHIR date or dateTime at which it was said."""


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


def find_refusal(
    items: Iterable[Item], dissents: Dissents, today: date, unclear: Iterable[Item] = ()
) -> Generator[None, None, Refusal]:
    """What one source says of sharing this patient's record, pausing between resources.

    Args:
        items: of this patient. What is contained in them may refuse, and consents to nothing.
        dissents: the codes.
        today: for consents.
        unclear: what came with them and does not say whose it is: it may refuse too, unless words name somebody else.
    """
    said = yield from _said(items, dissents, sure=True)
    said += yield from _said(unclear, dissents, sure=False)
    third_party = any(coding in dissents.referred for coding, _ in said)
    return Refusal(dissent=dissents.standing(said, today) == "refused", third_party=third_party)


def _said(items: Iterable[Item], dissents: Dissents, *, sure: bool) -> Generator[None, None, list[_Said]]:
    """The codes that count, each with its date."""
    codings, types = dissents.codings, frozenset(dissents.types)
    said: list[_Said] = []
    for n, item in enumerate(items):
        if not n % PAUSE:
            yield
        data = item.data
        if (item.type in types or "contained" in data) and not codings.isdisjoint(item.codes):
            parts = [(data, sure), *((inner, False) for inner in data.get("contained", ()))]
            for part, certain in parts:
                if part["resourceType"] in types and not _is_void(part) and (certain or _may_be_theirs(part)):
                    counted = codings if certain and _is_in_force(part) else codings - dissents.given
                    when = _date_of(part)
                    said.extend((coding, when) for coding in _codes_of(part) if coding in counted)
    return said


def is_unknown(findings: Mapping[str, Finding], dissents: Dissents) -> bool:
    """Whether a type that may say it was not answered in full."""
    return any(findings.get(one) is None or findings[one] in STATUS_OF for one in dissents.types)


def _is_void(data: Mapping[str, Any]) -> bool:
    verified = [code for _, code in _codings_in(data.get("verificationStatus"))]
    return not _VOID.isdisjoint(one for one in (data.get("status"), *verified) if isinstance(one, str))


def _is_in_force(data: Mapping[str, Any]) -> bool:
    """Whether a consent that this says would count; of a type of which nothing is known here, none does."""
    kind = data["resourceType"]
    if kind == "Condition":
        return _FOUND_WRONG.isdisjoint(code for _, code in _codings_in(data.get("verificationStatus")))
    if str(data.get("status")) not in _IN_FORCE.get(kind, ()):
        return False
    return kind != "Consent" or all(rule.get("type") != "deny" for rule in _rules_of(data))


def _may_be_theirs(data: Mapping[str, Any]) -> bool:
    """Whether it came with the patient's and names nobody else: one who is named in words alone is somebody else."""
    stated = data.get(SUBJECT.get(data["resourceType"], "subject"))
    return not (isinstance(stated, dict) and stated) or not {"reference", "identifier"}.isdisjoint(stated)


def _codes_of(data: Mapping[str, Any]) -> Iterator[Coding]:
    """What the resource is: of an Observation, what was found too; of a Consent, what it and its rules are about."""
    yield from _codings_in(data.get("code"))
    yield from _codings_in(data.get("valueCodeableConcept"))
    if data["resourceType"] == "Consent":
        yield from _codings_in(data.get("category"))
        for rule in _rules_of(data):
            yield from _codings_in(rule.get("code"))


def _rules_of(consent: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The rules of a Consent, however deep."""
    rules = [consent.get("provision")]
    while rules:
        rule = rules.pop()
        if isinstance(rule, list):
            rules.extend(rule)
        elif isinstance(rule, dict):
            yield rule
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
