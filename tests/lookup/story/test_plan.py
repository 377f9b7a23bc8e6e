"""Who is asked for what, and what the rows of the others say."""

import pytest

from broker.errors import (
    OrganisationNotTakingPart,
    OwnRecord,
    PurposeNotPermitted,
    RelationshipNeeded,
    RoleNotPermitted,
)
from broker.identity import Person
from broker.lookup.plan import make_plan, permit
from broker.objections.stance import Stance
from policies.values import Objection

PERSON = Person.unconfirmed("9990000018", "1948-03-02")
OF_THE_PATIENT = {"demographics", "gp-registration"}


@pytest.fixture
def plan(world):
    """Makes the plan of a lookup."""

    def make(*categories, person=PERSON, standing=Objection.NONE, most=10, caller=None):
        caller = caller or world.caller()
        query = world.query(*categories)
        permission = permit(caller, query, world.registry, world.policies, world.today)
        return make_plan(
            permission,
            caller,
            person,
            Stance(whole=standing),
            world.registry,
            world.policies,
            practices_if_unknown=most,
            today=world.today,
        )

    return make


def person(**more):
    return Person(identity=PERSON.identity, **({"status": "answered", "restricted": "no"} | more))


def statuses(plan):
    return {row.source: row.status.value for row in plan.rows()}


def asked(plan):
    return [ask.name for ask in plan.asks]


@pytest.fixture
def trust(world, give):
    world.add("RJ1", give.whole())
    return world


# Scope


def test_every_live_organisation_is_in_scope_and_no_other(trust, give, plan):
    trust.add("RJZ", give.whole())
    for state in ("pending", "checked", "approved", "suspended", "withdrawn"):
        trust.add(f"X{state[:2].upper()}", give.whole(), state=state)
    assert statuses(plan()) == {"RJ1-epr": "waiting", "RJZ-epr": "waiting"}


def test_an_organisation_has_a_row_for_each_of_its_sources(trust, give, plan):
    trust.add("RJZ", give.whole(), give.whole())
    assert asked(plan()) == ["RJ1-epr", "RJZ-epr", "RJZ-two"]
    assert statuses(plan()).keys() == {"RJ1-epr", "RJZ-epr", "RJZ-two"}


def test_rows_come_in_one_order_identity_first_and_rows_of_no_source_last(trust, give, plan):
    for code in ("RZZ", "A10", "RA1"):
        trust.add(code, give.whole(), give.whole())
    trust.add("G1", kind="gp-practice")
    rows = [row.source for row in plan(person=person(practice="G9")).rows()]
    assert rows[0] == "identity"
    assert rows[-1] is None
    assert rows[1:-1] == sorted(rows[1:-1])


def test_an_organisation_whose_agreement_has_lapsed_is_not_asked_and_says_so(trust, give, plan):
    trust.add("RJZ", give.whole(), give.whole(), agreement=give.lapsed)
    made = plan("allergies")
    assert asked(made) == ["RJ1-epr"]
    assert statuses(made)["RJZ-epr"] == statuses(made)["RJZ-two"] == "agreement-lapsed"
    row = next(row for row in made.rows() if row.source == "RJZ-two")
    assert {one.status.value for one in row.categories.values()} == {"agreement-lapsed"}


# GP practices


@pytest.fixture
def practices(trust, give):
    for code in ("G1", "G2", "G3"):
        trust.add(code, give.whole(), kind="gp-practice")
    return trust


def test_of_practices_only_the_one_that_the_identity_service_names_is_asked(practices, plan):
    made = plan(person=person(practice="G2"), caller=practices.caller(registered_practice="G3"))
    assert asked(made) == ["G2-epr", "RJ1-epr"]
    assert [ask.registered_practice for ask in made.asks] == [True, False]


def test_else_the_one_that_the_token_names(practices, plan):
    assert asked(plan(caller=practices.caller(registered_practice="G3"))) == ["G3-epr", "RJ1-epr"]
    assert asked(plan(person=person(), caller=practices.caller(registered_practice="G3"))) == ["G3-epr", "RJ1-epr"]


