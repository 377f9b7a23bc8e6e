"""Default deny; forbid wins; nothing that restricts ever permits more."""

import re
from dataclasses import replace
from itertools import product

import cedarpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import Policies, engine
from policies.values import Act, Asked, Objection, Officer, Reader, Reason, Sight, SourceState

POLICIES = Policies.load(None)
TABLES = POLICIES.tables
PURPOSES = ["TREAT", "ETREAT", "BTG", "HRESCH", "HPAYMT", "HOPERAT", "PATRQT", "treat", ""]
RELATIONSHIPS = ["encounter", "referral", "registration", "caseload", "self-declared", "neighbour", "", None]
SIGHTS = [Sight.WITHHOLD, Sight.MARK, Sight.SHOW]
HONOURED = {Objection.UPHELD, Objection.UNDECIDED}
N = frozenset({"N"})

roles = st.sampled_from([*TABLES.roles, None, "", "nobody-listed-this"])
readers = st.builds(
    Reader,
    role=roles,
    purpose=st.sampled_from(PURPOSES) | st.text(max_size=8),
    relationship=st.sampled_from(RELATIONSHIPS) | st.text(max_size=8),
    taking_part=st.booleans(),
    override=st.booleans(),
)
sources = st.builds(SourceState, agreement=st.booleans(), own=st.booleans(), objection=st.sampled_from(list(Objection)))
categories = st.sampled_from([*TABLES.categories, "no-such-category"])
objections = st.sampled_from(list(Objection))
labels = st.frozensets(st.sampled_from([*TABLES.labels, "no-such-label"]), min_size=1, max_size=4)

doctor = Reader("clinician", "TREAT", "encounter", True)


def first_failing(reader):
    """The conditions of every question, told apart from the Cedar text, in the order of Reason."""
    role = TABLES.roles.get(reader.role)
    if not reader.taking_part:
        return Reason.ORGANISATION_NOT_TAKING_PART
    if reader.purpose not in ({"TREAT", "ETREAT", "BTG"} if reader.override else {"TREAT", "ETREAT"}):
        return Reason.PURPOSE_NOT_PERMITTED
    if role is None or not role.sees or (reader.override and not role.override):
        return Reason.ROLE_NOT_PERMITTED
    related = reader.relationship in {"encounter", "referral", "registration", "caseload", "self-declared"}
    if not related and not reader.override:
        return Reason.RELATIONSHIP_NEEDED
    return None


@given(readers)
def test_only_a_reader_who_meets_every_condition_may_ask_and_the_reason_is_the_first_that_fails(reader):
    decision = POLICIES.may_ask(reader)
    assert decision.reason == first_failing(reader)
    assert decision.permitted == (decision.reason is None)


@given(readers, sources)
def test_an_organisation_answers_only_within_its_agreement_and_the_patients_objection(reader, source):
    [decision] = POLICIES.may_answer(reader, [source])
    expected = first_failing(reader)
    if expected is None and not source.agreement:
        expected = Reason.AGREEMENT_LAPSED
    honoured = source.objection in HONOURED and not reader.override
    if expected is None and not source.own and honoured:
        expected = Reason.OBJECTION
    assert decision.reason == expected
    assert decision.permitted == (expected is None)


@given(readers, categories, labels, objections)
def test_a_category_is_seen_only_as_the_tables_say(reader, category, labels, objection):
    [decision] = POLICIES.may_see(reader, [Asked(category, labels, objection)])
    expected, sight = first_failing(reader), Sight.WITHHOLD
    if expected is None:
        role = TABLES.roles[reader.role]
        if not any(category in TABLES.groups[group] for group in role.sees):
            expected = Reason.CATEGORY_NOT_PERMITTED
        elif objection in HONOURED and not reader.override:
            expected = Reason.OBJECTION
        else:
            rows = [
                TABLES.labels[label].sight(role.id) if label in TABLES.labels else Sight.WITHHOLD for label in labels
            ]
            sight = min(rows, key=SIGHTS.index)
            expected = Reason.LABEL if sight is Sight.WITHHOLD else None
    assert (decision.reason, decision.sight) == (expected, sight)
    assert decision.permitted == (expected is None)


@given(readers, sources, st.sampled_from([Objection.UPHELD, Objection.UNDECIDED]))
def test_adding_an_objection_never_permits_more(reader, source, objection):
    without = SourceState(source.agreement, source.own, Objection.NONE)
    objected = SourceState(source.agreement, source.own, objection)
    before, after = POLICIES.may_answer(reader, [without, objected])
    assert before.permitted or not after.permitted


@given(readers, categories, labels, labels)
def test_adding_a_label_never_shows_more(reader, category, some, more):
    fewer, all_of_them = POLICIES.may_see(reader, [(category, some), (category, some | more)])
    assert SIGHTS.index(all_of_them.sight) <= SIGHTS.index(fewer.sight)


