"""What a patient told an organisation about sharing its record is honoured, wherever in the record it stands."""

import pytest

from adapters.findings import Finding
from broker.lookup.judging.judged import refused
from broker.lookup.judging.refusals import NOT_LOOKED_UP, coded
from broker.lookup.rows import RUNS_EXCLUDED
from broker.lookup.values import Status

SNOMED = "http://snomed.info/sct"
READ = "http://read.info/readv2"
REFUSED, GIVEN, THIRD_PARTY = "416409005", "417528008", "320011000000108"
PATIENT = {"reference": "Patient/p1"}
ASTHMA = {"coding": [{"system": SNOMED, "code": "195967001"}]}


def concept(code, system=SNOMED):
    return {"coding": [{"system": system, "code": code}]}


def said(code, when="2020-01-01", *, system=SNOMED, id_="said", **more):
    """An Observation that says it."""
    date = {"effectiveDateTime": when} if when else {}
    return {
        "resourceType": "Observation",
        "id": id_,
        "status": "final",
        "subject": PATIENT,
        "code": concept(code, system),
    } | (date | more)


def problem(id_="c", **more):
    return {"resourceType": "Condition", "id": id_, "subject": PATIENT, "code": ASTHMA} | more


async def test_an_organisation_that_was_told_not_to_share_gives_nothing(judging):
    """Seed questions 13 and 14; hazard objection-ignored."""
    seen = await judging.judge([problem(), said(REFUSED)])
    assert seen.judged.dissent
    assert not seen.judged.entries
    assert not seen.judged.facts
    assert seen.judged.patient is None
    assert set(seen.statuses.values()) == {"withheld-by-source"}
    assert seen.row.status == "withheld-by-source"
    assert seen.row.resources == 0
    assert seen.row.notes == ()


async def test_it_is_heeded_even_if_its_category_was_not_asked(judging):
    findings = judging.findings(Observation=Finding.ANSWERED)
    answer = judging.answer([problem(), said(REFUSED)], findings=findings)
    seen = await judging.judge(answer=answer, asked=["problems"])
    assert seen.judged.dissent
    assert seen.statuses == {"problems": "withheld-by-source"}


async def test_what_came_only_to_be_heeded_is_never_released_nor_counted(judging):
    record = [problem(), said(GIVEN), said("1234567", id_="other")]
    seen = await judging.judge(record, asked=["problems"])
    assert seen.ids == {("Condition", "c")}
    assert seen.row.resources == 1
    assert not seen.judged.dissent


async def test_at_the_readers_own_organisation_it_forbids_nothing(judging):
    seen = await judging.judge([problem(), said(REFUSED)], own="RJ1")
    assert not seen.judged.dissent
    assert seen.statuses["problems"] == "answered"


async def test_no_override_lifts_it(judging):
    seen = await judging.judge([problem(), said(REFUSED)], override=True)
    assert set(seen.statuses.values()) == {"withheld-by-source"}
    assert not seen.judged.entries


@pytest.mark.parametrize(
    ("first", "second", "dissent"),
    [
        ((REFUSED, "2020-01-01"), (GIVEN, "2021-01-01"), False),
        ((REFUSED, "2021-01-01"), (GIVEN, "2020-01-01"), True),
        ((REFUSED, "2021-01-01"), (GIVEN, "2021-01-01"), True),
        ((REFUSED, "2021"), (GIVEN, "2021-06-01"), True),
        ((REFUSED, None), (GIVEN, "2021-06-01"), True),
        ((REFUSED, "2019-06-01"), (GIVEN, None), True),
        ((GIVEN, "2019-06-01"), (GIVEN, None), False),
    ],
)
async def test_the_latest_dated_of_refusal_and_consent_holds(judging, first, second, dissent):
    record = [problem(), said(*first, id_="one"), said(*second, id_="two")]
    for given in (record, record[::-1]):
        assert (await judging.judge(given)).judged.dissent is dissent


