"""The same code, however a source spells it: what is judged is the usual spelling, what leaves is the source's own."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from policies.values import Coding

__all__ = ["is_usual", "usual"]

_SNOMED = "http://snomed.info/sct"
_LOINC = "http://loinc.org"
_V3 = "http://terminology.hl7.org/CodeSystem/v3-"
_UPPER = frozenset({
    f"{_V3}Confidentiality",
    f"{_V3}ActCode",
    f"{_V3}RoleCode",
    "http://hl7.org/fhir/v3/Confidentiality",
    "http://hl7.org/fhir/v3/ActCode",
    "http://hl7.org/fhir/v3/RoleCode",
    "http://terminology.hl7.org/CodeSystem/v2-0717",
})
"""Systems whose codes are upper case."""

_OIDS = {
    "2.16.840.1.113883.6.96": _SNOMED,
    "2.16.840.1.113883.6.1": _LOINC,
    "2.16.840.1.113883.5.25": f"{_V3}Confidentiality",
    "2.16.840.1.113883.5.4": f"{_V3}ActCode",
    "2.16.840.1.113883.5.111": f"{_V3}RoleCode",
}

_FOLDED = {system.casefold(): system for system in (_SNOMED, _LOINC, *_UPPER)}

_CONCEPT = re.compile(r"(?<![0-9])0*([1-9][0-9]{5,17})(?![0-9])")
"""A SNOMED CT identifier, alone or in an expression (`=== 64572001 : 246075003 = 8098009`)."""

_LOINC_CODE = re.compile(r"[0-9]{1,7}-[0-9]")

_plain: Callable[[str], Any] = re.compile(r"[!-~]+").fullmatch
_upper: Callable[[str], Any] = re.compile(r"[!-`{-~]+").fullmatch

_sound: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(_UPPER, _upper),
    _SNOMED: re.compile(r"[1-9][0-9]*").fullmatch,
    _LOINC: _plain,
}
"""System in its usual spelling, then what tells whether a code of it is in its own."""

_MOST = 4096
_LONGEST = 200
"""How many systems of sources are remembered, and how long ones: a source must not fill the memory."""


def is_usual(system: str, code: str) -> bool:
    """Whether a coding is spelled as the tables spell it: quick, and false where that is not known yet."""
    sound = _sound.get(system)
    return sound is not None and sound(code) is not None


def usual(system: Any, code: Any) -> Sequence[Coding]:
    """What a coding counts as: nothing where it has no code, each of its concepts where it is an expression."""
    if not isinstance(code, (str, int, Decimal)):
        return ()
    code = _clean(str(code))
    system = _system(system) if isinstance(system, str) else ""
    if not system:
        # Their form tells; a short number might be a code of anything.
        system = _LOINC if _LOINC_CODE.fullmatch(code) else _SNOMED if _CONCEPT.search(code) else ""
    if system == _SNOMED:
        return [(system, concept) for concept in _CONCEPT.findall(code)] or [(system, code)]
    return [(system, code.upper() if system in _UPPER else code)]


def _system(written: str) -> str:
    if written in _sound:
        return written
    system = _clean(written).split("|", 1)[0].rstrip().rstrip("/#?")
    folded = system.casefold()
    oid = _OIDS.get(folded.removeprefix("urn:oid:"))
    if oid is not None:
        return oid
    if folded.startswith("https://"):
        folded = "http://" + folded.removeprefix("https://")
    if folded.removeprefix("http://").removeprefix("www.").startswith("snomed.info/"):
        return _SNOMED  # with a module and a version, or not
    system = _FOLDED.get(folded.replace("://www.", "://"), system)
    if system == written and len(_sound) < _MOST and len(written) <= _LONGEST:
        _sound[written] = _plain
    return system


def _clean(text: str) -> str:
    """Without what can't be seen: blanks at its ends, widths of letters, marks of format."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
        text = "".join(one for one in text if unicodedata.category(one) != "Cf")
    return text.strip()
