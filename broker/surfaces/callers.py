"""Who is at the door, and what is written down of those who do not get in.

Every refusal of a known caller counts. But no bound on lookups holds up who asks for what is refused, and a record
each could fill the disk: of one person and code the first in a second is recorded at once, and all that follow in that
second are counted, and recorded together when it is over.
"""

import asyncio
from contextlib import suppress
from typing import Any, Final

from aiohttp import hdrs, web

from broker.auth import Caller, Refusals
from broker.errors import BrokerError, JournalUnavailable, NotAuthenticated, PatientMismatch
from broker.journal import Journal
from broker.lookup.values import Query
from broker.surfaces.door import let_in
from broker.surfaces.rooms import AUTHENTICATOR, JOURNAL, KEYS, POLICIES, REFUSALS

__all__ = ["REPEATS", "Repeats", "authenticated", "must_be_about", "record_outstanding", "refused"]

_INTERVAL: Final = 1.0
"""Seconds that one record of repeated refusals stands for."""


class Repeats:
    """Refusals of known callers that repeat one of the same code, counted over a second. Used from one loop."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._since: dict[tuple[str, ...], tuple[asyncio.TimerHandle, dict[str, Any], int]] = {}

    def is_one(self, fields: dict[str, Any]) -> bool:
        """Whether this refusal repeats one of the same person in this second: then it is counted, and that is all.

        Args:
            fields: of its record.
        """
        user = fields["user"]
        who = (user["issuer"], user["subject"], fields["code"], fields["surface"])
        if who not in self._since:
            timer = asyncio.get_running_loop().call_later(_INTERVAL, self._over, who)
            self._since[who] = (timer, {}, 0)
            return False
        timer, counted, count = self._since[who]
        of_one_patient = not count or counted["patient"] == fields["patient"]
        self._since[who] = (timer, fields if of_one_patient else {**fields, "patient": None}, count + 1)
        return True

    def close(self) -> None:
        """Record what was only counted so far."""
        for who in list(self._since):
            self._over(who)

    def _over(self, who: tuple[str, ...]) -> None:
        timer, fields, count = self._since.pop(who)
        timer.cancel()
        if count:
            _ = self._journal.append("request.refused", **fields, count=count)


REPEATS: Final = web.AppKey("repeats", Repeats)


async def authenticated(request: web.Request) -> Caller:
    """The caller. Raises `NotAuthenticated`, recorded with a count and at most once a second for each peer."""
    headers = request.headers.getall(hdrs.AUTHORIZATION, [])
    try:
        # Two of them could be read differently by what stands before the broker and by the broker.
        caller = await request.app[AUTHENTICATOR].authenticate(headers[0] if len(headers) == 1 else None)
    except NotAuthenticated as error:
        address = request.remote or "unknown"
        count = request.app[REFUSALS].due(address)
        if count is not None:
            await _record(request.app[JOURNAL], address, error.reason, count)
        raise
    let_in(request)
    return caller


async def record_outstanding(journal: Journal, refusals: Refusals, repeats: Repeats) -> None:
    """Record, when the broker stops, the refusals that were only counted since the last record."""
    repeats.close()
    count = refusals.outstanding()
    if count:
        await _record(journal, None, NotAuthenticated.code, count)


async def _record(journal: Journal, address: str | None, reason: str, count: int) -> None:
    # Nothing is released here: who has no token is told the same, whether or not the journal takes it.
    with suppress(JournalUnavailable):
        await journal.record("authentication.refused", address=address, reason=reason, count=count)


_NO_PATIENT: Final = (
    "The token names no patient. With it the reader can ask with POST /lookups and relationship "
    '{"basis": "self-declared", "reason": "..."}, of which the privacy officer is told; '
    "to break the glass, the token must name the patient."
)


def must_be_about(caller: Caller, query: Query) -> None:
    """Raise `PatientMismatch` unless the patient asked for is the one in the token.

    A token without any patient is good for one thing: a lookup whose reader declares why they are caring for them.
    """
    if caller.patient is None and query.declared is not None and not _is_overridden(query):
        return
    if caller.patient is None:
        raise PatientMismatch(_NO_PATIENT)
    if not caller.patient.matches(query.nhs_number, query.birth_date):
        raise PatientMismatch


def _is_overridden(query: Query) -> bool:
    return query.override is not None or query.override_id is not None


async def refused(request: web.Request, caller: Caller, error: BrokerError, number: str | None = None) -> None:
    """Record durably that a known caller was refused, and with which code; never what was sent.

    One that repeats another of this second is counted, and recorded within a second.

    Args:
        request: what is refused.
        caller: who asked.
        error: why it is refused.
        number: whom they asked for, where that could be read; left out, the patient of their token. Sealed.
    """
    patient = number or (caller.patient.nhs_number if caller.patient else None)
    fields = {
        "user": _user(request, caller),
        "code": error.code,
        "purpose": caller.requester.purpose,
        "relationship": None if caller.relationship is None else caller.relationship.basis,
        "patient": None if patient is None else request.app[KEYS].seal_patient(patient),
        "policy_set": request.app[POLICIES].hash,
        "surface": request.path.strip("/").partition("/")[0],
    }
    if request.app[REPEATS].is_one(fields):
        return
    await request.app[JOURNAL].record("request.refused", **fields)


def _user(request: web.Request, caller: Caller) -> dict[str, Any]:
    who = caller.requester
    return {
        "issuer": who.issuer,
        "subject": who.subject,
        "name": who.name,
        "organisation": who.organisation,
        "role": request.app[POLICIES].role_of(who.role_system, who.role_code),
        "role_code": who.role_code,
        "client": who.client,
        "jti": who.token_id,
    }
