"""A Bundle opened: what it says of itself, and its entries in slices, each resource in them unread.

A large answer must not hold the loop, so it is not decoded in one go. Where to cut may be guessed, because what comes
of a guess is certain. JSON is read from left to right: what begins where an entry may begin, and is a list once it
stands in brackets, is entries whatever follows; and what is left when they are cut out is the Bundle without them, and
must be whole. A guess that was wrong is not a list, and costs another one.
"""

import json
import re
from collections.abc import Generator, Iterator
from itertools import islice
from typing import Final

import msgspec

from adapters.errors import SourceMalformed

__all__ = ["NOTHING", "UNREADABLE", "Bundle", "Entry", "Opening", "TooDense", "weigh"]

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_UNSALVAGEABLE: Final = (ValueError, LookupError, TypeError, AttributeError, RecursionError, ArithmeticError)

NOTHING: Final = msgspec.Raw(b"")

_SLICE: Final = 1 << 18
"""Bytes of entries that are decoded in one go: a fraction of a millisecond where they are resources, 6 ms where all of
it is empty entries."""
_MOST_HEAD: Final = 1 << 17
"""Bytes of a Bundle without its entries: links, as a rule."""
_LARGE: Final = 1 << 21
_DENSE: Final = 400_000
"""Objects, lists and commas in what is larger than that, at most: a letter has a handful, and a decoder takes its time
for each."""
_GUESSES: Final = 8
_PAUSE: Final = 1024
"""Steps between two pauses where many small ones are taken."""
_MOST_GUESSED: Final = 1 << 24
"""Bytes read in vain beyond which no more than `_GUESSES` places are tried as the end of the entries."""
_MOST_HALVES: Final = 50_000
"""Halves of surrogate pairs in one piece, whole pairs among them: a slice of nothing but emoji has fewer."""

_BEGIN: Final = re.compile(rb'"entry"\s*:\s*\[\s*')
_USUAL: Final = re.compile(rb'\}\s*(,)\s*\{\s*(?:"(?:fullUrl|resource|search|request|response)"\s*:|\})')
_UNUSUAL: Final = re.compile(rb'\}\s*(,)\s*\{\s*(?:"(?:id|link|extension|modifierExtension|fullUrl|resource)"\s*:)')
"""What looks like the place between two entries: as nearly all servers write it, and where their order is their own."""
_OWN_ORDER: Final = re.compile(rb'\{\s*"(?:id|link|extension|modifierExtension)"')
_CLOSING: Final = re.compile(rb'\]\s*(?:,\s*"|\}\s*\Z)')
"""What may close the list of entries: another key follows, or the end."""
_HALF: Final = re.compile(rb"\\u[dD](?:([89abAB])|[c-fC-F])[0-9a-fA-F]{2}")
_HALF_SIZE: Final = len(rb"\ud83d")
_MASKED: Final = re.compile(rb"\\ufdd0")
"""Stands for half a character while its entry is read: Unicode has it for inner use, and no text holds it."""


class _Search(msgspec.Struct, gc=False):
    mode: str = ""


class _Response(msgspec.Struct, gc=False):
    status: str = ""


class Entry(msgspec.Struct, rename="camel", gc=False):
    """An entry of a Bundle; `resource` is `NOTHING` where there is none."""

    full_url: str | None = None
    resource: msgspec.Raw = NOTHING
    search: _Search | None = None
    response: _Response | None = None

    @property
    def status(self) -> int:
        """The HTTP status in a `batch-response`; 0 where it can't be read."""
        code = (self.response.status if self.response else "")[:3]
        return int(code) if code.isascii() and code.isdigit() else 0


class _Link(msgspec.Struct, gc=False):
    relation: str = ""
    url: str = ""


class Bundle(msgspec.Struct, rename="camel"):
    """What a Bundle, or whatever came in its place, says of itself."""

    resource_type: str
    type: str = ""
    total: int | None = None
    link: list[_Link] | None = None
    entry: list[Entry] = []


class _Entries(msgspec.Struct):
    entry: msgspec.Raw = NOTHING


_BUNDLE: Final = msgspec.json.Decoder(Bundle)
_ENTRIES: Final = msgspec.json.Decoder(_Entries)
_LIST: Final = msgspec.json.Decoder(list[Entry])


class TooDense(Exception):
    """An entry holds more than any resource does, and reading over it would hold the loop."""


class Opening:
    """An answer being opened: go through `entries`, then see what `bundle` says.

    Attributes:
        bundle: without its entries, once `entries` has ended.
    """

    def __init__(self, body: bytes) -> None:
        self._body = body.removeprefix(b"\xef\xbb\xbf")
        self._start = 0
        self.bundle = Bundle("")

    def entries(self) -> Iterator[list[Entry]]:
        """The entries, slice by slice; an empty slice is no more than a pause.

        Raises:
            SourceMalformed: it is not JSON, or says something of itself twice.
            TooDense: what follows can't be read. What it says of itself is not known.
        """
        try:
            yield from self._entries()
        except SourceMalformed:
            raise
        except _UNSALVAGEABLE:
            raise SourceMalformed("its answer is not a FHIR Bundle in JSON") from None

    def beginning(self) -> Bundle:
        """What it says of itself before its first entry, for who can't go through them all.

        Raises:
            SourceMalformed: that is not the beginning of a Bundle.
        """
        try:
            return _BUNDLE.decode(self._body[: self._start] + b"]}")
        except UNREADABLE:
            raise SourceMalformed("its answer is not a FHIR Bundle in JSON") from None

    def _entries(self) -> Generator[list[Entry], None, None]:
        body = self._body
        start = _start(body)
        if start is None:
            yield self._close(body)
            return
        at = self._start = start
        between = _UNUSUAL if _OWN_ORDER.match(body, start) else _USUAL
        while True:
            found = yield from _next(body, at, between)
            if found is None:
                break
            entries, at = found
            yield entries
        entries, end = yield from _last(body, at)
        yield entries
        if self._close(body[:start] + body[end:]):
            raise SourceMalformed(_TWICE)

    def _close(self, head: bytes) -> list[Entry]:
        """Read what the Bundle says of itself; the entries that are in it all the same."""
        if len(head) > _MOST_HEAD:
            raise SourceMalformed("its answer is not a FHIR Bundle in JSON")
        # A decoder takes the last of two, and what the first said would be lost.
        keys = [key for key, _ in json.loads(head, object_pairs_hook=list)]
        if len(set(keys)) < len(keys):
            raise SourceMalformed(_TWICE)
        self.bundle = _BUNDLE.decode(head)
        return self.bundle.entry


