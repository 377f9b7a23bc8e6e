"""What do the references of one source point to?"""

import re
from collections.abc import Iterable, Sequence

from adapters.contract import Arrival
from broker.lookup.judging.reading import Item

__all__ = ["Target", "Targets"]

Target = tuple[str, str]
"""(type, the source's id)."""

_LITERAL = re.compile(r"([A-Z][A-Za-z]+)/([^/?#\s]+)(?:/_history/[^/?#\s]+)?")
_ADDRESS = re.compile(r"([^?#]+/)([A-Z][A-Za-z]+)/([^/?#\s]+?)(?:/_history/[^/?#\s]+)?")
_HISTORY = re.compile(r"/_history/[^/?#\s]+$")
_ANY_CASE = re.compile(r"urn:uuid:.*|[a-z][a-z0-9+.-]*://[^/?#]*", re.IGNORECASE)
"""What of an address is the same in capitals: scheme and host (RFC 3986), and a UUID (RFC 4122)."""


class Targets:
    """What the references of one source point to.

    A reference is local if it is relative, the `fullUrl` of an entry of the answer, or below one of the source's own
    addresses. Anything else is somewhere else, and is None.

    In a resource that came from another server (its entry's `fullUrl` says so) a relative reference is to that server
    (FHIR R4, Bundle: resolving references): there it is written in full, so that nobody takes it for a local one. A
    source behind a proxy names a base that is not its own in all its entries: the one of its own Patient is its own.

    Attributes:
        items: all that the source gave.
        dropped: what came and was not this patient's: nothing released may refer to it.
    """

    __slots__ = ("_bases", "_full_urls", "_known", "dropped", "items")

    def __init__(self, items: Iterable[Item], bases: Sequence[str]) -> None:
        self._bases = tuple(_plain(base.rstrip("/") + "/") for base in bases)
        self.items = items
        self._full_urls: dict[str, Target | None] | None = None
        self._known: dict[str, Target | None] = {}
        self.dropped: set[Target] = set()
        self._write_foreign_in_full()

    def _write_foreign_in_full(self) -> None:
        patients = [_base_of(item) for item in self.items if item.arrival is Arrival.PATIENT and item.full_url]
        own = (*self._bases, *(base for base in patients if base))
        if not any(patients):
            return  # nothing says which base is the source's own
        for item in self.items:
            if item.full_url is None or item.full_url.startswith(own):
                continue
            base = _base_of(item)
            if base is None or base.startswith(own):
                continue
            for _, reference in item.references:
                literal = reference.get("reference")
                if literal and literal[0] != "#" and ":" not in literal:
                    reference["reference"] = base + literal.strip().lstrip("/")

    def _addresses(self) -> dict[str, Target | None]:
        """What every `fullUrl` stands for: read only where something refers to one."""
        addresses: dict[str, Target | None] = {}
        for item in self.items:
            if item.full_url and ":" in item.full_url:
                target = (item.type, item.id)
                if _contradicts(item.full_url, target):
                    continue
                # One address for two things is no address.
                address = _plain(item.full_url)
                if addresses.setdefault(address, target) != target:
                    addresses[address] = None
        return addresses

    def of(self, reference: str) -> Target | None:
        """The target of a literal reference, or None where it is not at this source (or contained)."""
        try:
            return self._known[reference]
        except KeyError:
            target = self._known[reference] = self._resolve(reference)
            return target

    def _resolve(self, reference: str) -> Target | None:
        reference = _plain(reference)
        match = _LITERAL.fullmatch(reference.removeprefix("/"))
        if match:
            return match[1], match[2]
        if self._full_urls is None:
            self._full_urls = self._addresses()
        for address in (reference, _HISTORY.sub("", reference)):
            if address in self._full_urls:
                return self._full_urls[address]
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
    address = _ADDRESS.fullmatch(full_url)
    return address is not None and (address[2], address[3]) != target


def _base_of(item: Item) -> str | None:
    """The server that the address of an entry names; None where it names none."""
    address = _ADDRESS.fullmatch(_plain(item.full_url or ""))
    return address[1] if address and "://" in address[1] else None


def _plain(address: str) -> str:
    """An address as it is compared: without blanks around it, and small where case says nothing."""
    address = address.strip()
    same = _ANY_CASE.match(address)
    return address if same is None else same[0].lower() + address[same.end() :]
