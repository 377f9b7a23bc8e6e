"""What can go wrong at a source, and what each thing becomes.

    AdapterError
    ├── PatientNotFound     the source answered: it does not know this patient
    ├── SourceFailed        5xx, any other unexpected status, or an error outcome
    ├── SourceRefused       401 or 403: our access to it is out of order
    ├── SourceUnreachable   DNS, connect, TLS, or lost before an answer began   (also ConnectionError)
    ├── SourceTimedOut      no full answer in its time                          (also TimeoutError)
    ├── SourceBusy          429, or our own cap for it; may say when to try again
    ├── SourceMalformed     its answer can't be read, or stops half way         (also ValueError)
    └── SourceTruncated     more than we take, or less than it said it has

Each leaf carries the `Finding` that the caller puts down for every type that the failure cost.
Messages are the broker's own words: never a body, a header, an identifier or an address of a source.
"""

from typing import ClassVar

from adapters.findings import Finding

__all__ = [
    "AdapterError",
    "PatientNotFound",
    "SourceBusy",
    "SourceFailed",
    "SourceMalformed",
    "SourceRefused",
    "SourceTimedOut",
    "SourceTruncated",
    "SourceUnreachable",
]


class AdapterError(Exception):
    """A source could not give what was asked of it.

    Attributes:
        note: in the broker's own words.
        retry_after: seconds, where the source said when to try again.
        passing: the same request may well succeed in a moment.
    """

    finding: ClassVar[Finding] = Finding.FAILED

    def __init__(self, note: str = "", *, retry_after: float | None = None, passing: bool = False) -> None:
        super().__init__(note)
        self.note = note
        self.retry_after = retry_after
        self.passing = passing


class PatientNotFound(AdapterError):
    """The source answered in full: no record of the identity set. `finding` is ANSWERED, with nothing in it."""

    finding = Finding.ANSWERED


class SourceFailed(AdapterError):
    """5xx, a redirect, 400, 410 or any other unexpected status, or an OperationOutcome of severity error.

    `status` is of HTTP, where that is what was unexpected.
    """

    finding = Finding.FAILED

    def __init__(
        self, note: str = "", *, retry_after: float | None = None, passing: bool = False, status: int | None = None
    ) -> None:
        super().__init__(note, retry_after=retry_after, passing=passing)
        self.status = status


class SourceRefused(AdapterError):
    """401 or 403: the source refuses the broker."""

    finding = Finding.REFUSED


class SourceUnreachable(AdapterError, ConnectionError):
    """Name resolution, connection or TLS failed, or the connection was lost before an answer began.

    `connected` says which: where it was lost, there is a host, and others behind it may be well.
    """

    finding = Finding.UNREACHABLE

    def __init__(
        self, note: str = "", *, retry_after: float | None = None, passing: bool = False, connected: bool = False
    ) -> None:
        super().__init__(note, retry_after=retry_after, passing=passing)
        self.connected = connected


class SourceTimedOut(AdapterError, TimeoutError):
    """The source's own time, or the lookup's, ended before a full answer."""

    finding = Finding.TIMED_OUT


class SourceBusy(AdapterError):
    """429, or our own cap for this source is reached; `retry_after` in seconds where it said so."""

    finding = Finding.BUSY


class SourceMalformed(AdapterError, ValueError):
    """The answer is not what the protocol says it must be, or it stops half way."""

    finding = Finding.MALFORMED


class SourceTruncated(AdapterError):
    """A cap on bytes or pages was reached, or the source gave less than it said it has."""

    finding = Finding.TRUNCATED
