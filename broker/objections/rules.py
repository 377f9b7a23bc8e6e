"""What may follow what, what an objection means for a lookup, and in which state somebody acts on it. Pure."""

from collections.abc import Mapping
from datetime import date, datetime
from types import MappingProxyType
from typing import Final

from broker.clock import london_day
from broker.errors import Conflict, InvalidBirthDate, InvalidRequest
from broker.objections.scopes import Scope, ScopeKind
from broker.objections.values import Actor, ObjectionRecord, Status
from policies.values import Objection, Officer

__all__ = ["DECIDED", "HONOURED", "check_decision", "is_named", "officer", "review_day", "standing_of"]

NEXT: Final[Mapping[Status, frozenset[Status]]] = MappingProxyType({
    Status.RECEIVED: frozenset({Status.UNDER_REVIEW}),
    Status.UNDER_REVIEW: frozenset({Status.UPHELD, Status.NOT_UPHELD}),
    Status.UPHELD: frozenset(),
    Status.NOT_UPHELD: frozenset(),
    Status.WITHDRAWN: frozenset(),
})
"""What a decision may make of it. Withdrawing is the patient's, and always possible."""

DECIDED: Final = frozenset({Status.UPHELD, Status.NOT_UPHELD})

HONOURED: Final = frozenset({Objection.UPHELD, Objection.UNDECIDED})
"""Nothing is shared against these."""

_OF_AGE: Final = 16
"""Years: from then on a person decides about their own record."""


def officer(actor: Actor, lead_controller: str | None, objection: ObjectionRecord | None = None) -> Officer:
    """The state in which somebody acts on one objection, or on the register as such."""
    lead = lead_controller is not None and actor.organisation == lead_controller
    if objection is None:
        return Officer(role=actor.role, operator=actor.operator, lead=lead)
    return Officer(
        role=actor.role,
        operator=actor.operator,
        lead=lead,
        concerned=objection.scope.organisation == actor.organisation,
        general=objection.scope.kind is not ScopeKind.ORGANISATION,
        recorder=_is_person(actor, objection.recorded_by.get("staff_id"), objection.recorded_by["subject"]),
        same_organisation=objection.recorded_by["organisation"] == actor.organisation,
        named=is_named(actor, objection.scope),
    )


def is_named(actor: Actor, scope: Scope) -> bool:
    """Whether it is to this person that the patient objects."""
    return scope.kind is ScopeKind.STAFF and _is_person(actor, scope.staff_id, scope.subject)


def _is_person(actor: Actor, staff_id: str | None, subject: str | None) -> bool:
    """Whether somebody may be this person, whatever the issuer: nobody gets round a rule by signing in elsewhere.

    Where both have an SDS user id, it decides. Else the names of their tokens do, of which some are the SDS user id
    itself, and some are written as an address or in other letters. Two people who share a name are taken for one: then
    somebody else must act, and nobody weighs what is their own.
    """
    if actor.staff_id and staff_id:
        return actor.staff_id == staff_id
    theirs = {_plain(name) for name in (staff_id, subject) if name}
    return not theirs.isdisjoint(_plain(name) for name in (actor.staff_id, actor.subject) if name)


def _plain(name: str) -> str:
    return name.strip().casefold().partition("@")[0]


def check_decision(
    current: ObjectionRecord,
    status: Status,
    *,
    reason: str | None,
    ico_route_told: bool,
    told: date | None,
    today: date,
) -> None:
    """Raise unless this decision may be made now, with what it needs."""
    if told and told > today:
        raise InvalidRequest("told: write the day on which the patient was told, not one to come.")
    if told and told < (_day_of(current.decided_at) if current.decided_at else today):
        raise InvalidRequest("told: no patient was told of a decision before the day on which it was made.")
    if told and status not in DECIDED:
        raise InvalidRequest("told: there is a decision to tell only with upheld or not-upheld.")
    if status == current.status and status in DECIDED:
        _check_telling(current, told, reason)
        return
    if status not in NEXT[current.status]:
        possible = " or ".join(sorted(NEXT[current.status])) or "nothing but withdrawn"
        raise Conflict(f"This objection is {current.status}; what may follow is {possible}.")
    if status is Status.NOT_UPHELD and not (reason and reason.strip()):
        raise InvalidRequest("reason: not-upheld needs the reason that the patient is told.")
    if status is Status.NOT_UPHELD and not ico_route_told:
        raise InvalidRequest(
            "ico_route_told: not-upheld needs that the patient is told of the Information Commissioner."
        )


def _day_of(stamp: str) -> date:
    return london_day(datetime.fromisoformat(stamp))


def _check_telling(current: ObjectionRecord, told: date | None, reason: str | None) -> None:
    if told is None:
        raise Conflict(f"This objection is {current.status} already; what is left to record is told, the day.")
    if current.told_at:
        raise Conflict("When the patient was told is already recorded.")
    if reason:
        raise InvalidRequest("reason: it was recorded with the decision; leave it out here.")


def review_day(asked_by: str, birth_date: date | None, today: date) -> date | None:
    """The day on which a child's objection is looked at again, with them: the sixteenth birthday.

    None where somebody else than a parent asked, it has come already, or the date of birth was not given.

    Raises:
        InvalidBirthDate: it is in the future.
    """
    if birth_date is None:
        return None
    if birth_date > today:
        raise InvalidBirthDate
    year = birth_date.year + _OF_AGE
    try:
        day = birth_date.replace(year=year)
    except ValueError:  # born on 29 February, and the year 2100 has none
        day = date(year, 3, 1)
    return day if asked_by == "parent" and day > today else None


def standing_of(status: Status, *, told: bool) -> Objection:
    """What an objection means for a lookup."""
    match status:
        case Status.UPHELD:
            return Objection.UPHELD
        case Status.NOT_UPHELD if told:
            return Objection.NOT_UPHELD
        case Status.RECEIVED | Status.UNDER_REVIEW | Status.NOT_UPHELD:
            return Objection.UNDECIDED
        case Status.WITHDRAWN:
            return Objection.NONE
