"""Reads dissent.toml."""

from collections.abc import Collection, Iterator

from policies.codings import usual
from policies.dissents import Dissents
from policies.loading.rows import Systems
from policies.reading import Document
from policies.values import Coding

__all__ = ["load_dissents"]

KINDS = ("refused", "given", "referred")

WIDTH = 5
"""Characters of a Read code, version 2: shorter ones are filled with full stops."""

TERMS = ("", "00", "11", "12")
"""What may follow it: nothing, the preferred term, or a synonym."""


def load_dissents(document: Document, systems: Systems, home: Collection[str]) -> Dissents:
    """dissent.toml, with every spelling of its codes. Raises PolicyError."""
    document.only(KINDS)
    top = document.top
    types = top.words("types", {*home, "Consent"}, what="a type that a source is asked for")
    top.done()
    refused, given, referred = (frozenset(_codings(document, kind, systems)) for kind in KINDS)
    for _, code in sorted((refused & given) | (referred & (refused | given))):
        raise document.fault(
            f"code {code} stands in two kinds: choose one of {', '.join(KINDS)}", document.line_of_key(code, 1)
        )
    return Dissents(refused, given, referred, types)


def _codings(document: Document, kind: str, systems: Systems) -> Iterator[Coding]:
    for row in document.rows(kind):
        row.text("why")
        codes = row.codes(systems)
        row.done()
        if not codes:
            raise row.fault(f"[[{kind}]] lists no code: write them under [{kind}.codes.snomed]")
        for system, code in codes:
            for spelled in _spellings(code) if system in systems.get("read-v2", ()) else (code,):
                yield from usual(system, spelled)


def _spellings(code: str) -> Iterator[str]:
    yield code
    filled = code.ljust(WIDTH, ".")
    yield from (filled + term for term in TERMS)