def test_the_readers_own_organisation_stays_visible_whatever_the_objection(policies):
    own = [SourceState(agreement=True, own=True, objection=objection) for objection in Objection]
    assert all(decision.permitted for decision in policies.may_answer(doctor, own))


def test_an_objection_not_upheld_forbids_nothing(policies):
    [decision] = policies.may_answer(doctor, [SourceState(agreement=True, own=False, objection=Objection.NOT_UPHELD)])
    assert decision.permitted


def test_administrators_receptionists_and_students_see_nothing(policies):
    for role in ("administrator", "receptionist", "student", "secretary", "support-worker"):
        reader = Reader(role, "TREAT", "encounter", True)
        assert policies.may_ask(reader).reason is Reason.ROLE_NOT_PERMITTED
        questions = [(category, N) for category in policies.tables.categories]
        assert not any(decision.permitted for decision in policies.may_see(reader, questions))


def test_the_purpose_of_breaking_the_glass_needs_an_override(policies):
    breaking = Reader("clinician", "BTG", "encounter", True)
    assert policies.may_ask(breaking).reason is Reason.PURPOSE_NOT_PERMITTED
    assert policies.may_override(breaking).permitted
    assert policies.may_ask(replace(breaking, override=True)).permitted


@given(readers)
def test_who_may_break_the_glass_is_a_column_of_the_role_table(reader):
    decision = POLICIES.may_override(reader)
    assert decision == POLICIES.may_override(replace(reader, override=not reader.override))
    assert decision.reason == first_failing(replace(reader, override=True))
    assert decision.permitted == (decision.reason is None)


@given(readers, st.sampled_from(["yes", "no", "unknown"]), st.booleans())
def test_where_a_patient_lives_and_is_seen_shows_only_as_the_restriction_allows(reader, restricted, sensitive):
    home, places = POLICIES.may_locate(restricted, reader=reader, sensitive=sensitive)
    refused = first_failing(reader)
    may = sensitive or reader.override
    assert home.permitted == (refused is None and (restricted == "no" or (restricted == "yes" and may)))
    assert places.permitted == (refused is None and (restricted != "yes" or may))
    assert home.reason == (refused or (None if home.permitted else Reason.RESTRICTED))


def test_a_restriction_in_a_word_that_nobody_knows_hides_everything(policies):
    assert not any(one.permitted for one in policies.may_locate("", reader=doctor, sensitive=False))


@given(readers, sources, categories, labels, objections)
def test_an_override_widens_what_a_role_with_the_column_sees_and_nothing_else_opens_for_it(
    reader, source, category, labels, objection
):
    without, broken = replace(reader, override=False), replace(reader, override=True)
    asked = [Asked(category, labels, objection)]
    unobjected = SourceState(source.agreement, source.own, Objection.NONE)
    related = replace(without, relationship="encounter", purpose="TREAT" if reader.purpose == "BTG" else reader.purpose)
    [answers], [sees] = POLICIES.may_answer(broken, [source]), POLICIES.may_see(broken, asked)
    if not POLICIES.may_override(reader).permitted:
        assert not answers.permitted
        assert not sees.permitted
    else:
        assert answers.permitted == POLICIES.may_answer(related, [unobjected])[0].permitted
        assert sees.sight == POLICIES.may_see(related, [(category, labels)])[0].sight


def test_an_agreement_out_of_date_keeps_reader_and_source_out(policies):
    reader = Reader("clinician", "TREAT", "encounter", False)
    assert policies.may_ask(reader).reason is Reason.ORGANISATION_NOT_TAKING_PART
    lapsed = SourceState(agreement=False, own=False, objection=Objection.NONE)
    assert policies.may_answer(doctor, [lapsed])[0].reason is Reason.AGREEMENT_LAPSED


def test_without_a_permit_nothing_is_permitted_to_anybody(board):
    for file in (board / "cedar").glob("*.cedar"):
        text = file.read_text(encoding="utf-8")
        kept = re.sub(r'@id\("[^"]*"\)\n@why\("[^"]*"\)\npermit .*?;', "", text, flags=re.DOTALL)
        file.write_text(kept, encoding="utf-8")
    policies = Policies.load(board)
    assert policies.rules.permits == frozenset()
    asked = policies.may_ask(doctor)
    answered = policies.may_answer(doctor, [SourceState(agreement=True, own=True, objection=Objection.NONE)])
    seen = policies.may_see(doctor, [(category, N) for category in policies.tables.categories])
    assert not any(decision.permitted or decision.policies for decision in [asked, *answered, *seen])