def test_where_nobody_names_one_all_are_asked_while_they_are_few(practices, plan):
    made = plan(most=3)
    assert asked(made) == ["G1-epr", "G2-epr", "G3-epr", "RJ1-epr"]
    assert not any(ask.registered_practice for ask in made.asks)


@pytest.mark.parametrize(
    ("most", "restricted"), [(2, "no"), (2, "unknown"), (10, "yes")], ids=["many", "many, unknown", "restricted"]
)
def test_where_nobody_names_one_and_they_are_many_or_the_patient_restricted_none_is(practices, plan, most, restricted):
    made = plan("allergies", most=most, person=person(restricted=restricted))
    assert asked(made) == ["RJ1-epr"]
    row = made.rows()[-1]
    assert (row.source, row.organisation, row.service_type) == (None, None, "gp-practice")
    assert row.status.value == "practice-not-asked"
    assert {name: one.status.value for name, one in row.categories.items()} == {"allergies": "practice-not-asked"}


@pytest.mark.parametrize("state", ["suspended", "absent"])
def test_a_named_practice_that_takes_no_part_is_not_asked_and_neither_is_any_other(practices, give, plan, state):
    if state != "absent":
        practices.add("G9", give.whole(), kind="gp-practice", state=state)
    made = plan(person=person(practice="G9"))
    assert asked(made) == ["RJ1-epr"]
    assert made.rows()[-1].status.value == "practice-not-asked"


def test_a_named_practice_whose_agreement_has_lapsed_says_that(practices, give, plan):
    practices.add("G9", give.whole(), kind="gp-practice", agreement=give.lapsed)
    made = plan(person=person(practice="G9"))
    assert statuses(made) == {"identity": "answered", "G9-epr": "agreement-lapsed", "RJ1-epr": "waiting"} | {
        "identity": statuses(made)["identity"]
    }


def test_an_organisation_that_is_no_practice_is_not_taken_for_the_registered_one(practices, plan):
    made = plan(person=person(practice="RJ1"))
    assert asked(made) == ["RJ1-epr"]
    assert made.rows()[-1].status.value == "practice-not-asked"
    assert not made.asks[0].registered_practice


def test_where_nobody_names_one_and_none_takes_part_there_is_no_row_of_none(trust, give, plan):
    trust.add("G1", give.whole(), kind="gp-practice", state="suspended")
    assert statuses(plan(person=person(restricted="yes"))).keys() == {"identity", "RJ1-epr"}


# Objections


@pytest.mark.parametrize("standing", [Objection.UPHELD, Objection.UNDECIDED])
def test_a_whole_objection_withholds_every_row_but_the_readers_own(practices, give, plan, standing):
    practices.add("RJZ", give.whole(), agreement=give.lapsed)
    practices.add("R10", give.whole(), categories=("documents",))
    made = plan("allergies", "demographics", person=person(), most=1, standing=standing)
    assert asked(made) == ["RJ1-epr"]
    assert statuses(made) == {
        "identity": "withheld",
        "R10-epr": "withheld",
        "RJ1-epr": "waiting",
        "RJZ-epr": "withheld",
        None: "withheld",
    }
    for row in made.rows():
        if row.source != "RJ1-epr":
            assert {one.status.value for one in row.categories.values()} <= {"withheld"}
            assert row.resources == 0
    assert made.objection
    assert made.origin == "RJ1-epr", "who they are is said by the reader's own organisation, or by nobody"


def test_a_whole_objection_withholds_rows_that_would_have_no_category(trust, give, plan):
    trust.add("RJZ", give.whole())
    assert statuses(plan("demographics", standing=Objection.UPHELD)) == {"RJ1-epr": "waiting", "RJZ-epr": "withheld"}


