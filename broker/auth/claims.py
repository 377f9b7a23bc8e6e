"""The claims of a token, each of its type and within its size, in the shape of IHE IUA or of NHS CIS2 (`README.md`).

Claims that are not named here are allowed and ignored. Nothing in this module knows keys or issuers.
"""

import datetime as dt
import json
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final

import msgspec

from adapters.contract import Requester
from broker import nhs_number
from broker.auth.issuers import JOB_ROLES
from broker.auth.values import Basis, Caller, Relationship, TokenPatient

__all__ = ["NHS_NUMBER", "ODS_CODE", "PURPOSES", "Claims", "ClaimsRefused", "refuse_duplicates"]

ODS_CODE: Final = "https://fhir.nhs.uk/Id/ods-organization-code"
NHS_NUMBER: Final = "https://fhir.nhs.uk/Id/nhs-number"
PURPOSES: Final = "http://terminology.hl7.org/CodeSystem/v3-ActReason"

_ASSURED = "3"  # of 0 to 3: the highest, for which somebody was seen with their papers
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
_SdsUserId = Annotated[str, msgspec.Meta(pattern=r"\A[0-9]{12}\Z")]
_Codes = Annotated[tuple[_Code, ...], msgspec.Meta(max_length=64)]
_Moment = Annotated[float, msgspec.Meta(ge=0, le=253_402_300_799)]
_Date = Annotated[str, msgspec.Meta(pattern=r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")]


class ClaimsRefused(ValueError):
    """The claims are not those of a person who asks for one patient in one role for one purpose."""


class _Coding(msgspec.Struct, frozen=True):
    system: _Code
    code: _Code


_One = Annotated[tuple[_Coding, ...], msgspec.Meta(min_length=1, max_length=1)]


class _Iua(msgspec.Struct, frozen=True):
    purpose_of_use: _One
    person_id: _Code | None = None
    subject_name: _Text | None = None
    subject_organization: _Text | None = None
    subject_organization_id: _Code | None = None
    subject_role: _One | None = None


class _NrbacRole(msgspec.Struct, frozen=True):
    person_roleid: _Code
    org_code: _Ods
    role_code: _Code
    activity_codes: _Codes = ()


class _UserOrganisation(msgspec.Struct, frozen=True):
    org_code: _Code
    org_name: _Text | None = None


class _Relationship(msgspec.Struct, frozen=True):
    basis: Basis
    reference: _Text | None = None


class _Own(msgspec.Struct, frozen=True):
    birth_date: _Date | None = None
    relationship: _Relationship | None = None
    registered_practice: _Ods | None = None
    activities: _Codes = ()
    own_nhs_number: str | None = None
    sds_user_id: _SdsUserId | None = None


class _Extensions(msgspec.Struct, frozen=True):
    ihe_iua: _Iua
    care_record_broker: _Own = _Own()


@dataclass(frozen=True, slots=True)
class _Person:
    """Who asks, as one shape says it. What it leaves open is None."""

    name: str
    organisation: str
    organisation_name: str | None
    role: tuple[str, str]
    activities: frozenset[str] | None
    staff_id: str | None


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
    nhsid_useruid: _SdsUserId | None = None
    nhsid_nrbac_roles: Annotated[tuple[_NrbacRole, ...], msgspec.Meta(max_length=64)] | None = None
    nhsid_user_orgs: Annotated[tuple[_UserOrganisation, ...], msgspec.Meta(max_length=64)] = ()
    selected_roleid: _Code | None = None
    idassurancelevel: str | None = None
    name: _Text | None = None
    given_name: _Text | None = None
    family_name: _Text | None = None

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

    def caller(self, *, operator: bool, demo: bool) -> Caller:
        """Who asks, and about whom. `operator` and `demo` are what is known of the issuer.

        Raises:
            ClaimsRefused: somebody who is not named as they must be, named by both shapes and not the same, or a
                number or a date that can't be one.
        """
        person, own = self._person(), self.extensions.care_record_broker
        system, code = person.role
        return Caller(
            requester=Requester(
                issuer=self.iss,
                subject=self.sub,
                name=person.name,
                organisation=person.organisation,
                organisation_name=person.organisation_name or person.organisation,
                role_system=system,
                role_code=code,
                purpose=self.extensions.ihe_iua.purpose_of_use[0].code,
                client=self.client_id,
                token_id=self.jti,
            ),
            operator=operator,
            demo=demo,
            patient=self._patient(),
            relationship=self._relationship(),
            registered_practice=own.registered_practice,
            activities=tuple(sorted(person.activities or ())),
            own_number=None if own.own_nhs_number is None else _number(own.own_nhs_number),
            staff_id=person.staff_id,
        )

    def _person(self) -> _Person:
        said = [each for each in (self._by_cis2(), self._by_iua()) if each is not None]
        if not said:
            raise ClaimsRefused
        return said[0] if len(said) == 1 else _same(*said)

    def _by_iua(self) -> _Person | None:
        """As `extensions.ihe_iua` says it: whole, or not at all beside the other shape."""
        iua, own = self.extensions.ihe_iua, self.extensions.care_record_broker
        claims = (iua.subject_name, iua.subject_organization, iua.subject_organization_id, iua.subject_role)
        if claims == (None, None, None, None) and self.nhsid_useruid is not None:
            return None
        name, organisation_name, organisation, role = claims
        if name is None or organisation_name is None or organisation is None or role is None:
            raise ClaimsRefused
        return _Person(
            name=name,
            organisation=_ods(_value(organisation, ODS_CODE)),
            organisation_name=organisation_name,
            role=(role[0].system, role[0].code),
            activities=frozenset(own.activities) or None,
            staff_id=own.sds_user_id,
        )

    def _by_cis2(self) -> _Person | None:
        """As `nhsid_*` say it: in the one role that was selected, by somebody whose identity was verified in person."""
        user, roles, selected = self.nhsid_useruid, self.nhsid_nrbac_roles, self.selected_roleid
        if user is None and roles is None and selected is None:
            return None
        mine = [role for role in roles or () if role.person_roleid == selected]
        if user is None or len(mine) != 1 or self.idassurancelevel != _ASSURED:
            raise ClaimsRefused
        own, role = self.extensions.care_record_broker, mine[0]
        if own.sds_user_id not in {None, user} or frozenset(own.activities) - frozenset(role.activity_codes):
            raise ClaimsRefused
        name = self.name or " ".join(filter(None, (self.given_name, self.family_name)))
        if not name:
            raise ClaimsRefused
        names = {each.org_code: each.org_name for each in self.nhsid_user_orgs}
        return _Person(
            name=name,
            organisation=role.org_code,
            organisation_name=names.get(role.org_code),
            role=(JOB_ROLES, role.role_code),
            activities=frozenset(role.activity_codes),
            staff_id=user,
        )

    def _patient(self) -> TokenPatient | None:
        """The patient in context. Raises ClaimsRefused for a number or a date that can't be one."""
        person, born = self.extensions.ihe_iua.person_id, self.extensions.care_record_broker.birth_date
        if person is None and born is None:
            return None
        return TokenPatient(
            None if person is None else _number(_value(person, NHS_NUMBER)), None if born is None else _date(born)
        )

    def _relationship(self) -> Relationship | None:
        asserted = self.extensions.care_record_broker.relationship
        return None if asserted is None else Relationship(asserted.basis, asserted.reference)


def refuse_duplicates(document: bytes) -> None:
    """Raise ValueError (or RecursionError) for JSON in which a name occurs twice: two readers could differ on it."""
    json.loads(document, object_pairs_hook=_without_duplicates)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name occurs twice")
    return found


def _same(one: _Person, other: _Person) -> _Person:
    """What two shapes say of one person. Raises ClaimsRefused where they do not say the same."""
    for said, also in (
        (one.name, other.name),
        (one.organisation, other.organisation),
        (_short(one.role), _short(other.role)),
        (one.staff_id, other.staff_id or one.staff_id),
    ):
        if said != also:
            raise ClaimsRefused
    return replace(one, organisation_name=one.organisation_name or other.organisation_name)


def _short(role: tuple[str, str]) -> tuple[str, str]:
    system, code = role
    return system, code.rpartition(":")[2]


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