@pytest.mark.parametrize(
    ("system", "code"),
    [
        (SNOMED, "416308001"),
        (SNOMED, "417370002"),
        (READ, "93C3."),
        (READ, "9Ndo."),
        (READ, "9Nu0."),
        (READ, "9Nu4."),
        ("http://read.info/ctv3", "93C3."),
    ],
)
async def test_a_choice_about_national_services_or_research_says_nothing_of_care_here(judging, system, code):
    """Seed questions 16 and 17."""
    seen = await judging.judge([problem(), said(code, system=system)])
    assert not seen.judged.dissent
    assert seen.statuses["problems"] == "answered"
    assert ("Observation", "said") in seen.ids


@pytest.mark.parametrize(
    ("system", "code"),
    [
        (SNOMED, REFUSED),
        ("urn:oid:2.16.840.1.113883.6.96", REFUSED),
        ("http://snomed.info/sct/83821000000107", f" {REFUSED}"),
        (None, REFUSED),
        (READ, "93C1"),
        (READ, "93C1."),
        (READ, "93C1.00"),
    ],
)
async def test_the_code_counts_however_it_is_spelled(judging, system, code):
    coding = {"code": code} if system is None else {"system": system, "code": code}
    seen = await judging.judge([said(REFUSED) | {"code": {"coding": [coding]}}])
    assert seen.judged.dissent


@pytest.mark.parametrize(
    "more",
    [
        {"category": [concept(REFUSED)]},
        {"provision": {"code": [concept(REFUSED)]}},
        {"provision": {"provision": [{"provision": [{"code": [concept(REFUSED)]}]}]}},
    ],
)
async def test_a_consent_says_it_as_its_category_or_in_its_rules(judging, more):
    consent = {"resourceType": "Consent", "id": "x", "status": "active", "patient": PATIENT, "dateTime": "2020-01-01"}
    seen = await judging.judge([consent | more, said(GIVEN, "2019-01-01")])
    assert seen.judged.dissent
    later = await judging.judge([consent | more, said(GIVEN, "2022-01-01")])
    assert not later.judged.dissent
    assert b"Consent" not in later.bytes


@pytest.mark.parametrize(
    "date",
    [
        {"effectiveDateTime": "2020-01-01"},
        {"effectivePeriod": {"start": "2020-01-01", "end": "2024-01-01"}},
        {"issued": "2020-01-01T09:00:00Z"},
        {"effectiveDateTime": "2020-01-01", "issued": "2023-01-01T09:00:00Z"},
    ],
)
async def test_the_date_is_when_it_was_said(judging, date):
    record = [said(REFUSED, None, id_="no", **date), said(GIVEN, "2021-01-01", id_="yes")]
    assert not (await judging.judge(record)).judged.dissent
    record = [said(GIVEN, None, id_="yes", **date), said(REFUSED, "2019-01-01", id_="no")]
    assert not (await judging.judge(record)).judged.dissent


@pytest.mark.parametrize("status", ["entered-in-error", "cancelled"])
async def test_what_was_entered_in_error_was_never_said(judging, status):
    assert not (await judging.judge([said(REFUSED, status=status)])).judged.dissent
    taken_back = [said(REFUSED, id_="no"), said(GIVEN, "2022-01-01", id_="yes", status=status)]
    assert (await judging.judge(taken_back)).judged.dissent


async def test_a_problem_in_the_list_may_say_it_and_be_refuted(judging):
    refusal = problem(code=concept(REFUSED), recordedDate="2020-01-01")
    assert (await judging.judge([refusal])).judged.dissent
    system = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
    in_error = refusal | {"verificationStatus": concept("entered-in-error", system)}
    assert not (await judging.judge([in_error])).judged.dissent


VERIFIED = "http://terminology.hl7.org/CodeSystem/condition-ver-status"


def consent(code, when="2024-01-01", **more):
    return {"resourceType": "Consent", "id": "x", "status": "active", "patient": PATIENT, "dateTime": when} | (
        {"category": [concept(code)]} | more
    )


def done(code, **more):
    return {"resourceType": "Procedure", "id": "x", "subject": PATIENT, "performedDateTime": "2024-01-01"} | (
        {"code": concept(code)} | more
    )


