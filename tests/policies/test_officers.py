"""Who may record, decide and read objections, search the journal, and register organisations."""

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from policies import Policies
from policies.values import Act, Officer, Reason

POLICIES = Policies.load(None)
ROLES = POLICIES.tables.roles
DECIDERS = {"privacy-officer", "caldicott-guardian"}

officers = st.builds(
    Officer,
    role=st.sampled_from([*ROLES, None, "", "nobody-listed-this"]),
    operator=st.booleans(),
    lead=st.booleans(),
    concerned=st.booleans(),
    general=st.booleans(),
    recorder=st.booleans(),
    same_organisation=st.booleans(),
    named=st.booleans(),
)


def decides(officer):
    if officer.role not in DECIDERS:
        return False
    return officer.lead and officer.operator if officer.general else officer.concerned


def records(officer):
    return officer.role in ROLES and ROLES[officer.role].records_objections


@given(officers)
def test_recording_is_a_column_of_the_role_table(officer):
    assert POLICIES.may_act(officer, Act.RECORD_OBJECTION).permitted == records(officer)


@given(officers)
def test_the_concerned_organisation_decides_or_the_lead_controller_and_never_the_recorder(officer):
    decision = POLICIES.may_act(officer, Act.DECIDE_OBJECTION)
    assert decision.permitted == (decides(officer) and not officer.recorder and not officer.named)
    assert decision.reason == (None if decision.permitted else Reason.ROLE_NOT_PERMITTED)


@given(officers)
def test_an_objection_is_read_by_who_decides_it_and_where_it_was_recorded_and_not_by_whom_it_names(officer):
    may = (decides(officer) or (records(officer) and officer.same_organisation)) and not officer.named
    assert POLICIES.may_act(officer, Act.SEE_OBJECTION).permitted == may


@given(officers)
def test_only_auditors_and_registrars_of_the_operator_and_privacy_officers_search_or_register(officer):
    audits = (officer.role == "auditor" and officer.operator) or officer.role == "privacy-officer"
    assert POLICIES.may_act(officer, Act.AUDIT).permitted == audits
    assert POLICIES.may_act(officer, Act.REGISTER).permitted == (officer.role == "registrar" and officer.operator)


def test_nobody_without_a_role_may_do_anything():
    for act, role, more in product(Act, (None, "", "nobody-listed-this"), (False, True)):
        officer = Officer(role, more, more, more, more, False, more)
        assert not POLICIES.may_act(officer, act).permitted


def test_every_care_role_and_those_who_decide_may_record_an_objection():
    """Seed questions 13 and 14: speak to the person providing your care."""
    assert {role.id for role in ROLES.values() if role.records_objections} == DECIDERS | {
        role.id for role in ROLES.values() if role.sees
    }


def test_those_who_watch_do_not_look():
    for role in ("privacy-officer", "caldicott-guardian", "auditor", "registrar"):
        assert not ROLES[role].sees
        assert not ROLES[role].override
