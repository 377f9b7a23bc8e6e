"""Stories of support outside hospital: a plan for emergencies at home, and one for a crisis of the mind."""

from typing import Final

from broker.demo.world import codes as c
from broker.demo.world.fhir import (
    appointment,
    care_plan,
    care_team,
    condition,
    encounter,
    episode,
    flag,
    medication,
    referral,
    trend,
)
from broker.demo.world.story import Person, Story

__all__ = ["SUPPORT"]

SENSITIVE_PSYCHIATRY: Final = {
    "security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "PSY"}]
}

MR_PYM: Final = Story(
    person=Person(
        nhs_number="9990000115",
        title="Mr",
        given="Arthur",
        family="Pym",
        birth_date="1939-05-17",
        gender="male",
        address=("2 Choumert Square", "London", "SE15 4RE"),
        phone="020 7946 0115",
        practice="G85001",
    ),
    shows="a plan for emergencies, a care package and a warning, from three organisations that never met",
    reader="RJ1",
    at={
        "G85001-gp": [
            condition("dementia", c.DEMENTIA, since="2022-02-08"),
            condition("heart-failure", c.HEART_FAILURE, since="2020-07-27"),
            medication("furosemide", c.FUROSEMIDE, since="2020-08-03", dose="One each morning"),
            care_plan("respect", c.RESPECT_PLAN, since="2025-11-04", title="ReSPECT: care at home preferred"),
        ],
        "710-mosaic": [
            care_plan(
                "support",
                None,
                since="2023-06-19",
                title="Support at home, 21 hours a week",
                steps=("Three visits a day", "Medicines prompted each morning"),
            ),
            flag(
                "wanders",
                "May leave home at night; neighbour at number 4 has a key",
                since="2024-02-02",
                category="safety",
            ),
            care_team("team", "Memory and frailty team", since="2023-06-19", members=("Social worker", "Wife, carer")),
        ],
        "RYX-rio": [
            episode("heart-failure", "Community heart failure nurses", since="2020-09-01"),
            encounter("visit", c.HOME_VISIT, start="2026-11-09T10:00:00Z", end="2026-11-09T10:45:00Z", setting="HH"),
            *trend(
                "weight", c.BODY_WEIGHT, unit="kg", values={"2026-09-14": 71.2, "2026-10-12": 72.0, "2026-11-09": 74.1}
            ),
        ],
        "RJ1-epr": [encounter("today", c.EMERGENCY_VISIT, start="2026-11-22T06:30:00Z", setting="EMER")],
    },
)

MS_MARTIN: Final = Story(
    person=Person(
        nhs_number="9990000123",
        title="Ms",
        given="Chloe",
        family="Martin",
        birth_date="1994-08-08",
        gender="female",
        address=("19 Brixton Water Lane", "London", "SW2 1NU"),
        phone="020 7946 0123",
        practice="G85001",
    ),
    shows="a crisis plan and its medicine from mental health care, which only some roles may see",
    reader="RV5",
    at={
        "RV5-epjs": [
            episode("cmht", "Community mental health team", since="2023-03-06"),
            condition("bipolar", c.BIPOLAR, since="2023-03-20", meta=SENSITIVE_PSYCHIATRY),
            medication("olanzapine", c.OLANZAPINE, since="2023-04-03", dose="One at night"),
            care_plan(
                "crisis",
                c.CRISIS_PLAN,
                since="2024-05-01",
                title="What helps in a crisis",
                steps=("Call her sister first", "Quiet room, no cannula unless agreed"),
            ),
            flag("risk", "Do not visit alone after dark: unlit stairwell", since="2024-05-01", category="safety"),
            encounter(
                "review",
                c.CONSULTATION,
                start="2026-10-20T13:00:00Z",
                end="2026-10-20T13:45:00Z",
                services=(c.ADULT_PSYCHIATRY,),
            ),
            appointment("next", start="2026-12-15", what="Care coordinator", services=(c.ADULT_PSYCHIATRY,)),
            care_team("cmht", "Lambeth north CMHT", since="2023-03-06", members=("Care coordinator", "Psychiatrist")),
        ],
        "G85001-gp": [
            condition("depression", c.DEPRESSION, since="2015-02-11", status="resolved"),
            medication(
                "citalopram",
                c.CITALOPRAM,
                since="2015-02-11",
                status="stopped",
                why="Changed by the community mental health team",
                dose="One a day",
            ),
            medication("olanzapine", c.OLANZAPINE, since="2023-05-02", dose="One at night"),
            referral("counselling", c.COUNSELLOR_REFERRAL, on="2015-02-11", why="Low mood", status="completed"),
        ],
        "RJ1-epr": [
            encounter(
                "overdose",
                c.EMERGENCY_VISIT,
                start="2023-02-26T01:00:00Z",
                end="2023-02-26T14:00:00Z",
                setting="EMER",
                services=(c.EMERGENCY_MEDICINE,),
            )
        ],
    },
)

SUPPORT: Final = (MR_PYM, MS_MARTIN)