@pytest.mark.parametrize(
    "given",
    [
        *(consent(GIVEN, status=status) for status in ("rejected", "draft", "proposed", "inactive", None, ["active"])),
        consent(GIVEN, provision={"type": "deny"}),
        consent("1", provision={"type": "permit", "provision": [{"type": "deny", "code": [concept(GIVEN)]}]}),
        *(said(GIVEN, "2024-01-01", id_="x", status=status) for status in ("unknown", "registered", "preliminary")),
        *(done(GIVEN, status=status) for status in ("preparation", "in-progress", "stopped", "unknown")),
        problem("x", code=concept(GIVEN), recordedDate="2024-01-01", verificationStatus=concept("refuted", VERIFIED)),
        problem("x", code=concept(GIVEN), onsetPeriod={"start": "2024-01-01"}),
        said(GIVEN, "2027-01-01", id_="x"),
        said(GIVEN, "2024-01-01", id_="x", subject=None),
        said("1", "2024-01-01", id_="x", contained=[said(GIVEN, "2024-01-01")]),
    ],
)
async def test_a_consent_counts_only_if_it_is_the_patients_and_in_force(judging, given):
    assert (await judging.judge([said(REFUSED), given])).judged.dissent


@pytest.mark.parametrize(
    "given",
    [
        consent(GIVEN),
        consent("1", provision={"type": "permit", "code": [concept(GIVEN)]}),
        said(GIVEN, "2024-01-01", id_="x", status="amended"),
        said("1", "2024-01-01", id_="x", valueCodeableConcept=concept(GIVEN)),
        done(GIVEN, status="completed"),
        problem("x", code=concept(GIVEN), recordedDate="2024-01-01"),
    ],
)
async def test_a_consent_in_force_ends_a_refusal_before_it(judging, given):
    assert not (await judging.judge([said(REFUSED), given])).judged.dissent


@pytest.mark.parametrize(
    "refusal",
    [
        said(REFUSED, subject=None),
        said(REFUSED, subject={}),
        consent(REFUSED, patient=None),
        consent(REFUSED, status="draft", provision={"type": "deny"}),
        said("1", valueCodeableConcept=concept(REFUSED)),
        said("1", contained=[said(REFUSED)]),
        said("1", contained=[said(REFUSED, subject=None)]),
        problem(contained=[consent(REFUSED)]),
        said(REFUSED, "2099-01-01", status="registered"),
    ],
)
async def test_a_refusal_counts_wherever_it_stands_in_what_came_of_this_patient(judging, refusal):
    seen = await judging.judge([problem("other"), refusal])
    assert seen.judged.dissent
    assert not seen.judged.entries


async def test_of_two_copies_of_one_resource_each_may_say_it(judging):
    copies = [problem(), problem(code=concept(REFUSED))]
    for given in (copies, copies[::-1]):
        assert (await judging.judge(given)).judged.dissent


async def test_another_patients_refusal_is_not_theirs(judging):
    other = said(REFUSED) | {"subject": {"display": "their mother"}}
    assert not (await judging.judge([problem(), other])).judged.dissent


async def test_a_third_party_named_in_words_is_for_the_privacy_officer_and_holds_nothing_back(judging):
    seen = await judging.judge([problem(), said(THIRD_PARTY)])
    assert seen.judged.third_party
    assert not seen.judged.dissent
    assert seen.statuses["problems"] == "answered"
    assert not (await judging.judge([problem()])).judged.third_party


@pytest.mark.parametrize("finding", [Finding.FAILED, Finding.TRUNCATED, None])
async def test_a_refusal_that_could_not_be_looked_for_is_said_on_the_row(judging, finding):
    findings = judging.findings(Consent=finding) if finding else judging.findings()
    if finding is None:
        del findings["Consent"]
    seen = await judging.judge(answer=judging.answer([problem()], findings=findings))
    assert seen.row.notes == (NOT_LOOKED_UP,)
    assert seen.statuses["problems"] == "answered"
    assert not seen.judged.heard
    own = await judging.judge(answer=judging.answer([problem()], findings=findings), own="RJ1")
    assert own.row.notes == ()