_TWICE: Final = "its Bundle says something of itself twice"


def _start(body: bytes) -> int | None:
    """Where the first entry stands, if there are entries."""
    for found in islice(_BEGIN.finditer(body, 0, _MOST_HEAD), _GUESSES):
        try:
            opened = _ENTRIES.decode(body[: found.end()] + b"]}")
        except UNREADABLE:
            continue
        if opened.entry is not NOTHING:
            return found.end()
    return None


def _next(
    body: bytes, at: int, between: re.Pattern[bytes]
) -> Generator[list[Entry], None, tuple[list[Entry], int] | None]:
    """The next slice, and where the one after it begins; None where it is the last."""
    size = _SLICE
    while True:
        comma = yield from _comma(body, at + size, between)
        if comma is None:
            return None
        entries = yield from _read(body, at, comma)
        if entries is not None:
            return entries, comma + 1
        size = 2 * (comma - at)  # each wrong guess as much as all before it: together no more than twice the whole


def _comma(body: bytes, at: int, between: re.Pattern[bytes]) -> Generator[list[Entry], None, int | None]:
    """Something that looks like a comma between two entries."""
    for window in range(at, len(body), _SLICE):
        found = between.search(body, window, window + _SLICE + 64)
        if found:
            return found.start(1)
        yield []
    return None


def _last(body: bytes, at: int) -> Generator[list[Entry], None, tuple[list[Entry], int]]:
    """The last slice, and where the list of entries is closed."""
    end = len(body)
    first = max(at, end - _MOST_HEAD)
    tried = guesses = guessed = 0
    while (guesses < _GUESSES or guessed < _MOST_GUESSED) and (end := body.rfind(b"]", first, end)) >= 0:
        tried += 1
        if not tried % _PAUSE:
            yield []
        if _CLOSING.match(body, end):
            guesses += 1
            guessed += end - at
            entries = yield from _read(body, at, end)
            if entries is not None:
                return entries, end
    raise SourceMalformed("its answer is not a FHIR Bundle in JSON")


def _read(body: bytes, at: int, end: int) -> Generator[list[Entry], None, list[Entry] | None]:
    """What stands between, if that is entries."""
    if end - at > _LARGE:
        for _ in weigh(body, at, end):
            yield []
    piece = b"".join((b"[", memoryview(body)[at:end], b"]"))
    try:
        return _LIST.decode(piece)
    except UNREADABLE:
        yield []
    halves = yield from _halves(piece)
    return (yield from _salvage(piece, halves)) if halves else None


def weigh(body: bytes, at: int, end: int) -> Generator[None, None, None]:
    """Go over what stands between, pausing.

    Raises:
        TooDense: to decode it in one go would hold the loop.
    """
    seen = 0
    for window in range(at, end, _SLICE):
        until = min(window + _SLICE, end)
        seen += sum(body.count(one, window, until) for one in (b"{", b"[", b","))
        yield
    if seen > _DENSE:
        raise TooDense


def _halves(piece: bytes) -> Generator[list[Entry], None, list[int]]:
    """Where half of a surrogate pair stands without the other; nothing if there are more than any text holds."""
    alone: list[int] = []
    high = -1
    seen = 0
    for window in range(0, len(piece), _SLICE):
        for half in _HALF.finditer(piece, window, window + _SLICE + _HALF_SIZE - 1):
            seen += 1
            if seen > _MOST_HALVES:
                return []
            if not seen % _PAUSE:
                yield []
            at = half.start()
            before = piece[max(0, at - 64) : at]
            if (len(before) - len(before.rstrip(b"\\"))) % 2:
                continue  # a backslash that is itself escaped
            if half[1] is None and high >= 0 and at - high == _HALF_SIZE:
                alone.pop()
                high = -1
                continue
            alone.append(at)
            high = at if half[1] else -1
        yield []
    return alone


def _salvage(piece: bytes, halves: list[int]) -> Generator[list[Entry], None, list[Entry] | None]:
    """Read entries in which half of a surrogate pair stands somewhere, leaving out what holds it.

    Some systems cut text between the halves of an emoji, and a strict decoder refuses all that stands around it.
    """
    masked = bytearray(piece)
    for at in halves:
        masked[at : at + _HALF_SIZE] = rb"\ufdd0"
    yield []
    try:
        entries = _LIST.decode(masked)
    except UNREADABLE:
        return None
    yield []
    for entry in entries:
        if "\ufdd0" in (entry.full_url or "") or _MASKED.search(memoryview(entry.resource)):
            entry.full_url, entry.resource = None, NOTHING
    return entries
