"""A Patient as the Personal Demographics Service gives it (FHIR R4, UK Core), read strictly.

Only what the broker needs is read: next of kin, nominated pharmacy, place of birth and the like never enter the house.
"""

import datetime as dt
import json
import re
from typing import Annotated, Any, Final

import msgspec

from broker import nhs_number
from broker.identity.values import Restriction

__all__ = [
    "MOST_BYTES",
    "NHS_NUMBER",
    "ODS_CODE",
    "Address",
    "Missing",
    "Name",
    "Patient",
    "PdsFailed",
    "PdsMalformed",
    "Period",
    "Practice",
    "Telecom",
    "read",
]

NHS_NUMBER: Final = "https://fhir.nhs.uk/Id/nhs-number"
ODS_CODE: Final = "https://fhir.nhs.uk/Id/ods-organization-code"

MOST_BYTES: Final = 1_000_000
"""The largest answer that is read."""

_CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
_OPEN = frozenset({"U", "L", "M", "N"})
_GONE = frozenset({"RESOURCE_NOT_FOUND", "INVALIDATED_RESOURCE"})
_ODS = re.compile(r"[A-Z0-9]{2,12}")

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
_Date = Annotated[str, msgspec.Meta(pattern=r"\A[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?\Z")]
_DateTime = Annotated[
    str, msgspec.Meta(max_length=40, pattern=r"\A[0-9]{4}(-[0-9]{2}(-[0-9]{2}(T[0-9:.]+(Z|[+-][0-9:]+))?)?)?\Z")
]


class PdsMalformed(ValueError):
    """Neither a PDS Patient nor an OperationOutcome, or one that contradicts itself."""


class PdsFailed(Exception):
    """An OperationOutcome that says anything but that there is no such number."""


class Missing:
    """The service has no such number, or no longer: not found, invalidated or redacted."""


class Period(msgspec.Struct, frozen=True):
    """From and until, each whole or partial, each may be left out."""

    start: _DateTime | None = None
    end: _DateTime | None = None

    def holds(self, today: dt.date) -> bool:
        """Whether it has begun and not ended; a partial date stands for all of its days."""
        day = today.isoformat()
        start, end = (self.start or "")[:10], (self.end or "9999")[:10]
        return start <= day[: len(start)] and end >= day[: len(end)]


_ALWAYS = Period()


class Name(msgspec.Struct, frozen=True, omit_defaults=True):
    """A name, and when it was in use."""

    use: str | None = None
    text: _Text | None = None
    family: _Text | None = None
    given: tuple[_Text, ...] = ()
    prefix: tuple[_Text, ...] = ()
    suffix: tuple[_Text, ...] = ()
    period: Period = _ALWAYS


class Address(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """An address, and when it was lived at."""

    use: str | None = None
    type: str | None = None
    text: _Text | None = None
    line: tuple[str, ...] = ()
    city: _Text | None = None
    district: _Text | None = None
    state: _Text | None = None
    postal_code: _Text | None = None
    country: _Text | None = None
    period: Period = _ALWAYS


class Telecom(msgspec.Struct, frozen=True, omit_defaults=True):
    """A way to reach the patient, and when it served."""

    system: str | None = None
    value: _Text | None = None
    use: str | None = None
    period: Period = _ALWAYS


class _Identifier(msgspec.Struct, frozen=True):
    system: str | None = None
    value: str | None = None
    period: Period = _ALWAYS


class Practice(msgspec.Struct, frozen=True):
    """A logical reference to a GP practice."""

    identifier: _Identifier = _Identifier()
    display: _Text | None = None


class _Coding(msgspec.Struct, frozen=True):
    system: str | None = None
    code: str | None = None


class _Meta(msgspec.Struct, frozen=True):
    security: tuple[_Coding, ...] = ()


class Patient(msgspec.Struct, frozen=True, kw_only=True, tag_field="resourceType", tag="Patient", rename="camel"):
    """A Patient. `id` is the current number; it differs from the one asked for where that one is superseded."""

    id: str
    meta: _Meta = _Meta()
    identifier: tuple[_Identifier, ...] = ()
    name: tuple[Name, ...] = ()
    gender: str | None = None
    birth_date: _Date | None = None
    deceased_boolean: bool | None = None
    deceased_date_time: _DateTime | None = None
    address: tuple[Address, ...] = ()
    telecom: tuple[Telecom, ...] = ()
    general_practitioner: tuple[Practice, ...] = ()

    @property
    def restricted(self) -> Restriction:
        """By its confidentiality label: an unknown one counts as restricted, none as unknown."""
        codes = {coding.code for coding in self.meta.security if coding.system == _CONFIDENTIALITY}
        if not codes:
            return "unknown"
        return "no" if codes <= _OPEN else "yes"

    @property
    def deceased(self) -> str | bool | None:
        """When, or whether, the patient died."""
        return self.deceased_boolean if self.deceased_date_time is None else self.deceased_date_time

    def practice(self, today: dt.date) -> Practice | None:
        """Where the patient is registered on `today`."""
        for practice in self.general_practitioner:
            if practice.identifier.system == ODS_CODE and practice.identifier.period.holds(today):
                return practice
        return None


class _Details(msgspec.Struct, frozen=True):
    coding: tuple[_Coding, ...] = ()


class _Issue(msgspec.Struct, frozen=True):
    details: _Details = _Details()


class _Outcome(msgspec.Struct, frozen=True, tag_field="resourceType", tag="OperationOutcome"):
    issue: tuple[_Issue, ...] = ()


_read = msgspec.json.Decoder(Patient | _Outcome).decode


def read(document: bytes) -> Patient | Missing:
    """What the service says. Raises PdsMalformed or PdsFailed, without a word of what was read."""
    if len(document) > MOST_BYTES:
        raise PdsMalformed("larger than a Patient may be")
    try:
        json.loads(document, object_pairs_hook=_once)
        found: Patient | _Outcome = _read(document)
    except (ValueError, RecursionError):
        raise PdsMalformed("not a Patient as the Personal Demographics Service gives it") from None
    if isinstance(found, _Outcome):
        if any(coding.code in _GONE for issue in found.issue for coding in issue.details.coding):
            return Missing()
        raise PdsFailed("an OperationOutcome")
    if any(coding.code == "REDACTED" for coding in found.meta.security):
        return Missing()
    _check(found)
    return found


def _once(pairs: list[tuple[str, Any]]) -> None:
    """Raise ValueError where a name occurs twice: of two labels, or two birth dates, one would not be seen."""
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a name occurs twice")


def _check(patient: Patient) -> None:
    """Raise PdsMalformed where the Patient contradicts itself, or can't be compared with what was asked."""
    if not nhs_number.is_valid(patient.id):
        raise PdsMalformed("its `id` is no NHS number")
    if any(one.system == NHS_NUMBER and one.value != patient.id for one in patient.identifier):
        raise PdsMalformed("its NHS number is not its `id`")
    if patient.birth_date is None:
        raise PdsMalformed("it has no `birthDate`")
    if len(patient.birth_date) == len("YYYY-MM-DD"):
        try:
            dt.date.fromisoformat(patient.birth_date)
        except ValueError:
            raise PdsMalformed("its `birthDate` is no date") from None
    for practice in patient.general_practitioner:
        one = practice.identifier
        if one.system == ODS_CODE and not _ODS.fullmatch(one.value or ""):
            raise PdsMalformed("its practice has no ODS code")
