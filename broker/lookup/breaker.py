"""A source that is down costs nobody time: after some failures in a row it is paused, and tried again by one call.

Driven by real calls, not by pings. Keyed by `base_url`; failures to connect count for the whole host, since many
sources may stand behind one proxy.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from broker.lookup.values import Status

__all__ = ["Breaker", "Breakers", "Paused"]

_THRESHOLD = 5
_BASE = 1.0
_CAP = 60.0

_COUNTED = frozenset({Status.FAILED, Status.UNREACHABLE, Status.TIMED_OUT})


class Paused(Exception):
    """The breaker is open; `retry_after` in seconds says when the source is tried again."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("paused after failures")
        self.retry_after = retry_after


@dataclass(slots=True)
class Breaker:
    """Closed until `_THRESHOLD` failures in a row; then open for a time that doubles, with jitter, up to a cap."""

    now: Callable[[], float]
    failures: int = 0
    pauses: int = 0
    until: float = 0.0
    probing: bool = False

    def check(self) -> None:
        """Raise `Paused` unless a call may be made."""
        wait = self.until - self.now()
        if wait > 0:
            raise Paused(wait)
        if self.probing:
            raise Paused(_BASE)

    def enter(self) -> bool:
        """A call is made. True where it is the probe: after a pause, the only call until its outcome is known."""
        self.probing = self.pauses > 0
        return self.probing

    def succeeded(self) -> None:
        """The source answered: all is forgotten."""
        self.failures = self.pauses = 0
        self.until = 0.0
        self.probing = False

    def failed(self) -> None:
        """One more failure; a failed probe pauses for longer."""
        if self.until > self.now():
            return  # a call from before the pause: what it says is known
        self.failures += 1
        self.probing = False
        if self.pauses or self.failures >= _THRESHOLD:
            span = min(_CAP, _BASE * 2**self.pauses)
            self.pauses = min(self.pauses + 1, 10)
            self.until = self.now() + span * random.uniform(0.5, 1.0)  # noqa: S311

    def left(self) -> None:
        """The call ended without saying anything of the source: whoever comes next may probe."""
        self.probing = False


class Breakers:
    """Every breaker of this node."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._breakers: dict[str, Breaker] = {}

    def _of(self, base_url: str) -> tuple[Breaker, Breaker]:
        parts = urlsplit(base_url)
        host = f"{parts.scheme}://{parts.netloc}"
        return (
            self._breakers.setdefault(f"connect {host}", Breaker(self._now)),
            self._breakers.setdefault(base_url, Breaker(self._now)),
        )

    def enter(self, base_url: str) -> bool:
        """A call is about to be made; whether it is a probe. Raises `Paused` where either breaker is open."""
        host, own = self._of(base_url)
        host.check()
        own.check()
        probes = (host.enter(), own.enter())
        return any(probes)

    def note(self, base_url: str, status: Status | None, *, probe: bool = True, connected: bool = False) -> None:
        """What came of the call: None where it says nothing of the source (the caller left, or gave it little time).

        A call that was no probe, such as one from before the outage, leaves the probe of another alone. A source that
        is unreachable though it was `connected` to takes nobody down with it: its proxy is there.
        """
        host, own = self._of(base_url)
        if status is None:
            if probe:
                host.left()
                own.left()
        elif status is Status.UNREACHABLE and not connected:
            host.failed()
            own.failed()
        elif status in _COUNTED:
            # It could be connected to, or nobody can say that it could not.
            host.left() if status is Status.TIMED_OUT else host.succeeded()
            own.failed()
        else:
            host.succeeded()
            own.succeeded()
