"""How records are tied to each other: each carries the SHA-256 of the whole line before it, newline included."""

import hashlib
from typing import NamedTuple

__all__ = ["START", "Link", "digest"]


class Link(NamedTuple):
    """The end of a chain: the sequence number of its last record, and the hash of that record's line."""

    seq: int
    hash: str

    def after(self, line: bytes) -> "Link":
        """The end of the chain once this line is added."""
        return Link(self.seq + 1, digest(line))


def digest(line: bytes) -> str:
    """SHA-256 as 64 lower-case hex digits."""
    return hashlib.sha256(line).hexdigest()


START = Link(0, "0" * 64)
"""Before the first record of a process."""
