"""Stories of mistaken identity: other numbers, another birth date, another person named in the record."""

from typing import Final

from broker.demo.world import codes as c
from broker.demo.world.fhir import (
    allergy,
    concept,
    condition,
    encounter,
    immunisation,
    medication,
    observation,
    ref,
    resource,
    trend,
)
from broker.demo.world.story import Person, Story

__all__ = ["IDENTITY"]

MR_ACHEBE: Final = Story(
    person=Person(
        nhs_number="9990000069",
        superseded="9990000050",
        title="Mr",
        given="George",
        family="Achebe",
        birth_date="1955-09-09",
        gender="male",
        address=("27 Vassall Road", "London", "SW9 6ND"),
        phone="020 7946 0069",
        practice="G85001",
    ),
    shows="asked for by his old number: what stands under the new one comes too",
    reader="RJZ",
    at={
        "RJZ-epr": [
            condition("atrial-fibrillation", c.ATRIAL_FIBRILLATION, since="2017-02-21"),
            medication("apixaban", c.APIXABAN, since="2017-03-01", dose="One twice a day"),
        ],
        "G85001-gp": [
            condition("atrial-fibrillation", c.ATRIAL_FIBRILLATION, since="2017-02-21"),
            medication("apixaban", c.APIXABAN, since="2017-03-15", dose="One twice a day"),
            medication("omeprazole", c.OMEPRAZOLE, since="2018-08-08", dose="One each morning"),
            immunisation("flu", c.FLU_VACCINATION, on="2025-10-11"),
        ],
    },
    differs={"RJZ-epr": {"nhs_number": "9990000050"}},
)

MR_ADEYEMI: Final = Story(
    person=Person(
        nhs_number="9990000077",
        title="Mr",
        given="Samuel",
        family="Adeyemi",
        birth_date="1961-04-12",
        gender="male",
        address=("51 Coldharbour Lane", "London", "SE5 9NR"),
        phone="020 7946 0077",
        practice="G85001",
    ),
    shows="one hospital has his number with another date of birth: nothing of what it says is believed",
    reader="RJ1",
    at={
        "G85001-gp": [
            condition("diabetes", c.TYPE_2_DIABETES, since="2016-09-01"),
            medication("metformin", c.METFORMIN, since="2016-09-15", dose="Two twice a day"),
            *trend(
                "hba1c",
                c.HBA1C,
                c.HBA1C_LOINC,
                unit="mmol/mol",
                values={"2023-09-05": 69, "2024-09-10": 60, "2025-09-16": 52},
            ),
        ],
        "RJ1-epr": [encounter("today", c.EMERGENCY_VISIT, start="2026-11-22T09:00:00Z", setting="EMER")],
        "RJZ-epr": [
            allergy("aspirin", c.ASPIRIN_ALLERGY, recorded="2020-01-17", reaction=c.URTICARIA),
            condition("copd", c.COPD, since="2012-12-12"),
        ],
    },
    differs={"RJZ-epr": {"birthDate": "1961-12-04"}},
)

MRS_BELLO: Final = Story(
    person=Person(
        nhs_number="9990000085",
        title="Mrs",
        given="Funke",
        family="Bello",
        birth_date="1988-01-30",
        gender="female",
        address=("6 Crystal Palace Parade", "London", "SE19 1UA"),
        phone="020 7946 0085",
        practice="G85001",
    ),
    shows="a birth in 2017, and gestational diabetes that her child's record also speaks of",
    reader="RJZ",
    at={
        "RJZ-epr": [
            encounter(
                "birth",
                c.ADMISSION,
                start="2017-05-03T23:00:00Z",
                end="2017-05-07T12:00:00Z",
                setting="IMP",
                services=(c.OBSTETRICS,),
            ),
            condition("gdm", c.GESTATIONAL_DIABETES, since="2017-01-12", status="resolved"),
            resource(
                "Procedure",
                "caesarean",
                status="completed",
                code=concept(c.CAESAREAN),
                subject=ref("Patient/me"),
                encounter=ref("Encounter/birth"),
                performedDateTime="2017-05-04",
            ),
        ],
        "G85001-gp": [immunisation("flu", c.FLU_VACCINATION, on="2024-11-02")],
    },
)

AMARA_BELLO: Final = Story(
    person=Person(
        nhs_number="9990000093",
        title="Miss",
        given="Amara",
        family="Bello",
        birth_date="2017-05-04",
        gender="female",
        address=("6 Crystal Palace Parade", "London", "SE19 1UA"),
        phone="020 7946 0085",
        practice="G85001",
    ),
    shows="her mother's record is named in hers: the allergy stays without its asserter, the mother's own result goes",
    reader="RJZ",
    at={
        "RJZ-epr": [
            encounter(
                "wheeze",
                c.EMERGENCY_VISIT,
                start="2026-10-30T20:00:00Z",
                end="2026-10-31T01:00:00Z",
                setting="EMER",
                services=(c.PAEDIATRICS,),
            ),
            allergy(
                "peanut",
                c.PEANUT_ALLERGY,
                recorded="2020-06-06",
                reaction=c.URTICARIA,
                criticality="high",
                asserter=ref("Patient/9990000085", "Mrs Funke Bello (mother)"),
            ),
            observation(
                "mother-hba1c",
                c.HBA1C,
                c.HBA1C_LOINC,
                on="2017-05-04",
                value=47,
                unit="mmol/mol",
                focus=[ref("Patient/9990000085")],
            ),
            observation("hb", c.HAEMOGLOBIN, c.HAEMOGLOBIN_LOINC, on="2026-10-30", value=121, unit="g/L"),
        ],
        "G85001-gp": [
            condition("asthma", c.ASTHMA, since="2022-12-05"),
            medication("salbutamol", c.SALBUTAMOL, since="2022-12-05", dose="Two puffs through a spacer when needed"),
            immunisation("mmr-1", c.MMR_VACCINATION, on="2018-05-21", number=1),
            immunisation("mmr-2", c.MMR_VACCINATION, on="2020-09-28", number=2),
        ],
    },
)

IDENTITY: Final = (MR_ACHEBE, MR_ADEYEMI, MRS_BELLO, AMARA_BELLO)