def test_a_whole_objection_reaches_a_reader_whose_organisation_has_no_record(world, give, plan):
    world.add("RJ1")
    world.add("RJZ", give.whole())
    made = plan(standing=Objection.UPHELD)
    assert statuses(made) == {"RJZ-epr": "withheld"}
    assert made.origin is None


@pytest.mark.parametrize("standing", [Objection.NOT_UPHELD, Objection.NONE])
def test_an_objection_that_was_not_upheld_changes_nothing(trust, give, plan, standing):
    trust.add("RJZ", give.whole())
    assert plan(standing=standing).rows() == plan().rows()
    assert not plan(standing=standing).objection


def test_both_sources_of_the_readers_own_organisation_stay(world, give, plan):
    world.add("RJ1", give.whole(), give.whole())
    assert asked(plan(standing=Objection.UPHELD)) == ["RJ1-epr", "RJ1-two"]


# Categories


def test_a_source_is_asked_for_what_its_manifest_offers_of_what_was_asked(trust, give, plan):
    trust.add("RJZ", give.whole(), categories=("medications", "allergies"))
    made = plan("allergies", "results")
    assert {ask.name: ask.asked for ask in made.asks} == {
        "RJ1-epr": ("allergies", "results"),
        "RJZ-epr": ("allergies",),
    }
    assert list(made.asks[1].row.categories) == ["allergies", "results"]


def test_a_source_that_offers_nothing_of_it_is_not_asked_and_says_so(trust, give, plan):
    trust.add("RJZ", give.whole(), categories=("documents",))
    made = plan("allergies")
    assert asked(made) == ["RJ1-epr"]
    row = made.rows()[1]
    assert row.status.value == "not-provided"
    assert {one.status.value for one in row.categories.values()} == {"not-provided"}


@pytest.mark.parametrize("category", ["mental-health", "social-care"])
def test_some_categories_are_given_only_where_they_are_offered(trust, give, plan, category):
    trust.add("RM1", give.whole(), kind=category)
    trust.add("RM2", give.whole(), categories=(category,))
    trust.add("RM3", give.whole(), kind=category, categories=("allergies",))
    made = plan(category)
    assert asked(made) == ["RM1-epr", "RM2-epr"]
    assert statuses(made)["RJ1-epr"] == statuses(made)["RM3-epr"] == "not-provided"


def test_categories_are_asked_in_the_order_of_the_interface(trust, plan):
    (ask,) = plan().asks
    every = trust.policies.tables.categories
    assert ask.asked == tuple(name for name in every if name not in {"mental-health", "social-care"})
    assert tuple(ask.row.categories) == every


# The one Patient


def test_what_the_identity_service_says_stands_in_its_row_alone(trust, plan):
    made = plan(person=person(practice="G1"))
    assert made.origin is None
    assert not OF_THE_PATIENT & made.asks[0].row.categories.keys()
    identity = made.rows()[0]
    assert {name: one.status.value for name, one in identity.categories.items()} == {
        "demographics": "answered",
        "gp-registration": "answered",
    }


def test_an_identity_service_that_names_no_practice_has_no_record_of_one(trust, plan):
    identity = plan(person=person()).rows()[0]
    assert identity.categories["gp-registration"].status.value == "no-record-found"
    assert identity.status.value == "answered"


@pytest.mark.parametrize("status", ["timed-out", "failed", "patient-not-found", "unreachable"])
def test_an_identity_service_that_fails_says_so_whatever_was_asked(trust, plan, status):
    for categories in (("allergies",), ("demographics",), ()):
        identity = plan(*categories, person=person(status=status, restricted="unknown")).rows()[0]
        assert identity.status.value == status
        assert {one.status.value for one in identity.categories.values()} <= {status}


def test_without_an_identity_service_it_stands_in_the_row_of_the_readers_own_organisation(trust, give, plan):
    trust.add("RJZ", give.whole())
    made = plan()
    assert made.origin == "RJ1-epr"
    own, other = made.asks
    assert set(own.asked) >= OF_THE_PATIENT
    assert not OF_THE_PATIENT & other.row.categories.keys()
    assert not OF_THE_PATIENT & set(other.asked)


