"""Reads the value sets that lie beside exclusions.toml: FHIR ValueSet, RF2 reference set, or a plain list of codes."""

import json
from collections.abc import Iterator
from typing import Any

from policies.codings import usual
from policies.loading.rf2 import is_header, members
from policies.loading.rows import Systems
from policies.reading import Place, text_of
from policies.values import Coding, PolicyError

__all__ = ["FOLDER", "refsets_of", "value_set"]

FOLDER = "value-sets"
_ENDINGS = (".json", ".txt")
_LIMITS = ("valueset-unclosed", "valueset-toocostly")
"""Extensions by which a terminology server says that an expansion is not whole."""


def refsets_of(place: Place) -> list[Place]:
    """The value-set files that lie in a policy set, in order of their names."""
    folder = place.joinpath(FOLDER)
    if not folder.is_dir():
        return []
    return sorted((file for file in folder.iterdir() if file.name.endswith(_ENDINGS)), key=lambda file: file.name)


def value_set(place: Place, name: str, systems: Systems) -> frozenset[Coding] | None:
    """What is in `value-sets/<name>.json` or `.txt`, in the usual spelling.

    None where there is neither, or no member is of a system of the tables: none of them could screen anything.
    Raises PolicyError for a file with a fault, for one without any member, and where both are there.
    """
    files = [file for ending in _ENDINGS if (file := place.joinpath(FOLDER, f"{name}{ending}")).is_file()]
    if not files:
        return None
    if len(files) > 1:
        raise PolicyError(f"{FOLDER}/{files[0].name}", f"{files[1].name} lies beside it: keep one of the two")
    title, text = f"{FOLDER}/{files[0].name}", text_of(files[0], FOLDER)
    written = _of_json(title, text) if files[0].name.endswith(".json") else _of_list(title, text, name, systems)
    found = frozenset(coding for system, code in written for coding in usual(system, code))
    if not found:
        raise PolicyError(title, "no active member in it: give the members, or remove the file")
    known = {system for uris in systems.values() for uri in uris for system, _ in usual(uri, "-")}
    return found if any(system in known for system, _ in found) else None


def _of_list(title: str, text: str, name: str, systems: Systems) -> Iterator[Coding]:
    """The members of a `.txt`: RF2, or a SNOMED CT code a line."""
    lines = text.removeprefix("\ufeff").splitlines()
    if lines and is_header(lines[0]):
        codes = list(members(text.splitlines(keepends=True), {name}, file=title).get(name, ()))
    else:
        codes = list(_codes_of(title, lines))
    yield from ((uri, code) for code in codes for uri in systems["snomed"])


def _codes_of(title: str, lines: list[str]) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        code = line.split("|")[0].split("#")[0].strip().split(" ")[0]
        if code and not (code.isascii() and code.isdecimal()):
            raise PolicyError(title, "write one SNOMED CT code a line", line=number)
        if code:
            yield code


def _of_json(title: str, text: str) -> Iterator[Coding]:
    """The members of a FHIR ValueSet: its expansion where it has one, else the concepts that it lists itself."""
    try:
        data = json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise PolicyError(title, f"not JSON: {error.msg}", line=error.lineno) from None
    except (ValueError, RecursionError) as error:
        raise PolicyError(title, f"not JSON that can be relied on: {error}") from None
    if not isinstance(data, dict) or data.get("resourceType") != "ValueSet":
        raise PolicyError(title, 'not a FHIR ValueSet: resourceType must be "ValueSet"')
    parsed = _ValueSet(title)
    if "expansion" in data:
        return parsed.expanded(parsed.table(data["expansion"], "expansion"))
    return parsed.composed(parsed.table(data.get("compose"), "compose"))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object. Of a key that stands twice one would be lost without a word."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


class _ValueSet:
    """What is taken from a ValueSet. What can't be expanded here faithfully is a fault, and never left out."""

    def __init__(self, title: str) -> None:
        self.title = title

    def expanded(self, expansion: dict[str, Any]) -> Iterator[Coding]:
        """`expansion.contains`, to any depth."""
        where = "expansion"
        for extension in self.tables(expansion.get("extension"), f"{where}.extension"):
            if str(extension.get("url")).endswith(_LIMITS):
                raise self.fault(where, "is marked as not whole: let a terminology server expand all of it")
        contains = expansion.get("contains")
        found = list(self._contained(contains, f"{where}.contains"))
        total = expansion.get("total", len(found))
        if not isinstance(total, int) or isinstance(total, bool):
            raise self.fault(f"{where}.total", "must be a number without quotes")
        if expansion.get("offset") or total > self._count(contains):
            raise self.fault(where, "is one page of several: give the whole expansion")
        if total < len(found):
            raise self.fault(f"{where}.total", f"says {total}, and there are {len(found)} members: give it anew")
        yield from found

    def composed(self, compose: dict[str, Any]) -> Iterator[Coding]:
        """`compose.include.concept`."""
        if compose.get("exclude"):
            raise self.fault("compose.exclude", "can't be worked out here: give the expansion")
        for number, include in enumerate(self.tables(compose.get("include"), "compose.include")):
            where = f"compose.include[{number}]"
            for key in ("filter", "valueSet"):
                if include.get(key):
                    raise self.fault(f"{where}.{key}", "needs a terminology server: give the expansion")
            if not include.get("concept"):
                raise self.fault(where, "names a whole code system: list the concepts, or give the expansion")
            system = self.text(include, "system", where)
            for place, concept in enumerate(self.tables(include["concept"], f"{where}.concept")):
                yield system, self.text(concept, "code", f"{where}.concept[{place}]")

    def _contained(self, contains: object, where: str) -> Iterator[Coding]:
        for number, each in enumerate(self.tables(contains, where)):
            here = f"{where}[{number}]"
            # A heading that groups others may have no code; one with a code is taken, selectable (`abstract`) or not.
            if "code" in each or not each.get("contains"):
                yield self.text(each, "system", here), self.text(each, "code", here)
            yield from self._contained(each.get("contains"), f"{here}.contains")

    def _count(self, contains: object) -> int:
        return sum(1 + self._count(each.get("contains")) for each in self.tables(contains, "expansion.contains"))

    def table(self, value: object, where: str) -> dict[str, Any]:
        """An object."""
        if not isinstance(value, dict):
            raise self.fault(where, "is missing, or is no object: a ValueSet lists its members there")
        return value

    def tables(self, value: object, where: str) -> list[dict[str, Any]]:
        """A list of objects; none where it is left out."""
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.fault(where, "must be a list")
        return [self.table(each, f"{where}[{number}]") for number, each in enumerate(value)]

    def text(self, value: dict[str, Any], key: str, where: str) -> str:
        """A text that is not empty."""
        text = value.get(key)
        if not isinstance(text, str) or not text.strip():
            raise self.fault(where, f"lacks `{key}`")
        return text

    def fault(self, where: str, message: str) -> PolicyError:
        """A fault of this file, at an element."""
        return PolicyError(self.title, f"{where} {message}")
