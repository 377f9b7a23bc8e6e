"""The operational log: JSON lines on standard error, apart from the journal, and without anybody in them.

    broker.started     the service listens
    broker.stopping    a signal came: no new request is taken, those begun are finished
    broker.stopped     every lookup has its outcome, and the journal is closed
    policies.notice    what the policy set says is missing without being a fault
    policies.undecidable   a policy failed on a question, which counted as forbidden; its action and ids
    registry.notice    what an operator should know of an organisation, such as an agreement that ends soon
    registry.untold    the registrar could not be told of it; it is tried again
    alert.raised       somebody must be told: the kind and the id of an alert, whose record in the journal says the rest
    alert.unsent       what receives alerts would not take one after three days
    alert.dropped      more alerts at once than are kept for sending; they are in the journal
    alerts.receiver-failed, alerts.receiver-back   what receives alerts does not take them; it takes them again
    alerts.outbox-failed, alerts.fault             alerts can't be kept or sent for now; the type of the exception
    source.failed      a source that answered does not, or not as it must; its name and the status of its row
    source.back        it answers again
    source.unjudged    what a source gave could not be judged; its name, and the type of the exception
    lookup.overloaded  lookups were turned away, and which setting bounds them; a line a second, with the count since
    lookup.too-many    somebody met the bounds of one person or organisation, or tried dates of birth (429); the same
    lookup.fault       something failed in a lookup that should not; the type of the exception, never its words
    adapter.fault      an adapter failed as the contract does not allow; its name, and the type of the exception
    adapter.outlasted  an adapter went on after it was told to stop; its name
    request.failed     something failed in a request that should not; the type of the exception, never its words
    loop.failed        the same, outside of any request; a line a second for each type, with the count of those since
    log.own            a room of the broker says something at level warning or above, in its own fixed words
    log.library        a library does; its words are left out, for they may hold an address or more

Rooms that follow something (the objection register, a source) say with events of their own when they lost and found it.
"""

import asyncio
import logging
import sys
from contextlib import suppress
from enum import StrEnum
from typing import Any, Final

import msgspec
import structlog

from broker.auth import Refusals

__all__ = ["Operation", "forwarding_logger", "log", "log_to_stderr", "take_over"]

_OWN: Final = frozenset({"adapters", "broker", "policies"})
_logger = structlog.get_logger()


class Operation(StrEnum):
    """The catalogue."""

    STARTED = "broker.started"
    STOPPING = "broker.stopping"
    STOPPED = "broker.stopped"
    NOTICE = "policies.notice"
    REQUEST_FAILED = "request.failed"
    LOOP_FAILED = "loop.failed"
    OWN = "log.own"
    LIBRARY = "log.library"


_LEVELS: Final = {
    Operation.NOTICE: logging.WARNING,
    Operation.REQUEST_FAILED: logging.ERROR,
    Operation.LOOP_FAILED: logging.ERROR,
    Operation.OWN: logging.WARNING,
    Operation.LIBRARY: logging.WARNING,
}


def log(operation: Operation, **fields: Any) -> None:
    """Write one line. `fields` name no patient, no reader, no token and no address of a source."""
    _logger.log(_LEVELS.get(operation, logging.INFO), operation.value, **fields)


def log_to_stderr() -> None:
    """Make every structlog logger of this process write JSON lines on standard error."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            _render,
        ],
        logger_factory=lambda *_: _Stderr(),
        cache_logger_on_first_use=False,
    )


def take_over() -> None:
    """Let no library write on standard error what it likes, in a process that is the service and nothing else.

    The standard library's loggers and the loop's own last words go the same way as the broker's.
    """
    log_to_stderr()
    logging.getLogger().handlers[:] = [_Forward(logging.WARNING)]
    asyncio.get_running_loop().set_exception_handler(_LoopFailed())


def forwarding_logger(name: str) -> logging.Logger:
    """A logger for a library, of which only that it said something is passed on. Not known to others by its name."""
    logger = logging.Logger(name, logging.WARNING)  # noqa: LOG001 - on purpose outside the tree of the process
    logger.addHandler(_Forward())
    return logger


class _Forward(logging.Handler):
    """Passes lines of the standard library's loggers on."""

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, Any] = {"logger": record.name}
        if record.exc_info and record.exc_info[0]:
            fields["exception"] = record.exc_info[0].__name__
        if record.name.partition(".")[0] in _OWN:
            log(Operation.OWN, message=record.getMessage(), **fields)
        else:
            log(Operation.LIBRARY, **fields)


class _Stderr:
    """Looks standard error up for each line, so that whoever replaces it gets them."""

    @staticmethod
    def _write(line: str) -> None:
        # A full disk under standard error must stop neither who logs nor what is logged of it.
        with suppress(OSError):
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()

    debug = info = warning = error = critical = _write


def _render(_: object, __: str, event: structlog.typing.EventDict) -> str:
    return msgspec.json.encode(event, enc_hook=lambda value: type(value).__name__).decode()


class _LoopFailed:
    """The loop's last words: it may fail thousands of times a second, and a log is a disk that fills."""

    def __init__(self) -> None:
        self._failures = Refusals()

    def __call__(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        exception = context.get("exception")
        name = type(exception).__name__ if exception else None
        count = self._failures.due(name or "")
        if count is not None:
            log(Operation.LOOP_FAILED, exception=name, count=count)
