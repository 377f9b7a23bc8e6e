"""The tables fit together, and say what they promise."""

from datetime import date

import pytest

from policies.values import Edge, Sight

SNOMED = "http://snomed.info/sct"
LOINC = "http://loinc.org"
FUNCTION = "https://fhir.nhs.uk/CodeSystem/NHSDataModelAndDictionary-treatment-function"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
SENSITIVITY = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
TODAY = date(2026, 11, 22)

CATEGORIES = [
    "demographics",
    "gp-registration",
    "allergies",
    "medications",
    "problems",
    "immunisations",
    "results",
    "procedures",
    "encounters",
    "appointments",
    "referrals",
    "care-plans",
    "documents",
    "alerts",
    "social-care",
    "mental-health",
]


@pytest.fixture(scope="module")
def tables(policies):
    return policies.tables


def test_the_categories_are_the_sixteen_of_the_interface_in_its_order(tables):
    assert list(tables.categories) == CATEGORIES


def test_every_type_that_is_asked_for_has_one_home_that_asks_for_it(tables):
    asked = set().union(*map(tables.types_of, tables.categories))
    assert asked == tables.home.keys()
    assert all(type_ in tables.types_of(home) for type_, home in tables.home.items())


def test_every_category_is_in_one_group_and_is_seen_by_some_role(tables):
    grouped = [category for members in tables.groups.values() for category in members]
    assert sorted(grouped) == sorted(tables.categories)
    seen = {category for role in tables.roles.values() for group in role.sees for category in tables.groups[group]}
    assert seen == set(tables.categories)


def test_mental_health_and_social_care_are_provided_only_where_offered(tables):
    assert tables.only_offered == {"mental-health", "social-care"}
    assert tables.offered_by("mental-health") == {"mental-health"}
    assert tables.offered_by("social-care") == {"social-care"}
    assert tables.offered_by("gp-practice") == frozenset()


@pytest.mark.parametrize("category", ["mental-health", "social-care"])
def test_what_harms_if_it_is_missed_is_never_part_of_a_whole_service(policies, category):
    """At a mental health trust all of these types needs the right to see mental health; so not allergies, nor medicines."""
    tables = policies.tables
    safe = {"allergies", "medications", "alerts", "immunisations", "results"}
    assert safe.isdisjoint(tables.home[type_] for type_ in tables.types_of(category))


def test_depression_in_a_gp_record_is_a_problem_and_mental_health(tables):
    assert tables.home["Condition"] == "problems"
    assert tables.added("Condition", frozenset({(SNOMED, "35489007")}), frozenset()) == {"mental-health"}


def test_a_psychiatric_clinic_is_an_encounter_and_mental_health(tables):
    for function in ("710", "715", "727"):
        assert tables.added("Encounter", frozenset({(FUNCTION, function)}), frozenset()) == {"mental-health"}


def test_a_profile_adds_a_category(tables):
    profile = "https://fhir.interweavedigital.nhs.uk/R4/StructureDefinition/Interweave-SocialCareService"
    assert tables.added("EpisodeOfCare", frozenset(), frozenset({profile})) == {"social-care"}


def test_an_ordinary_item_is_in_its_home_alone(tables):
    assert (
        tables.added("Condition", frozenset({(SNOMED, "38341003"), (FUNCTION, "320")}), frozenset({"x"})) == frozenset()
    )


