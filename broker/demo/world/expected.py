"""What a lookup of each patient must give, by a clinician of the story's organisation, with every source up.

Kept beside the stories, so that whoever changes one sees what it promises.
"""

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from broker.demo.world import codes as c
from broker.demo.world.codes import Code

__all__ = ["EXPECTED", "Expected"]

Rows = MappingProxyType[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What must be true of a reply.

    Attributes:
        rows: source to its row's status; every other source in scope answers `no-record-found`.
        complete: whether the reply is.
        shows: type, code and source of what must be there. Where places are hidden the source is left empty.
        hides: words that may occur nowhere in the reply.
        links: type, code and sources of records that must be linked.
        contradicts: whether sources contradict each other about allergies.
    """

    rows: Rows
    complete: bool = True
    shows: tuple[tuple[str, Code, str], ...] = ()
    hides: tuple[str, ...] = ()
    links: tuple[tuple[str, Code, frozenset[str]], ...] = field(default=())
    contradicts: bool = False


def _answered(*sources: str, **others: str) -> Rows:
    """These sources answer; the others (written with `_` for `-`) have another status."""
    rows = dict.fromkeys(sources, "answered")
    return MappingProxyType(rows | {source.replace("_", "-"): status for source, status in others.items()})


EXPECTED: Final = MappingProxyType({
    "9990000018": Expected(
        rows=_answered(
            "G85001-gp",
            "RJ1-epr",
            "RJ1-lab",
            "RJZ-epr",
            "RYX-rio",
            "Y09001-adastra",
            "710-mosaic",
            "RD8-ecare",
        ),
        shows=(
            ("AllergyIntolerance", c.PENICILLIN_ALLERGY, "G85001-gp"),
            ("AllergyIntolerance", c.PENICILLIN_ALLERGY, "RJ1-epr"),
            ("AllergyIntolerance", c.PENICILLIN_ALLERGY, "RD8-ecare"),
            ("AllergyIntolerance", c.NO_KNOWN_ALLERGY, "RJZ-epr"),
            ("MedicationRequest", c.BENDROFLUMETHIAZIDE, "G85001-gp"),
            ("MedicationRequest", c.BENDROFLUMETHIAZIDE, "RJZ-epr"),
            ("Observation", c.EGFR, "RJ1-lab"),
            ("Observation", c.HBA1C, "G85001-gp"),
        ),
        links=(
            (
                "AllergyIntolerance",
                c.PENICILLIN_ALLERGY,
                frozenset({"G85001-gp", "RJ1-epr", "RD8-ecare"}),
            ),
            ("MedicationRequest", c.BENDROFLUMETHIAZIDE, frozenset({"G85001-gp", "RJZ-epr"})),
            ("Immunization", c.COVID_VACCINE, frozenset({"G85001-gp", "RJ1-epr"})),
        ),
        contradicts=True,
    ),
    "9990000026": Expected(
        rows=_answered("G85001-gp", "RJ1-epr"),
        shows=(
            ("AllergyIntolerance", c.LATEX_ALLERGY, "RJ1-epr"),
            ("Encounter", c.EMERGENCY_VISIT, "RJ1-epr"),
            ("MedicationRequest", c.SALBUTAMOL, "G85001-gp"),
        ),
        hides=("Burrell", "2026-09-0", "2026-09-10", c.GUM_SERVICE.code, "Genitourinary", c.MICROSCOPY.code),
    ),
    "9990000034": Expected(
        rows=_answered(
            "RJ1-epr",
            RJ1_lab="no-record-found",
            G85001_gp="withheld",
            RV5_epjs="withheld",
            RJZ_epr="withheld",
            RYX_rio="withheld",
            Y09001_adastra="withheld",
            R1H_millennium="withheld",
            RD8_ecare="withheld",
            **{"710_mosaic": "withheld"},
        ),
        complete=False,
        shows=(("Encounter", c.EMERGENCY_VISIT, "RJ1-epr"),),
        hides=(c.EGG_ALLERGY.code, c.DEPRESSION.code, c.AMLODIPINE.code),
    ),
    "9990000042": Expected(
        rows=_answered("R1H-millennium", "RJZ-epr"),
        complete=False,
        shows=(("AllergyIntolerance", c.PEANUT_ALLERGY, ""), ("Condition", c.GOUT, "")),
        hides=("Sclater", "E1 6HU", "7946 0042", "Barts", "King's", "R1H", "RJZ", "F84016", "Victoria Park"),
    ),
    "9990000050": Expected(
        rows=_answered("G85001-gp", "RJZ-epr"),
        shows=(
            ("MedicationRequest", c.OMEPRAZOLE, "G85001-gp"),
            ("Condition", c.ATRIAL_FIBRILLATION, "RJZ-epr"),
        ),
        hides=("9990000069",),
        links=(
            ("MedicationRequest", c.APIXABAN, frozenset({"G85001-gp", "RJZ-epr"})),
            ("Condition", c.ATRIAL_FIBRILLATION, frozenset({"G85001-gp", "RJZ-epr"})),
        ),
    ),
    "9990000077": Expected(
        rows=_answered("G85001-gp", "RJ1-epr", RJZ_epr="wrong-patient"),
        complete=False,
        shows=(("Condition", c.TYPE_2_DIABETES, "G85001-gp"),),
        hides=("1961-12-04", c.ASPIRIN_ALLERGY.code, c.COPD.code),
    ),
    "9990000085": Expected(
        rows=_answered("G85001-gp", "RJZ-epr"),
        shows=(("Condition", c.GESTATIONAL_DIABETES, "RJZ-epr"), ("Procedure", c.CAESAREAN, "RJZ-epr")),
        hides=("Amara", "9990000093", c.PEANUT_ALLERGY.code),
    ),
    "9990000093": Expected(
        rows=_answered("G85001-gp", "RJZ-epr"),
        shows=(
            ("AllergyIntolerance", c.PEANUT_ALLERGY, "RJZ-epr"),
            ("Observation", c.HAEMOGLOBIN, "RJZ-epr"),
            ("Immunization", c.MMR_VACCINATION, "G85001-gp"),
        ),
        hides=("Funke", "9990000085", c.HBA1C.code),
    ),
    "9990000107": Expected(
        rows=_answered("G85001-gp", "RJZ-epr", "Y09001-adastra"),
        shows=(("Observation", c.FEV1_FVC, "RJZ-epr"), ("CarePlan", c.COPD_PLAN, "G85001-gp")),
        links=(("Condition", c.COPD, frozenset({"G85001-gp", "RJZ-epr"})),),
    ),
    "9990000115": Expected(
        rows=_answered("G85001-gp", "710-mosaic", "RYX-rio", "RJ1-epr"),
        shows=(("CarePlan", c.RESPECT_PLAN, "G85001-gp"), ("Observation", c.BODY_WEIGHT, "RYX-rio")),
    ),
    "9990000123": Expected(
        rows=_answered("RV5-epjs", "G85001-gp", "RJ1-epr"),
        shows=(("Condition", c.BIPOLAR, "RV5-epjs"), ("CarePlan", c.CRISIS_PLAN, "RV5-epjs")),
        links=(("MedicationRequest", c.OLANZAPINE, frozenset({"RV5-epjs", "G85001-gp"})),),
    ),
    "9990000131": Expected(
        rows=_answered("R1H-millennium", "F84016-gp", "RYX-rio"),
        shows=(
            ("Procedure", c.HIP_REPLACEMENT, "R1H-millennium"),
            ("ServiceRequest", c.PHYSIOTHERAPY_REFERRAL, "F84016-gp"),
        ),
        links=(
            ("Procedure", c.HIP_REPLACEMENT, frozenset({"R1H-millennium", "F84016-gp"})),
            ("Condition", c.HIP_FRACTURE, frozenset({"R1H-millennium", "F84016-gp"})),
        ),
    ),
    "9990000158": Expected(
        rows=_answered("R1H-millennium", "F84016-gp", "RD8-ecare"),
        shows=(("Immunization", c.MMR_VACCINATION, "F84016-gp"), ("Immunization", c.MMR_VACCINATION, "RD8-ecare")),
        links=(
            ("Immunization", c.MMR_VACCINATION, frozenset({"F84016-gp", "RD8-ecare"})),
            ("Condition", c.ASTHMA, frozenset({"F84016-gp", "RD8-ecare"})),
        ),
    ),
})
"""Number asked for (of Mr Achebe the superseded one) to what must come."""
