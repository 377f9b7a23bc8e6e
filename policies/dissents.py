"""What a patient told one organisation about sharing its record, as codes in that record say it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal

from policies.values import Coding

__all__ = ["Dissents"]

_PARTIAL = re.compile(r"([0-9]{4})(?:-([0-9]{2}))?")
_FIRST = datetime.min.replace(tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)

_SUMMER = timedelta(hours=1)
"""Local time in London is UTC, or an hour before it: a time without a zone may be either."""


@dataclass(frozen=True, slots=True)
class Dissents:
    """The codes of dissent.toml, each in every spelling under which a source may send it.

    Attributes:
        refused: this organisation's record must not be shared.
        given: it may, if validly given after the refusal.
        referred: for the privacy officer to read; decides nothing.
        types: the FHIR types that may carry one.
    """

    refused: frozenset[Coding]
    given: frozenset[Coding]
    referred: frozenset[Coding]
    types: tuple[str, ...]

    @property
    def codings(self) -> frozenset[Coding]:
        """Every code that matters: what sources are asked for."""
        return self.refused | self.given | self.referred

    def standing(
        self, dated: Iterable[tuple[Coding, str | None]], today: date | None = None
    ) -> Literal["refused", "none"]:
        """Whether codes found in one organisation's record, each with its FHIR date or dateTime, amount to refusal.

        The latest dated of refusal and consent wins. A consent ends a refusal only if it was certainly said later: a
        refusal without a date that can be read counts as the latest, a consent without one as the earliest; a year
        means its last moment for the one, its first for the other; said at the same moment, the refusal holds. A
        consent dated after `today` is not given yet; a refusal is honoured whatever its date.
        """
        refusals, consents = [], [_FIRST]
        future = _LAST if today is None else _midnight(today + timedelta(days=1)) - _SUMMER
        for coding, when in dated:
            if coding in self.refused:
                refusals.append(_span(when)[1])
            elif coding in self.given and (said := _span(when)[0]) < future:
                consents.append(said)
        return "refused" if refusals and max(refusals) >= max(consents) else "none"


def _span(when: str | None) -> tuple[datetime, datetime]:
    """The earliest and the latest moment that a FHIR date or dateTime may mean; all of time where it can't be read."""
    try:
        return _read(when or "")
    except (ValueError, OverflowError):
        return _FIRST, _LAST


def _read(when: str) -> tuple[datetime, datetime]:
    if partial := _PARTIAL.fullmatch(when):
        year, month = int(partial[1]), int(partial[2] or 0)
        first = date(year, month or 1, 1)
        after = date(year + (month in {0, 12}), month % 12 + 1 if month else 1, 1)
    elif len(when) == len("2026-01-31"):
        first = date.fromisoformat(when)
        after = first + timedelta(days=1)
    else:
        moment = datetime.fromisoformat(when)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC), moment.astimezone(UTC)
        return moment.replace(tzinfo=UTC) - _SUMMER, moment.replace(tzinfo=UTC)
    return _midnight(first) - _SUMMER, _midnight(after) - timedelta(microseconds=1)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
