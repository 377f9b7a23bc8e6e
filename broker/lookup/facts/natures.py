"""Is an allergen a medicine, a food, or of the environment? By its code, its category, and then by all of its words.

GP Connect knows two categories, medication and environment, and writes the second of foods too: of a food that its code
names, `environment` is not believed, and where nothing else is said, words may say what it is. What is in neither list
has the nature that its source gives it, if any.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from broker.lookup.facts.concepts import SNOMED, plain
from policies.values import Coding

__all__ = ["CODES", "nature_of"]

_MEDICATION, _FOOD, _ENVIRONMENT = (frozenset({one}) for one in ("medication", "food", "environment"))
_NOT_SAID: frozenset[str] = frozenset()

CODES: Mapping[Coding, frozenset[str]] = {
    (SNOMED, code): nature
    for nature, codes in {
        # Drug allergy, intolerance, adverse reaction, propensity to one, and one that could not be taken over.
        _MEDICATION: "416098002 59037007 62014003 419511003 196461000000101",
        # Food allergy, intolerance, propensity to react; then peanut, nut, tree nut, walnut, egg, egg protein, dairy,
        # cow's milk protein, fish, shellfish, seafood, soya, soya protein, wheat, fruit, strawberry;
        # then the foods themselves: peanut (two), tree nut, egg, fish, shellfish, cow's milk, wheat, soya, sesame.
        _FOOD: "414285001 235719002 418471000 "
        "91935009 91934008 48821000119104 91940001 91930004 213020009 425525006 "
        "782555009 417532002 300913006 91937001 714035009 782594005 420174000 91932007 91938006 "
        "762952008 256349002 442571000124108 102263004 735971005 735029006 3718001 412071004 256355007 260167008",
        # Environmental allergy; then latex, pollen of grass, tree and weed, mould, dander (any, horse, dog), house dust
        # mite, venom of bee and wasp, wasp sting;
        # then what they are of: latex, dander, house dust mite, pollen of grass and tree, bee venom, mould.
        _ENVIRONMENT: "426232007 "
        "300916003 418689008 419263009 419210001 419474003 232347008 419063004 419271008 232350006 "
        "424213003 423058007 300909004 "
        "111088007 264287008 260147004 256277009 782576004 288328004 84489001",
    }.items()
    for code in codes.split()
}
"""Findings and substances of SNOMED CT that are common, each by its number."""

_WORDS: Mapping[str, frozenset[str]] = {
    word: nature
    for nature, words in {
        _FOOD: "peanut peanuts nut nuts almond almonds cashew cashews hazelnut hazelnuts walnut walnuts egg eggs milk "
        "dairy fish shellfish seafood prawn prawns crab soya soy wheat gluten sesame strawberry strawberries",
        _ENVIRONMENT: "latex pollen dust mite mites mould dander cats dogs bee bees wasp wasps",
    }.items()
    for word in words.split()
}

_GLUE = (
    "a all allergic allergies allergy and animal brazil cow cows food grass hay house in intolerance intolerant of or "
    "protein reaction s seed seeds sensitivity severe sting stings the to tree venom white"
)
_BESIDE = frozenset(_GLUE.split())
"""What may stand beside such a word without being another allergen: "penicillin and nuts" is not a food."""


def nature_of(codes: AbstractSet[Coding], names: Sequence[str], category: Any) -> frozenset[str]:
    """The FHIR categories that an allergen is of; empty where nobody can tell."""
    said = frozenset(one for one in category if isinstance(one, str)) if isinstance(category, list) else _NOT_SAID
    for code in codes:
        if code in CODES:
            known = CODES[code]
            return known | (said - _ENVIRONMENT if known is _FOOD else said)
    return said if said - _ENVIRONMENT or not names else said | _in_words(names[0])


def _in_words(name: str) -> frozenset[str]:
    words = plain(name).split()
    found = [_WORDS[word] for word in words if word in _WORDS]
    if found and all(word in _WORDS or word in _BESIDE for word in words):
        return _NOT_SAID.union(*found)
    return _NOT_SAID
