"""Which kinds of source there are: found by entry point, and loaded only when a manifest names them."""

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from adapters.contract import AdapterFactory

__all__ = ["GROUP", "UnknownKind", "load_kind"]

GROUP = "care_record_broker.adapters"
"""The entry point group. A package of its own may add kinds to it."""


class UnknownKind(KeyError):
    """No adapter of this name is installed: the message names those that are."""

    def __str__(self) -> str:
        return str(self.args[0])


def load_kind(name: str) -> "AdapterFactory":
    """The adapter that a manifest's `kind` names.

    Raises:
        UnknownKind: nothing installed has this name.
    """
    kinds = entry_points(group=GROUP)
    try:
        found = kinds[name]
    except KeyError:
        known = ", ".join(sorted(kinds.names)) or "none"
        raise UnknownKind(f'there is no adapter of kind "{name}"; there are: {known}') from None
    return cast("AdapterFactory", found.load())
