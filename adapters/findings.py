"""What was learned of one resource type at one source."""

from enum import StrEnum

__all__ = ["Finding"]


class Finding(StrEnum):
    """What was learned of a type. All but ANSWERED and NOT_PROVIDED mean: do not take absence for nothing."""

    ANSWERED = "answered"
    """Asked and answered in full: what came is all there is, be it nothing."""
    NOT_PROVIDED = "not-provided"
    """The source does not offer this type."""
    WITHHELD_BY_SOURCE = "withheld-by-source"
    """It says that it holds something back."""
    TRUNCATED = "truncated"
    BUSY = "busy"
    TIMED_OUT = "timed-out"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    FAILED = "failed"
    MALFORMED = "malformed"
