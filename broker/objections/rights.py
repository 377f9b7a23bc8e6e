"""Who may do what to which objection: the policies decide, in states."""

from itertools import product

from broker.errors import NotFound, RoleNotPermitted
from broker.objections.ledger import Held, Seen
from broker.objections.rules import officer
from broker.objections.values import Actor, ObjectionRecord
from policies import Policies
from policies.values import Act, Officer

__all__ = ["Rights"]

_SORTS = {"own": (True, False), "another": (False, False), "general": (False, True)}
"""What an objection is about: then whether it concerns their organisation, and whether it is general."""


class Rights:
    """Asks the policies. What somebody may not see is as if it were not there."""

    def __init__(self, policies: Policies, lead_controller: str | None) -> None:
        self._policies = policies
        self._lead = lead_controller

    def require_record(self, actor: Actor) -> None:
        """Raise RoleNotPermitted unless this person may record objections."""
        if not self._may(officer(actor, self._lead), Act.RECORD_OBJECTION):
            raise RoleNotPermitted("Recording an objection is for those who care for patients, or decide objections.")

    def sorts(self, actor: Actor) -> list[Seen]:
        """The sorts of objection that this person may see. Raises RoleNotPermitted where there are none."""
        seen = [
            Seen(own=own, about=about)
            for own, (about, (concerned, general)) in product((True, False), _SORTS.items())
            if self._may(self._state(actor, own=own, concerned=concerned, general=general), Act.SEE_OBJECTION)
        ]
        if not seen:
            raise RoleNotPermitted("Objections are for those who care for patients, or decide objections.")
        return seen

    def require_see(self, actor: Actor, held: Held | None) -> Held:
        """The objection, where this person may see it. Raises NotFound or RoleNotPermitted."""
        if held is None or not self._may(officer(actor, self._lead, held.record), Act.SEE_OBJECTION):
            self.sorts(actor)
            raise NotFound("There is no such objection that you may see.")
        return held

    def require_decide(self, actor: Actor, held: Held | None) -> Held:
        """The objection, where this person may decide it. Raises NotFound or RoleNotPermitted, and says who may."""
        try:
            found = self.require_see(actor, held)
        except NotFound as error:
            raise NotFound(f"{error.message} {self._general_ones()}") from None
        state = officer(actor, self._lead, found.record)
        if not self._may(state, Act.DECIDE_OBJECTION):
            raise RoleNotPermitted(self._who_decides(found.record, recorder=state.recorder))
        return found

    def require_import(self, actor: Actor) -> None:
        """Raise RoleNotPermitted unless this person may decide whole objections: imported ones are upheld."""
        if not self._may(self._state(actor, own=False, concerned=False, general=True), Act.DECIDE_OBJECTION):
            raise RoleNotPermitted(f"Imported objections are upheld as they are. {self._general_ones()}")

    def _may(self, state: Officer, act: Act) -> bool:
        return self._policies.may_act(state, act).permitted

    def _state(self, actor: Actor, *, own: bool, concerned: bool, general: bool) -> Officer:
        lead = self._lead is not None and actor.organisation == self._lead
        return Officer(
            role=actor.role,
            operator=actor.operator,
            lead=lead,
            concerned=concerned,
            general=general,
            same_organisation=own,
        )

    def _who_decides(self, objection: ObjectionRecord, *, recorder: bool) -> str:
        if recorder:
            return "Whoever recorded an objection does not decide it: somebody else must."
        if objection.scope.organisation:
            return "This is decided by the privacy officer or Caldicott guardian of the organisation that it is about."
        return self._general_ones()

    def _general_ones(self) -> str:
        if self._lead is None:
            return (
                "Nobody decides objections that are about more than one organisation until [objections] "
                "lead_controller names who does: they are honoured."
            )
        return (
            "Objections that are about more than one organisation are decided by the lead controller's privacy officer "
            "or Caldicott guardian, with a token of the operator's issuer."
        )
