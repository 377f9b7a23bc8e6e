"""What a verified token says, in the words of the rest of the house."""

from dataclasses import dataclass
from typing import Literal

from adapters.contract import Requester

__all__ = ["Basis", "Caller", "Relationship", "TokenPatient"]

Basis = Literal["encounter", "referral", "registration", "caseload"]
"""On what ground the reader's organisation says that it is caring for the patient."""


@dataclass(frozen=True, slots=True)
class TokenPatient:
    """The patient in context in the reader's own system. A token that names only half of one matches nobody.

    Attributes:
        nhs_number: ten digits, Modulus 11 checked, or None where the token has only a date of birth.
        birth_date: `YYYY-MM-DD`, or None where the token has only a number.
    """

    nhs_number: str | None
    birth_date: str | None

    def matches(self, nhs_number: str, birth_date: str) -> bool:
        """Whether this is the patient asked for: number and date of birth both."""
        return (self.nhs_number, self.birth_date) == (nhs_number, birth_date)


@dataclass(frozen=True, slots=True)
class Relationship:
    """What the reader's system asserts: that its organisation is caring for the patient now.

    Attributes:
        basis: on what ground.
        reference: the encounter, referral or caseload, as the reader's system names it.
    """

    basis: Basis
    reference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, as a verified token of a registered issuer says.

    Attributes:
        requester: the person, the organisation, the role, the purpose, and the token's id.
        operator: the issuer is one of the broker's operator, not an organisation's.
        demo: the issuer's private key is public; it may say anything.
        patient: the patient in context, or None.
        relationship: what the token asserts, or None.
        registered_practice: ODS code of the patient's GP practice as the reader's system knows it, or None.
        activities: national RBAC activity codes, such as `B0360`.
        own_number: the reader's own NHS number where the token shows it: nobody looks up their own record.
        staff_id: the reader's user id in the Spine Directory Service (twelve digits), the same whoever issues their
            tokens; None where the token does not say.
    """

    requester: Requester
    operator: bool
    demo: bool
    patient: TokenPatient | None = None
    relationship: Relationship | None = None
    registered_practice: str | None = None
    activities: tuple[str, ...] = ()
    own_number: str | None = None
    staff_id: str | None = None
