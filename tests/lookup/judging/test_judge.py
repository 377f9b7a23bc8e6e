"""What one source comes to: what is released, and what its row says of the rest."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract import Resource
from adapters.findings import Finding
from broker.lookup.judging.hiding import Hiding
from broker.lookup.rows import RUNS_EXCLUDED
from broker.lookup.values import Status

SNOMED = "http://snomed.info/sct"
FUNCTION = "https://fhir.nhs.uk/CodeSystem/NHSDataModelAndDictionary-treatment-function"
PATIENT = {"reference": "Patient/p1"}
ASTHMA = {"coding": [{"system": SNOMED, "code": "195967001"}]}
GUM = {"coding": [{"system": FUNCTION, "code": "360"}]}

CONDITION = {"resourceType": "Condition", "id": "c", "subject": PATIENT, "code": ASTHMA}
ALLERGY = {"resourceType": "AllergyIntolerance", "id": "a", "patient": PATIENT, "code": ASTHMA}
ENCOUNTER = {"resourceType": "Encounter", "id": "e", "subject": PATIENT}
RECORD = [CONDITION, ALLERGY, ENCOUNTER]

FAULTS = [
    (Finding.TIMED_OUT, "timed-out"),
    (Finding.FAILED, "failed"),
    (Finding.TRUNCATED, "truncated"),
    (Finding.WITHHELD_BY_SOURCE, "withheld-by-source"),
]


async def test_a_source_that_answered_in_full_says_what_it_has_and_what_it_has_not(judging):
    seen = await judging.judge(RECORD)
    assert seen.ids == {("Condition", "c"), ("AllergyIntolerance", "a"), ("Encounter", "e")}
    assert seen.row.status is Status.ANSWERED
    assert {name for name, status in seen.statuses.items() if status == "answered"} == {
        "demographics",
        "allergies",
        "problems",
        "encounters",
    }
    assert set(seen.statuses.values()) == {"answered", "no-record-found"}
    assert seen.row.resources == len(RECORD)
    assert seen.row.notes == ()
    assert seen.row.elapsed_ms == 100


@pytest.mark.parametrize("failure", [Status.TIMED_OUT, Status.UNREACHABLE, None])
@pytest.mark.parametrize("missing", ["Encounter", "Appointment", "Condition"])
async def test_a_source_cut_before_its_context_is_whole_gives_nothing(judging, missing, failure):
    findings = judging.findings()
    del findings[missing]
    seen = await judging.judge(answer=judging.answer(RECORD, findings=findings, failure=failure))
    assert seen.bytes == b""
    assert seen.judged.facts == ()
    assert set(seen.statuses.values()) == {(failure or Status.MALFORMED).value}
    assert seen.row.resources == 0


async def test_once_the_context_is_whole_what_a_cut_source_gave_is_released_under_the_cut(judging):
    findings = judging.findings()
    del findings["AllergyIntolerance"], findings["Flag"]
    answer = judging.answer(RECORD, findings=findings, failure=Status.TIMED_OUT)
    seen = await judging.judge(answer=answer)
    assert len(seen.ids) == len(RECORD)
    assert seen.statuses["allergies"] == "timed-out"
    assert seen.row.categories["allergies"].resources == 1
    assert seen.statuses["alerts"] == "timed-out"
    assert seen.statuses["problems"] == "answered"
    assert seen.row.status is Status.TIMED_OUT


@pytest.mark.parametrize(("finding", "status"), FAULTS)
async def test_a_context_search_that_fails_costs_its_own_category(judging, finding, status):
    answer = judging.answer([CONDITION, ALLERGY], findings=judging.findings(Encounter=finding))
    seen = await judging.judge(answer=answer)
    assert seen.ids == {("Condition", "c"), ("AllergyIntolerance", "a")}
    assert seen.statuses["encounters"] == seen.statuses["social-care"] == seen.statuses["mental-health"] == status
    assert seen.statuses["problems"] == "answered"


@pytest.mark.parametrize(("finding", "status"), FAULTS)
async def test_where_excluded_services_are_run_a_context_search_that_fails_costs_everything(judging, finding, status):
    answer = judging.answer([CONDITION, ALLERGY], findings=judging.findings(Encounter=finding))
    seen = await judging.judge(answer=answer, runs_excluded=True)
    assert seen.bytes == b""
    assert set(seen.statuses.values()) == {status}
    assert seen.row.notes == (RUNS_EXCLUDED,)


async def test_a_context_type_that_the_server_does_not_list_counts_as_empty(judging):
    answer = judging.answer([CONDITION], findings=judging.findings(EpisodeOfCare=Finding.NOT_PROVIDED))
    seen = await judging.judge(answer=answer, runs_excluded=True)
    assert seen.ids == {("Condition", "c")}


async def test_context_that_was_not_asked_for_is_neither_released_nor_counted(judging):
    seen = await judging.judge(RECORD, asked=["problems"])
    assert seen.ids == {("Condition", "c")}
    assert seen.row.resources == 1
    assert seen.statuses == {"problems": "answered"}


@pytest.mark.parametrize(("practice", "status"), [(True, "patient-not-found"), (False, "no-record-found")])
async def test_a_source_that_does_not_know_the_patient_has_nothing_whatever_it_gave(judging, practice, status):
    answer = judging.answer(RECORD, findings={}, not_found=True)
    seen = await judging.judge(answer=answer, practice=practice)
    assert seen.bytes == b""
    assert set(seen.statuses.values()) == {status}
    assert seen.row.resources == 0


@pytest.mark.parametrize(
    ("broken", "touched"),
    [
        (b'{"resourceType":"Condition","id":"x",', {"problems", "mental-health"}),
        (b'{"resourceType":"Condition"}', {"problems", "mental-health"}),
        (b'{"resourceType":"Flag","id":"x"}', {"alerts"}),
    ],
)
async def test_a_malformed_resource_costs_itself_and_is_counted(judging, broken, touched):
    seen = await judging.judge([*RECORD, broken])
    assert len(seen.ids) == len(RECORD)
    assert seen.row.notes == ("1 resource could not be read or used",)
    truncated = {name for name, status in seen.statuses.items() if status == "truncated"}
    if broken.endswith(b","):  # not even its type can be told
        assert truncated == seen.statuses.keys()
    else:
        assert truncated == touched


async def test_a_patient_that_cannot_be_read_costs_the_source(judging):
    seen = await judging.judge(answer=judging.answer([Resource(b'{"resourceType":"Patient"}'), CONDITION]))
    assert seen.bytes == b""
    assert set(seen.statuses.values()) == {"malformed"}


async def test_a_patient_without_a_birth_date_costs_the_source(judging):
    patient = judging.patient()
    del patient["birthDate"]
    seen = await judging.judge([patient, CONDITION])
    assert set(seen.statuses.values()) == {"malformed"}
    assert seen.bytes == b""


async def test_another_patients_resource_costs_the_source(judging):
    seen = await judging.judge([*RECORD, CONDITION | {"id": "x", "subject": {"reference": "Patient/other"}}])
    assert set(seen.statuses.values()) == {"wrong-patient"}
    assert seen.bytes == b""
    assert seen.judged.wrong_patient


async def test_another_patient_behind_a_reference_that_was_read_costs_the_source(judging):
    lost = ENCOUNTER | {"id": "lost", "subject": {"reference": "Patient/other"}}
    record = [CONDITION | {"encounter": {"reference": "Encounter/lost"}}]
    seen = await judging.judge(record, behind=[lost])
    assert seen.judged.wrong_patient
    assert seen.bytes == b""


async def test_what_is_read_to_judge_by_is_judged_itself(judging):
    gum = ENCOUNTER | {"id": "gum", "serviceType": GUM}
    record = [CONDITION | {"encounter": {"reference": "Encounter/gum"}}, ALLERGY]
    seen = await judging.judge(record, behind=[gum])
    assert seen.ids == {("AllergyIntolerance", "a")}
    assert seen.row.notes == ()
    assert seen.statuses["problems"] == "no-record-found"


async def test_an_excluded_resource_that_does_not_say_whose_it_is_counts_for_nothing_but_still_decides(judging):
    gum = {"resourceType": "Encounter", "id": "gum", "serviceType": GUM}
    met = CONDITION | {"id": "met", "encounter": {"reference": "Encounter/gum", "display": "secret"}}
    orphan = {"resourceType": "Condition", "id": "o", "encounter": {"reference": "Encounter/gum"}}
    seen = await judging.judge([ALLERGY, gum, met, orphan])
    bare = await judging.judge([ALLERGY])
    assert (seen.bytes, seen.row) == (bare.bytes, bare.row)


async def test_the_sentence_of_an_organisation_that_runs_excluded_services_is_the_same_for_all(judging):
    gum = ENCOUNTER | {"id": "gum", "serviceType": GUM}
    one = await judging.judge([gum], runs_excluded=True)
    other = await judging.judge([], runs_excluded=True)
    assert one.row == other.row
    assert one.row.notes == (RUNS_EXCLUDED,)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.sampled_from(["", "x", "#c", "Encounter/gum", "urn:x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([
                "reference",
                "coding",
                "system",
                "code",
                "identifier",
                "value",
                "extension",
                "rank",
                "type",
            ]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)
ELEMENTS = [
    "meta", "contained", "extension", "identifier", "code", "type", "context", "encounter", "diagnosis", "reasonCode",
    "note", "reaction", "securityLabel", "content", "participant", "performer", "medicationReference", "status",
    "category", "presentedForm", "clinicalStatus", "protocolApplied", "occurrenceDateTime", "location", "class",
]  # fmt: skip


@given(
    kind=st.sampled_from([
        "AllergyIntolerance",
        "Condition",
        "DocumentReference",
        "Encounter",
        "Immunization",
        "Location",
    ]),
    junk=st.dictionaries(st.sampled_from(ELEMENTS), JUNK, max_size=4),
    meta=st.none() | st.dictionaries(st.sampled_from(["security", "profile", "tag", "lastUpdated"]), JUNK, max_size=2),
)
async def test_no_form_of_a_resource_costs_more_than_itself(judging, kind, junk, meta):
    owner = "patient" if kind in ("AllergyIntolerance", "Immunization") else "subject"
    odd = {"resourceType": kind, "id": "odd", owner: PATIENT} | junk | ({"meta": meta} if meta is not None else {})
    gum = ENCOUNTER | {"id": "gum", "serviceType": GUM}
    letter = {
        "resourceType": "Observation",
        "id": "o",
        "subject": PATIENT,
        "hasMember": [{"reference": "Location/odd"}],
    }
    seen = await judging.judge([*RECORD, gum, letter, odd])
    assert {("Condition", "c"), ("AllergyIntolerance", "a"), ("Encounter", "e")} <= seen.ids
    assert ("Encounter", "gum") not in seen.ids
    assert json.dumps(seen.row.as_json())


async def test_what_a_council_records_is_social_care_whatever_its_codes(judging):
    plan = {"resourceType": "CarePlan", "id": "package", "subject": {"reference": "Patient/p1"}, "status": "active"}
    seen = await judging.judge([plan], service="social-care", asked=["social-care"])
    assert seen.statuses == {"social-care": "answered"}
    assert ("CarePlan", "package") in seen.ids
    seen = await judging.judge([plan], service="acute", asked=["social-care"])
    assert seen.statuses == {"social-care": "no-record-found"}


async def test_a_mental_health_trusts_team_shows_only_to_roles_that_may_see_mental_health(judging):
    team = {"resourceType": "CareTeam", "id": "team", "subject": {"reference": "Patient/p1"}, "status": "active"}
    allergy = {"resourceType": "AllergyIntolerance", "id": "nuts", "patient": {"reference": "Patient/p1"}}
    asked = ["allergies", "care-plans"]
    seen = await judging.judge([team, allergy], service="mental-health", role="clinician", asked=asked)
    assert seen.statuses == {"allergies": "answered", "care-plans": "answered"}
    seen = await judging.judge([team, allergy], service="mental-health", role="health-professional", asked=asked)
    assert seen.statuses == {"allergies": "answered", "care-plans": "withheld"}
    assert seen.ids == {("AllergyIntolerance", "nuts")}


async def test_a_restriction_on_any_copy_of_the_sources_patient_hides_places(judging):
    system = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
    copies = [judging.patient(), judging.patient(meta={"security": [{"system": system, "code": "R"}]})]
    for record in (copies, copies[::-1], copies[1:]):
        assert (await judging.judge(record, labels=True)).judged.hiding is Hiding.PLACES
        assert (await judging.judge(record)).judged.hiding is Hiding.NOTHING
    assert (await judging.judge(copies[:1], labels=True)).judged.hiding is Hiding.NOTHING
