"""Who must be told what of one lookup. The lookup never waits for it."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from broker.alerts import Alert, Alerts, Kind

__all__ = ["Alarms", "Unheard"]


class Unheard:
    """Alerts that reach nobody: for a lookup without a house around it."""

    def raise_alert(self, alert: Alert) -> str:  # noqa: ARG002 -- the protocol's
        """Nobody is told."""
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarms:
    """The alerts of one lookup.

    Attributes:
        alerts: where they go.
        lookup_id: whose records say the rest.
        reader: ODS code of the reader's organisation.
        lead: ODS code of the lead controller, or None.
    """

    alerts: Alerts
    lookup_id: str
    reader: str
    lead: str | None = None

    def overridden(self, decided_by: Iterable[str], told: Collection[str] = ()) -> frozenset[str]:
        """The glass is broken, against what these organisations decided: they are told, and the reader's own.

        Args:
            decided_by: ODS codes. Who decided only after it was opened is told by the first use that goes against it.
            told: who knows already. Nobody is told again.

        Returns:
            Who is told now.
        """
        untold = {self.reader, *decided_by}.difference(told)
        if untold:
            self._raise(Kind.OVERRIDE, untold)
        return frozenset(untold)

    def self_declared(self) -> None:
        """Nobody but the reader says that they are caring for the patient."""
        self._raise(Kind.SELF_DECLARED, {self.reader})

    def contradicted(self, source: str) -> None:
        """The reader's own organisation's source says otherwise than the token."""
        self._raise(Kind.CONTRADICTED, {self.reader}, source)

    def wrong_patient(self, source: str, organisation: str) -> None:
        """A source answered about somebody else."""
        self._raise(Kind.WRONG_PATIENT, {organisation, *([self.lead] if self.lead else [])}, source)

    def third_party(self, source: str, organisation: str) -> None:
        """A record says that the patient declined to share with somebody whom only words name."""
        self._raise(Kind.CONSENT_THIRD_PARTY, {organisation}, source)

    def _raise(self, kind: Kind, to: set[str], source: str | None = None) -> None:
        self.alerts.raise_alert(Alert(kind=kind, to=frozenset(to), lookup_id=self.lookup_id, source=source))
