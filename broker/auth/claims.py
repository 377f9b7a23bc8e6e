"""The claims of a token in the shape of IHE IUA, with the broker's own extension, each of its type and within its size.

Claims that are not named here are allowed and ignored. Nothing in this module knows keys or issuers.
"""

import datetime as dt
import json
from typing import Annotated, Any, Final

import msgspec

from adapters.contract import Requester
from broker import nhs_number
from broker.auth.values import Basis, Relationship, TokenPatient

__all__ = ["NHS_NUMBER", "ODS_CODE", "PURPOSES", "Claims", "ClaimsRefused", "refuse_duplicates"]

ODS_CODE: Final = "https://fhir.nhs.uk/Id/ods-organization-code"
NHS_NUMBER: Final = "https://fhir.nhs.uk/Id/nhs-number"
PURPOSES: Final = "http://terminology.hl7.org/CodeSystem/v3-ActReason"

_MOST_AUDIENCES = 1  # a token that is good elsewhere too could be brought here by whoever received it there

# No control characters, line breaks or marks that turn the direction of writing: what is recorded is what was meant.
_Text = Annotated[
    str,
    msgspec.Meta(
        min_length=1, max_length=256, pattern=r"\A[^\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+\Z"
    ),
]
_Code = Annotated[str, msgspec.Meta(max_length=128, pattern=r"\A[!-~]+\Z")]
_Ods = Annotated[str, msgspec.Meta(pattern=r"\A[A-Z0-9]{2,12}\Z")]
_Moment = Annotated[float, msgspec.Meta(ge=0, le=253_402_300_799)]
_Date = Annotated[str, msgspec.Meta(pattern=r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")]


class ClaimsRefused(ValueError):
    """The claims are not those of a person who asks for one patient in one role for one purpose."""


class _Coding(msgspec.Struct, frozen=True):
    system: _Code
    code: _Code


_One = Annotated[tuple[_Coding, ...], msgspec.Meta(min_length=1, max_length=1)]


class _Iua(msgspec.Struct, frozen=True):
    subject_name: _Text
    subject_organization: _Text
    subject_organization_id: _Code
    subject_role: _One
    purpose_of_use: _One
    person_id: _Code | None = None


class _Relationship(msgspec.Struct, frozen=True):
    basis: Basis
    reference: _Text | None = None


class _Own(msgspec.Struct, frozen=True):
    birth_date: _Date | None = None
    relationship: _Relationship | None = None
    registered_practice: _Ods | None = None
    activities: Annotated[tuple[_Code, ...], msgspec.Meta(max_length=64)] = ()
    own_nhs_number: str | None = None


class _Extensions(msgspec.Struct, frozen=True):
    ihe_iua: _Iua
    care_record_broker: _Own = _Own()


class Claims(msgspec.Struct, frozen=True):
    """A token's claims, in form. Times are seconds since 1970."""

    iss: _Text
    sub: _Text
    aud: str | tuple[str, ...]
    iat: _Moment
    exp: _Moment
    jti: _Code
    client_id: _Text
    extensions: _Extensions
    nbf: _Moment = 0.0

    @classmethod
    def parse(cls, payload: bytes) -> "Claims":
        """Read a verified payload. Raises ClaimsRefused."""
        try:
            refuse_duplicates(payload)
            claims = msgspec.json.decode(payload, type=cls)
        except (ValueError, RecursionError):
            raise ClaimsRefused from None
        if claims.sub == claims.client_id:
            raise ClaimsRefused  # a system signed in as itself: nobody could be held to account
        if claims.extensions.ihe_iua.purpose_of_use[0].system != PURPOSES:
            raise ClaimsRefused
        return claims

    def is_for(self, audience: str) -> bool:
        """Whether the token was issued for `audience` and nobody else."""
        named = (self.aud,) if isinstance(self.aud, str) else self.aud
        return len(named) == _MOST_AUDIENCES and named[0] == audience

    @property
    def role(self) -> tuple[str, str]:
        """(system, code)."""
        coding = self.extensions.ihe_iua.subject_role[0]
        return coding.system, coding.code

    def requester(self) -> Requester:
        """Who asks. Raises ClaimsRefused where the organisation is not named by its ODS code."""
        iua = self.extensions.ihe_iua
        system, code = self.role
        return Requester(
            issuer=self.iss,
            subject=self.sub,
            name=iua.subject_name,
            organisation=_ods(_value(iua.subject_organization_id, ODS_CODE)),
            organisation_name=iua.subject_organization,
            role_system=system,
            role_code=code,
            purpose=iua.purpose_of_use[0].code,
            client=self.client_id,
            token_id=self.jti,
        )

    def patient(self) -> TokenPatient | None:
        """The patient in context. Raises ClaimsRefused for a number or a date that can't be one."""
        person, born = self.extensions.ihe_iua.person_id, self.extensions.care_record_broker.birth_date
        if person is None and born is None:
            return None
        return TokenPatient(
            None if person is None else _number(_value(person, NHS_NUMBER)), None if born is None else _date(born)
        )

    def relationship(self) -> Relationship | None:
        """What the token asserts."""
        asserted = self.extensions.care_record_broker.relationship
        return None if asserted is None else Relationship(asserted.basis, asserted.reference)

    def own_number(self) -> str | None:
        """The reader's own NHS number where the token shows it. Raises ClaimsRefused where it can't be one."""
        number = self.extensions.care_record_broker.own_nhs_number
        return None if number is None else _number(number)


def refuse_duplicates(document: bytes) -> None:
    """Raise ValueError (or RecursionError) for JSON in which a name occurs twice: two readers could differ on it."""
    json.loads(document, object_pairs_hook=_without_duplicates)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name occurs twice")
    return found


def _value(identifier: str, system: str) -> str:
    """The value of `system|value`."""
    named, _, value = identifier.partition("|")
    if named != system:
        raise ClaimsRefused
    return value


def _ods(code: str) -> str:
    try:
        return msgspec.convert(code, _Ods)
    except msgspec.ValidationError:
        raise ClaimsRefused from None


def _number(number: str) -> str:
    if not nhs_number.is_valid(number):
        raise ClaimsRefused
    return number


def _date(date: str) -> str:
    try:
        dt.date.fromisoformat(date)
    except ValueError:
        raise ClaimsRefused from None
    return date
