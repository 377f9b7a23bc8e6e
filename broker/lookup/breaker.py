"""A source that is down, or asks to be left alone, costs nobody time.

After some failures in a row a source is paused, for a time that doubles, with jitter, up to a cap. Then it is half
open: exactly one call probes it, all others go on seeing it paused, until that call says something of the source; one
that ends without a word (its caller left) leaves the next to probe. Driven by real calls, not by pings. Keyed by
`base_url`; failures to connect count for the whole host, since many sources may stand behind one proxy.

A source that said when to come back (`Retry-After`, with 429 or 503) is not asked before that, whatever the count of
its failures: then it is open to everybody, for it was not down.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from broker.lookup.values import Status
from broker.lookup.watch import Watch

__all__ = ["Breaker", "Breakers", "Call", "Paused"]

_THRESHOLD: Final = 5
_BASE: Final = 1.0
_CAP: Final = 60.0
_LONGEST_REST: Final = 300.0
"""Seconds: what a source asks for beyond that may be a mistake, and a patient's record waits behind it."""

_COUNTED: Final = frozenset({Status.FAILED, Status.UNREACHABLE, Status.TIMED_OUT})

_FAILING: Final = "paused after failures in a row"
_RESTING: Final = "it asked to be left alone for a while"


class Paused(Exception):
    """The source is not asked now.

    Attributes:
        retry_after: seconds until it is.
        status: what its row says: `paused`, or `busy` where it has too many requests.
        note: why.
    """

    def __init__(self, retry_after: float, status: Status = Status.PAUSED, note: str = _FAILING) -> None:
        super().__init__(note)
        self.retry_after = retry_after
        self.status = status
        self.note = note


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One call of a source, from `Breakers.enter` to `Breakers.note`."""

    base_url: str


@dataclass(slots=True)
class Breaker:
    """Closed until `_THRESHOLD` failures in a row; then open for a while; then open to one probe at a time."""

    now: Callable[[], float]
    failures: int = 0
    pauses: int = 0
    until: float = 0.0
    probe: Call | None = None

    def check(self) -> None:
        """Raise `Paused` unless a call may be made."""
        wait = self.until - self.now()
        if wait > 0:
            raise Paused(wait)
        if self.probe is not None:
            raise Paused(_BASE)

    def enter(self, call: Call) -> None:
        """A call is made: after a pause it is the probe."""
        if self.pauses:
            self.probe = call

    def succeeded(self) -> None:
        """The source answered: all is forgotten."""
        self.failures = self.pauses = 0
        self.until = 0.0
        self.probe = None

    def failed(self, call: Call) -> None:
        """One more failure; a failed probe pauses for longer."""
        if self.until > self.now() or (self.probe is not None and self.probe is not call):
            return  # a call from before the pause: what it says is known
        self.failures += 1
        self.probe = None
        if self.pauses or self.failures >= _THRESHOLD:
            span = min(_CAP, _BASE * 2**self.pauses)
            self.pauses = min(self.pauses + 1, 10)
            self.until = self.now() + span * random.uniform(0.5, 1.0)  # noqa: S311

    def left(self, call: Call) -> None:
        """The call ended without saying anything of the source: where it was the probe, whoever comes next may be."""
        if self.probe is call:
            self.probe = None


class Breakers:
    """Every breaker of this node.

    Attributes:
        watch: tells the operator how sources are.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.watch = Watch(now)
        self._now = now
        self._breakers: dict[str, Breaker] = {}
        self._resting: dict[str, tuple[float, Status]] = {}

    def _of(self, base_url: str) -> tuple[Breaker, Breaker]:
        parts = urlsplit(base_url)
        host = f"{parts.scheme}://{parts.netloc}"
        return (
            self._breakers.setdefault(f"connect {host}", Breaker(self._now)),
            self._breakers.setdefault(base_url, Breaker(self._now)),
        )

    def enter(self, base_url: str) -> Call:
        """A call is about to be made. Raises `Paused` where it must not be."""
        until, status = self._resting.get(base_url, (0.0, Status.PAUSED))
        if until > self._now():
            raise Paused(until - self._now(), status, _RESTING)
        breakers = self._of(base_url)
        for one in breakers:
            one.check()
        call = Call(base_url)
        for one in breakers:
            one.enter(call)
        return call

    def note(
        self,
        call: Call,
        status: Status | None,
        *,
        connected: bool = False,
        busy: bool = False,
        retry_after: float | None = None,
    ) -> None:
        """What came of a call.

        Args:
            call: of which each is noted once, however it ended.
            status: of the source; None says nothing of it (the caller left, or gave it little time).
            connected: it was reached, though it is unreachable: then it takes nobody down with it, its proxy is there.
            busy: it said that it has too many requests, in this call or in a part of it.
            retry_after: seconds that it asked to be left alone for.
        """
        host, own = self._of(call.base_url)
        try:
            self._heed(call, status, host, own, connected=connected)
        finally:  # whatever happens, nobody waits for a call that is over
            host.left(call)
            own.left(call)
        if retry_after:
            until = self._now() + min(retry_after, _LONGEST_REST)
            rest = (until, Status.BUSY if busy else Status.PAUSED)
            self._resting[call.base_url] = max(rest, self._resting.get(call.base_url, rest))

    def _heed(self, call: Call, status: Status | None, host: Breaker, own: Breaker, *, connected: bool) -> None:
        """What a call says of a source and its host; None says nothing."""
        if status is Status.UNREACHABLE and not connected:
            host.failed(call)
            own.failed(call)
        elif status in _COUNTED:
            if status is not Status.TIMED_OUT:  # it could be connected to; else nobody can say that it could not
                host.succeeded()
            own.failed(call)
        elif status is not None:
            host.succeeded()
            own.succeeded()