def test_the_origin_is_a_source_that_offers_it(world, give, plan):
    world.add("RJ1", give.whole(), categories=("allergies",))
    made = plan("allergies", "demographics")
    assert made.origin is None
    assert made.asks[0].asked == ("allergies",)


@pytest.mark.parametrize("own", ["no source", "no demographics"])
def test_where_there_is_no_origin_every_row_says_not_provided_for_the_patient(world, give, plan, own):
    if own == "no source":
        world.add("RJ1")
    else:
        world.add("RJ1", give.whole(), categories=("allergies",))
    world.add("RJZ", give.whole())
    for made in (plan("allergies", "demographics"), plan("demographics", "gp-registration")):
        assert made.origin is None
        for ask in made.asks:
            assert not OF_THE_PATIENT & set(ask.asked)
        for row in made.rows():
            assert {"demographics"} <= row.categories.keys()
    assert not made.asks
    assert set(statuses(made).values()) == {"not-provided"}


# Who may ask


def test_a_role_that_sees_nothing_is_refused(trust, plan):
    for role in ("R8010", "nonsense", ""):
        with pytest.raises(RoleNotPermitted):
            plan(caller=trust.caller(role=role))


def test_a_role_that_sees_nothing_of_what_was_asked_is_refused(trust, plan):
    social_worker = trust.caller(role=_code_of(trust, "social-worker"))
    with pytest.raises(RoleNotPermitted):
        plan("results", "mental-health", caller=social_worker)
    made = plan("results", "allergies", caller=social_worker)
    assert made.asks[0].asked == ("allergies",)
    assert list(made.asks[0].row.categories) == ["allergies"]


def test_every_category_that_the_role_may_not_see_is_named_asked_or_not(trust):
    caller = trust.caller(role=_code_of(trust, "social-worker"))
    permission = permit(caller, trust.query("allergies"), trust.registry, trust.policies, trust.today)
    assert permission.not_permitted == ("problems", "results", "procedures", "documents", "mental-health")
    assert permission.asked == ("allergies",)
    assert permission.policies


@pytest.mark.parametrize("purpose", ["HPAYMT", "HRESCH", "BTG", "", "treat"])
def test_another_purpose_than_direct_care_is_refused(trust, plan, purpose):
    with pytest.raises(PurposeNotPermitted):
        plan(caller=trust.caller(purpose=purpose))


def test_emergency_treatment_is_direct_care(trust, plan):
    assert asked(plan(caller=trust.caller(purpose="ETREAT"))) == ["RJ1-epr"]


def test_without_a_relationship_it_is_refused(trust, plan):
    with pytest.raises(RelationshipNeeded):
        plan(caller=trust.caller(relationship=None))
    for basis in ("encounter", "referral", "registration", "caseload"):
        assert asked(plan(caller=trust.caller(relationship=basis))) == ["RJ1-epr"]


@pytest.mark.parametrize("how", ["unknown", "suspended", "lapsed"])
def test_the_readers_organisation_must_take_part(trust, give, plan, how):
    if how == "suspended":
        trust.add("RJ9", state="suspended")
    elif how == "lapsed":
        trust.add("RJ9", agreement=give.lapsed)
    with pytest.raises(OrganisationNotTakingPart):
        plan(caller=trust.caller(organisation="RJ9"))


def test_nobody_looks_themselves_up(trust, plan):
    with pytest.raises(OwnRecord):
        plan(caller=trust.caller(own_number=trust.number))


def test_nobody_looks_themselves_up_by_a_number_that_they_had_before(trust, plan):
    current = Person(
        identity=type(PERSON.identity)(numbers=(trust.number, "9990000026"), birth_date=trust.born), status="answered"
    )
    with pytest.raises(OwnRecord):
        plan(person=current, caller=trust.caller(own_number="9990000026"))


def _code_of(world, role):
    return next(code for (_, code), name in world.policies.tables.role_by_job.items() if name == role)
