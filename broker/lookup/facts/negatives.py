"""Which records of an allergy say that there is none, and which say nothing at all?

FHIR R4 wants "none known" as an AllergyIntolerance with a negated code (`AllergyIntolerance.code`, value set
`allergyintolerance-code`); UK Core and GP Connect take 716186003 for it, the International Patient Summary had a code
system of its own. Where a source has no such code, its whole words are taken: words that deny and name no allergen
either say that none is known, in one of the ways that leave no doubt, or nothing. Whatever else they hold may be an
allergen ("No known allergies except penicillin", "No NSAIDs", "? penicillin"), and counts as one.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from broker.lookup.facts.concepts import SNOMED, normal, plain
from broker.lookup.facts.natures import CODES
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

_DENYING = re.compile(
    r"\b(?:n(?:o(?:ne|t)?|il|k[df]?a|/a)|den(?:ies|ied)|un(?:able|known))\b|\A[\W_]*\Z", re.IGNORECASE
)
"""Whole words of denial or of not knowing, or no word at all: who writes none of them names an allergen."""

_ALLERGY = r"(?:allerg(?:y|ies)|intolerances?|sensitivit(?:y|ies)|adverse (?:drug )?reactions?)"
_WORDS = re.compile(
    r"(?:nk[df]?a|(?:nil|none) known"
    r"|(?:no|nil|(?:(?:pt|patient) )?denies(?: any)?|not known to have any)(?: known)?"
    rf"(?: (?:drug|medication|medicine|food|environmental))? {_ALLERGY}(?:(?: or| and)? {_ALLERGY})*(?: known)?"
    r"(?: situation)?(?: nkd?a)?)(?: confirmed(?: with (?:the )?patient)?)?"
)
"""The same in words, whole: "no known allergies to nuts" is not among them, and is not read as saying it."""

_KINDS = {
    "nkda": "medication",
    "drug": "medication",
    "medication": "medication",
    "medicine": "medication",
    "nkfa": "food",
    "food": "food",
    "environmental": "environment",
}

_NARROWER = frozenset({
    (SNOMED, "716184000"),  # No known latex allergy
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
_EMPTY = (
    "a about adverse allergic allergies allergy any are as asked assess at available be been confirm confirmed "
    "currently data date declared denied denies disclosed documented drug drugs entered environmental establish "
    "established file food foods for from given has have history identified in information intolerance intolerances "
    "is known medication medications medicine medicines n nil nka nkda nkfa no none not note noted obtain obtained of "
    "on or and other patient present pt reaction reactions record recorded records reported sensitivities sensitivity "
    "situation specified stated status system taken that the this time to unable unknown verify was were with yet"
)
_NAMING_NOTHING = frozenset(_EMPTY.split())
"""Words of which no allergen is made: what denies and holds no other names none."""

_OF_ONE = re.compile(
    r"(?:(?:no|nil|denies)(?: (?:known|history of|evidence of|recorded|any))*(?: [\w'-]+){0,3} allerg(?:y|ies)(?: to|$)"
    r"|not (?:known to be )?allergic to)"
)
"""Denied of a thing that is named: "no known latex allergy", "not allergic to penicillin"."""

_AND_YET = re.compile(
    r"[.;:,!?()\[\]\u2013\u2014]\s*\S| - "
    r"|\b(?:except|excluding|exception|but|apart|aside|besides|other|only|bar|save|however|though|although|despite|yet"
    r"|due|because|since|severe|anaphyla\w*|rash|causes?|caused)\b"
)
"""Where more follows than the denial."""

_OF_WHAT_NOBODY_KNOWS = re.compile(r"\bunknown (?:drug|medic|food)")
"""Allergic to something, which is worth knowing: "unknown drug"."""

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
    return next((kind for kind in map(_none_in_words, names) if kind is not None), None)


def _none_in_words(name: str) -> str | None:
    if not _DENYING.search(name):
        return None
    words = plain(name)
    if not _WORDS.fullmatch(words):
        return None
    kinds = {_KINDS[word] for word in words.split() if word in _KINDS} or {""}
    return kinds.pop() if len(kinds) == 1 else None


def says_nothing(codes: AbstractSet[Coding], names: Sequence[str]) -> bool:
    """Whether it is neither an allergen nor that there is none: nobody asked, nobody knows, or too narrow to tell.

    Of a SNOMED code that is in no list all words must deny, for they are what there is to know it by: there are more
    negatives than those of `NONE_KNOWN`.
    """
    if codes and not codes - _NARROWER:
        return True
    if not names:
        return bool(codes) and not codes - _NOBODY_ASKED
    return all(map(_denies, names)) and not any(code in CODES and code not in UNNAMING for code in codes)


def _denies(name: str) -> bool:
    """Whether words deny, or don't know, and name nothing that there is."""
    if not _DENYING.search(name):
        return False
    words = plain(name)
    if _OF_WHAT_NOBODY_KNOWS.search(words):
        return False
    if not words:
        return not any(map(str.isalnum, name))  # too long to be compared is not nothing
    if _NAMING_NOTHING.issuperset(words.split()):
        return True
    said = normal(name).rstrip(".")
    return bool(_OF_ONE.match(said)) and not _AND_YET.search(said)
