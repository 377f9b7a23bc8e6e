"""What the identity service says of a patient."""

from dataclasses import dataclass
from typing import Any, Literal

from adapters.contract import Identity

__all__ = ["IdentityStatus", "Person", "Restriction"]

Restriction = Literal["yes", "no", "unknown"]
"""Whether where the patient lives, and where they are seen, must stay hidden."""

IdentityStatus = Literal[
    "answered", "patient-not-found", "malformed", "failed", "refused", "unreachable", "timed-out", "busy", "paused"
]
"""What becomes of the identity service's row, in the words of the closed set.

`patient-not-found`: it answered, and has no such number, or no longer. That is not definite: nothing confirms whose
number it is, what else they were known by, or whether they are restricted, so a lookup that rests on it is never
complete.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Whom a lookup is about, as far as the identity service could say.

    Attributes:
        identity: the number asked for, then those that the service confirms for the same person: the current one and
            superseded ones, in ascending order. Where it confirms none, the number asked for alone.
        restricted: `yes` for PDS `R` and `V`; `unknown` without a service, an answer or a label.
        practice: ODS code of the GP practice where the patient is registered now, or None.
        deceased: the date or time of death, or whether there was one, or None where nothing is said.
        patient: the one Patient, without id: a FHIR R4 resource of the broker's own making, this caller's to change,
            that holds only what may be shown. None where the service did not confirm the person.
        birth_date_confirmed: the service has the whole date of birth as asked, not the year of it alone, say.
        status: of the service's row; None where there is no service, and so no row.
        elapsed_ms: how long the service took, or None without one.
        retry_after: seconds after which it may be asked again, where that is known.
    """

    identity: Identity
    restricted: Restriction = "unknown"
    practice: str | None = None
    deceased: str | bool | None = None
    patient: dict[str, Any] | None = None
    birth_date_confirmed: bool = False
    status: IdentityStatus | None = None
    elapsed_ms: int | None = None
    retry_after: float | None = None

    @classmethod
    def unconfirmed(
        cls,
        number: str,
        birth_date: str,
        status: IdentityStatus | None = None,
        elapsed_ms: int | None = None,
        *,
        retry_after: float | None = None,
    ) -> "Person":
        """Somebody of whom nothing is known but what was asked."""
        identity = Identity(numbers=(number,), birth_date=birth_date)
        return cls(identity=identity, status=status, elapsed_ms=elapsed_ms, retry_after=retry_after)
