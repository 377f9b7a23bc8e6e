"""Stories of ordinary care that crosses organisations."""

from typing import Final

from broker.demo.world import codes as c
from broker.demo.world.fhir import (
    allergy,
    appointment,
    care_plan,
    concept,
    condition,
    encounter,
    episode,
    immunisation,
    letter,
    medication,
    no_known_allergies,
    observation,
    procedure,
    referral,
    report,
    trend,
)
from broker.demo.world.story import Person, Story

__all__ = ["EVERYDAY"]


MR_ZHANG: Final = Story(
    person=Person(
        nhs_number="9990000107",
        title="Mr",
        given="Wei",
        family="Zhang",
        birth_date="1952-11-23",
        gender="male",
        address=("40 Wells Way", "London", "SE5 0PX"),
        phone="020 7946 0107",
        practice="G85001",
    ),
    shows="eight years of lung function, three to a page, from a server that ignores the size asked for",
    reader="RJZ",
    at={
        "RJZ-epr": [
            condition("copd", c.COPD, since="2018-03-13"),
            *trend(
                "fev1-fvc",
                c.FEV1_FVC,
                unit="%",
                values={
                    "2018-03-13": 64,
                    "2019-03-19": 63,
                    "2020-09-01": 61,
                    "2021-03-09": 60,
                    "2022-03-15": 58,
                    "2023-03-14": 57,
                    "2024-03-12": 55,
                    "2025-03-11": 54,
                    "2026-03-10": 51,
                },
            ),
            encounter(
                "clinic",
                c.CONSULTATION,
                start="2026-03-10T14:00:00Z",
                end="2026-03-10T14:30:00Z",
                services=(c.RESPIRATORY,),
            ),
            letter(
                "clinic-letter",
                c.OUTPATIENT_LETTER,
                on="2026-03-12",
                title="Respiratory clinic letter",
                services=(c.RESPIRATORY,),
                about=("Encounter/clinic",),
            ),
            appointment("next", start="2027-03-09", what="Respiratory clinic", services=(c.RESPIRATORY,)),
        ],
        "G85001-gp": [
            no_known_allergies("none", recorded="2009-01-05"),
            condition("copd", c.COPD, since="2018-03-20"),
            medication("salbutamol", c.SALBUTAMOL, since="2018-03-20", dose="Two puffs when needed"),
            care_plan("copd", c.COPD_PLAN, since="2018-04-02", title="COPD plan: rescue pack at home"),
            *(immunisation(f"flu-{year}", c.FLU_VACCINATION, on=f"{year}-10-12") for year in range(2019, 2027)),
        ],
        "Y09001-adastra": [
            encounter(
                "call",
                c.CONSULTATION,
                start="2026-01-04T03:10:00Z",
                end="2026-01-04T03:25:00Z",
                setting="VR",
                reasonCode=[{"text": "Breathless, rescue pack started"}],
            )
        ],
    },
)

MRS_FLYNN: Final = Story(
    person=Person(
        nhs_number="9990000131",
        title="Mrs",
        given="Margaret",
        family="Flynn",
        birth_date="1944-12-29",
        gender="female",
        address=("70 Approach Road", "London", "E2 9JP"),
        phone="020 7946 0131",
        practice="F84016",
    ),
    shows="a hip fracture followed across three organisations; an allergy that was entered in error is never current",
    reader="R1H",
    at={
        "R1H-millennium": [
            encounter(
                "hip",
                c.ADMISSION,
                start="2026-07-01T16:00:00Z",
                end="2026-07-09T11:00:00Z",
                setting="IMP",
                services=(c.ORTHOPAEDICS,),
            ),
            condition("hip", c.HIP_FRACTURE, since="2026-07-01", at="Encounter/hip"),
            procedure("hip", c.HIP_REPLACEMENT, on="2026-07-02", at="Encounter/hip"),
            observation(
                "hb", c.HAEMOGLOBIN, c.HAEMOGLOBIN_LOINC, on="2026-07-03", value=94, unit="g/L", at="Encounter/hip"
            ),
            report("hb", c.PATHOLOGY, on="2026-07-03", results=["Observation/hb"], at="Encounter/hip"),
            letter(
                "discharge",
                c.DISCHARGE_LETTER,
                on="2026-07-09",
                title="Discharge summary: hip fracture",
                services=(c.ORTHOPAEDICS,),
                about=("Encounter/hip",),
            ),
            allergy(
                "aspirin",
                c.ASPIRIN_ALLERGY,
                recorded="2026-07-01",
                status=None,
                verification="entered-in-error",
            ),
        ],
        "F84016-gp": [
            condition("hip", c.HIP_FRACTURE, since="2026-07-01"),
            procedure("hip", c.HIP_REPLACEMENT, on="2026-07-02"),
            medication("clopidogrel", c.CLOPIDOGREL, since="2019-02-02", dose="One a day"),
            medication("paracetamol", c.PARACETAMOL, since="2026-07-10", dose="Two up to four times a day"),
            referral("physio", c.PHYSIOTHERAPY_REFERRAL, on="2026-07-14", why="Walking after hip replacement"),
            observation(
                "blood-pressure",
                c.BLOOD_PRESSURE,
                on="2026-09-01",
                category="vital-signs",
                component=[
                    {"code": concept(code), "valueQuantity": {"value": value, "unit": "mm[Hg]"}}
                    for code, value in ((c.SYSTOLIC, 138), (c.DIASTOLIC, 76))
                ],
            ),
        ],
        "RYX-rio": [
            episode("physio", "Community physiotherapy", since="2026-07-20"),
            condition("knee", c.KNEE_OSTEOARTHRITIS, since="2026-08-03"),
            appointment("next", start="2026-12-01", what="Physiotherapy, Bethnal Green"),
        ],
    },
)

MS_COLE: Final = Story(
    person=Person(
        nhs_number="9990000158",
        title="Ms",
        given="Hannah",
        family="Cole",
        birth_date="2004-02-14",
        gender="female",
        address=("5 Mile End Road", "London", "E1 4TP"),
        phone="020 7946 0158",
        practice="F84016",
    ),
    shows="a student whose childhood is recorded out of London: two doses of one vaccine, which are two",
    reader="R1H",
    at={
        "F84016-gp": [
            condition("asthma", c.ASTHMA, since="2012-09-10"),
            medication("salbutamol", c.SALBUTAMOL, since="2023-10-02", dose="Two puffs when needed"),
            immunisation("mmr-1", c.MMR_VACCINATION, on="2005-03-01", number=1),
            immunisation("mmr-2", c.MMR_VACCINATION, on="2007-09-18", number=2),
        ],
        "RD8-ecare": [
            encounter(
                "asthma",
                c.ADMISSION,
                start="2019-11-30T21:00:00Z",
                end="2019-12-03T10:00:00Z",
                setting="IMP",
                services=(c.PAEDIATRICS,),
            ),
            condition("asthma", c.ASTHMA, since="2012-09-10"),
            immunisation("mmr-1", c.MMR_VACCINATION, on="2005-03-01", number=1),
        ],
        "R1H-millennium": [encounter("today", c.EMERGENCY_VISIT, start="2026-11-22T04:10:00Z", setting="EMER")],
    },
)

EVERYDAY: Final = (MR_ZHANG, MRS_FLYNN, MS_COLE)
