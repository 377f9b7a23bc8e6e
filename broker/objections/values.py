"""What the register holds of an objection, and who acts on it."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Final

from adapters.contract import Requester
from policies import Policies

__all__ = ["ASKED_BY", "DECIDERS", "Actor", "ObjectionRecord", "Status"]

DECIDERS: Final = frozenset({"privacy-officer", "caldicott-guardian"})
"""Rows of the role table whose staff decide objections."""

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
        care: the role gives care: it may see something of a record.
        role_code: the job role itself.
        client: `client_id`.
        jti: names the token.
    """

    issuer: str
    subject: str
    name: str
    organisation: str
    role: str | None
    operator: bool
    care: bool
    role_code: str = ""
    client: str | None = None
    jti: str | None = None

    @classmethod
    def of(cls, requester: Requester, policies: Policies, *, operator: bool) -> "Actor":
        """The person behind a verified token."""
        role = policies.role_of(requester.role_system, requester.role_code)
        return cls(
            issuer=requester.issuer,
            subject=requester.subject,
            name=requester.name,
            organisation=requester.organisation,
            role=role,
            operator=operator,
            care=role is not None and bool(policies.tables.roles[role].sees),
            role_code=requester.role_code,
            client=requester.client,
            jti=requester.token_id,
        )

    def as_json(self) -> dict[str, Any]:
        """As the register keeps it, and shows it to whoever may see the objection."""
        return {
            "issuer": self.issuer,
            "subject": self.subject,
            "name": self.name,
            "organisation": self.organisation,
            "role": self.role,
        }

    def as_user(self) -> dict[str, Any]:
        """As the journal writes it."""
        return self.as_json() | {"role_code": self.role_code, "client": self.client, "jti": self.jti}


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectionRecord:
    """One objection. Holds no patient: who asks for it by patient knows, and nobody else needs to.

    Attributes:
        version: from 1, one more with each change.
        scope: its kind: `whole`.
        recorded_by: as `Actor.as_json`.
        recorded_at: UTC, ISO 8601.
        decided_by: who upheld it or not; None before.
        decided_at: UTC, ISO 8601.
        told_at: the day on which the patient was told the decision.
    """

    id: str
    version: int
    status: Status
    scope: str
    recorded_by: dict[str, Any]
    recorded_at: str
    decided_by: dict[str, Any] | None = None
    decided_at: str | None = None
    told_at: date | None = None

    def as_json(self) -> dict[str, Any]:
        """In the form of the interface."""
        return {
            "id": self.id,
            "version": self.version,
            "status": self.status.value,
            "scope": {"kind": self.scope},
            "recorded_by": self.recorded_by,
            "recorded_at": self.recorded_at,
            "decided_by": self.decided_by,
            "decided_at": self.decided_at,
            "told_at": self.told_at.isoformat() if self.told_at else None,
        }
