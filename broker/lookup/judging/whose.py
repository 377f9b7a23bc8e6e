"""Is this Patient the patient that was asked for?"""

from collections.abc import Mapping
from typing import Any

from adapters.contract import Identity
from broker.lookup.judging.reading import NHS_NUMBER_SYSTEMS

__all__ = ["NoBirthDate", "WrongPatient", "contained_is_theirs", "digits_of", "is_theirs", "numbers_of"]


class WrongPatient(Exception):
    """The source answered about somebody else: nothing of it may be used.

    Attributes:
        birth_date: it knows the number, with another date of birth.
    """

    def __init__(self, *, birth_date: bool = False) -> None:
        super().__init__("the source answered about somebody else")
        self.birth_date = birth_date


class NoBirthDate(Exception):
    """The source's Patient has the number and no date of birth: it can't be told whose it is."""


def is_theirs(patient: Mapping[str, Any], identity: Identity, notes: list[str]) -> bool:
    """Whether a Patient is this patient; raises where it is another one in this patient's place."""
    numbers = numbers_of(patient)
    if not any(digits_of(entry) in identity.numbers for entry in numbers):
        return False
    for entry in numbers:
        period = entry.get("period")
        ended = isinstance(period, dict) and "end" in period
        if digits_of(entry) not in identity.numbers and entry.get("use") != "old" and not ended:
            raise WrongPatient
    born = patient.get("birthDate")
    if not isinstance(born, str) or not born:
        raise NoBirthDate
    if born == identity.birth_date:
        return True
    if len(born) < len(identity.birth_date) and identity.birth_date.startswith(born + "-"):
        notes.append("its date of birth is partial, and agrees")
        return True
    raise WrongPatient(birth_date=True)


def numbers_of(patient: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Its NHS numbers. An identifier without a value is none."""
    identifiers = patient.get("identifier")
    entries = [entry for entry in identifiers if isinstance(entry, dict)] if isinstance(identifiers, list) else []
    return [entry for entry in entries if entry.get("system") in NHS_NUMBER_SYSTEMS and digits_of(entry)]


def digits_of(identifier: Mapping[str, Any]) -> str:
    """The value of an identifier, without the blanks and hyphens that people print in it; empty where it has none."""
    value = identifier.get("value")
    return "" if value is None else "".join(str(value).split()).replace("-", "")


def contained_is_theirs(patient: Mapping[str, Any], identity: Identity) -> bool:
    """Whether a contained Patient is this patient. It may leave out the date of birth, but not contradict it."""
    try:
        return is_theirs(patient, identity, [])
    except NoBirthDate:
        return True
