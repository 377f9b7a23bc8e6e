"""Builders of FHIR R4 resources, so that a story reads as a story.

The first argument of each is a key, unique in its story for its type: other resources refer to it as `Type/key`.
`Patient/me` is the patient of the story; `Organization/here` and `Practitioner/staff` are those of the source.
Keys become each server's own ids when a source is filled (`records`). An element given as None is left out.
"""

from broker.demo.world.fhir.clinical import (
    allergy,
    condition,
    immunisation,
    medication,
    no_known_allergies,
    observation,
    procedure,
    report,
    trend,
)
from broker.demo.world.fhir.contacts import (
    appointment,
    care_plan,
    care_team,
    encounter,
    episode,
    flag,
    letter,
    referral,
)
from broker.demo.world.fhir.elements import ME, concept, hl7, ref, resource

__all__ = [
    "ME",
    "allergy",
    "appointment",
    "care_plan",
    "care_team",
    "concept",
    "condition",
    "encounter",
    "episode",
    "flag",
    "hl7",
    "immunisation",
    "letter",
    "medication",
    "no_known_allergies",
    "observation",
    "procedure",
    "ref",
    "referral",
    "report",
    "resource",
    "trend",
]
