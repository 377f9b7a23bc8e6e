"""Where sources contradict each other a clinician is told, in neutral words that name them; and not where they don't."""

import json

import pytest

from broker.lookup.facts import fact_of
from broker.lookup.ids import Ids
from broker.lookup.merging.contradictions import KINDS
from broker.lookup.merging.merge import merge

SNOMED = "http://snomed.info/sct"
IPS = "http://hl7.org/fhir/uv/ips/CodeSystem/absent-unknown-uv-ips"
ASK = "Ask the patient."


def _concept(code, text=None, system=SNOMED):
    return {"coding": [{"system": system, "code": code}]} | ({"text": text} if text else {})


def _allergy(standing="active", code="91935009", text="Peanut allergy", **more):
    return {
        "resourceType": "AllergyIntolerance",
        "clinicalStatus": _concept(standing, system="urn:hl7"),
        "code": _concept(code, text),
    } | more


def _reacted(*severities, **more):
    return _allergy(reaction=[{"severity": one} for one in severities], **more)


def _problem(standing="active", **more):
    return {
        "resourceType": "Condition",
        "clinicalStatus": _concept(standing, system="urn:hl7"),
        "code": _concept("195967001", "Asthma"),
    } | more


def _severe(code, system=SNOMED):
    return _problem(severity=_concept(code, system=system))


def _medicine(status="active", **more):
    return {
        "resourceType": "MedicationRequest",
        "status": status,
        "intent": "order",
        "medicationCodeableConcept": _concept("386864001", "Amlodipine 5 mg tablets"),
    } | more


REFUTED = {"verificationStatus": _concept("refuted", system="urn:hl7")}


def _issues(*said):
    facts = []
    for n, (source, data) in enumerate(said):
        type_ = data["resourceType"]
        fact = fact_of(type_, data, f"{type_}/{source}.{n}.check", (source, f"Trust {source}"), lambda _: None)
        if fact is not None:
            facts.append(fact)
    work = merge(facts, Ids(b"k" * 32, "9990000018"), "sealed")
    while True:
        try:
            next(work)
        except StopIteration as end:
            merged = [json.loads(entry.content) for entry in end.value]
            return [one for one in merged if one["resourceType"] == "DetectedIssue"]


def _said(*said):
    return [(one["code"]["coding"][0]["code"], one["detail"]) for one in _issues(*said)]


def _implicated(issue):
    return [int(one["reference"].split(".")[1]) for one in issue["implicated"]]


# --- how it is said


@pytest.mark.parametrize("unseen", ["\0", "\x1b", "\x7f", "\u0085", "\u202e", "\u2066", "\u200f"])
@pytest.mark.parametrize("said", [{"text": "Peanut{}allergy"}, {"coding": [{"display": "Peanut{}allergy"}]}])
def test_what_a_source_calls_it_can_not_turn_or_break_the_line_that_tells_a_clinician(said, unseen):
    concept = json.loads(json.dumps(said).replace("{}", json.dumps(unseen)[1:-1]))
    for code in ("91935009", "196461000000101"):  # the second names nothing: only the text counts
        coding = {"system": SNOMED, "code": code, **concept.get("coding", [{}])[0]}
        told = _said(("A", _allergy(code="716186003")), ("B", _allergy() | {"code": {**concept, "coding": [coding]}}))
        (words,) = [detail for _, detail in told]
        assert unseen not in words
        assert ("Peanut allergy" in words) == ("text" in said or code == "91935009")


