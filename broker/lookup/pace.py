"""Work that pauses, as adapters do it too."""

from adapters.pace import paced

__all__ = ["paced"]
