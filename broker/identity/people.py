"""From what the service says of a number to whom a lookup is about."""

import datetime as dt
from collections.abc import Iterable

from adapters.contract import Identity
from broker.errors import IdentityNotConfirmed
from broker.identity import pds
from broker.identity.patient import one_patient
from broker.identity.values import Person

__all__ = ["agrees", "person_of"]


def agrees(found: pds.Patient, birth_date: str) -> bool:
    """Whether the service has this date of birth; a partial one that agrees, passes."""
    return found.birth_date is not None and birth_date.startswith(found.birth_date)


def person_of(
    found: pds.Patient, number: str, birth_date: str, *, others: Iterable[str], today: dt.date, elapsed_ms: int
) -> Person:
    """Whom the service confirms.

    Args:
        found: what it says of the current number.
        number: as asked.
        birth_date: as asked.
        others: further numbers that it says are of the same person.
        today: which names, addresses and registrations are current.
        elapsed_ms: how long it took.

    Raises:
        IdentityNotConfirmed: it has another date of birth.
    """
    if not agrees(found, birth_date):
        raise IdentityNotConfirmed
    practice = found.practice(today)
    known = {found.id, *others} - {number}
    return Person(
        identity=Identity(numbers=(number, *sorted(known)), birth_date=birth_date),
        restricted=found.restricted,
        practice=None if practice is None else practice.identifier.value,
        deceased=found.deceased,
        patient=one_patient(found, number, birth_date, today),
        birth_date_confirmed=found.birth_date == birth_date,
        status="answered",
        elapsed_ms=elapsed_ms,
    )