@pytest.mark.parametrize(
    ("said", "code", "severity", "detail"),
    [
        (
            [("A", _allergy(code="716186003", text="No known allergy")), ("B", _allergy()), ("C", _allergy())],
            "none-known-against-allergen",
            "high",
            "No known allergies: recorded at Trust A. Against it: Peanut allergy, recorded at Trust B and Trust C. "
            + ASK,
        ),
        (
            [("A", _allergy()), ("B", _allergy("resolved")), ("C", _allergy("active", **REFUTED))],
            "allergy-active-and-ended",
            "high",
            "Peanut allergy: recorded as active at Trust A, and as refuted at Trust C and as resolved at Trust B. "
            + ASK,
        ),
        (
            [("A", _problem()), ("B", _problem("inactive"))],
            "problem-active-and-ended",
            "moderate",
            "Asthma: recorded as active at Trust A, and as inactive at Trust B. " + ASK,
        ),
        (
            [("A", _medicine()), ("B", _medicine("stopped")), ("C", _medicine("on-hold"))],
            "medication-active-and-stopped",
            "moderate",
            "Amlodipine 5 mg tablets: recorded as active at Trust A, and as on hold at Trust C and as stopped at Trust B. Check with the prescribers, and ask the patient.",
        ),
        (
            [("A", _allergy(criticality="low")), ("B", _allergy(criticality="high"))],
            "allergy-criticality-differs",
            "moderate",
            "Peanut allergy: criticality recorded as high at Trust B, and as low at Trust A. " + ASK,
        ),
        (
            [("A", _reacted("mild", "moderate")), ("B", _reacted("mild", "severe")), ("C", _reacted("mild"))],
            "reaction-severity-differs",
            "moderate",
            "Peanut allergy: worst reaction recorded as severe at Trust B, and as moderate at Trust A "
            "and mild at Trust C. " + ASK,
        ),
        (
            [("A", _severe("24484000")), ("B", _severe("LA6752-5", "http://loinc.org"))],
            "problem-severity-differs",
            "low",
            "Asthma: recorded as severe at Trust A, and as mild at Trust B. " + ASK,
        ),
    ],
    ids=[kind.code for kind in KINDS],
)
def test_each_contradiction_is_said_in_words_that_name_the_sources_and_choose_none(said, code, severity, detail):
    (issue,) = _issues(*said)
    assert issue["code"]["coding"][0]["system"] == "urn:care-record-broker:contradiction"
    assert issue["code"]["coding"][0]["code"] == code
    assert issue["code"]["text"]
    assert issue["severity"] == severity
    assert issue["detail"] == detail
    assert issue["status"] == "final"
    assert issue["patient"] == {"reference": "Patient/sealed"}
    assert sorted(_implicated(issue)) == list(range(len(said)))


def test_what_may_harm_most_is_said_first():
    high, low = {"criticality": "high"}, {"criticality": "low"}
    said = [("A", _severe("24484000")), ("B", _severe("255604002")), ("A", _medicine()), ("B", _medicine("stopped"))]
    said += [("A", _allergy(**high)), ("B", _allergy(**low)), ("C", _allergy("resolved"))]
    assert [one["severity"] for one in _issues(*said)] == ["high", "moderate", "moderate", "low"]


def test_what_agrees_is_no_contradiction():
    for one in (_allergy(), _problem(), _medicine(), _reacted("severe", criticality="high"), _severe("24484000")):
        assert _issues(("A", one), ("B", one)) == []


def test_what_is_only_possibly_the_same_contradicts_nothing():
    in_words = {"code": {"text": "Peanut allergy"}}
    assert _issues(("A", _allergy()), ("B", _allergy("resolved", **in_words))) == []
    assert _issues(("A", _allergy(criticality="high")), ("B", _allergy(criticality="low", **in_words))) == []


# --- none known


def _negative(code, system=SNOMED, **more):
    return {"resourceType": "AllergyIntolerance", "code": _concept(code, system=system)} | more


def _in_words(text, **more):
    return {"resourceType": "AllergyIntolerance", "code": {"text": text}} | more


@pytest.mark.parametrize(
    ("negative", "nature", "contradicts"),
    [
        (_negative("409137002"), "medication", True),
        (_negative("409137002"), "biologic", True),
        (_negative("409137002"), "food", False),
        (_negative("409137002"), None, True),
        (_negative("409137002"), "environment", False),
        (_negative("429625007"), "food", True),
        (_negative("429625007"), "environment", False),
        (_negative("428607008"), "environment", True),
        (_negative("428607008"), "biologic", False),
        (_negative("no-known-food-allergies", IPS), "food", True),
        (_negative("no-known-food-allergies", IPS), "medication", False),
        (_negative("no-known-medication-allergies", IPS), "medication", True),
        (_negative("no-known-allergies", IPS), "environment", True),
        (_in_words("NKDA"), "food", False),
        (_in_words("NKDA"), "medication", True),
        (_in_words("No Known  Allergies"), "food", True),
        (_negative("716186003", "urn:oid:2.16.840.1.113883.6.96"), "food", True),
    ],
)
def test_none_known_is_contradicted_by_what_it_denies(negative, nature, contradicts):
    allergen = _allergy(code="1", text="Thing", **({"category": [nature]} if nature else {}))
    assert bool(_issues(("A", negative), ("B", allergen))) is contradicts


