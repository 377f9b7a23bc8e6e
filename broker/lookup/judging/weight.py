"""How much is in a resource, told before it is decoded: to read it must not hold the loop.

A resource is decoded, walked and encoded, each in one go. What that costs is how many values are in it, not how long
they are: a scanned letter of megabytes is little. So what costs is counted, each kind at what it was measured to take
(on one core of a small server, all three together), and what would take more than `_MOST` counts as one that can't be
read, as if it were broken. That leaves room for a List of 4,500 entries with `display`, an Observation of 2,000
components or 6,500 codings; the largest resource of `shared/data` takes a thirtieth of it.

Inside strings only what has to be recoded counts: the samples of an ECG are one string, however many there are.
"""

import re
from collections.abc import Generator
from typing import Final

import msgspec

__all__ = ["LIGHT", "is_too_much", "type_of_long"]

LIGHT: Final = 1 << 15
"""Bytes that can't hold too much."""
_MOST: Final = 10_000_000
"""Nanoseconds that a resource may take."""

_OBJECT: Final = 600
"""Nanoseconds for each, as for all below: most of it for the walk."""
_LIST: Final = 100
_STRING: Final = 80
"""Names of fields are strings too."""
_COMMA: Final = 120
"""Of which there is one for each further value or field."""
_DIGIT: Final = 50
"""Of a number: in a decimal a tenth of that, but the time for a long integer is the square of its digits."""
_ESCAPE: Final = 12
_BEYOND_ASCII: Final = 2
"""For a byte of it."""
_BYTES: Final = 2
"""So many for a nanosecond."""

_WINDOW: Final = 1 << 16
"""Bytes looked at in one go."""
_DIGITS: Final = b"0123456789"
_ASCII: Final = bytes(range(128))

_FIRST: Final = re.compile(rb'\s{0,64}\{\s{0,64}"resourceType"\s{0,64}:\s{0,64}"([A-Za-z]{1,64})"')


def is_too_much(content: "bytes | msgspec.Raw") -> Generator[None, None, bool]:
    """Whether to read it would hold the loop; pausing, for to look through megabytes would too."""
    view = memoryview(content)
    cost = 0
    inside = False  # a string, at the beginning of this window
    escape = b""  # that the window before ends in the middle of
    for begin in range(0, len(view), _WINDOW):
        text = escape + view[begin : begin + _WINDOW]
        escape = b"\\" * ((len(text) - len(text.rstrip(b"\\"))) % 2)
        cost += len(text) // _BYTES
        if not text.isascii():
            cost += _BEYOND_ASCII * len(text.translate(None, _ASCII))
        if b"\\" in text:
            cost += _ESCAPE * text.count(b"\\")
            text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
        parts = text.split(b'"')
        outside = b"".join(parts[inside::2])
        inside ^= len(parts) % 2 == 0
        cost += (
            _STRING * (len(parts) // 2)
            + _OBJECT * outside.count(b"{")
            + _LIST * outside.count(b"[")
            + _COMMA * outside.count(b",")
            + _DIGIT * (len(outside) - len(outside.translate(None, _DIGITS)))
        )
        if cost > _MOST:
            return True
        yield
    return False


def type_of_long(content: "bytes | msgspec.Raw") -> str:
    """The type of a resource that is not decoded, where it stands first; else `""`."""
    found = _FIRST.match(memoryview(content))
    return found[1].decode() if found else ""
