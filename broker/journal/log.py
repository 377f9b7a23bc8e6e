"""The journal's own structlog logger: fixed processors, its own wrapper, no part in the global configuration.

An event becomes a record (typed, with its place in the chain) and the record a line, or an exception says why not: no
processor filters, and a sink's answer always reaches the caller.
"""

from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any, Generic, Protocol, TypeVar

import structlog

from broker.journal import record
from broker.journal.chain import Link

__all__ = ["Log", "Sink"]

T_co = TypeVar("T_co", covariant=True)


class Sink(Protocol[T_co]):
    """Where lines go, one after the other."""

    @property
    def last(self) -> Link:
        """The end of the chain, which the next line must name."""
        ...

    def append(self, line: bytes) -> T_co:
        """Add the line to the chain."""
        ...


class _Wrapper(structlog.BoundLoggerBase):
    def append(self, event: str, fields: dict[str, Any]) -> Any:
        return self._proxy_to_logger("append", event, **fields)


class Log(Generic[T_co]):
    """Turns events into lines for one sink. Not safe across threads: whoever shares it takes turns."""

    def __init__(self, node: str, sink: Sink[T_co]) -> None:
        self._node = node
        self._sink = sink
        self._logger = _Wrapper(sink, [self._stamp, _type, _encode], {})

    def append(self, event: str, fields: dict[str, Any]) -> T_co:
        """Put down one event; what the sink answers.

        Raises:
            RecordError: the catalogue does not have this event or one of its fields.
        """
        answer: T_co | None = self._logger.append(event, fields)
        if answer is None:
            raise RuntimeError("an event was dropped on its way to the journal")
        return answer

    def _stamp(self, _logger: Any, _method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        last = self._sink.last
        fields["schema"] = record.SCHEMA
        fields["seq"] = last.seq + 1
        fields["node"] = self._node
        fields["time"] = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        fields["previous"] = last.hash
        return fields


def _type(_logger: Any, _method: str, fields: MutableMapping[str, Any]) -> Any:
    return record.make(fields)


def _encode(_logger: Any, _method: str, made: Any) -> bytes:
    return record.encode(made)