def _named(code, text=None, category=None):
    return _allergy(code=code, text=text, **({"category": [category]} if category else {}))


@pytest.mark.parametrize(
    ("allergen", "contradicts"),
    [
        (_named("91935009"), {"429625007"}),
        (_named("762952008", "Peanut"), {"429625007"}),
        (_named("91935009", category="environment"), {"429625007"}),  # as GP Connect has it
        (_named("102263004", "Egg", category="medication"), {"409137002", "429625007"}),
        (_named("300916003", "Latex allergy"), {"428607008"}),
        (_named("232347008", category="food"), {"428607008", "429625007"}),
        (_named("416098002"), {"409137002"}),
        (_in_words("Peanut allergy"), {"429625007"}),
        (_in_words("Allergic to nuts, eggs & cow's milk"), {"429625007"}),
        (_in_words("Nuts", category=["environment"]), {"428607008", "429625007"}),
        (_in_words("Nuts", category=["medication"]), {"409137002"}),
        (_in_words("House dust mite"), {"428607008"}),
        (_in_words("Bee stings; peanuts"), {"428607008", "429625007"}),
    ],
)
def test_the_nature_of_a_common_food_or_of_latex_is_known_without_a_category(allergen, contradicts):
    for negative in ("409137002", "428607008", "429625007"):
        told = _said(("A", _negative(negative)), ("B", allergen))
        assert bool(told) == (negative in contradicts)
        assert "not recorded" not in str(told)


@pytest.mark.parametrize(
    "name", ["Penicillin and nuts", "Nutmeg", "Milk of magnesia", "Eggplant", "Septrin", "Fish oil"]
)
def test_where_nobody_can_tell_the_nature_of_an_allergen_that_is_said(name):
    ((_, detail),) = _said(("A", _negative("409137002")), ("B", _in_words(name)))
    assert f"Against it: {name}, of a kind that is not recorded, recorded at Trust B. {ASK}" in detail
    ((_, detail),) = _said(("A", _negative("716186003")), ("B", _in_words(name)))
    assert "of a kind" not in detail


def test_none_known_in_words_is_told_from_one_that_is_coded():
    ((_, detail),) = _said(("A", _in_words("No known allergies")), ("B", _negative("716186003")), ("C", _allergy()))
    assert detail.startswith("No known allergies: recorded at Trust A (in words only) and Trust B.")


def test_whoever_says_in_words_that_there_is_none_is_no_allergen():
    local = {**_negative("X1", "urn:local"), "code": _concept("X1", "No known allergies", "urn:local")}
    for in_words in (_in_words("No known allergies"), _in_words("nkda"), local):
        assert _issues(("A", in_words), ("B", _negative("716186003"))) == []


@pytest.mark.parametrize(
    ("words", "nature"),
    [
        ("NKDA.", "medication"),
        ("No known drug allergies (NKDA)", "medication"),
        ("Nil known drug allergies", "medication"),
        ("NKDA - confirmed", "medication"),
        ("No known medicine allergies", "medication"),
        ("No drug allergies", "medication"),
        ("No known adverse drug reactions", "medication"),
        ("No known drug allergies or intolerances", "medication"),
        ("No Known Allergies/Intolerances", "food"),
        ("No known allergies - confirmed with patient", "food"),
        ("Not known to have any allergies", "food"),
        ("Patient denies any allergies", "food"),
        ("No adverse reactions known", "food"),
        ("NKA ", "food"),
        ("No Known Food Allergy (situation)", "food"),
    ],
)
def test_what_is_clearly_written_says_that_there_is_none(words, nature):
    assert _issues(("A", _in_words(words)), ("B", _negative("716186003"))) == []
    assert len(_issues(("A", _in_words(words)), ("B", _named("1", "Thing", nature)))) == 1


