"""The bodies and queries of `/objections`, read strictly: whatever is wrong is named, and nothing sent is said back."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from multidict import MultiMapping

from broker.errors import InvalidBirthDate, InvalidNhsNumber, InvalidRequest, PatientRequired
from broker.objections import Scope, ScopeKind

__all__ = [
    "PAGE",
    "Decided",
    "Recorded",
    "Search",
    "parse_decision",
    "parse_listing",
    "parse_record",
    "parse_search",
    "parse_withdrawal",
]

PAGE: Final = 200
"""Objections in one answer, where nobody says how many."""
_MOST: Final = 1000
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_WORD: Final = re.compile(r"[A-Za-z_-]{1,40}", re.ASCII)
_ID: Final = re.compile(r"[0-9a-f]{1,32}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """Body of `POST /objections`. The register checks number, names and who asked."""

    patient: str
    birth_date: date | None
    scope: Scope
    asked_by: str
    effect_explained: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """Body of `POST /objections/{id}/decisions`."""

    status: str
    reason: str | None
    ico_route_told: bool
    told: date | None
    version: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Which objections are wanted, at most `limit`, those that follow the one with the id `after`."""

    patient: str | None = None
    status: str | None = None
    due: bool = False
    after: str | None = None
    limit: int = PAGE


def parse_record(body: Mapping[str, Any]) -> Recorded:
    """What is to be recorded. Raises RequestError."""
    _only(body, ("patient", "scope", "asked_by", "effect_explained"))
    patient = _patient(body, ("nhs_number", "birth_date"))
    born = patient.get("birth_date")
    return Recorded(
        patient=_number(patient),
        birth_date=None if born is None else _birth_date(born),
        scope=_scope(body["scope"]) if "scope" in body else Scope(),
        asked_by=_text(body, "asked_by", needed=True) or "",
        effect_explained=_flag(body, "effect_explained"),
    )


def parse_decision(body: Mapping[str, Any]) -> Decided:
    """What is decided. Raises InvalidRequest."""
    _only(body, ("status", "reason", "ico_route_told", "told", "version"))
    return Decided(
        status=_text(body, "status", needed=True) or "",
        reason=_text(body, "reason"),
        ico_route_told=_flag(body, "ico_route_told"),
        told=_day(body["told"], "told") if "told" in body else None,
        version=_version(body),
    )


def parse_withdrawal(body: Mapping[str, Any]) -> int | None:
    """The version that is withdrawn, where it is named. Raises InvalidRequest."""
    _only(body, ("version",))
    return _version(body)


def parse_search(body: Mapping[str, Any]) -> Search:
    """Body of `POST /objections/_search`. Raises RequestError."""
    _only(body, ("patient", "status", "due"))
    return Search(
        patient=_number(_patient(body, ("nhs_number",))),
        status=_text(body, "status"),
        due=_flag(body, "due"),
        limit=_MOST,
    )


def parse_listing(query: MultiMapping[str]) -> Search:
    """The query of `GET /objections`. Raises InvalidRequest."""
    known = ("status", "due", "after", "limit")
    _only(query, known)
    for name in query:
        if len(query.getall(name)) > 1:
            raise InvalidRequest(f"{name}: it stands twice in the address.")
    due = query.get("due", "false")
    if due not in {"true", "false"}:
        raise InvalidRequest("due: write true or false.")
    limit = query.get("limit", str(PAGE))
    if not re.fullmatch(r"[0-9]{1,4}", limit, re.ASCII) or not 1 <= int(limit) <= _MOST:
        raise InvalidRequest(f"limit: write a number from 1 to {_MOST}.")
    after = query.get("after")
    if after is not None and not _ID.fullmatch(after):
        raise InvalidRequest("after: write the id of an objection.")
    return Search(status=query.get("status"), due=due == "true", after=after, limit=int(limit))


def _only(found: Mapping[str, Any], known: tuple[str, ...], prefix: str = "") -> None:
    for key in found:
        if key not in known:
            shown = key if _WORD.fullmatch(key) else "A key"
            raise InvalidRequest(f"{prefix}{shown} is not known here: there are {', '.join(known)}.")


def _patient(body: Mapping[str, Any], known: tuple[str, ...]) -> Mapping[str, Any]:
    if "patient" not in body:
        raise PatientRequired("patient: say whose objection it is.")
    patient = body["patient"]
    if not isinstance(patient, dict):
        raise InvalidRequest("patient: write an object with nhs_number.")
    _only(patient, known, "patient.")
    return patient


def _number(patient: Mapping[str, Any]) -> str:
    number = patient.get("nhs_number")
    if not isinstance(number, str):
        raise InvalidNhsNumber
    return number


def _birth_date(value: Any) -> date:
    try:
        return _day(value, "birth_date")
    except InvalidRequest:
        raise InvalidBirthDate from None


def _day(value: Any, name: str) -> date:
    try:
        if isinstance(value, str) and _DATE.fullmatch(value):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise InvalidRequest(f"{name}: write a date as YYYY-MM-DD.")


def _text(body: Mapping[str, Any], name: str, *, needed: bool = False) -> str | None:
    value = body.get(name)
    if name not in body and not needed:
        return None
    if not isinstance(value, str) or not value.strip():
        raise InvalidRequest(f"{name}: write words in quotes.")
    return value


def _flag(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise InvalidRequest(f"{name}: write true or false.")
    return value


def _version(body: Mapping[str, Any]) -> int | None:
    if "version" not in body:
        return None
    version = body["version"]
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise InvalidRequest("version: write the number of the version that you saw.")
    return version


def _scope(value: Any) -> Scope:
    """As an objection is shown: `kind`, and which one under the name of its kind."""
    if not isinstance(value, dict):
        raise InvalidRequest('scope: write an object such as {"kind": "whole"}.')
    kind = value.get("kind")
    if kind not in set(ScopeKind):
        raise InvalidRequest(f"scope.kind: write one of {', '.join(ScopeKind)}.")
    if kind == ScopeKind.WHOLE:
        _only(value, ("kind",), "scope.")
        return Scope()
    _only(value, ("kind", kind), "scope.")
    if kind == ScopeKind.STAFF:
        return _member(value.get(kind))
    named = _text(value, kind, needed=True)
    return Scope.stated(**{kind: named})


def _member(value: Any) -> Scope:
    if isinstance(value, dict) and set(value) == {"staff_id"}:
        return Scope.stated(staff_id=_text(value, "staff_id", needed=True))
    if isinstance(value, dict) and set(value) == {"issuer", "subject"}:
        issuer, subject = _text(value, "issuer", needed=True), _text(value, "subject", needed=True)
        return Scope.stated(staff=f"{issuer},{subject}")
    raise InvalidRequest("scope.staff: write an object with issuer and subject of their tokens, or with staff_id.")
