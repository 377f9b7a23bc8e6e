"""Reads tables for people: TOML whose every fault is told with file and line and what to write instead."""

import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date, datetime
from importlib.resources.abc import Traversable
from itertools import chain, repeat
from pathlib import Path
from typing import Any

from policies.values import PolicyError

__all__ = ["Document", "Place", "Row", "text_of"]

TYPE_NAMES = {str: "text in quotes", bool: "true or false", int: "a whole number", list: "a list", dict: "a table"}

Place = Path | Traversable
"""A folder or file: of a board's own set, or of the package."""


def text_of(place: Place, folder: str = "") -> str:
    """The text of a file, named in faults with the folder of the set in which it lies.

    Raises PolicyError where it is missing, can't be read or is not UTF-8.
    """
    name = f"{folder}/{place.name}" if folder else place.name
    try:
        return place.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise PolicyError(name, "this file is missing: a policy folder holds the whole set") from None
    except UnicodeDecodeError:
        raise PolicyError(name, "this file must be text in UTF-8") from None
    except OSError as error:
        raise PolicyError(name, f"can't be read ({error.strerror}): write a file that this user may read") from None


class Document:
    """One TOML file, with the lines on which its tables stand."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self._lines = text.splitlines()
        try:
            self._data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            problem, _, where = str(error).partition(" (at ")
            found = re.match(r"line (\d+)", where)
            # Without a line it is the end of the file: something before it was never closed.
            line = int(found[1]) if found else len(self._lines)
            raise PolicyError(name, f"not TOML ({problem}): {_advice(problem)}", line=line) from None

    @classmethod
    def open(cls, place: Place, folder: str = "") -> "Document":
        """Read a file, which lies in a folder of the set where one is named."""
        return cls(f"{folder}/{place.name}" if folder else place.name, text_of(place, folder))

    def fault(self, message: str, line: int | None = None) -> PolicyError:
        """A fault of this file."""
        return PolicyError(self.name, message, line=line)

    @property
    def top(self) -> "Row":
        """What stands before the first table, tables excepted."""
        return Row(self, "the top of the file", {k: v for k, v in self._data.items() if not _is_tables(v)}, 1)

    def only(self, names: Collection[str]) -> None:
        """Raise PolicyError where the file has tables of another name."""
        for name, value in self._data.items():
            if _is_tables(value) and name not in names:
                raise self.fault(f"unknown table [{name}]: write one of {', '.join(names)}", self._header(name))

    def rows(self, name: str) -> list["Row"]:
        """The tables `[[name]]`, in order."""
        rows = self._data.get(name, [])
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise self.fault(f"write each {name} as a table under [[{name}]]", self._header(name))
        lines = chain(self.headers(name), repeat(None))
        return [Row(self, name, row, line) for row, line in zip(rows, lines, strict=False)]

    def named(self, name: str) -> Iterator[tuple[str, "Row"]]:
        """The tables `[name.key]` with their keys."""
        tables = self._data.get(name, {})
        if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
            raise self.fault(f"write each {name} as a table [{name}.Something]", self._header(name))
        for key, table in tables.items():
            yield key, Row(self, f"{name}.{key}", table, self._header(f"{name}.{key}"))

    def headers(self, name: str, start: int | None = None) -> list[int]:
        """The lines of the headers `[name]` and `[[name]]`, at or after `start`."""
        wanted = re.compile(rf"\s*\[+\s*{re.escape(name)}\s*\]+")
        first = start or 1
        return [number for number, line in enumerate(self._lines, 1) if number >= first and wanted.match(line)]

    def _header(self, name: str) -> int | None:
        return next(iter(self.headers(name)), None)

    def line_of_key(self, key: str, start: int | None) -> int | None:
        """The line of `key =` or of a sub-table named so, at or after `start`."""
        wanted = re.compile(rf'\s*(?:\[.*\b{re.escape(key)}\b.*\]|"?{re.escape(key)}"?\s*=)')
        first = start or 1
        return next((n for n, line in enumerate(self._lines, 1) if n >= first and wanted.match(line)), start)


class Row:
    """One table of a file. Each getter checks the form; `done` complains about what nobody asked for."""

    def __init__(self, document: Document, name: str, data: Mapping[str, Any], line: int | None) -> None:
        self.document = document
        self.name = name
        self.line = line
        self._data = data
        self._known: set[str] = set()

    def fault(self, message: str, key: str | None = None) -> PolicyError:
        """A fault of this table, at `key` where given."""
        line = self.document.line_of_key(key, self.line) if key else self.line
        return self.document.fault(message, line)

    def has(self, key: str) -> bool:
        """Whether `key` is written."""
        return key in self._data

    def _get(self, key: str, kind: type, default: Any) -> Any:
        self._known.add(key)
        if key not in self._data:
            if default is None:
                raise self.fault(f"{self.name} lacks `{key}`: write it as {TYPE_NAMES.get(kind, kind.__name__)}")
            return default
        value = self._data[key]
        if not isinstance(value, kind):
            raise self.fault(f"`{key}` must be {TYPE_NAMES.get(kind, kind.__name__)}", key)
        return value

    def text(self, key: str, default: str | None = None) -> str:
        """A text; empty is a fault."""
        value: str = self._get(key, str, default)
        if not value.strip() and default is None:
            raise self.fault(f"`{key}` is empty: say it", key)
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """True or false."""
        value: bool = self._get(key, bool, default)
        return value

    def day(self, key: str) -> date | None:
        """A date, or None where it is left out."""
        self._known.add(key)
        value = self._data.get(key)
        if value is not None and (not isinstance(value, date) or isinstance(value, datetime)):
            raise self.fault(f"`{key}` must be a date without quotes, such as 2026-01-31", key)
        return value

    def number(self, key: str) -> int:
        """A whole number."""
        value: int = self._get(key, int, None)
        return value

    def texts(self, key: str, default: list[str] | None = None) -> tuple[str, ...]:
        """A list of texts, none twice."""
        values = self._get(key, list, default)
        if not all(isinstance(value, str) and value for value in values):
            raise self.fault(f"`{key}` must be a list of texts in quotes", key)
        if len(set(values)) != len(values):
            raise self.fault(f"`{key}` names something twice", key)
        return tuple(values)

    def words(self, key: str, among: Iterable[str], *, what: str, default: list[str] | None = None) -> tuple[str, ...]:
        """A list of texts, each one of `among`."""
        values, allowed = self.texts(key, default), set(among)
        for value in values:
            if value not in allowed:
                raise self.fault(f"`{value}` is not {what}: write one of {', '.join(sorted(allowed))}", key)
        return values

    def word(self, key: str, among: Iterable[str], *, what: str, default: str | None = None) -> str:
        """A text, one of `among`."""
        value, allowed = self.text(key, default), set(among)
        if value not in allowed:
            raise self.fault(f"`{value}` is not {what}: write one of {', '.join(sorted(allowed))}", key)
        return value

    def meanings(self, key: str) -> Mapping[str, str]:
        """A table of codes, each with what it means."""
        return self._meanings(self._get(key, dict, {}))

    def _meanings(self, values: Mapping[str, Any]) -> Mapping[str, str]:
        for code, meaning in values.items():
            if not isinstance(meaning, str) or not meaning.strip():
                raise self.fault(f"write code {code} with its meaning in quotes", code)
        return values

    def codes(self, systems: Mapping[str, tuple[str, ...]]) -> frozenset[tuple[str, str]]:
        """The codes under `codes.<system>`, at every address of each system."""
        found: set[tuple[str, str]] = set()
        for system, codes in self._get("codes", dict, {}).items():
            if system not in systems:
                raise self.fault(f"`{system}` is not a system of systems.toml", system)
            if not isinstance(codes, dict) or not codes:
                raise self.fault(f"write codes.{system} as a table of codes with their meanings", system)
            found.update((uri, code) for code in self._meanings(codes) for uri in systems[system])
        return frozenset(found)

    def table(self, key: str) -> "Row":
        """The sub-table `[name.key]`, or `key = {…}`."""
        return Row(self.document, key, self._get(key, dict, None), self.document.line_of_key(key, self.line))

    def rows(self, key: str) -> list["Row"]:
        """The sub-tables `[[name.key]]`."""
        rows = self._get(key, list, [])
        if not all(isinstance(row, dict) for row in rows):
            raise self.fault(f"write each {key} as a table under [[{self.name}.{key}]]", key)
        lines = chain(self.document.headers(f"{self.name}.{key}", self.line), repeat(self.line))
        return [Row(self.document, key, row, line) for row, line in zip(rows, lines, strict=False)]

    def done(self) -> None:
        """Raise PolicyError where something is written that means nothing here."""
        for key in self._data:
            if key not in self._known:
                known = ", ".join(sorted(self._known))
                raise self.fault(f"unknown key `{key}`: write one of {known}", key)


def _advice(problem: str) -> str:
    """What whoever wrote the line should look for, where TOML says only what it could not do."""
    if problem.startswith(("Cannot ", "Duplicate ")):
        return "this key or table stands in the file already, here for the second time: keep one"
    return (
        "a comma, a bracket or a quote is missing here or on the line before; text stands in quotes, yes and no are "
        "true and false"
    )


def _is_tables(value: object) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and bool(value) and isinstance(value[0], dict))
