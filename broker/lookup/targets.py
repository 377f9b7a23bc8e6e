"""What do the references of one source point to?"""

import re
from collections.abc import Iterable, Sequence

from broker.lookup.reading import Item

__all__ = ["Target", "Targets"]

Target = tuple[str, str]
"""(type, the source's id)."""

_LITERAL = re.compile(r"([A-Z][A-Za-z]+)/([^/?#\s]+)(?:/_history/[^/?#\s]+)?")
_TAIL = re.compile(r"[^?#]+/([A-Z][A-Za-z]+)/([^/?#\s]+)")


class Targets:
    """What the references of one source point to.

    A reference is local if it is relative, the `fullUrl` of an entry of the answer, or below one of the source's own
    addresses. Anything else is somewhere else, and is None.

    Attributes:
        dropped: what came and was not this patient's: nothing released may refer to it.
    """

    __slots__ = ("_bases", "_full_urls", "_items", "_known", "dropped")

    def __init__(self, items: Iterable[Item], bases: Sequence[str]) -> None:
        self._bases = tuple(base.rstrip("/") + "/" for base in bases)
        self._items = items
        self._full_urls: dict[str, Target | None] | None = None
        self._known: dict[str, Target | None] = {}
        self.dropped: set[Target] = set()

    def _addresses(self) -> dict[str, Target | None]:
        """What every `fullUrl` stands for: read only where something refers to one."""
        addresses: dict[str, Target | None] = {}
        for item in self._items:
            if item.full_url and ":" in item.full_url:
                target = (item.type, item.id)
                if _contradicts(item.full_url, target):
                    continue
                # One address for two things is no address.
                if addresses.setdefault(item.full_url, target) != target:
                    addresses[item.full_url] = None
        return addresses

    def of(self, reference: str) -> Target | None:
        """The target of a literal reference, or None where it is not at this source (or contained)."""
        try:
            return self._known[reference]
        except KeyError:
            target = self._known[reference] = self._resolve(reference)
            return target

    def _resolve(self, reference: str) -> Target | None:
        match = _LITERAL.fullmatch(reference)
        if match:
            return match[1], match[2]
        if self._full_urls is None:
            self._full_urls = self._addresses()
        if reference in self._full_urls:
            return self._full_urls[reference]
        tail = reference
        for base in self._bases:
            if reference.startswith(base):
                tail = reference[len(base) :]
                break
        match = _LITERAL.fullmatch(tail)
        return (match[1], match[2]) if match else None


def _contradicts(full_url: str, target: Target) -> bool:
    """Whether an entry's address names another resource than the entry holds (FHIR R4, Bundle.entry.fullUrl)."""
    if full_url.startswith("urn:") or full_url.endswith(f"/{target[0]}/{target[1]}"):
        return False
    tail = _TAIL.fullmatch(full_url)
    return tail is not None and (tail[1], tail[2]) != target
