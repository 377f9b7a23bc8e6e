"""How much is in a resource, told before it is decoded: to read it must not hold the loop.

A resource is decoded, walked and encoded, each in one go. What that costs is how many values are in it, not how long
they are: a scanned letter of megabytes is one. The largest resource of `shared/data` has 1,900 values by this count;
what has eight times as many counts as one that can't be read, as if it were broken.
"""

import re
from collections.abc import Generator
from typing import Final

import msgspec

__all__ = ["LIGHT", "is_too_much", "type_of_long"]

LIGHT: Final = 1 << 15
"""Bytes that can't hold too much."""
_MOST: Final = 15_000
"""Objects and lists, and pairs of strings: each costs about half a microsecond."""
_MOST_NUMBERS: Final = 30_000
_DIGITS: Final = 5_000
"""Of one number: a decimal takes its time for each."""
_NUMERIC: Final = b"0123456789+-.eE \r\n\t:,[]{}"
_WINDOW: Final = 1 << 17
"""Bytes looked at in one go."""

_FIRST: Final = re.compile(rb'\s*\{\s*"resourceType"\s*:\s*"([A-Za-z]{1,64})"')


def is_too_much(content: "bytes | msgspec.Raw") -> Generator[None, None, bool]:
    """Whether to read it would hold the loop; pausing, for to look through megabytes would too."""
    view = memoryview(content)
    values = numbers = 0
    for begin in range(0, len(view), _WINDOW):
        text = bytes(view[begin : begin + _WINDOW])
        strings = (text.count(b'"') - text.count(b'\\"')) // 2
        values += strings // 2 + text.count(b"{") + text.count(b"[")
        if values > _MOST:
            return True
        for piece in text.split(b'"'):
            if len(piece) > _DIGITS and not piece.strip(_NUMERIC):
                return True  # one number, or nothing but numbers
            numbers += piece.count(b",")
        if numbers > _MOST_NUMBERS:
            return True
        yield
    return False


def type_of_long(content: "bytes | msgspec.Raw") -> str:
    """The type of a resource that is not decoded, where it stands first; else `""`."""
    found = _FIRST.match(memoryview(content))
    return found[1].decode() if found else ""
