"""The door of this room, and the answer where no identity service is configured."""

from typing import Protocol

from broker.identity.values import Person

__all__ = ["IdentityService", "NoIdentity"]


class IdentityService(Protocol):
    """Something that knows whose a number is: none, files, or the national service."""

    async def resolve(self, number: str, birth_date: str, deadline: float, organisation: str) -> Person:
        """Say whose `number` is.

        Args:
            number: ten digits, Modulus 11 checked.
            birth_date: `YYYY-MM-DD`.
            deadline: the last moment that counts, on the clock of the running loop, in seconds.
            organisation: ODS code of the organisation for which is asked: the reader's.

        Raises:
            broker.errors.IdentityNotConfirmed: the service has another date of birth for this number. Every other
                fault is a `Person` whose `status` says what went wrong.
        """
        ...


class NoIdentity:
    """`[identity] kind = "none"`: nothing is known but what was asked, and there is no row."""

    async def resolve(
        self,
        number: str,
        birth_date: str,
        deadline: float,  # noqa: ARG002 -- the protocol's
        organisation: str,  # noqa: ARG002 -- the protocol's
    ) -> Person:
        """The number asked for; restricted `unknown`."""
        return Person.unconfirmed(number, birth_date)
