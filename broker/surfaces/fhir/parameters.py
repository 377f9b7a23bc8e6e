"""How the parameters of a search are read: every one is understood or refused, none is ignored.

What a caller wrote is never put back into a message unless it is letters alone: a number may be a patient's.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from broker import nhs_number
from broker.errors import InvalidNhsNumber, InvalidRequest, NotSupported, PatientRequired, TooLarge
from broker.keys import Keys
from broker.surfaces.fhir import pages

__all__ = ["IDENTIFIER", "NHS_NUMBER", "Pairs", "Searched", "pairs", "read", "shown"]

NHS_NUMBER: Final = "https://fhir.nhs.uk/Id/nhs-number"

IDENTIFIER: Final[Mapping[bool, str]] = {True: "identifier", False: "patient.identifier"}
"""The parameter that takes an NHS number: of a search of Patient, and of any other."""

Pairs = list[tuple[str, str]]
"""Parameters as they were sent, of the address or of a form."""

_LONGEST: Final = 8_192
"""Characters of parameters in an address. A search needs two hundred."""
_MOST: Final = 64
_WORD: Final = re.compile(r"[A-Za-z_.:-]{1,40}", re.ASCII)
_COUNT: Final = re.compile(r"[0-9]{1,6}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """What the parameters of one search say.

    Attributes:
        number: the NHS number of the patient.
        count: matches on a page, or None for all.
        page: a further page of an earlier answer, or None.
    """

    number: str
    count: int | None = None
    page: pages.Page | None = None


def pairs(text: str) -> Pairs:
    """The parameters of a query or a form.

    Raises:
        TooLarge: too long, or too many.
        InvalidRequest: not URL-encoded UTF-8.
    """
    if len(text) > _LONGEST:
        raise TooLarge("The search is too long: it takes a patient, and _count.")
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MOST)
    except UnicodeDecodeError:
        raise InvalidRequest("The parameters are not URL-encoded UTF-8.") from None
    except ValueError:
        raise TooLarge("The search has too many parameters: it takes a patient, and _count.") from None


def read(type_: str, given: Pairs, base: str, keys: Keys) -> Searched:
    """What a search of `type_` asks for.

    Args:
        type_: FHIR type.
        given: its parameters, of address and body together.
        base: the broker's own FHIR address.
        keys: that opens its ids of patients and pages.

    Raises:
        RequestError: of the first fault.
    """
    identifier = IDENTIFIER[type_ == "Patient"]
    said: dict[str, str] = {}
    for name, value in given:
        if name not in {"patient", identifier, "_count", pages.PARAMETER}:
            raise NotSupported(
                f"{shown(name)} is not a search parameter here: there are patient, {identifier}, _count."
            )
        if name in said:
            raise InvalidRequest(f"{name} stands twice.")
        said[name] = value
    if pages.PARAMETER in said:
        if len(said) > 1:
            raise InvalidRequest(f"{pages.PARAMETER} stands alone: it holds what was searched.")
        page = pages.opened(said[pages.PARAMETER], type_, keys)
        return Searched(number=page.number, count=page.count, page=page)
    if "patient" in said and identifier in said:
        raise InvalidRequest(f"Name the patient once: by patient, or by {identifier}.")
    if not (named := said.get("patient") or said.get(identifier)):
        raise PatientRequired(f"Name the patient, by patient or by {identifier}: nothing is searched across patients.")
    number = _of_id(named, base, keys) if "patient" in said else _of_identifier(named, identifier)
    return Searched(number=number, count=_count(said["_count"]) if "_count" in said else None)


def shown(word: str) -> str:
    """`word` where it is letters alone, and nothing of it otherwise."""
    return word if _WORD.fullmatch(word) else "What was sent"


def _of_id(value: str, base: str, keys: Keys) -> str:
    try:
        return keys.open_patient_id(value.removeprefix(f"{base}/").removeprefix("Patient/"))
    except ValueError:
        message = "patient: write the id of the Patient as the broker gave it, or search by patient.identifier."
        raise InvalidRequest(message) from None


def _of_identifier(value: str, name: str) -> str:
    system, bar, number = value.partition("|")
    if not bar or system != NHS_NUMBER:
        raise InvalidRequest(f"{name}: write {NHS_NUMBER}| and the number.")
    if not nhs_number.is_valid(number):
        raise InvalidNhsNumber
    return number


def _count(value: str) -> int:
    if not _COUNT.fullmatch(value) or not int(value):
        raise InvalidRequest("_count: write a whole number from 1 to 999999, or leave it out for all.")
    return int(value)