@pytest.mark.parametrize(
    "words",
    [
        *("Nil", "None", "N/A", "-", "?", "Unknown", "Not known", "Allergies: not known", "No allergies recorded"),
        *("Allergies not recorded", "No allergy information recorded", "Unable to obtain allergy history"),
        *("No known drug or food allergies", "No history of drug allergy", "Unable to confirm allergies at this time"),
        *(
            "No known allergies to nuts",
            "No known latex allergy",
            "Not allergic to penicillin",
            "Denies allergy to eggs.",
        ),
    ],
)
def test_words_that_deny_and_leave_a_doubt_are_neither_an_allergen_nor_that_there_is_none(words):
    for one in (_in_words(words), {**_in_words(words), "code": _concept("X1", words, "urn:local")}):
        assert _issues(("A", one), ("B", _negative("716186003")), ("C", _negative("409137002"))) == []
        assert _issues(("A", one), ("B", _allergy())) == []


@pytest.mark.parametrize(
    "words",
    [
        *(
            "Nonoxynol",
            "Noradrenaline",
            "Norethisterone",
            "Nitrofurantoin",
            "No. 5 dye",
            "No NSAIDs",
            "No penicillin - rash",
        ),
        *("?penicillin", "- penicillin", "Unknown antibiotic", "Unknown drug", "Unable to tolerate codeine"),
        *("Not tolerated: codeine", "No known allergies except penicillin", "No known allergies. Penicillin - rash"),
        *(
            "No known allergies (except latex)",
            "No known allergies but rash with Septrin",
            "NKDA, latex",
            "Drug allergies",
        ),
        "Not allergic to penicillin, is to Septrin",
        "no " * 200,
    ],
)
def test_words_that_may_name_an_allergen_are_one_whatever_they_begin_with(words):
    assert len(_issues(("A", _in_words(words)), ("B", _negative("716186003")))) == 1


def test_a_denial_does_not_hide_what_a_reaction_names():
    for words in ("Nil", "Unknown", "Not recorded"):
        reacted = _in_words(words, reaction=[{"substance": {"text": "Septrin"}}])
        assert len(_issues(("A", reacted), ("B", _negative("716186003")))) == 1


def test_a_negative_that_is_in_no_list_is_known_by_its_words_unless_its_code_is_an_allergen():
    for code, text in (("716184000", None), ("716220001", "No known animal allergy"), ("161610007", "No history of")):
        assert _issues(("A", _allergy(code=code, text=text)), ("B", _negative("716186003"))) == []
    displayed = {"coding": [{"system": SNOMED, "code": "1", "display": "Allergy to Septrin"}], "text": "Nil"}
    assert len(_issues(("A", _allergy() | {"code": displayed}), ("B", _negative("716186003")))) == 1
    named = _allergy(code="91935009", text="No known allergies")
    assert len(_issues(("A", named), ("B", _negative("716186003")))) == 1


@pytest.mark.parametrize(
    "nothing",
    [
        _negative("no-allergy-info", IPS),
        _negative("1631000175102"),
        {
            "resourceType": "AllergyIntolerance",
            "code": {
                "coding": [{"system": SNOMED, "code": "1631000175102", "display": "Patient not asked (situation)"}]
            },
        },
        _negative("UNK", "http://terminology.hl7.org/CodeSystem/v3-NullFlavor"),
        _negative("NI", "http://hl7.org/fhir/v3/NullFlavor"),
        _negative("unknown", "http://terminology.hl7.org/CodeSystem/data-absent-reason"),
        _negative("428197003"),
        _in_words("Not on file"),
    ],
)
def test_what_says_nothing_is_neither_an_allergen_nor_that_there_is_none(nothing):
    assert _issues(("A", nothing), ("B", _negative("716186003"))) == []
    assert _issues(("A", nothing), ("B", _allergy())) == []


def test_an_allergen_without_a_code_of_its_own_is_one():
    unnamed = _negative("UNK", "http://hl7.org/fhir/v3/NullFlavor")
    unnamed["code"]["text"] = "Septrin"
    for one in (
        unnamed,
        _negative("196461000000101"),
        _negative("UNK", "http://hl7.org/fhir/v3/NullFlavor", reaction=[{"substance": {"text": "Septrin"}}]),
        _negative("masked", "http://terminology.hl7.org/CodeSystem/data-absent-reason"),
    ):
        assert len(_issues(("A", one), ("B", _negative("716186003")))) == 1


