"""What a story is: one synthetic patient, and what each organisation has written down about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

__all__ = ["Objector", "Person", "Story"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A patient, as the national identity service knows them.

    Attributes:
        nhs_number: the current number, of the test range 999.
        title: such as `Mrs`.
        given: first name.
        family: surname.
        birth_date: `YYYY-MM-DD`.
        gender: FHIR administrative gender.
        address: one line, then town and postcode.
        phone: from the range that is kept for fiction.
        practice: ODS code of the registered practice, or None where nobody knows.
        restricted: the identity service hides where they live and are registered.
        superseded: an earlier number, which some still use.
        died: `YYYY-MM-DD`, or None.
    """

    nhs_number: str
    title: str
    given: str
    family: str
    birth_date: str
    gender: str
    address: tuple[str, str, str]
    phone: str
    practice: str | None
    restricted: bool = False
    superseded: str | None = None
    died: str | None = None

    @property
    def name(self) -> str:
        """As a letter would write it."""
        return f"{self.title} {self.given} {self.family}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One patient across the organisations.

    Attributes:
        person: who it is about.
        shows: what a lookup of this patient shows, in one sentence.
        reader: ODS code of an organisation where they are being cared for now, so a natural reader.
        at: source to the resources that it holds, in the order in which it wrote them.
        differs: source to elements of its own Patient that differ from the person.
    """

    person: Person
    shows: str
    reader: str
    at: Mapping[str, Sequence[dict[str, Any]]]
    differs: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Objector:
    """A patient who has said no, wholly, and whose objection was upheld.

    Attributes:
        nhs_number: whose objection.
        asked_by: `patient`, `parent`, `attorney` or `advocate`.
    """

    nhs_number: str
    asked_by: str
