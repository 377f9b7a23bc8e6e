"""`[identity] kind = "pds"`: the Personal Demographics Service itself, FHIR R4.

It has no search by NHS number. So a number and a date of birth are confirmed by retrieving the number, and comparing
the date here. What its answers mean is in `pds`; this asks.

A number that is superseded is answered with the Patient of another. That one is asked for too, until a number answers
for itself: objections may stand under any of them, and the last is the one believed. Every one of them must have the
date of birth. What fails half way leaves no person confirmed, but nothing that was learned is forgotten where it
forbids: the numbers stay, and so does a restriction.

Nothing is kept from one lookup to the next.
"""

import asyncio
import datetime as dt
import uuid
from collections.abc import Callable
from typing import Final

from adapters.contract import Auth, Identity, Limits, Source
from adapters.errors import AdapterError, SourceRefused, SourceTruncated
from adapters.findings import Finding
from adapters.transport import Answer, Transport
from broker.errors import IdentityNotConfirmed
from broker.identity import pds
from broker.identity.people import agrees, person_of
from broker.identity.tokens import KIND, Tokens
from broker.identity.values import IdentityStatus, Person

__all__ = ["PdsIdentity"]

_NAME: Final = "identity"
"""Of its row. Names of sources have a hyphen, so none is the same."""

_MOST_HOPS: Final = 4
"""Answers for one person, the last included: numbers are merged by hand, and seldom twice."""

_GONE: Final = 404
_ERRORS: Final = range(400, 600)

_STATUS_OF: Final[dict[Finding, IdentityStatus]] = {
    Finding.BUSY: "busy",
    Finding.TIMED_OUT: "timed-out",
    Finding.UNREACHABLE: "unreachable",
    Finding.REFUSED: "refused",
    Finding.FAILED: "failed",
    Finding.MALFORMED: "malformed",
}


class _Fault(Exception):
    """It said something else than who this is."""

    def __init__(self, status: IdentityStatus, retry_after: float | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.retry_after = retry_after


class _Trail:
    """What was learned on the way to the current number.

    Attributes:
        numbers: the one asked for, and those that it led to.
        restricted: some answer was of a restricted patient.
    """

    __slots__ = ("numbers", "restricted")

    def __init__(self, number: str) -> None:
        self.numbers = [number]
        self.restricted = False

    def unconfirmed(
        self, birth_date: str, status: IdentityStatus, elapsed_ms: int, retry_after: float | None = None
    ) -> Person:
        """Nobody is confirmed; what forbids still does."""
        asked, *others = self.numbers
        return Person(
            identity=Identity(numbers=(asked, *sorted(others)), birth_date=birth_date),
            restricted="yes" if self.restricted else "unknown",
            status=status,
            elapsed_ms=elapsed_ms,
            retry_after=retry_after,
        )


class PdsIdentity:
    """Asks the service.

    Args:
        transport: shared with the sources.
        base_url: what stands before `/Patient`, without a trailing slash.
        auth: how the broker shows itself.
        timeout: seconds, the most that it gets, for all that one lookup asks of it.
        organisation: ODS code that it is told as the end user's; None for the reader's own.
        connections: requests at once.
        today: which names, addresses and registrations are current.

    Raises:
        AuthNotUsable: `auth` lacks a setting, or has a key that can't sign.
        ValueError: `base_url` is no address.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        base_url: str,
        auth: Auth | None = None,
        timeout: float = 1.0,
        organisation: str | None = None,
        connections: int = 64,
        today: Callable[[], dt.date] = dt.date.today,
    ) -> None:
        auth = auth or Auth()
        self._tokens = Tokens(transport, auth) if auth.kind == KIND else None
        source = Source(
            name=_NAME,
            organisation=organisation or "",
            kind="pds",
            base_url=base_url,
            timeout=timeout,
            auth=Auth() if self._tokens else auth,
            limits=Limits(bytes=_MOST_HOPS * pds.MOST_BYTES, pages=0, connections=connections),
        )
        self._channel = transport.open(source)
        self._timeout = timeout
        self._organisation = organisation
        self._today = today

    async def resolve(self, number: str, birth_date: str, deadline: float, organisation: str) -> Person:
        """As `IdentityService.resolve`."""
        clock = asyncio.get_running_loop().time
        began = clock()
        until = min(deadline, began + self._timeout)
        trail = _Trail(number)
        try:
            async with asyncio.timeout_at(until):
                found = await self._follow(trail, birth_date, until, self._organisation or organisation)
        except _Fault as fault:
            return trail.unconfirmed(birth_date, fault.status, _milliseconds(clock() - began), fault.retry_after)
        except TimeoutError:
            return trail.unconfirmed(birth_date, "timed-out", _milliseconds(clock() - began))
        elapsed_ms = _milliseconds(clock() - began)
        return person_of(found, number, birth_date, others=trail.numbers, today=self._today(), elapsed_ms=elapsed_ms)

    async def _follow(self, trail: "_Trail", birth_date: str, until: float, organisation: str) -> pds.Patient:
        """What is said of the current number. Raises _Fault, or IdentityNotConfirmed."""
        while True:
            asked = trail.numbers[-1]
            found = await self._retrieve(asked, until, organisation)
            trail.restricted |= found.restricted == "yes"
            if found.id == asked:
                return found
            if not agrees(found, birth_date):
                raise IdentityNotConfirmed
            if found.id in trail.numbers or len(trail.numbers) == _MOST_HOPS:
                del trail.numbers[1:]  # they contradict each other: whose these are, nobody can say
                raise _Fault("malformed")
            trail.numbers.append(found.id)

    async def _retrieve(self, number: str, until: float, organisation: str) -> pds.Patient:
        """The Patient that a number is answered with. Raises _Fault."""
        headers = {"Accept": "application/fhir+json", "NHSD-End-User-Organisation-ODS": organisation}
        try:
            return _said(await self._get(f"/Patient/{number}", until, headers))
        except SourceTruncated:
            raise _Fault("malformed") from None
        except AdapterError as error:
            raise _Fault(_STATUS_OF[error.finding], error.retry_after) from None

    async def _get(self, target: str, until: float, headers: dict[str, str]) -> Answer:
        """Ask, as somebody whom the service knows; a token that it takes no more is not used again."""
        token = ""
        if self._tokens is not None:
            token = await self._tokens.token(until)
            headers["Authorization"] = f"Bearer {token}"
        exchange = self._channel.exchange(deadline=until, correlation_id=str(uuid.uuid4()), headers=headers)
        try:
            return await exchange.get(target)
        except SourceRefused:
            if self._tokens is not None:
                self._tokens.forget(token)
            raise


def _said(answer: Answer) -> pds.Patient:
    """A Patient. Raises _Fault where the service has no such number, or can't be understood."""
    gone = answer.status == _GONE
    if answer.status in _ERRORS and not gone:
        raise _Fault("failed")
    try:
        found = pds.read(answer.body)
    except pds.PdsFailed:
        raise _Fault("failed") from None
    except pds.PdsMalformed:
        # Something before the service may say 404 too, in its own words: it is away, not wrong.
        raise _Fault("failed" if gone else "malformed") from None
    if isinstance(found, pds.Missing):
        raise _Fault("patient-not-found")
    if gone:
        raise _Fault("malformed")
    return found


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
