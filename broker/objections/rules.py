"""Who may do what to an objection, and what may follow what. Pure."""

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Final

from broker.errors import Conflict, InvalidRequest, RoleNotPermitted
from broker.objections.values import DECIDERS, Actor, ObjectionRecord, Status
from policies.values import Objection

__all__ = ["check_decision", "may_decide", "may_record", "may_see", "standing_of"]

NEXT: Final[Mapping[Status, frozenset[Status]]] = MappingProxyType({
    Status.RECEIVED: frozenset({Status.UNDER_REVIEW}),
    Status.UNDER_REVIEW: frozenset({Status.UPHELD, Status.NOT_UPHELD}),
    Status.UPHELD: frozenset(),
    Status.NOT_UPHELD: frozenset(),
    Status.WITHDRAWN: frozenset(),
})
"""What a decision may make of it. Withdrawing is the patient's, and always possible."""

DECIDED: Final = frozenset({Status.UPHELD, Status.NOT_UPHELD})


def may_record(actor: Actor) -> bool:
    """Any care role may, and those who decide: a patient may tell either."""
    return actor.care or actor.role in DECIDERS


def may_decide(actor: Actor, lead_controller: str | None) -> bool:
    """The lead controller's privacy officer or Caldicott guardian, by a token of the operator's."""
    return actor.role in DECIDERS and actor.operator and actor.organisation == lead_controller


def may_see(actor: Actor, lead_controller: str | None, recorded_by: Mapping[str, object]) -> bool:
    """Those who decide see all; those who may record see what their own organisation recorded."""
    if may_decide(actor, lead_controller):
        return True
    return may_record(actor) and recorded_by["organisation"] == actor.organisation


def check_decision(
    current: ObjectionRecord,
    status: Status,
    actor: Actor,
    *,
    reason: str | None,
    ico_route_told: bool,
    told: date | None,
    today: date,
) -> None:
    """Raise unless this decision may be made now, with what it needs."""
    if current.recorded_by["subject"] == actor.subject:
        # By person, whatever the issuer: nobody decides what they recorded by signing in elsewhere.
        raise RoleNotPermitted("Whoever recorded an objection does not decide it: somebody else must.")
    if told and told > today:
        raise InvalidRequest("told: write the day on which the patient was told, not one to come.")
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


def _check_telling(current: ObjectionRecord, told: date | None, reason: str | None) -> None:
    if told is None:
        raise Conflict(f"This objection is {current.status} already; what is left to record is told, the day.")
    if current.told_at:
        raise Conflict("When the patient was told is already recorded.")
    if reason:
        raise InvalidRequest("reason: it was recorded with the decision; leave it out here.")


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
