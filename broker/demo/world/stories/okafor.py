"""Mrs Okafor, 78: the patient of the first lookup. One record in eight places, and two of them disagree."""

from typing import Final

from broker.demo.world import codes as c
from broker.demo.world.fhir import (
    allergy,
    appointment,
    care_plan,
    care_team,
    condition,
    encounter,
    flag,
    immunisation,
    letter,
    medication,
    no_known_allergies,
    observation,
    procedure,
    ref,
    referral,
    report,
    resource,
    trend,
)
from broker.demo.world.story import Person, Story

__all__ = ["MRS_OKAFOR"]

WHY_STOPPED: Final = "Low sodium (121 mmol/L) on admission. Do not restart."

PRACTICE: Final = [
    allergy("penicillin", c.PENICILLIN_ALLERGY, recorded="1987-06-11", reaction=c.RASH, criticality="low"),
    condition("diabetes", c.TYPE_2_DIABETES, since="2011-05-20"),
    condition("hypertension", c.HYPERTENSION, since="2004-02-09"),
    condition("ckd", c.CKD_3, since="2021-09-14"),
    medication("bendro", c.BENDROFLUMETHIAZIDE, since="2015-03-02", dose="One each morning"),
    medication("metformin", c.METFORMIN, since="2011-06-01", dose="One twice a day with food"),
    medication("amlodipine", c.AMLODIPINE, since="2018-01-15", dose="One each morning"),
    medication("atorvastatin", c.ATORVASTATIN, since="2012-10-10", dose="One at night"),
    immunisation("covid-1", c.COVID_VACCINE, on="2021-02-07", given=c.COVID_FIRST_DOSE, number=1, lot="4120Z001"),
    immunisation("covid-2", c.COVID_VACCINE, on="2021-04-25", given=c.COVID_SECOND_DOSE, number=2, lot="4120Z025"),
    immunisation("flu-2026", c.FLU_VACCINATION, on="2026-10-03"),
    *trend(
        "hba1c",
        c.HBA1C,
        c.HBA1C_LOINC,
        unit="mmol/mol",
        values={
            "2018-06-04": 51,
            "2019-06-11": 53,
            "2020-07-02": 56,
            "2021-09-14": 58,
            "2022-09-20": 61,
            "2023-10-03": 64,
            "2024-10-08": 66,
            "2025-10-14": 71,
        },
    ),
    *trend(
        "egfr",
        c.EGFR,
        c.EGFR_LOINC,
        unit="mL/min/{1.73_m2}",
        values={
            "2018-06-04": 71,
            "2020-07-02": 64,
            "2021-09-14": 57,
            "2023-10-03": 52,
            "2025-10-14": 46,
        },
    ),
    encounter("review", c.CONSULTATION, start="2026-10-03T10:10:00Z", end="2026-10-03T10:25:00Z"),
    referral(
        "social-care", c.SOCIAL_CARE_REFERRAL, on="2026-03-02", why="Finds shopping and washing harder since the fall"
    ),
    appointment("bloods", start="2026-12-08", what="Yearly diabetes bloods"),
]

GUYS: Final = [
    allergy(
        "penicillin",
        c.PENICILLIN_ALLERGY,
        recorded="2019-11-02",
        reaction=c.URTICARIA,
        criticality="high",
        at="Encounter/clinic",
    ),
    encounter(
        "clinic",
        c.CONSULTATION,
        start="2019-11-02T09:00:00Z",
        end="2019-11-02T09:30:00Z",
        services=(c.GENERAL_MEDICINE,),
        appointment="Appointment/clinic",
    ),
    appointment(
        "clinic", start="2019-11-02", what="Diabetes clinic", services=(c.GENERAL_MEDICINE,), status="fulfilled"
    ),
    encounter(
        "today",
        c.EMERGENCY_VISIT,
        start="2026-11-22T08:40:00Z",
        setting="EMER",
        services=(c.EMERGENCY_MEDICINE,),
        reasonCode=[{"text": "Productive cough and fever for three days"}],
    ),
    immunisation("covid-1", c.COVID_VACCINE, on="2021-02-07", given=c.COVID_FIRST_DOSE, number=1, lot="4120Z001"),
    letter(
        "clinic-letter",
        c.OUTPATIENT_LETTER,
        on="2019-11-05",
        title="Diabetes clinic letter",
        services=(c.GENERAL_MEDICINE,),
        about=("Encounter/clinic",),
    ),
]

LABORATORY: Final = [
    observation("creatinine", c.CREATININE, c.CREATININE_LOINC, on="2026-11-22", value=118, unit="umol/L"),
    observation("egfr", c.EGFR, c.EGFR_LOINC, on="2026-11-22", value=41, unit="mL/min/{1.73_m2}"),
    observation("sodium", c.SODIUM, c.SODIUM_LOINC, on="2026-11-22", value=136, unit="mmol/L"),
    report(
        "today",
        c.PATHOLOGY,
        on="2026-11-22",
        results=["Observation/creatinine", "Observation/egfr", "Observation/sodium"],
    ),
]

