"""The order of records within each lookup of a chain: intent, plan, parts, one outcome, whether it was delivered."""

from dataclasses import dataclass, field

from broker.journal import record

__all__ = ["Stories"]


@dataclass(slots=True)
class Stories:
    """Follows the lookups of one chain, and keeps only those that are not over.

    Attributes:
        open: lookups begun and not ended, each with the file and line of its intent.
        unknown: lookups of other chains that this one ended, in the same way.
    """

    open: dict[str, tuple[str, int]] = field(default_factory=dict)
    unknown: list[tuple[str, tuple[str, int]]] = field(default_factory=list)
    _planned: set[str] = field(default_factory=set)
    _undelivered: set[str] = field(default_factory=set)

    def follow(self, known: record.Record, file: str, line: int) -> str | None:
        """Take the next record; what is wrong with it at this place, if anything is."""
        match known:
            case record.Intent():
                return self._begin(known.lookup_id, file, line)
            case record.Outcome(outcome="unknown"):
                self.unknown.append((known.lookup_id, (file, line)))
            case record.Outcome():
                return self._end(known.lookup_id)
            case record.Delivered() | record.NotDelivered():
                if known.lookup_id not in self._undelivered:
                    return "a delivery of a lookup that has no outcome before it, or a second delivery"
                self._undelivered.remove(known.lookup_id)
            case record.Plan() | record.Part() | record.WrongPatient():
                return self._go_on(known)
            case _:
                pass
        return None

    def _begin(self, lookup_id: str, file: str, line: int) -> str | None:
        if lookup_id in self.open or lookup_id in self._undelivered:
            return "a second intent of the same lookup"
        self.open[lookup_id] = (file, line)
        return None

    def _go_on(self, known: record.Plan | record.Part | record.WrongPatient) -> str | None:
        if known.lookup_id not in self.open:
            return "a record of a lookup that has no intent before it, or has ended"
        if isinstance(known, record.Plan):
            if known.lookup_id in self._planned:
                return "a second plan of the same lookup"
            self._planned.add(known.lookup_id)
        return None

    def _end(self, lookup_id: str) -> str | None:
        if self.open.pop(lookup_id, None) is None:
            return "an outcome of a lookup that has no intent before it, or a second outcome"
        self._planned.discard(lookup_id)
        self._undelivered.add(lookup_id)
        return None