async def test_a_source_that_failed_as_a_whole_says_only_that(judging):
    seen = await judging.judge(answer=judging.answer([], findings={}, failure=Status.TIMED_OUT))
    assert NOT_LOOKED_UP not in seen.row.notes
    unknown = await judging.judge(answer=judging.answer([], findings={}, not_found=True))
    assert NOT_LOOKED_UP not in unknown.row.notes


async def test_a_source_asked_for_nothing_else_is_heard_and_gives_nothing(judging):
    findings = dict.fromkeys(judging.tables.dissent.types, Finding.ANSWERED)
    for record, dissent in (([problem()], False), ([problem(), said(REFUSED)], True)):
        seen = await judging.judge(answer=judging.answer(record, findings=findings), asked=())
        assert (seen.judged.heard, seen.judged.dissent) == (True, dissent)
        assert not seen.judged.entries
    unknown = judging.answer([], findings={}, not_found=True)
    assert (await judging.judge(answer=unknown, asked=())).judged.heard
    failed = judging.answer([], findings={}, failure=Status.TIMED_OUT)
    assert not (await judging.judge(answer=failed, asked=())).judged.heard


async def test_a_refusal_in_what_came_of_a_source_that_was_cut_is_heeded(judging):
    answer = judging.answer([said(REFUSED)], findings={}, failure=Status.TIMED_OUT)
    seen = await judging.judge(answer=answer)
    assert seen.judged.dissent
    assert set(seen.statuses.values()) == {"withheld-by-source"}


async def test_what_is_said_of_such_an_organisation_for_every_patient_stays(judging):
    seen = await judging.judge([problem(), said(REFUSED)], runs_excluded=True)
    assert seen.row.notes == (RUNS_EXCLUDED,)


async def test_another_source_of_the_same_organisation_is_withheld_too(judging):
    other = (await judging.judge([problem()], asked=["problems", "results"], types=["Condition"])).judged
    left = refused(other)
    assert {name: one.status for name, one in left.row.categories.items()} == dict.fromkeys(
        ["problems", "results"], "withheld-by-source"
    )
    assert {name: one.status for name, one in left.row.types.items()} == {"Condition": "withheld-by-source"}
    assert (left.entries, left.facts, left.patient, left.row.resources) == ((), (), None, 0)
    assert refused(left) == left


async def test_one_that_answered_about_somebody_else_still_says_so(judging):
    other = judging.patient(identifier=[{"system": "https://fhir.nhs.uk/Id/nhs-number", "value": "9990000026"}])
    seen = await judging.judge([other, said(REFUSED)])
    assert seen.judged.wrong_patient
    assert refused(seen.judged) == seen.judged


def test_only_what_is_not_asked_anyway_is_asked_for_its_codes(judging):
    dissents = judging.tables.dissent
    assert coded(dissents, dissents.types) == {}
    assert coded(dissents, {"Observation"}).keys() == set(dissents.types) - {"Observation"}
    assert (SNOMED, REFUSED) in coded(dissents, ())["Observation"]


# Under which other numbers the patient may have objected


async def test_numbers_outside_the_identity_set_are_told_so_that_objections_under_them_are_found(judging):
    """Fail closed: an old number is theirs no more, and an objection may have been made under it."""
    nhs = "https://fhir.nhs.uk/Id/nhs-number"
    patient = judging.patient(
        identifier=[
            {"system": nhs, "value": "9990000018"},
            {"system": nhs, "value": "999 000 0026", "use": "old"},
            {"system": nhs, "value": "9990000034", "period": {"end": "2001-01-01"}},
            {"system": "urn:local", "value": "9990000042"},
        ]
    )
    seen = await judging.judge([patient, problem()])
    assert seen.judged.numbers == {"9990000026", "9990000034"}
    assert (await judging.judge([problem()])).judged.numbers == frozenset()
    copies = [judging.patient(), patient]
    for given in (copies, copies[::-1]):
        assert (await judging.judge([*given, problem()])).judged.numbers == {"9990000026", "9990000034"}
