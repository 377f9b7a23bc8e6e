"""Stories of what must not come through, or not in the usual way."""

from typing import Final

from broker.demo.world import codes as c
from broker.demo.world.fhir import (
    allergy,
    appointment,
    concept,
    condition,
    encounter,
    letter,
    medication,
    observation,
    report,
    resource,
)
from broker.demo.world.story import Objector, Person, Story

__all__ = ["GUARDED", "OBJECTIONS"]

GUM: Final = (c.GUM_CLINIC, c.GUM_SERVICE)

MR_REYES: Final = Story(
    person=Person(
        nhs_number="9990000026",
        title="Mr",
        given="Daniel",
        family="Reyes",
        birth_date="1991-07-19",
        gender="male",
        address=("3 Lorrimore Square", "London", "SE17 3QU"),
        phone="020 7946 0026",
        practice="G85001",
    ),
    shows="an attendance at a clinic that is never shared is gone with all that hangs on it; an allergy stays",
    reader="RJZ",
    at={
        "RJ1-epr": [
            resource("HealthcareService", "gum", active=True, name="Burrell Street clinic", type_=[concept(*GUM)]),
            appointment(
                "gum",
                start="2026-09-08",
                what="Burrell Street: new patient",
                services=GUM,
                status="fulfilled",
                others=("HealthcareService/gum",),
            ),
            encounter(
                "gum",
                c.CONSULTATION,
                start="2026-09-08T09:30:00Z",
                end="2026-09-08T10:05:00Z",
                services=GUM,
                appointment="Appointment/gum",
            ),
            # No result says where it was taken: the report does.
            observation("gum-swab", c.MICROSCOPY, on="2026-09-08", value="Burrell Street swab: no organisms seen"),
            report(
                "gum",
                c.PATHOLOGY,
                on="2026-09-09",
                results=["Observation/gum-swab"],
                at="Encounter/gum",
                conclusion="Burrell Street screen",
            ),
            letter(
                "gum",
                c.OUTPATIENT_LETTER,
                on="2026-09-10",
                title="Burrell Street clinic letter",
                about=("Encounter/gum", "DiagnosticReport/gum"),
            ),
            allergy(
                "latex",
                c.LATEX_ALLERGY,
                recorded="2026-09-08",
                reaction=c.URTICARIA,
                criticality="high",
                at="Encounter/gum",
                note="Told us at Burrell Street.",
            ),
            encounter(
                "wrist",
                c.EMERGENCY_VISIT,
                start="2025-03-29T18:20:00Z",
                end="2025-03-29T21:10:00Z",
                setting="EMER",
                services=(c.EMERGENCY_MEDICINE,),
                reasonCode=[{"text": "Wrist injury, no fracture"}],
            ),
        ],
        "G85001-gp": [
            condition("asthma", c.ASTHMA, since="2003-01-20"),
            medication("salbutamol", c.SALBUTAMOL, since="2019-04-02", dose="Two puffs when needed"),
            medication("beclometasone", c.BECLOMETASONE, since="2019-04-02", dose="Two puffs twice a day"),
        ],
    },
)

MR_NOWAK: Final = Story(
    person=Person(
        nhs_number="9990000034",
        title="Mr",
        given="Tomasz",
        family="Nowak",
        birth_date="1979-12-01",
        gender="male",
        address=("88 Peckham Rye", "London", "SE15 4HA"),
        phone="020 7946 0034",
        practice="G85001",
    ),
    shows="he objected to sharing: every row is withheld but the one of the reader's own organisation",
    reader="RJ1",
    at={
        "RJ1-epr": [
            encounter(
                "chest-pain",
                c.EMERGENCY_VISIT,
                start="2026-06-14T22:00:00Z",
                end="2026-06-15T03:30:00Z",
                setting="EMER",
                services=(c.EMERGENCY_MEDICINE,),
            ),
            medication("aspirin", c.ASPIRIN, since="2026-06-15", dose="One a day", at="Encounter/chest-pain"),
        ],
        "G85001-gp": [
            condition("hypertension", c.HYPERTENSION, since="2020-05-12"),
            medication("amlodipine", c.AMLODIPINE, since="2020-05-12", dose="One a day"),
            allergy("egg", c.EGG_ALLERGY, recorded="1984-03-03", reaction=c.RASH),
        ],
        "RV5-epjs": [condition("depression", c.DEPRESSION, since="2022-11-07")],
    },
)

MS_SHARMA: Final = Story(
    person=Person(
        nhs_number="9990000042",
        title="Ms",
        given="Priya",
        family="Sharma",
        birth_date="1986-10-27",
        gender="female",
        address=("Flat 9, 2 Sclater Street", "London", "E1 6HU"),
        phone="020 7946 0042",
        practice=None,
        restricted=True,
    ),
    shows="where she lives and where she is seen are hidden: she is flagged as sensitive nationally",
    reader="R1H",
    at={
        "R1H-millennium": [
            encounter(
                "today",
                c.EMERGENCY_VISIT,
                start="2026-11-22T07:15:00Z",
                setting="EMER",
                services=(c.EMERGENCY_MEDICINE,),
            ),
            allergy("peanut", c.PEANUT_ALLERGY, recorded="2026-11-22", reaction=c.ANAPHYLAXIS, criticality="high"),
        ],
        "F84016-gp": [condition("asthma", c.ASTHMA, since="1994-02-02")],
        "RJZ-epr": [
            condition("gout", c.GOUT, since="2024-01-09"),
            allergy("peanut", c.PEANUT_ALLERGY, recorded="2021-05-30", reaction=c.URTICARIA),
        ],
    },
)

GUARDED: Final = (MR_REYES, MR_NOWAK, MS_SHARMA)

OBJECTIONS: Final = (Objector(nhs_number=MR_NOWAK.person.nhs_number, asked_by="patient"),)
"""What stands in the objection register when the demo starts."""
