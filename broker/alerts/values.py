"""What an alert is: that somebody must be told now, without saying of whom."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

__all__ = ["Alert", "Alerts", "Kind"]


class Kind(StrEnum):
    """Why somebody must be told. The words are stable: journal, log and webhook use them."""

    OVERRIDE = "override"
    """The glass was broken."""
    SELF_DECLARED = "relationship-self-declared"
    """Nobody but the reader says that they are caring for the patient."""
    CONTRADICTED = "relationship-contradicted"
    """The reader's own organisation's record says otherwise."""
    WRONG_PATIENT = "wrong-patient"
    """A source answered about somebody else."""
    CONSENT_THIRD_PARTY = "consent-third-party"
    """A record says that the patient declined to share with a named third party: somebody must find out with whom."""
    AGREEMENT_ENDING = "agreement-ending"
    """A sharing agreement or a DSP Toolkit status ends within 30 days."""
    UNDECIDABLE = "policy-undecidable"
    """The policies gave no decision: it counted as forbidden."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert.

    Attributes:
        kind: why.
        to: ODS codes of the organisations whose privacy officers (registrars, for agreements) must know.
        lookup_id: of the lookup, whose records in the journal say the rest.
        source: name of the source that it is about.
    """

    kind: Kind
    to: Collection[str] = ()
    lookup_id: str | None = None
    source: str | None = None


class Alerts(Protocol):
    """What the other rooms need of this one."""

    def raise_alert(self, alert: Alert) -> str:
        """Put it into the journal (in order, not yet durable) and let it be sent; gives its id. Never waits."""
        ...
