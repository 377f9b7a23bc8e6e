"""A TOML file that knows on which line each of its keys stands.

`tomllib` gives the line of a syntax error, and of nothing else. The scanner below walks a text that `tomllib` has
already accepted, so it may be simple: it finds keys and skips values, and judges neither.
"""

import re
import tomllib
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from broker.errors import ConfigurationError

__all__ = ["At", "Document", "read_document"]

At = tuple[str | int, ...]
"""Where a value stands: keys, and positions in arrays from 0."""


@dataclass(frozen=True, slots=True)
class Document:
    """What a file holds, and where.

    Attributes:
        file: as it was named.
        data: as `tomllib` gives it.
        lines: from 1, of each key and array element.
    """

    file: Path
    data: dict[str, Any]
    lines: Mapping[At, int]

    def line(self, at: At) -> int | None:
        """The line of what stands there, or else of the nearest thing around it; None where that is the file itself."""
        for length in range(len(at), 0, -1):
            if (line := self.lines.get(at[:length])) is not None:
                return line
        return None

    def fault(self, at: At, message: str) -> ConfigurationError:
        """A fault of what stands there."""
        return ConfigurationError(self.file, message, line=self.line(at))


def read_document(file: Path) -> Document:
    """Read a TOML file.

    Raises:
        ConfigurationError: it can't be read, is not UTF-8, or is not TOML; with the line.
    """
    try:
        if file.exists() and not file.is_file():  # opening a pipe would wait for ever
            raise ConfigurationError(file, "this is no regular file, so it can't be read: write one, or remove it")
        content = file.read_bytes()
    except FileNotFoundError:
        raise ConfigurationError(file, "there is no such file: write it, or name another") from None
    except OSError as error:
        raise ConfigurationError(
            file, f"can't be read ({error.strerror}): name a file that this user may read"
        ) from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(file, "not UTF-8: save the file as UTF-8", line=line) from None
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _syntax_fault(file, text, str(error)) from None
    except RecursionError:
        raise ConfigurationError(file, "nested too deeply: write it flat") from None
    # tomllib reads CRLF as LF, and so must whoever counts lines.
    return Document(file, data, dict(_Scanner(text.replace("\r\n", "\n")).keys()))


def _syntax_fault(file: Path, text: str, words: str) -> ConfigurationError:
    found = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", words)
    if found is None:
        return ConfigurationError(file, f"not TOML: {words}")
    line = int(found[1]) if found[1] else len(text.rstrip("\n").split("\n"))
    return ConfigurationError(file, f"not TOML: {words[: found.start()]}", line=line)


_BLANK = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:\\.|[^"\\])*"|'[^']*'""")
_SCALAR = re.compile(
    r'''
      """(?:\\.|"{1,2}(?!")|[^"\\])*"{3,5}
    | \'\'\'(?:'{1,2}(?!')|[^'])*'{3,5}
    | "(?:\\.|[^"\\])*"
    | '[^']*'
    | [^,\]}\#\n]+
    ''',
    re.VERBOSE | re.DOTALL,
)


class _Scanner:
    """Finds where keys stand in a valid TOML text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._starts = [0, *(found.end() for found in re.finditer("\n", text))]
        self._tables: dict[At, int] = {}

    def keys(self) -> Iterator[tuple[At, int]]:
        """Each key with its line. A table that is opened twice is given where it was first."""
        seen: set[At] = set()
        for at, line in self._statements():
            for length in range(1, len(at) + 1):
                if at[:length] not in seen:
                    seen.add(at[:length])
                    yield at[:length], line

    def _statements(self) -> Iterator[tuple[At, int]]:
        table: At = ()
        self._take(_BLANK)
        while self._position < len(self._text):
            line = self._line()
            if self._next("[["):
                keys = self._dotted()
                array = self._resolve(table=(), keys=keys[:-1]) + keys[-1:]
                self._tables[array] = self._tables.get(array, 0) + 1
                table = (*array, self._tables[array] - 1)
                self._next("]]")
                yield table, line
            elif self._next("["):
                table = self._resolve(table=(), keys=self._dotted())
                self._next("]")
                yield table, line
            else:
                yield from self._pair(table)
            self._take(_BLANK)

    def _resolve(self, table: At, keys: At) -> At:
        """In a header, the name of an array of tables means its last table."""
        at = table
        for key in keys:
            at = (*at, key)
            if at in self._tables:
                at = (*at, self._tables[at] - 1)
        return at

    def _pair(self, table: At) -> Iterator[tuple[At, int]]:
        line = self._line()
        at = table + self._dotted()
        yield at, line
        self._next("=")
        yield from self._value(at)

    def _value(self, at: At) -> Iterator[tuple[At, int]]:
        self._take(_BLANK)
        if self._next("["):
            index = 0
            while not self._next("]"):
                yield (*at, index), self._line()
                yield from self._value((*at, index))
                self._next(",")
                index += 1
        elif self._next("{"):
            while not self._next("}"):
                yield from self._pair(at)
                self._next(",")
        else:
            self._take(_SCALAR)

    def _dotted(self) -> At:
        keys: list[str] = []
        while not keys or self._next("."):
            self._take(_BLANK)
            key = self._take(_KEY)
            keys.append(tomllib.loads(f"key = {key}")["key"] if key[0] in "\"'" else key)
        return tuple(keys)

    def _next(self, mark: str) -> bool:
        """Step over `mark` and the blank around it, if it comes next."""
        blank = _BLANK.match(self._text, self._position)
        start = blank.end() if blank else self._position
        if not self._text.startswith(mark, start):
            return False
        self._position = start + len(mark)
        self._take(_BLANK)
        return True

    def _take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._position)
        if found is None:
            # tomllib took this text, so only a form that this scanner doesn't know comes here: no more lines are known.
            self._position = len(self._text)
            return "?"
        self._position = found.end()
        return found[0]

    def _line(self) -> int:
        return bisect_right(self._starts, self._position)
