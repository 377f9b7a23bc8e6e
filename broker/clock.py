"""Which day is it? In London, whatever zone a node is in: agreements and rules hold to the end of a day there."""

from datetime import UTC, date, datetime
from typing import Final
from zoneinfo import ZoneInfo

__all__ = ["london_day", "london_today"]

_LONDON: Final = ZoneInfo("Europe/London")  # read here, once: from a file, for which no lookup waits


def london_day(moment: datetime) -> date:
    """The day in London at a moment (aware)."""
    return moment.astimezone(_LONDON).date()


def london_today() -> date:
    """The day in London now."""
    return london_day(datetime.now(UTC))
