"""The patient's objections as one lookup heeds them: asked before anybody is, and again before anything is released."""

from collections.abc import Mapping
from typing import Protocol

from broker.auth import Caller
from broker.errors import Conflict, RegisterUnavailable
from broker.objections.stance import FORBIDDING, Stance
from policies.values import Objection

__all__ = ["Heed", "Index"]

_OBJECTS_NOW = "The patient's objection changed while this was looked up: ask again."


class Index(Protocol):
    """What a lookup needs of the objections in memory."""

    def stance(self, numbers: tuple[str, ...], *, issuer: str, subject: str, staff_id: str | None = None) -> Stance:
        """All that the objections under these numbers mean for this reader. Raises `RegisterUnavailable`."""
        ...


class Heed:
    """One lookup's.

    Args:
        index: the objections in memory.
        caller: who asks.
        lifted: the glass is broken: what can't be read is lifted too.

    Attributes:
        forbidden: a source's Patient has a further number of theirs, under which they object: from here on it is as if
            they objected to all sharing, for nobody knows who confirmed that number.
    """

    def __init__(self, index: Index, caller: Caller, *, lifted: bool) -> None:
        self.forbidden = False
        self._index = index
        self._caller = caller
        self._lifted = lifted
        self._planned = Stance()
        self._numbers: tuple[str, ...] = ()
        self._others: frozenset[str] = frozenset()

    def stance(self, numbers: tuple[str, ...]) -> Stance:
        """How they stand towards this reader, under these numbers.

        Raises:
            RegisterUnavailable: nobody knows.
        """
        requester = self._caller.requester
        try:
            return self._index.stance(
                numbers, issuer=requester.issuer, subject=requester.subject, staff_id=self._caller.staff_id
            )
        except RegisterUnavailable:
            if self._lifted:
                return Stance()
            raise

    def plan(self, numbers: tuple[str, ...]) -> Stance:
        """How they stand under the identity set; what is planned rests on it."""
        self._numbers = numbers
        self._planned = self.stance(numbers)
        return self._planned

    def learn(self, numbers: frozenset[str]) -> None:
        """A source's Patient of this patient has these numbers, which nobody confirms.

        What a stream has released by then has left, and nothing takes it back: another source may name the number only
        later, and to hold every part until the last source has spoken would make it no stream. A reply that is given as
        a whole holds nothing of it.

        Raises:
            RegisterUnavailable: nobody knows whether they object under one of them.
        """
        if numbers and not self._lifted:
            self._others |= numbers
            self.forbidden = self.forbidden or self._is_under_others()

    def check(self) -> None:
        """Heed what was recorded meanwhile: it is in force within a second.

        Raises:
            Conflict: with it, less would have been asked.
            RegisterUnavailable: nobody knows.
        """
        if self._lifted:
            return
        now = self.stance(self._numbers)
        more = now is not self._planned and self._forbids_more(now)
        if more or (self._others and not self.forbidden and self._is_under_others()):
            raise Conflict(_OBJECTS_NOW)

    def _is_under_others(self) -> bool:
        stance = self.stance(tuple(sorted(self._others)))
        return stance.forbids_all or stance.narrower

    def _forbids_more(self, now: Stance) -> bool:
        before = self._planned
        if before.forbids_all:
            return False
        more = _forbidden(now.organisations) - _forbidden(before.organisations) - {self._caller.requester.organisation}
        return now.forbids_all or bool(more) or bool(_forbidden(now.categories) - _forbidden(before.categories))


def _forbidden(stated: Mapping[str, Objection]) -> frozenset[str]:
    return frozenset(name for name, objection in stated.items() if objection in FORBIDDING)
