"""Which records of an allergy say that there is none, and which say nothing at all?

FHIR R4 wants "none known" as an AllergyIntolerance with a negated code (`AllergyIntolerance.code`, value set
`allergyintolerance-code`); UK Core and GP Connect take 716186003 for it, the International Patient Summary had a code
system of its own. Where a source has no such code, its whole words are taken.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

from broker.lookup.facts.concepts import SNOMED, normal
from policies.values import Coding

__all__ = ["NONE_KNOWN", "UNNAMING", "none_known", "says_nothing"]

_IPS = "http://hl7.org/fhir/uv/ips/CodeSystem/absent-unknown-uv-ips"
_NULL = ("http://terminology.hl7.org/CodeSystem/v3-NullFlavor", "http://hl7.org/fhir/v3/NullFlavor")
_ABSENT = ("http://terminology.hl7.org/CodeSystem/data-absent-reason", "http://hl7.org/fhir/data-absent-reason")

NONE_KNOWN: Mapping[Coding, str] = {
    (SNOMED, "716186003"): "",  # No known allergy
    (SNOMED, "160244002"): "",  # No known allergies, the older concept
    (SNOMED, "409137002"): "medication",  # No known drug allergy
    (SNOMED, "429625007"): "food",  # No known food allergy
    (SNOMED, "428607008"): "environment",  # No known environmental allergy
    (_IPS, "no-known-allergies"): "",
    (_IPS, "no-known-medication-allergies"): "medication",
    (_IPS, "no-known-food-allergies"): "food",
    (_IPS, "no-known-environmental-allergies"): "environment",
}
"""Code, then of which kind none is known: a category of FHIR, or `""` for all of them."""

_WORDS: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "nka",
            "nil known",
            "nil known allergies",
            "no allergies",
            "no allergies known",
            "no known allergies",
            "no known allergies or adverse reactions",
            "no known allergy",
            "no known allergy (situation)",
            "none known",
        ),
        "",
    ),
    **dict.fromkeys(
        (
            "nkda",
            "no known drug allergies",
            "no known drug allergies or adverse reactions",
            "no known drug allergy",
            "no known drug allergy (situation)",
            "no known medication allergies",
            "no known medication allergy",
        ),
        "medication",
    ),
    **dict.fromkeys(("no known food allergies", "no known food allergy", "no known food allergy (situation)"), "food"),
    **dict.fromkeys(
        (
            "no known environmental allergies",
            "no known environmental allergy",
            "no known environmental allergy (situation)",
        ),
        "environment",
    ),
}
"""The same in words, whole: "no known allergies to nuts" is not among them, and is not read as saying it."""

_NARROWER = frozenset({
    (SNOMED, "716220001"),  # No known animal allergy
    (SNOMED, "428197003"),  # No known insect allergy
    (SNOMED, "1003774007"),  # No known Hevea brasiliensis latex allergy
})
"""None known of something that is no category of FHIR: no allergen, and which allergens it denies nobody can tell."""

_NOBODY_ASKED = frozenset({
    (SNOMED, "1631000175102"),  # Patient not asked
    (_IPS, "no-allergy-info"),
    *((system, code) for system in _NULL for code in ("NI", "UNK", "ASKU", "NAV", "NASK", "NA")),
    *(
        (system, code)
        for system in _ABSENT
        for code in ("unknown", "asked-unknown", "temp-unknown", "not-asked", "asked-declined", "not-applicable")
    ),
})
_NOTHING_IN_WORDS = frozenset({
    "",
    "information not available",
    "no information about allergies",
    "not asked",
    "not known",
    "not on file",
    "not recorded",
    "patient not asked",
    "unknown",
})

UNNAMING = frozenset({
    # What a system writes that could not take over the code of another (GP2GP): the thing itself is in the words.
    *((SNOMED, code) for code in ("196461000000101", "196471000000108", "196421000000109", "196411000000103")),
    # Allergic to something; to what stands in the reaction, or in words.
    *((SNOMED, code) for code in ("609328004", "419199007", "416098002", "414285001", "426232007", "62014003")),
    *((SNOMED, code) for code in ("420134006", "418038007", "419511003", "418471000", "59037007", "235719002")),
    # Why there is no code: UK Core allows one of these in place of a code.
    *((system, code) for system in _NULL for code in ("NI", "UNK", "ASKU", "NAV", "NASK", "NA", "OTH", "MSK")),
    *((system, code) for system in _ABSENT for code in ("unknown", "asked-unknown", "masked", "unsupported")),
})
"""Codes that do not name what they stand for: two records that share one may be of different things."""


def none_known(codes: AbstractSet[Coding], names: Iterable[str]) -> str | None:
    """Of which kind an allergy record says that there is none (`""`: of all kinds); None where it does not say so.

    A source's own code beside the words is no reason not to believe them; a SNOMED code that means something else is.
    """
    coded = [NONE_KNOWN[code] for code in codes if code in NONE_KNOWN]
    if coded:
        return max(coded)  # of two, one that names a kind before one for all kinds
    if any(system == SNOMED and (system, code) not in UNNAMING for system, code in codes):
        return None
    return next((_WORDS[words] for words in map(normal, names) if words in _WORDS), None)


def says_nothing(codes: AbstractSet[Coding], text: str) -> bool:
    """Whether it is neither an allergen nor that there is none: nobody asked, nobody knows, or too narrow to tell."""
    if codes and not codes - _NARROWER:
        return True
    return bool(codes or text) and not codes - _NOBODY_ASKED and normal(text) in _NOTHING_IN_WORDS
