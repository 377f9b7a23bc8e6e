"""What an objection is about: everything, one organisation's records, a kind of information, or a member of staff."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Self

from broker.errors import InvalidRequest, UnknownCategory, UnknownOrganisation
from broker.keys import Keys

__all__ = ["WHOLE", "Known", "Scope", "ScopeKind"]

_SDS_ID: Final = re.compile(r"[0-9]{12}", re.ASCII)
_LONGEST: Final = 256
"""Characters of a member of staff."""


class ScopeKind(StrEnum):
    """How wide an objection is."""

    WHOLE = "whole"
    ORGANISATION = "organisation"
    CATEGORY = "category"
    STAFF = "staff"


@dataclass(frozen=True, slots=True)
class Scope:
    """What an objection is about.

    Attributes:
        kind: how wide it is.
        value: ODS code; name of a category; of a member of staff `ISSUER,SUBJECT` or the twelve digits of an SDS user
            id; empty for the whole record.
    """

    kind: ScopeKind = ScopeKind.WHOLE
    value: str = ""

    @classmethod
    def member(cls, issuer: str, subject: str) -> Self:
        """A member of staff, as the issuer of their tokens names them."""
        return cls(ScopeKind.STAFF, f"{issuer},{subject}")

    @classmethod
    def stated(
        cls,
        *,
        organisation: str | None = None,
        category: str | None = None,
        staff: str | None = None,
        staff_id: str | None = None,
    ) -> Self:
        """The scope that somebody named; the whole record where they named none.

        Raises:
            InvalidRequest: several are named, or the member of staff is not written as `Scope` says.
        """
        named = {
            field_: value
            for field_, value in (
                ("organisation", organisation),
                ("category", category),
                ("staff", staff),
                ("staff_id", staff_id),
            )
            if value is not None
        }
        if not named:
            return cls()
        if len(named) > 1:
            raise InvalidRequest(f"scope: write one of {', '.join(named)}, and record the others as objections too.")
        name, value = named.popitem()
        if name == "staff":
            issuer, _, subject = value.partition(",")
            if not (issuer.strip() and subject.strip()) or len(value) > _LONGEST:
                raise InvalidRequest("staff: write the issuer of their tokens and their subject there, ISS,SUB.")
            for field_, part in (("issuer", issuer), ("subject", subject)):
                if part != part.strip() or not part.isprintable():
                    raise InvalidRequest(
                        f"staff: write the {field_} as it is in their tokens, without blanks around it and signs that "
                        "are not seen: nobody could be recognised by it."
                    )
        if name == "staff_id" and not _SDS_ID.fullmatch(value):
            raise InvalidRequest("staff_id: write the twelve digits of their SDS user id.")
        return cls(ScopeKind.STAFF if name == "staff_id" else ScopeKind(name), value)

    @property
    def organisation(self) -> str | None:
        """ODS code of the one organisation that it is about."""
        return self.value if self.kind is ScopeKind.ORGANISATION else None

    @property
    def staff_id(self) -> str | None:
        """SDS user id of the member of staff whom it names so."""
        return self.value if self.kind is ScopeKind.STAFF and "," not in self.value else None

    @property
    def subject(self) -> str | None:
        """What their tokens call the member of staff whom it names by these."""
        return self.value.partition(",")[2] if self.kind is ScopeKind.STAFF and "," in self.value else None

    def sealed(self, keys: Keys) -> str | None:
        """Which one, as the register keeps it: the same value always in the same way. None for the whole record."""
        if self.kind is ScopeKind.WHOLE:
            return None
        return keys.seal_words(self.value)

    @classmethod
    def opened(cls, keys: Keys, kind: str, sealed: str | None) -> Self:
        """What `sealed` made. Raises ValueError where these keys did not seal it."""
        return cls(ScopeKind(kind), keys.open_words(sealed) if sealed else "")

    def as_json(self) -> dict[str, Any]:
        """`kind`, and which one under the name of its kind."""
        match self.kind:
            case ScopeKind.WHOLE:
                return {"kind": "whole"}
            case ScopeKind.STAFF if "," in self.value:
                issuer, _, subject = self.value.partition(",")
                return {"kind": "staff", "staff": {"issuer": issuer, "subject": subject}}
            case ScopeKind.STAFF:
                return {"kind": "staff", "staff": {"staff_id": self.value}}
            case _:
                return {"kind": self.kind.value, self.kind.value: self.value}


WHOLE: Final = Scope()


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What an objection may name: what is not among these could never be honoured.

    Attributes:
        organisations: ODS code, then name, of all that are registered.
        categories: of the policy set.
        issuers: whose tokens count.
    """

    organisations: Mapping[str, str] = field(default_factory=dict)
    categories: Collection[str] = ()
    issuers: Collection[str] = ()

    def check(self, scope: Scope) -> None:
        """Raise UnknownOrganisation, UnknownCategory or InvalidRequest where `scope` names something unknown."""
        match scope.kind:
            case ScopeKind.ORGANISATION if scope.value not in self.organisations:
                raise UnknownOrganisation(
                    "organisation: no organisation is registered under this ODS code: see /about."
                )
            case ScopeKind.CATEGORY if scope.value not in self.categories:
                raise UnknownCategory(f"category: there are {', '.join(self.categories)}.")
            case ScopeKind.STAFF if "," in scope.value and scope.value.partition(",")[0] not in self.issuers:
                raise InvalidRequest("staff: no tokens of this issuer count here: write it as in their tokens (iss).")
            case _:
                pass
