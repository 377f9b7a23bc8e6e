"""How much of this node one person, and one organisation, may have.

Two bounds on each: lookups at once, and lookups a minute. The second is a bucket: it holds a minute's worth, so that
whoever opens many records after a pause is not held up, and fills again evenly. The defaults are far above what a
person at work or a whole trust asks; what meets them is a program that has run away. Who is refused takes nothing
from the bucket: hammering does not make it worse, and not better either.

Only what bounds somebody at present is remembered. A bucket that nobody touched for a minute is full, so it is
forgotten after that; where there are more persons than are remembered, the bucket longest untouched goes, and the
organisation's bounds them.

**Birth dates that were not confirmed.** Whoever has a number and tries birth dates, or a birth date and tries numbers,
learns from each answer. So after a few in a quarter of an hour a person is answered nothing, the right one included,
until the oldest of them is forgotten. A mistake or two at a keyboard does not come near it. As many different birth
dates, and one more, are taken for one number in that time, whatever is said of them: many asked at once are over before
the first is answered, and a record that has the year alone agrees with each of its days.
"""

import time
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final

import structlog
from cachetools import TTLCache

from adapters.contract import Requester
from broker.auth import Refusals
from broker.errors import TooManyRequests

__all__ = ["Quota", "Quotas", "Unconfirmed"]

_log = structlog.get_logger()

_MINUTE: Final = 60.0
_QUARTER: Final = 900.0
"""Seconds for which a birth date that was not confirmed counts."""
_REMEMBERED: Final = 20_000
_SOON: Final = 1.0
"""Seconds after which to ask again where there are too many at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What one of a kind may have: lookups a minute, and at once."""

    per_minute: int
    at_once: int


class Quotas:
    """Every bound on callers, on this node.

    Attributes:
        unconfirmed: birth dates that were not confirmed, by person.
    """

    def __init__(
        self, *, user: Quota, organisation: Quota, unconfirmed: int = 5, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.unconfirmed = Unconfirmed(unconfirmed, now)
        self._user = _Bounds(user, "person", now)
        self._organisation = _Bounds(organisation, "organisation", now)

    def enter(self, requester: Requester) -> Callable[[], None]:
        """One more lookup of this person; what is given back is called once, when nothing of it is held any more.

        Raises:
            TooManyRequests: of theirs, or of their organisation's; or too many of their birth dates were not confirmed.
        """
        self.unconfirmed.check(requester)
        user, organisation = (requester.issuer, requester.subject), requester.organisation
        self._user.check(user)
        self._organisation.check(organisation)
        self._user.take(user)
        self._organisation.take(organisation)

        def leave() -> None:
            self._user.leave(user)
            self._organisation.leave(organisation)

        return leave


class Unconfirmed:
    """Birth dates that were not confirmed, of each person.

    Args:
        most: in a quarter of an hour, after which nothing is answered.
    """

    def __init__(self, most: int = 5, now: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._now = now
        self._times: TTLCache[Hashable, tuple[float, ...]] = TTLCache(_REMEMBERED, _QUARTER, now)
        self._tried: TTLCache[int, tuple[int, ...]] = TTLCache(_REMEMBERED, _QUARTER, now)
        self._refused = Refusals(timer=now)

    def take(self, requester: Requester, number: str, birth_date: str) -> None:
        """One birth date for a number, before anybody is asked. Raises TooManyRequests for one too many of them."""
        # Hashes, which Python salts anew in each process: whose record was asked for is not kept.
        who, when = hash((requester.issuer, requester.subject, number)), hash(birth_date)
        tried = self._tried.get(who, ())
        if when in tried:
            return
        if len(tried) > self._most:  # the right one is among them
            raise self._too_many(_QUARTER)
        self._tried[who] = (*tried, when)

    def check(self, requester: Requester) -> None:
        """Raise TooManyRequests where this person had too many, with when the oldest of them is forgotten."""
        times = self._recent(requester)
        if len(times) >= self._most:
            raise self._too_many(times[0] + _QUARTER - self._now())

    def _too_many(self, wait: float) -> TooManyRequests:
        count = self._refused.due("unconfirmed")
        if count is not None:
            _log.warning("lookup.too-many", whose="unconfirmed", count=count)
        words = f"Too many dates of birth did not belong to the number ({self._most} in 15 minutes): wait."
        return TooManyRequests(words, retry_after=wait)

    def note(self, requester: Requester) -> None:
        """One more. Raises TooManyRequests where this person had too many already: then it is not said either."""
        self.check(requester)
        self._times[requester.issuer, requester.subject] = (*self._recent(requester), self._now())

    def _recent(self, requester: Requester) -> tuple[float, ...]:
        since = self._now() - _QUARTER
        return tuple(one for one in self._times.get((requester.issuer, requester.subject), ()) if one > since)


class _Bounds:
    """The bounds on each of one kind."""

    def __init__(self, quota: Quota, whose: str, now: Callable[[], float]) -> None:
        self._quota = quota
        self._whose = whose
        self._now = now
        self._rate = quota.per_minute / _MINUTE
        self._buckets: TTLCache[Hashable, tuple[float, float]] = TTLCache(_REMEMBERED, _MINUTE, now)
        self._running: Counter[Hashable] = Counter()
        self._refused = Refusals(timer=now)

    def check(self, who: Hashable) -> None:
        if self._running[who] >= self._quota.at_once:
            words = (
                f"More lookups at once than one {self._whose} may make ({self._quota.at_once}): wait for some to end."
            )
            raise self._too_many(words, _SOON)
        lacking = 1.0 - self._level(who)
        if lacking > 0:
            words = f"More lookups than one {self._whose} may make ({self._quota.per_minute} a minute): wait."
            raise self._too_many(words, lacking / self._rate)

    def _too_many(self, words: str, wait: float) -> TooManyRequests:
        count = self._refused.due(self._whose)
        if count is not None:
            _log.warning("lookup.too-many", whose=self._whose, count=count)
        return TooManyRequests(words, retry_after=wait)

    def take(self, who: Hashable) -> None:
        self._buckets[who] = (self._level(who) - 1.0, self._now())
        self._running[who] += 1

    def leave(self, who: Hashable) -> None:
        self._running[who] -= 1
        if self._running[who] <= 0:
            del self._running[who]

    def _level(self, who: Hashable) -> float:
        full = float(self._quota.per_minute)
        level, since = self._buckets.get(who, (full, 0.0))
        return min(full, level + (self._now() - since) * self._rate)