KINGS: Final = [
    no_known_allergies("none", recorded="2026-02-11"),
    encounter(
        "fall",
        c.ADMISSION,
        start="2026-02-11T02:15:00Z",
        end="2026-02-16T14:00:00Z",
        setting="IMP",
        services=(c.GENERAL_MEDICINE,),
        diagnosis=[{"condition": ref("Condition/low-sodium")}],
    ),
    condition("low-sodium", c.HYPONATRAEMIA, since="2026-02-11", status="resolved", at="Encounter/fall"),
    medication(
        "bendro",
        c.BENDROFLUMETHIAZIDE,
        since="2026-02-13",
        status="stopped",
        why=WHY_STOPPED,
        dose="One each morning",
        at="Encounter/fall",
    ),
    medication("amlodipine", c.AMLODIPINE, since="2026-02-13", dose="One each morning", at="Encounter/fall"),
    observation("sodium-in", c.SODIUM, c.SODIUM_LOINC, on="2026-02-11", value=121, unit="mmol/L", at="Encounter/fall"),
    observation("sodium-out", c.SODIUM, c.SODIUM_LOINC, on="2026-02-16", value=134, unit="mmol/L", at="Encounter/fall"),
    report(
        "sodium",
        c.PATHOLOGY,
        on="2026-02-16",
        results=["Observation/sodium-in", "Observation/sodium-out"],
        at="Encounter/fall",
    ),
    procedure("hip", c.HIP_REPLACEMENT, on="2014-08-19"),
    letter(
        "discharge",
        c.DISCHARGE_LETTER,
        on="2026-02-16",
        title="Discharge summary: fall, low sodium",
        services=(c.GENERAL_MEDICINE,),
        about=("Encounter/fall",),
    ),
]

COMMUNITY: Final = [
    condition("ulcer", c.LEG_ULCER, since="2026-05-06"),
    encounter("dressing", c.HOME_VISIT, start="2026-11-18T11:00:00Z", end="2026-11-18T11:40:00Z", setting="HH"),
    care_plan(
        "wound",
        None,
        since="2026-05-06",
        title="Leg ulcer: compression bandaging",
        steps=("Change dressing twice a week", "Measure the wound monthly"),
    ),
    appointment("next-dressing", start="2026-11-25", what="District nurse at home: dressing"),
]

URGENT_CARE: Final = [
    encounter(
        "call",
        c.CONSULTATION,
        start="2026-11-21T19:20:00Z",
        end="2026-11-21T19:38:00Z",
        setting="VR",
        reasonCode=[{"text": "Cough and fever; advised to be seen within six hours"}],
    ),
    letter(
        "call-report",
        c.CLINICAL_LETTER,
        on="2026-11-21",
        title="NHS 111 report",
        services=(c.EMERGENCY_MEDICINE,),
        about=("Encounter/call",),
    ),
]

SOCIAL_CARE: Final = [
    care_plan(
        "support",
        None,
        since="2026-04-01",
        title="Support at home, 7 hours a week",
        steps=("Help with washing and dressing, each morning", "Shopping, Tuesdays"),
    ),
    flag(
        "key-safe", "Key safe by the side gate: ask the duty desk for the number", since="2026-04-01", category="admin"
    ),
    flag("alone", "Lives alone; daughter telephones daily", since="2026-04-01", category="safety", code=c.LIVES_ALONE),
    care_team("team", "Older people, north team", since="2026-04-01", members=("Social worker", "Care agency")),
    resource(
        "RelatedPerson",
        "daughter",
        active=True,
        patient=ref("Patient/me"),
        relationship=[{"text": "Daughter"}],
        name=[{"text": "Ms Ngozi Okafor"}],
    ),
]

MILTON_KEYNES: Final = [
    encounter(
        "anaphylaxis",
        c.EMERGENCY_VISIT,
        start="2024-08-25T15:05:00Z",
        end="2024-08-25T23:50:00Z",
        setting="EMER",
        services=(c.EMERGENCY_MEDICINE,),
        reasonCode=[{"text": "Anaphylaxis after co-amoxiclav, while staying with her daughter"}],
    ),
    allergy(
        "penicillin",
        c.PENICILLIN_ALLERGY,
        recorded="2024-08-25",
        reaction=c.ANAPHYLAXIS,
        criticality="high",
        at="Encounter/anaphylaxis",
    ),
    letter(
        "ed-letter",
        c.DISCHARGE_LETTER,
        on="2024-08-26",
        title="Emergency department discharge letter",
        services=(c.EMERGENCY_MEDICINE,),
        about=("Encounter/anaphylaxis",),
    ),
]

MRS_OKAFOR: Final = Story(
    person=Person(
        nhs_number="9990000018",
        title="Mrs",
        given="Grace",
        family="Okafor",
        birth_date="1948-03-02",
        gender="female",
        address=("14 Grove Lane", "London", "SE5 8SY"),
        phone="020 7946 0018",
        practice="G85001",
    ),
    shows="penicillin allergy in two places, none known in a third; a stopped medicine that her practice lists",
    reader="RJ1",
    at={
        "G85001-gp": PRACTICE,
        "RJ1-epr": GUYS,
        "RJ1-lab": LABORATORY,
        "RJZ-epr": KINGS,
        "RYX-rio": COMMUNITY,
        "Y09001-adastra": URGENT_CARE,
        "710-mosaic": SOCIAL_CARE,
        "RD8-ecare": MILTON_KEYNES,
    },
)