def test_a_forbid_outweighs_a_permit_of_everything(board):
    (board / "cedar" / "9-everything.cedar").write_text(
        '@id("everything")\n@why("All.")\npermit (principal, action, resource);\n', encoding="utf-8"
    )
    policies = Policies.load(board)
    source = SourceState(agreement=True, own=False, objection=Objection.UPHELD)
    assert policies.may_answer(doctor, [source])[0].policies == ("objection-honoured",)
    for reader in (
        Reader("receptionist", "TREAT", "encounter", True),
        Reader("clinician", "HRESCH", "encounter", True),
        Reader("clinician", "TREAT", None, True),
        Reader("clinician", "TREAT", "encounter", False),
    ):
        assert not policies.may_ask(reader).permitted
        assert not policies.may_see(reader, [("allergies", N)])[0].permitted


def test_a_policy_that_fails_while_deciding_denies(board):
    (board / "cedar" / "9-fails.cedar").write_text(
        '@id("fails")\n@why("Adds too much.")\n@reason("label")\nforbid (principal, action, resource)\n'
        "when { 9223372036854775807 + 1 == 0 };\n",
        encoding="utf-8",
    )
    policies = Policies.load(board)
    alarms = []
    policies.on_undecidable = lambda action, failed: alarms.append((action, failed))
    for _ in range(2):
        decision = policies.may_ask(doctor)
        assert not decision.permitted
        assert decision.reason is Reason.UNDECIDABLE
        assert "fails" in decision.policies
    assert alarms == [("ask", ("fails",))] * 2, "each time: it is not remembered"
    [seen] = policies.may_see(doctor, [("allergies", N)])
    assert (seen.permitted, seen.sight, seen.reason) == (False, Sight.WITHHOLD, Reason.UNDECIDABLE)
    assert not policies.may_act(Officer("auditor", operator=True), Act.AUDIT).permitted


def test_what_decides_to_show_and_can_not_be_decided_is_not_shown_marked(board):
    (board / "cedar" / "9-fails.cedar").write_text(
        '@id("fails")\n@why("Adds too much.")\n@reason("label")\n'
        'forbid (principal, action == Action::"show", resource)\nwhen { 9223372036854775807 + 1 == 0 };\n',
        encoding="utf-8",
    )
    [seen] = Policies.load(board).may_see(doctor, [("allergies", N)])
    assert (seen.permitted, seen.sight) == (False, Sight.WITHHOLD)


def test_a_question_that_cedar_can_not_read_is_denied_with_an_alarm_and_harms_no_other():
    policies = Policies.load(None)
    alarms = []
    policies.on_undecidable = lambda action, failed: alarms.append((action, failed))
    assert policies.may_ask(Reader("clinician", "\ud800", "encounter", True)).reason is Reason.UNDECIDABLE
    assert alarms == [("ask", ())]
    assert policies.may_ask(doctor).permitted
    assert len(alarms) == 1


def test_every_decision_names_the_policies_that_determined_it(policies):
    assert policies.may_ask(doctor).policies == ("role-may-ask",)
    refused = policies.may_ask(Reader("student", "HRESCH", None, True))
    assert refused.policies == ("direct-care-only", "relationship-needed", "role-sees-nothing")
    known = policies.rules.permits | policies.rules.reasons.keys()
    assert set(refused.policies) <= known


def test_each_distinct_question_is_asked_of_cedar_once(monkeypatch):
    policies = Policies.load(None)
    asked = []
    decide = cedarpy.is_authorized_batch

    def counting(requests, *rest):
        asked.extend(requests)
        return decide(requests, *rest)

    monkeypatch.setattr(engine.cedarpy, "is_authorized_batch", counting)
    sources = [SourceState(agreement=True, own=n == 0, objection=Objection.NONE) for n in range(24)]
    questions = [(category, N) for category in policies.tables.categories] * 3
    for _ in range(5):
        policies.may_ask(doctor)
        policies.may_answer(doctor, sources)
        policies.may_see(doctor, questions)
    assert len(asked) == 1 + 2 + len(policies.tables.categories)


def test_labels_that_sources_invent_do_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr(engine, "QUESTIONS", 8)
    policies = Policies.load(None)
    for some, more in product(policies.tables.labels, repeat=2):
        [decision] = policies.may_see(doctor, [("problems", frozenset({some, more}))])
        assert decision.permitted
    assert all(len(known) <= 9 for known in policies._decided.values())


@pytest.mark.parametrize(
    ("code", "role"),
    [
        ("R8000", "clinician"),
        ("S8000:G8000:R8000", "clinician"),
        ("S0030:G0100:R0620", "nurse"),
        ("R8009", "receptionist"),
        ("R8004", "student"),
        ("R9605", "social-worker"),
        ("R1070", "paramedic"),
        ("R5105", "caldicott-guardian"),
        ("R8024", None),
        ("", None),
        ("R8000:", None),
    ],
)
def test_a_job_role_is_read_in_its_short_and_its_long_form(policies, code, role):
    assert policies.role_of("https://fhir.nhs.uk/CodeSystem/national-rbac-job-role", code) == role


def test_a_job_role_of_another_code_system_is_nobodys(policies):
    assert policies.role_of("http://example.org/roles", "R8000") is None
