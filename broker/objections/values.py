"""What the register holds of an objection, and who acts on it."""

from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any, Final

from adapters.contract import Requester
from broker.objections.scopes import WHOLE, Scope
from policies import Policies

__all__ = ["ASKED_BY", "Actor", "ImportResult", "ImportedObjection", "ObjectionRecord", "Origin", "Status", "Version"]

ASKED_BY: Final = ("patient", "parent", "attorney", "advocate")
"""Who may ask for an objection: the patient, or somebody who acts for them."""


class Status(StrEnum):
    """How far an objection has come."""

    RECEIVED = "received"
    UNDER_REVIEW = "under-review"
    UPHELD = "upheld"
    NOT_UPHELD = "not-upheld"
    """Takes effect only once the patient was told: until then the objection is honoured."""
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who acts on the register, as a verified token says.

    Attributes:
        issuer: `iss`.
        subject: `sub`, a natural person.
        name: the person's.
        organisation: ODS code of the organisation the person works for.
        role: a row of the role table; None where the job role maps to none.
        operator: the token's issuer is one of the broker's operator.
        role_code: the job role itself.
        client: `client_id`.
        jti: names the token.
        staff_id: user id in the Spine Directory Service, the same whoever issues the tokens; None where it is not said.
    """

    issuer: str
    subject: str
    name: str
    organisation: str
    role: str | None
    operator: bool
    role_code: str = ""
    client: str | None = None
    jti: str | None = None
    staff_id: str | None = None

    @classmethod
    def of(cls, requester: Requester, policies: Policies, *, operator: bool, staff_id: str | None = None) -> "Actor":
        """The person behind a verified token."""
        return cls(
            issuer=requester.issuer,
            subject=requester.subject,
            name=requester.name,
            organisation=requester.organisation,
            role=policies.role_of(requester.role_system, requester.role_code),
            operator=operator,
            role_code=requester.role_code,
            client=requester.client,
            jti=requester.token_id,
            staff_id=staff_id,
        )

    def as_json(self) -> dict[str, Any]:
        """As it is shown to whoever may see the objection."""
        return {
            "issuer": self.issuer,
            "subject": self.subject,
            "name": self.name,
            "organisation": self.organisation,
            "role": self.role,
        }

    def as_kept(self) -> dict[str, Any]:
        """As the register keeps it: with what tells a person from another, where it is known."""
        return self.as_json() | ({"staff_id": self.staff_id} if self.staff_id else {})

    def as_user(self) -> dict[str, Any]:
        """As the journal writes it."""
        return self.as_json() | {"role_code": self.role_code, "client": self.client, "jti": self.jti}


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where an objection was made before it was imported.

    Attributes:
        name: of the service, such as `connectcare`.
        reference: its own, there.
        dated: its day there; None where it is not known.
    """

    name: str
    reference: str
    dated: date | None = None

    def as_json(self) -> dict[str, Any]:
        """In the form of the interface."""
        return {"name": self.name, "reference": self.reference, "date": self.dated.isoformat() if self.dated else None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of an objection: who made it of the one before, when, and with which words.

    Attributes:
        by: as `Actor.as_kept`; None where it was made before versions were kept.
        at: UTC, ISO 8601; None in the same case.
        reason: the words of a decision.
        ico_route_told: the patient is told of the Information Commissioner.
        told_at: the day on which the patient was told the decision.
    """

    version: int
    status: Status
    by: dict[str, Any] | None
    at: str | None
    reason: str | None = None
    ico_route_told: bool = False
    told_at: date | None = None

    def as_json(self) -> dict[str, Any]:
        """In the form of the interface."""
        return {
            "version": self.version,
            "status": self.status.value,
            "by": _shown(self.by),
            "at": self.at,
            "reason": self.reason,
            "ico_route_told": self.ico_route_told,
            "told_at": _iso(self.told_at),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectionRecord:
    """One objection. Holds no patient: who asks for it by patient knows, and nobody else needs to.

    Attributes:
        version: from 1, one more with each change.
        scope: what it is about.
        asked_by: one of `ASKED_BY`.
        recorded_by: as `Actor.as_kept`.
        recorded_at: UTC, ISO 8601.
        decided_by: who upheld it or not; None before.
        decided_at: UTC, ISO 8601.
        told_at: the day on which the patient was told the decision.
        review_on: the day on which a child's is looked at again.
        origin: of one that was imported.
        history: every version, where it was asked for.
    """

    id: str
    version: int
    status: Status
    scope: Scope
    recorded_by: dict[str, Any]
    recorded_at: str
    asked_by: str = "patient"
    decided_by: dict[str, Any] | None = None
    decided_at: str | None = None
    told_at: date | None = None
    review_on: date | None = None
    origin: Origin | None = None
    history: tuple[Version, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """In the form of the interface; with `history` where it was asked for."""
        shown = {
            "id": self.id,
            "version": self.version,
            "status": self.status.value,
            "scope": self.scope.as_json(),
            "asked_by": self.asked_by,
            "recorded_by": _shown(self.recorded_by),
            "recorded_at": self.recorded_at,
            "decided_by": _shown(self.decided_by),
            "decided_at": self.decided_at,
            "told_at": _iso(self.told_at),
            "review_on": _iso(self.review_on),
            "origin": self.origin.as_json() if self.origin else None,
        }
        return shown | {"history": [each.as_json() for each in self.history]} if self.history else shown


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedObjection:
    """An objection that was made elsewhere, and carries over as upheld.

    Attributes:
        patient: NHS number.
        origin: where it was made; no two with the same name and reference.
        scope: what it is about.
        asked_by: one of `ASKED_BY`.
        review_on: the day on which a child's is looked at again.
    """

    patient: str
    origin: Origin
    scope: Scope = field(default=WHOLE)
    asked_by: str = "patient"
    review_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportResult:
    """What became of one imported objection.

    Attributes:
        id: of the objection in the register; None where it was not taken.
        new: it was put down now, not at an earlier import.
        problem: why it was not taken.
    """

    id: str | None = None
    new: bool = False
    problem: str | None = None


def _shown(person: dict[str, Any] | None) -> dict[str, Any] | None:
    """As `Actor.as_json`, of what was `Actor.as_kept`."""
    return person and {key: value for key, value in person.items() if key != "staff_id"}


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None