def test_no_label_counts_as_normal_and_an_unknown_one_as_restricted(tables):
    assert tables.labels_of([]) == {"N"}
    assert tables.labels_of([(SENSITIVITY, "NEVER-HEARD-OF")]) == {"R"}
    assert tables.labels_of([(CONFIDENTIALITY, "X"), (SENSITIVITY, "PSY")]) == {"R", "PSY"}
    assert tables.labels_of([("http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "SUBSETTED")]) == {"N"}


def test_a_label_is_known_however_its_system_and_its_code_are_spelled(tables):
    for system in ("urn:oid:2.16.840.1.113883.5.25", f"{CONFIDENTIALITY}/", CONFIDENTIALITY.replace("http:", "https:")):
        assert tables.labels_of([(system, "r")]) == {"R"}
    assert tables.labels_of([("", "V"), ("", "NEVER-HEARD-OF")]) == {"V"}


def test_gp_connects_not_for_the_patient_label_is_known_in_its_older_address(tables):
    assert tables.labels_of([("http://hl7.org/fhir/v3/ActCode", "NOPAT")]) == {"NOPAT"}
    assert tables.labels["NOPAT"].sight("clinician") is Sight.MARK


@pytest.mark.parametrize(
    ("coding", "rule"),
    [
        ((FUNCTION, "360"), "sexual-health"),
        ((SNOMED, "788122004"), "sexual-health"),
        ((SNOMED, "240589008"), "sexual-health"),
        ((LOINC, "21613-5"), "sexual-health"),
        ((SENSITIVITY, "STD"), "sexual-health"),
        ((SNOMED, "63487001"), "fertility"),
        ((SNOMED, "93461009"), "gender"),
    ],
)
def test_what_question_five_names_is_excluded_today(tables, coding, rule):
    assert coding in tables.excluded_codings(TODAY)
    assert [kind.id for kind in tables.exclusions if coding in kind.codings] == [rule]


def test_the_promise_keeps_a_rule_in_force_after_its_statute_is_revoked(tables):
    [rule] = [rule for rule in tables.exclusions if rule.id == "sexual-health"]
    directions = next(basis for basis in rule.bases if basis.until)
    assert directions.holds(date(2023, 10, 11))
    assert not directions.holds(date(2023, 10, 12))
    assert rule.in_force(date(2023, 10, 12))


def test_every_rule_of_question_five_rests_on_the_promise_without_an_end(tables):
    for rule in tables.exclusions:
        if not rule.adopted:
            continue
        assert any(basis.name == "promise:seed-Q5" and basis.since is basis.until is None for basis in rule.bases)


def test_the_kinds_of_excluded_service_are_those_that_a_manifest_names(tables):
    assert tables.excluded_services == {"sexual-health", "fertility", "gender"}


def test_every_edge_is_of_a_type_that_is_asked_for_or_goes_along_or_only_a_container(tables):
    for type_, edges in tables.edges.items():
        assert type_ in tables.home.keys() | tables.supporting or set(edges.values()) == {Edge.CONTAINER}, type_


def test_every_type_of_a_patients_record_has_its_row_in_the_closure(tables):
    assert tables.home.keys() - tables.edges.keys() == {"Patient", "RelatedPerson"}


def test_the_context_covers_what_decides(tables):
    searched = {
        "Encounter",
        "EpisodeOfCare",
        "Appointment",
        "ServiceRequest",
        "DiagnosticReport",
        "Procedure",
        "Condition",
    }
    assert searched <= tables.context
    assert {"HealthcareService", "Location", "PractitionerRole"} <= tables.by_reference


def test_what_takes_others_along_unseen_is_always_fetched(tables):
    """What governs is not named by what it governs: it must be there, or what it governs be asked for together with it."""
    governing = {
        (type_, element)
        for type_, edges in tables.edges.items()
        for element, edge in edges.items()
        if edge in {Edge.GOVERNS, Edge.BOTH} and type_ not in tables.context
    }
    # A plan governs its goals and its team, a panel its members: each within one category, which is asked for as a whole.
    assert governing == {("CarePlan", "goal"), ("CarePlan", "careTeam"), ("Observation", "hasMember")}


def test_people_and_departments_are_not_read_to_judge_by(tables):
    assert tables.context | tables.by_reference <= tables.deciding
    assert {"MedicationRequest", "DocumentReference", "Observation"} <= tables.deciding
    assert not tables.deciding & {"Practitioner", "Organization", "Patient", "RelatedPerson", "Device", "List"}


def test_an_attendance_and_its_appointment_and_a_report_and_its_results_go_together(tables):
    assert tables.edges["Encounter"]["appointment"] is Edge.BOTH
    assert tables.edges["DiagnosticReport"]["result"] is Edge.BOTH
    assert tables.edges["DocumentReference"]["context"] is Edge.DEPENDANT
    assert tables.edges["Encounter"]["basedOn"] is Edge.GOVERNS


def test_an_attendance_loses_a_reason_and_stays(tables):
    assert {"reasonCode", "reasonReference", "diagnosis"} <= tables.containers["Encounter"]
    assert "entry" in tables.containers["List"]
    assert "activity" in tables.containers["CarePlan"]


def test_nothing_takes_an_attendance_along_for_a_reason(tables):
    """An appointment or an episode would: so none of theirs is lost for a reason, a diagnosis or a referral."""
    reasons = {"reasonCode", "reasonReference", "diagnosis", "basedOn", "referralRequest"}
    for type_ in ("Appointment", "EpisodeOfCare", "Encounter"):
        lost = {element for element, edge in tables.edges[type_].items() if edge in {Edge.DEPENDANT, Edge.BOTH}}
        assert not lost & reasons


def test_a_severed_allergy_keeps_what_saves_and_loses_where_it_was_noted(tables):
    kept = tables.severed["AllergyIntolerance"]
    assert {"code", "reaction", "criticality", "clinicalStatus", "verificationStatus", "patient", "id"} <= kept
    assert not kept & {
        "encounter",
        "recorder",
        "asserter",
        "note",
        "recordedDate",
        "onsetDateTime",
        "identifier",
        "text",
    }
    assert kept.isdisjoint(tables.edges["AllergyIntolerance"])


def test_what_only_supports_a_record_has_no_home(tables):
    assert not tables.supporting & tables.home.keys()
    assert {"Practitioner", "Organization", "Medication", "Location", "Specimen", "Device"} <= tables.supporting
