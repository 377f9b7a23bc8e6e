"""What is told of an alert, and how often: once a minute of a source that always answers about somebody else."""

from collections.abc import Hashable
from dataclasses import dataclass, replace
from datetime import datetime

import msgspec

from broker.alerts.values import Alert, Kind

__all__ = ["Gathering", "Message"]

_OF_ONE_LOOKUP = frozenset({Kind.OVERRIDE, Kind.SELF_DECLARED, Kind.CONTRADICTED, Kind.CONSENT_THIRD_PARTY})
"""Somebody must look at each of these; of the others at the source, the organisation or the policies behind it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is told.

    Attributes:
        id: of the alert; of the latest where it stands for several.
        alert: the same.
        since: when the first of those that it stands for was raised.
        time: when the latest was.
        count: how many it stands for.
    """

    id: str
    alert: Alert
    since: datetime
    time: datetime
    count: int = 1

    def body(self, node: str) -> bytes:
        """As it is sent: JSON that names neither patient nor user, with what to look up in the journal."""
        alert = self.alert
        content = {
            "type": alert.kind,
            "timestamp": self.time,
            "data": {
                "id": self.id,
                "node": node,
                "to": sorted(alert.to),
                "lookup_id": alert.lookup_id,
                "source": alert.source,
                "count": self.count,
                "since": self.since,
            },
        }
        return msgspec.json.encode(content)


class Gathering:
    """Tells the first alert about a thing at once, those that follow within `window` seconds together at its end."""

    def __init__(self, window: float) -> None:
        self._window = window
        self._held: dict[Hashable, tuple[float, Message | None]] = {}

    def raised(self, message: Message, now: float) -> bool:
        """Whether to tell this one now; else it is held. `now` in seconds that only grow."""
        about = _about(message.alert)
        if about not in self._held:
            self._held[about] = now + self._window, None
            return True
        end, held = self._held[about]
        self._held[about] = end, _together(held, message)
        return False

    def due(self, now: float) -> list[Message]:
        """What is to be told now. Whatever was told of now is gathered for another window."""
        told = []
        for about, (end, held) in list(self._held.items()):
            if end > now:
                continue
            if held is None:
                del self._held[about]
            else:
                self._held[about] = now + self._window, None
                told.append(held)
        return told

    def next(self) -> float | None:
        """When `due` has something to do next, or None."""
        return min((end for end, _ in self._held.values()), default=None)

    def rest(self) -> list[Message]:
        """All that is held, and nothing any more."""
        held = [message for _, message in self._held.values() if message is not None]
        self._held.clear()
        return held


def _about(alert: Alert) -> Hashable:
    if alert.kind in _OF_ONE_LOOKUP:
        return alert.kind, alert.lookup_id, alert.source
    return alert.kind, alert.source, frozenset(alert.to)


def _together(held: Message | None, latest: Message) -> Message:
    return latest if held is None else replace(latest, since=held.since, count=held.count + latest.count)
