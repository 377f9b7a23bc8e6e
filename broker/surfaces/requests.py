"""How a request is read: strictly, and with the fault named, before anybody is asked anything.

What a caller wrote is never put back into a message unless it is letters alone: a number may be a patient's.
"""

import asyncio
import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, Final

from aiohttp import web

from broker import nhs_number
from broker.errors import (
    InvalidBirthDate,
    InvalidNhsNumber,
    InvalidRequest,
    NotSupported,
    PatientRequired,
    TimeoutTooLong,
    TooLarge,
    UnknownCategory,
    UnknownOrganisation,
)
from broker.lookup.values import Override, Query
from broker.settings.kinds import seconds

__all__ = [
    "MAX_DEPTH",
    "Known",
    "override_id",
    "parse_json",
    "parse_query",
    "preferred",
    "read_body",
    "read_json",
    "today",
]

MAX_DEPTH: Final = 8
"""Nesting of objects and arrays; a lookup needs two."""
_BODY_SECONDS: Final = 10.0
_FIELDS: Final = ("patient", "categories", "timeout", "require", "relationship", "override")
_PATIENT_FIELDS: Final = ("nhs_number", "birth_date")
_RELATIONSHIP_FIELDS: Final = ("basis", "reason")
_SELF_DECLARED: Final = "self-declared"
_OVERRIDE_FIELDS: Final = ("reason", "text")
_OVERRIDE_REASONS: Final = ("01", "02", "03", "04", "05", "06")
"""Spine AccessReasonCode."""
_MOST_WORDS: Final = 2_000
_OVERRIDE_ID: Final = re.compile(r"[a-z2-7]{1,4000}", re.ASCII)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_WORD: Final = re.compile(r"[A-Za-z_-]{1,40}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a request may name, and how long it may take.

    Attributes:
        categories: every category that the broker has, in their order.
        takes_part: whether the organisation with an ODS code does.
        deadline: seconds, the longest timeout.
    """

    categories: Collection[str]
    takes_part: Callable[[str], bool]
    deadline: float


def today() -> date:
    """The latest date that a clock in the United Kingdom may show now.

    A child born after midnight in summer is not born in the future.
    """
    return datetime.now(UTC).astimezone(timezone(timedelta(hours=1))).date()


async def read_json(request: web.Request, limit: int) -> dict[str, Any]:
    """The body as one JSON object.

    Raises `TooLarge` before much more than `limit` bytes, decompressed, are held; `InvalidRequest` for everything else.
    """
    if request.content_type != "application/json":
        raise InvalidRequest("Send the request as Content-Type: application/json.")
    return parse_json(await read_body(request, limit))


async def read_body(request: web.Request, limit: int) -> bytes:
    """The body, which is text in UTF-8.

    Raises `TooLarge` before much more than `limit` bytes, decompressed, are held; `InvalidRequest` where it does not
    arrive whole.
    """
    if (request.charset or "utf-8").lower() not in {"utf-8", "utf8"}:
        raise InvalidRequest("Send the request in UTF-8.")
    if (request.content_length or 0) > limit:
        raise TooLarge
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for piece in request.content.iter_any():
                body += piece
                if len(body) > limit:
                    raise TooLarge
    except TimeoutError:
        raise InvalidRequest(f"The request body did not arrive within {_BODY_SECONDS:g} s.") from None
    except (web.RequestPayloadError, ValueError):
        raise InvalidRequest("The request body can't be read: check its length and Content-Encoding.") from None
    return bytes(body)


def parse_json(body: bytes) -> dict[str, Any]:
    """`body` as one JSON object without a duplicate key; raises `InvalidRequest`."""
    try:
        document = json.loads(body.decode("utf-8"), object_pairs_hook=_object, parse_constant=_constant)
    except InvalidRequest:
        raise
    except UnicodeDecodeError:
        raise InvalidRequest("The request body is not UTF-8.") from None
    except RecursionError:
        raise InvalidRequest(f"The request body is nested more than {MAX_DEPTH} deep.") from None
    except json.JSONDecodeError as error:
        raise InvalidRequest(f"The request body is not JSON: line {error.lineno}, column {error.colno}.") from None
    except ValueError:
        raise InvalidRequest("The request body is not JSON: a number is too long.") from None
    if not isinstance(document, dict):
        raise InvalidRequest('The request body must be a JSON object, such as {"patient": {...}}.')
    _refuse_depth(document)
    return document


def parse_query(document: Mapping[str, Any], known: Known) -> Query:
    """What `document`, the body of `POST /lookups`, asks for.

    Raises the `RequestError` of the first fault, in the order of the fields in the interface.
    """
    _refuse_unknown(document, _FIELDS, "")
    if "patient" not in document:
        raise PatientRequired
    patient = document["patient"]
    if not isinstance(patient, dict) or not patient:
        raise InvalidRequest("patient: write an object with nhs_number and birth_date.")
    _refuse_unknown(patient, _PATIENT_FIELDS, "patient.")
    return Query(
        nhs_number=_nhs_number(patient.get("nhs_number")),
        birth_date=_birth_date(patient.get("birth_date")),
        categories=_categories(document["categories"], known) if "categories" in document else None,
        timeout=_timeout(document["timeout"], known) if "timeout" in document else None,
        require=_require(document["require"], known) if "require" in document else frozenset(),
        declared=_declared(document["relationship"]) if "relationship" in document else None,
        override=_override(document["override"]) if "override" in document else None,
    )


def override_id(request: web.Request) -> str | None:
    """What the header `Override-Id` says; None where there is none.

    Raises:
        InvalidRequest: there are several, or it is none that the broker made.
    """
    given = request.headers.getall("Override-Id", [])
    if not given:
        return None
    if len(given) > 1 or not _OVERRIDE_ID.fullmatch(given[0]):
        raise InvalidRequest("Override-Id: send the override_id of a reply of POST /lookups, once and as it was given.")
    return given[0]


def preferred(accept: Iterable[str], offered: tuple[str, ...]) -> str:
    """The form among `offered` that the Accept header prefers; the first where it says nothing.

    RFC 9110 section 12.5.1, without parameters other than `q`. Raises `NotSupported` where none will do.
    """
    ranges = [item for line in accept for item in line.split(",") if item.strip()]
    if not ranges:
        return offered[0]
    qualities = [_quality(ranges, form) for form in offered]
    best = max(qualities)
    if best <= 0:
        raise NotSupported(f"The answer comes as {' or '.join(offered)}: name one of them in Accept.")
    return offered[qualities.index(best)]


def _quality(ranges: Iterable[str], form: str) -> float:
    """The `q` of the most specific of `ranges` that covers `form`; 0 where none does."""
    wanted = {form: 2, f"{form.partition('/')[0]}/*": 1, "*/*": 0}
    found = (-1, 0.0)
    for item in ranges:
        name, *parameters = (piece.strip().lower() for piece in item.split(";"))
        if name in wanted:
            found = max(found, (wanted[name], _q(parameters)))
    return found[1]


def _q(parameters: Iterable[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """One JSON object; a key that stands twice is refused, since two readers could take different ones."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise InvalidRequest(f"{_shown(key)} stands twice in the same object.")
        found[key] = value
    return found


def _constant(_: str) -> Any:
    raise InvalidRequest("The request body is not JSON: NaN and Infinity are not numbers.")


def _refuse_depth(document: Any) -> None:
    level = [document]
    for _ in range(MAX_DEPTH):
        level = [
            value
            for item in level
            for value in (item.values() if isinstance(item, dict) else item)
            if isinstance(value, dict | list)
        ]
        if not level:
            return
    raise InvalidRequest(f"The request body is nested more than {MAX_DEPTH} deep.")


def _refuse_unknown(document: Mapping[str, Any], fields: tuple[str, ...], prefix: str) -> None:
    for key in document:
        if key not in fields:
            raise InvalidRequest(f"{prefix}{_shown(key)} is not a field here: there are {', '.join(fields)}.")


def _shown(key: str) -> str:
    return key if _WORD.fullmatch(key) else "A key"


def _nhs_number(value: Any) -> str:
    if not isinstance(value, str) or not nhs_number.is_valid(value):
        raise InvalidNhsNumber
    return value


def _birth_date(value: Any) -> str:
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise InvalidBirthDate
    try:
        born = date.fromisoformat(value)
    except ValueError:
        raise InvalidBirthDate from None
    if born > today():
        raise InvalidBirthDate
    return value


def _declared(value: Any) -> str:
    """The reason that a self-declared relationship gives."""
    if not isinstance(value, dict):
        raise InvalidRequest("relationship: write an object with basis and reason.")
    _refuse_unknown(value, _RELATIONSHIP_FIELDS, "relationship.")
    if value.get("basis") != _SELF_DECLARED:
        raise InvalidRequest(f"relationship.basis: write {_SELF_DECLARED}; any other is asserted by the token.")
    return _text(value.get("reason"), "relationship.reason")


def _override(value: Any) -> Override:
    if not isinstance(value, dict):
        raise InvalidRequest("override: write an object with reason and text.")
    _refuse_unknown(value, _OVERRIDE_FIELDS, "override.")
    reason = value.get("reason")
    if not isinstance(reason, str) or reason not in _OVERRIDE_REASONS:
        raise InvalidRequest(f"override.reason: write one of {', '.join(_OVERRIDE_REASONS)} (Spine AccessReasonCode).")
    return Override(reason=reason, text=_text(value.get("text"), "override.text"))


def _text(value: Any, field: str) -> str:
    """Somebody's own words, for whoever reads them in the journal."""
    words = value.strip() if isinstance(value, str) else ""
    if not 0 < len(words) <= _MOST_WORDS or (not words.isascii() and _has_half_a_character(words)):
        raise InvalidRequest(f"{field}: say why, in 1 to {_MOST_WORDS} characters.")
    return words


def _has_half_a_character(words: str) -> bool:
    """JSON can name half of a surrogate pair, which is no text (RFC 8259, section 8.2)."""
    return any("\ud800" <= letter <= "\udfff" for letter in words)


def _words(value: Any, field: str) -> list[str]:
    if not isinstance(value, list) or not value or not all(isinstance(item, str) and item for item in value):
        raise InvalidRequest(f"{field}: write a list of at least one word, or leave it out.")
    return value


def _categories(value: Any, known: Known) -> frozenset[str]:
    asked = _words(value, "categories")
    unknown = [name for name in asked if name not in known.categories]
    if unknown:
        shown = unknown[0] if _WORD.fullmatch(unknown[0]) else "One of the categories"
        raise UnknownCategory(f"{shown} is not a category: there are {', '.join(known.categories)}.")
    return frozenset(asked)


def _require(value: Any, known: Known) -> frozenset[str]:
    asked = frozenset(_words(value, "require"))
    if not all(map(known.takes_part, asked)):
        raise UnknownOrganisation
    return asked


def _timeout(value: Any, known: Known) -> float:
    try:
        asked = seconds(value if isinstance(value, str) else "")
    except ValueError:
        raise InvalidRequest('timeout: write a time with its unit, such as "3s" or "500ms".') from None
    if asked > known.deadline:
        raise TimeoutTooLong(f"timeout: the longest is {known.deadline:g}s; a caller may only shorten it.")
    return asked
