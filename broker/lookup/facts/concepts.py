"""How is one concept compared with another? By its codes in their usual spelling, else by all of its words."""

import re
import unicodedata
from collections.abc import Collection, Mapping
from typing import Any

from policies.codings import is_usual, usual
from policies.values import Coding

__all__ = [
    "NO_CODES",
    "SNOMED",
    "codes_of",
    "day_of",
    "first",
    "key_of",
    "keys_of",
    "names_of",
    "normal",
    "plain",
    "status_codes",
]

SNOMED = "http://snomed.info/sct"
NO_CODES: frozenset[Coding] = frozenset()

_MOST = 64
"""Codings of one concept that are compared: more come from a source that means to be slow."""

_LONGEST = 300
"""Characters of what is compared as words; longer ones are a note, not a name."""


def codes_of(concept: Mapping[str, Any]) -> frozenset[Coding]:
    """The codes of a concept that say of which system they are, in the spelling of `policies.codings`."""
    codings = concept.get("coding")
    if not codings or codings.__class__ is not list:
        return NO_CODES
    if len(codings) == 1:
        coding = codings[0]
        if coding.__class__ is dict:
            system, code = coding.get("system"), coding.get("code")
            if system.__class__ is str and code.__class__ is str and is_usual(system, code):
                return frozenset(((system, code),))
    return frozenset(code for coding in codings[:_MOST] if (code := _usual(coding)) is not None)


def _usual(coding: Any) -> Coding | None:
    if not isinstance(coding, dict):
        return None
    system, code = coding.get("system"), coding.get("code")
    if not isinstance(system, str) or not system.strip() or not isinstance(code, str) or not code.strip():
        return None
    if is_usual(system, code):
        return system, code
    found = usual(system, code)
    if len(found) == 1:
        return found[0]
    # An expression is the same as itself, not as each of the concepts in it.
    return (found[0][0], "".join(code.split())) if found else None


def names_of(concept: Mapping[str, Any]) -> tuple[str, ...]:
    """What a source calls it, to be shown: its text, then what its codings are displayed as."""
    text = concept.get("text")
    names = [text] if text and text.__class__ is str else []
    codings = concept.get("coding")
    if codings.__class__ is list:
        for coding in codings[:_MOST]:
            if coding.__class__ is dict and "display" in coding:
                display = coding["display"]
                if display.__class__ is str and display and display != text:
                    names.append(display)
    return tuple(name if name.isprintable() else _UNSEEN.sub(" ", name) for name in names)


_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
"""Control characters, and what turns the direction of all that follows: words of others are shown within ours."""


def normal(words: str) -> str:
    """Words as they are compared: whole, whatever their case, widths and blanks; empty where nothing could match."""
    if len(words) > _LONGEST:
        return ""
    return " ".join(unicodedata.normalize("NFKC", words).casefold().split())


_PUNCTUATION = re.compile(r"[\s!-/:-@\[-`{-~\u2010-\u2027]+")


def plain(words: str) -> str:
    """Words as `normal` has them, without punctuation: empty also of nothing but punctuation."""
    return _PUNCTUATION.sub(" ", normal(words)).strip()


def key_of(concept: Any) -> str | None:
    """A concept as something to compare: its first code, else its words."""
    if not isinstance(concept, dict):
        return None
    codes = codes_of(concept)
    if codes:
        return "|".join(min(codes))
    text = concept.get("text")
    return normal(text) or None if isinstance(text, str) else None


def keys_of(concepts: Any) -> str | None:
    """Several concepts as something to compare, in whatever order they stand: a knee, and which one."""
    if not isinstance(concepts, list):
        return None
    return " + ".join(sorted(key for key in map(key_of, concepts[:_MOST]) if key)) or None


def first(value: Any) -> Mapping[str, Any]:
    """An element, or the first of its list; empty where it is neither."""
    if value.__class__ is list and value:
        value = value[0]
    return value if value.__class__ is dict else {}


def status_codes(concept: Any) -> Collection[str]:
    """The codes of a concept, of whatever system."""
    codings = concept.get("coding") if concept.__class__ is dict else None
    found = []
    for one in codings if codings.__class__ is list else (codings,):
        code = one.get("code") if one.__class__ is dict else None
        if code.__class__ is str:
            found.append(code)
    return found


def day_of(value: Any) -> str | None:
    """The day of a date or a time; None where it is less exact."""
    return value[:10] if value.__class__ is str and len(value) >= len("YYYY-MM-DD") else None