def test_an_allergy_in_a_problem_list_is_not_compared_with_none_known():
    listed = _problem() | {"code": _concept("91935009", "Allergy to peanut")}
    assert _issues(("A", _negative("716186003")), ("B", listed)) == []


def test_none_known_beside_an_allergen_at_one_source_is_shown_too():
    assert len(_issues(("A", _negative("716186003")), ("A", _allergy()))) == 1


def test_a_long_list_of_allergens_is_implicated_whole_and_named_in_part():
    many = [("B", _allergy(code=f"{n}", text=f"Allergy {n:02}")) for n in range(15)]
    (issue,) = _issues(("A", _negative("716186003")), *many)
    assert len(issue["implicated"]) == 16
    assert "Allergy 09, recorded at Trust B; and 5 more. Ask the patient." in issue["detail"]
    (issue,) = _issues(("A", _negative("716186003")), ("B", _allergy(text="x" * 5_000)))
    assert len(issue["detail"]) < 300


# --- active against ended


@pytest.mark.parametrize("standing", ["recurrence", "relapse"])
def test_what_came_back_is_active(standing):
    assert len(_issues(("A", _problem(standing)), ("B", _problem("resolved")))) == 1


def test_remission_and_what_is_not_said_contradict_nothing():
    unsaid = {key: value for key, value in _problem().items() if key != "clinicalStatus"}
    for other in (_problem("remission"), unsaid):
        assert _issues(("A", _problem()), ("B", other)) == []
        assert _issues(("A", _problem("resolved")), ("B", other)) == []


def test_a_source_that_lists_it_as_active_too_has_moved_on():
    for one in (_problem, _allergy):
        assert _issues(("A", one()), ("B", one("resolved")), ("B", one())) == []
        (issue,) = _issues(("A", one()), ("B", one("resolved")), ("B", one()), ("C", one("resolved")))
        assert _implicated(issue) == [0, 2, 3]
    assert _issues(("A", _problem("resolved")), ("A", _problem())) == []


@pytest.mark.parametrize(
    ("ended", "begun", "contradicts"),
    [
        ({"abatementDateTime": "2015-03-01"}, {"onsetDateTime": "2020-06-01"}, False),
        ({"abatementPeriod": {"end": "2015-03-01"}}, {"onsetPeriod": {"start": "2020-06-01"}}, False),
        ({"abatementDateTime": "2020-06-02"}, {"onsetDateTime": "2020-06-01"}, True),
        ({"abatementDateTime": "2015"}, {"onsetDateTime": "2020-06-01"}, True),
        ({"abatementDateTime": "2015-03-01"}, {}, True),
        ({}, {"onsetDateTime": "2020-06-01"}, True),
        ({"recordedDate": "2015-03-01", **REFUTED}, {"onsetDateTime": "2020-06-01"}, False),
        ({"recordedDate": "2021-03-01", **REFUTED}, {"onsetDateTime": "2020-06-01"}, True),
    ],
)
def test_a_problem_that_ended_before_the_other_began_has_come_back(ended, begun, contradicts):
    assert bool(_issues(("A", _problem(**begun)), ("B", _problem("resolved", **ended)))) is contradicts


def test_one_that_began_before_it_ended_elsewhere_is_enough():
    ended = ("B", _problem("resolved", abatementDateTime="2015-03-01"))
    late, early = (("A", _problem(onsetDateTime=day)) for day in ("2020-06-01", "2010-06-01"))
    assert _issues(late, ended) == []
    assert len(_issues(late, early, ended)) == 1


# --- medicines


@pytest.mark.parametrize(
    ("other", "contradicts"),
    [
        (_medicine("stopped"), True),
        (_medicine("on-hold"), True),
        (_medicine("completed"), False),
        (_medicine("draft"), False),
        (_medicine("unknown"), False),
        (_medicine("entered-in-error"), False),
        (_medicine("cancelled"), False),
        (_medicine("cancelled", statusReason={"text": "Interaction"}), True),
        (_medicine("stopped", category=[_concept("inpatient", system="urn:hl7")]), False),
        (_medicine("stopped", category=[_concept("inpatient")], statusReason={"text": "Hyponatraemia"}), True),
        (_medicine("stopped", category=[_concept("community")]), True),
        (_medicine("stopped") | {"resourceType": "MedicationStatement"}, True),
        (_medicine("stopped") | {"resourceType": "MedicationDispense"}, False),
    ],
)
def test_what_is_a_decision_against_a_medicine_contradicts_that_it_is_active(other, contradicts):
    assert bool(_issues(("A", _medicine()), ("B", other))) is contradicts


