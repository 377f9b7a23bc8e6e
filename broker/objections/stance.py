"""How a patient's objections stand towards one reader, and every organisation and category."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from policies.values import Objection

__all__ = ["FORBIDDING", "Stance", "worst"]

FORBIDDING = frozenset({Objection.UPHELD, Objection.UNDECIDED})
"""Nothing is shared against these: an objection is honoured while it is undecided."""

_NOTHING: Mapping[str, Objection] = MappingProxyType({})
_WORST_FIRST = (Objection.UPHELD, Objection.UNDECIDED, Objection.NOT_UPHELD, Objection.NONE)


@dataclass(frozen=True, slots=True)
class Stance:
    """All that the objections of one patient mean for one reader.

    Attributes:
        whole: to all sharing between services, or to this very reader, for whom it is the same.
        organisations: ODS code, then how the patient objects to sharing that organisation's records.
        categories: how the patient objects to sharing information of a category.
        decided_by: ODS codes of those who decided what forbids here.
    """

    whole: Objection = Objection.NONE
    organisations: Mapping[str, Objection] = field(default_factory=lambda: _NOTHING)
    categories: Mapping[str, Objection] = field(default_factory=lambda: _NOTHING)
    decided_by: frozenset[str] = frozenset()

    @property
    def forbids_all(self) -> bool:
        """Whether nothing at all is shared between services."""
        return self.whole in FORBIDDING

    @property
    def narrower(self) -> bool:
        """Whether some organisations or categories are objected to, and not the whole."""
        stated = (*self.organisations.values(), *self.categories.values())
        return not self.forbids_all and not FORBIDDING.isdisjoint(stated)

    def towards(self, organisation: str) -> Objection:
        """How it stands towards one organisation's records."""
        return worst((self.whole, self.organisations.get(organisation, Objection.NONE)))


def worst(stated: Iterable[Objection]) -> Objection:
    """The one that forbids most."""
    found = set(stated)
    return next((one for one in _WORST_FIRST if one in found), Objection.NONE)
