"""An identity service that is down costs lookups no time: a breaker as for sources stands before it.

`paused` like any other absence confirms nobody, so nothing is shown that would not be shown without a service.
"""

import asyncio
from typing import Final

from broker.errors import IdentityNotConfirmed
from broker.identity import IdentityService, IdentityStatus, Person
from broker.lookup.breaker import Breakers, Paused
from broker.lookup.values import Status

__all__ = ["SparedIdentity"]

_NAME: Final = "identity"
_ENOUGH: Final = 0.5
"""Share of its own time after which silence says something of the service, and not of a caller in a hurry."""


class SparedIdentity:
    """Asks another service, unless that one is known to be down.

    Args:
        service: which is asked.
        base_url: where it is.
        timeout: seconds, the most that it takes.
    """

    def __init__(self, service: IdentityService, *, base_url: str, timeout: float) -> None:
        self._service = service
        self._base_url = base_url
        self._timeout = timeout
        self._breakers = Breakers(lambda: asyncio.get_running_loop().time())

    async def resolve(self, number: str, birth_date: str, deadline: float, organisation: str) -> Person:
        """As `IdentityService.resolve`."""
        try:
            call = self._breakers.enter(self._base_url)
        except Paused as paused:
            status: IdentityStatus = "busy" if paused.status is Status.BUSY else "paused"
            return Person.unconfirmed(number, birth_date, status, retry_after=paused.retry_after)
        given = deadline - asyncio.get_running_loop().time()
        said: Status | None = None
        retry_after: float | None = None
        try:
            person = await self._service.resolve(number, birth_date, deadline, organisation)
            retry_after = person.retry_after
            said = Status(person.status or Status.ANSWERED)
            if said is Status.TIMED_OUT and given < self._timeout * _ENOUGH:
                said = None
        except IdentityNotConfirmed:
            said = Status.ANSWERED
            raise
        finally:
            self._breakers.note(call, said, busy=said is Status.BUSY, retry_after=retry_after)
            if said is not None:
                self._breakers.watch.note(_NAME, said)
        return person