def test_a_proposal_is_no_active_medicine():
    for intent, contradicts in (("proposal", False), ("option", False), ("plan", True), ("instance-order", True)):
        assert bool(_issues(("A", _medicine(intent=intent)), ("B", _medicine("stopped")))) is contradicts


def test_another_strength_or_route_is_another_medicine():
    by_mouth, into_a_vein = ({"dosageInstruction": [{"route": _concept(code)}]} for code in ("26643006", "47625008"))
    assert _issues(("A", _medicine(**by_mouth)), ("B", _medicine("stopped", **into_a_vein))) == []
    assert len(_issues(("A", _medicine(**by_mouth)), ("B", _medicine("stopped", **by_mouth)))) == 1
    assert len(_issues(("A", _medicine(**by_mouth)), ("B", _medicine("stopped")))) == 1


@pytest.mark.parametrize(
    ("ended", "begun", "contradicts"),
    [
        ("2024-01-01", "2024-01-20", True),  # issued once more after it was stopped
        ("2024-01-01", "2024-12-30", True),
        ("2024-01-01", "2024-12-31", False),
        ("2014-01-01", "2024-01-01", False),
        ("2014", "2024-01-01", True),
        (None, "2024-01-01", True),
        ("2014-01-01", None, True),
        ("yesterday!", "2024-01-01", True),
        ("2014-01-01", "nobody knows", True),
        ("0001-01-01", "0001-01-02", True),
    ],
)
def test_a_course_that_ended_a_year_before_another_began_contradicts_nothing(ended, begun, contradicts):
    active = _medicine(authoredOn=begun)
    bounds = {"timing": {"repeat": {"boundsPeriod": {"end": ended}}}}
    assert bool(_issues(("A", active), ("B", _medicine("stopped", dosageInstruction=[bounds])))) is contradicts
    statement = _medicine("stopped", effectivePeriod={"end": ended}) | {"resourceType": "MedicationStatement"}
    assert bool(_issues(("A", active), ("B", statement))) is contradicts


# --- severity


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (_allergy(criticality="high"), _allergy(criticality="unable-to-assess")),
        (_allergy(criticality="high"), _allergy()),
        (_allergy(criticality="high"), _reacted("mild")),
        (_reacted("mild"), _reacted("moderate")),
        (_severe("6736007"), _severe("255604002")),
        (_severe("24484000"), _severe("371923003")),
        (_severe("24484000"), _problem("resolved", severity=_concept("255604002"))),
    ],
)
def test_severity_that_only_differs_by_the_observer_or_is_not_said_is_no_contradiction(one, other):
    assert "differs" not in str(_said(("A", one), ("B", other)))


def test_each_source_is_taken_at_its_worst_and_never_against_itself():
    assert _issues(("A", _reacted("severe")), ("A", _reacted("mild")), ("B", _reacted("severe"))) == []
    (issue,) = _issues(("A", _reacted("severe")), ("A", _reacted("mild")), ("B", _reacted("moderate")))
    assert _implicated(issue) == [0, 2]


@pytest.mark.parametrize("strange", [None, 1, [], {}, [[]], [{"coding": 1}], {"coding": [1]}, "text", True])
@pytest.mark.parametrize("make", [_allergy, _problem, _medicine])
def test_whatever_a_source_writes_where_a_value_belongs_nothing_breaks(make, strange):
    for element in (
        *("status", "intent", "category", "statusReason", "clinicalStatus", "verificationStatus", "criticality"),
        *("reaction", "severity", "code", "onsetPeriod", "abatementDateTime", "effectivePeriod", "authoredOn"),
        *("dosageInstruction", "bodySite", "medicationCodeableConcept", "medicationReference", "doNotPerform"),
    ):
        _issues(("A", make()), ("B", make() | {element: strange}))
