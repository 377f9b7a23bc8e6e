"""A token in the shape of NHS CIS2 says who asks as well as one of IUA's; what is in both must be the same in both."""

import copy
import json
from pathlib import Path

import pytest

from broker import auth
from broker.auth import Authenticator, Issuer, Relationship, TokenPatient, sign_demo_token
from broker.auth.issuers import OPERATOR_ROLES, may_assert
from broker.errors import NotAuthenticated

from .conftest import AUDIENCE, JOB_ROLES, ordinary

SELECTED = "555254242102"
PERSON = {
    "nhsid_useruid": "555254240100",
    "name": "Dr A Example",
    "idassurancelevel": "3",
    "selected_roleid": SELECTED,
    "nhsid_nrbac_roles": [
        {
            "org_code": "RQM",
            "person_orgid": "555254242200",
            "person_roleid": "555254242201",
            "role_code": "S0010:G0020:R8008",
            "role_name": '"Admin & Clerical":"Admin & Clerical":"Admin/Clinical Support Access Role"',
        },
        {
            "org_code": "RJ1",
            "person_orgid": "555254242103",
            "person_roleid": SELECTED,
            "role_code": "S8000:G8000:R8000",
            "role_name": '"Clinical":"Clinical Provision":"Clinical Practitioner Access Role"',
            "activities": ["View Detailed Health Records"],
            "activity_codes": ["B0360", "B0264"],
        },
    ],
    "nhsid_user_orgs": [{"org_code": "RJ1", "org_name": "GUY'S AND ST THOMAS' NHS FOUNDATION TRUST"}],
}
SUBJECT = ("subject_name", "subject_organization", "subject_organization_id", "subject_role")


def cis2(**changes):
    """A token of that shape alone; None removes a claim, `role__x` changes one of the selected role."""
    claims = ordinary(**{f"iua__{name}": None for name in SUBJECT}, own__activities=None)
    return changed(claims, changes)


def both(**changes):
    """A token in both shapes."""
    return changed(ordinary(), changes)


def changed(claims, changes):
    claims |= copy.deepcopy(PERSON)
    for name, value in changes.items():
        target = claims["nhsid_nrbac_roles"][1] if name.startswith("role__") else claims
        claim = name.removeprefix("role__")
        target.pop(claim, None)
        if value is not None:
            target[claim] = value
    return claims


async def believed(trust, pair, claims, **more):
    return await trust(pair, **more).authenticate(f"Bearer {pair.sign(claims)}")


async def refused(trust, pair, claims, **more):
    with pytest.raises(NotAuthenticated) as refusal:
        await believed(trust, pair, claims, **more)
    return refusal.value.reason


async def test_the_reader_is_the_user_in_the_role_that_was_selected(trust, pair):
    caller = await believed(trust, pair, cis2())
    assert caller.staff_id == "555254240100"
    assert (caller.requester.name, caller.requester.organisation) == ("Dr A Example", "RJ1")
    assert caller.requester.organisation_name == "GUY'S AND ST THOMAS' NHS FOUNDATION TRUST"
    assert (caller.requester.role_system, caller.requester.role_code) == (JOB_ROLES, "S8000:G8000:R8000")
    assert caller.activities == ("B0264", "B0360")


async def test_patient_purpose_and_relationship_are_where_they_are_in_the_other_shape(trust, pair):
    caller = await believed(trust, pair, cis2())
    assert caller.patient == TokenPatient("9990000018", "1948-03-02")
    assert caller.requester.purpose == "TREAT"
    assert caller.relationship == Relationship("encounter", "visit-7")
    assert caller.registered_practice == "G85001"


async def test_a_name_in_two_parts_is_a_name_and_none_is_not(trust, pair):
    parted = cis2(name=None, given_name="Ada", family_name="Example")
    assert (await believed(trust, pair, parted)).requester.name == "Ada Example"
    assert await refused(trust, pair, cis2(name=None)) == "claims"


async def test_an_organisation_that_is_not_named_is_called_by_its_code(trust, pair):
    assert (await believed(trust, pair, cis2(nhsid_user_orgs=None))).requester.organisation_name == "RJ1"


@pytest.mark.parametrize(
    "changes",
    [
        {"selected_roleid": None},
        {"selected_roleid": "555254249999"},
        {"nhsid_nrbac_roles": None},
        {"nhsid_nrbac_roles": []},
        {"nhsid_nrbac_roles": [PERSON["nhsid_nrbac_roles"][1]] * 2},
        {"nhsid_useruid": None},
        {"nhsid_useruid": "ada"},
        {"nhsid_useruid": "55525424010"},
        {"idassurancelevel": None},
        {"idassurancelevel": "2"},
        {"idassurancelevel": "0"},
        {"role__role_code": None},
        {"role__org_code": None},
        {"role__org_code": "rj1"},
        {"role__activity_codes": "B0360"},
    ],
    ids=str,
)
async def test_exactly_one_role_of_somebody_whose_identity_is_sure(trust, pair, changes):
    assert await refused(trust, pair, cis2(**changes)) == "claims"
    assert await refused(trust, pair, both(**changes)) == "claims"


async def test_a_role_at_another_organisation_is_not_for_this_issuer_to_assert(trust, pair):
    assert await refused(trust, pair, cis2(selected_roleid="555254242201")) == "not-its-own"


async def test_neither_shape_is_nobody(trust, pair):
    nobody = ordinary(**{f"iua__{name}": None for name in SUBJECT})
    assert await refused(trust, pair, nobody) == "claims"


@pytest.mark.parametrize("missing", SUBJECT)
async def test_half_of_the_other_shape_is_no_shape(trust, pair, missing):
    assert await refused(trust, pair, ordinary(**{f"iua__{missing}": None})) == "claims"
    claims = both()
    del claims["extensions"]["ihe_iua"][missing]
    assert await refused(trust, pair, claims) == "claims"


async def test_both_shapes_may_say_the_same(trust, pair):
    caller = await believed(trust, pair, both())
    assert (caller.staff_id, caller.requester.role_code) == ("555254240100", "S8000:G8000:R8000")
    assert caller.activities == ("B0264", "B0360")


@pytest.mark.parametrize(
    "contradiction",
    [
        {"name": "Dr B Another"},
        {"role__org_code": "RQM"},
        {"role__role_code": "S8000:G8000:R8001"},
        {"role__activity_codes": ["B0264"]},
    ],
    ids=str,
)
async def test_two_shapes_that_contradict_each_other_are_refused(trust, pair, contradiction):
    assert await refused(trust, pair, both(**contradiction)) == "claims"
    assert await refused(trust, pair, both(**contradiction), demo=True) == "claims"


async def test_the_sds_user_id_may_stand_in_the_other_shape_too_and_be_no_other_one(trust, pair):
    caller = await believed(trust, pair, ordinary(own__sds_user_id="555254240100"))
    assert caller.staff_id == "555254240100"
    assert (await believed(trust, pair, ordinary())).staff_id is None
    assert await refused(trust, pair, ordinary(own__sds_user_id="ada")) == "claims"
    claims = both()
    claims["extensions"]["care_record_broker"]["sds_user_id"] = "555254240999"
    assert await refused(trust, pair, claims) == "claims"


async def test_activities_that_the_selected_role_does_not_have_are_not_added_beside_it(trust, pair):
    """Activity B1611 opens where a restricted patient is."""
    claims = cis2()
    claims["extensions"]["care_record_broker"]["activities"] = ["B1611"]
    assert await refused(trust, pair, claims) == "claims"


async def test_a_system_that_signs_in_as_itself_is_nobody_in_this_shape_either(trust, pair):
    assert await refused(trust, pair, cis2(sub="ward-plugin")) == "claims"


def test_roles_are_asserted_alike_whether_their_code_is_short_or_in_full():
    operator, trust_issuer = Issuer(iss="https://op"), Issuer(iss="https://rj1", organisation="RJ1")
    for officer in ("R0001", "S8001:G8002:R0001"):
        assert may_assert(operator, "RJ1", (JOB_ROLES, officer))
        assert may_assert(trust_issuer, "RJ1", (JOB_ROLES, officer))
        assert not may_assert(trust_issuer, "RQM", (JOB_ROLES, officer))
    for doctor in ("R8000", "S8000:G8000:R8000"):
        assert not may_assert(operator, "RJ1", (JOB_ROLES, doctor))
    for own in ("auditor", "registrar"):
        assert may_assert(operator, "QKK", (OPERATOR_ROLES, own))
        assert not may_assert(trust_issuer, "RJ1", (OPERATOR_ROLES, own))


async def test_a_demo_token_of_this_shape_says_all_that_was_asked_for():
    demo = Issuer(iss="https://demo.example", demo=True)
    token = sign_demo_token(
        demo,
        audience=AUDIENCE,
        role_code="R8000",
        organisation="RJ1",
        organisation_name="Guy's",
        user="555254240100",
        activities=["B1611"],
        nhs_number="9990000018",
        birth_date="1948-03-02",
        shape="cis2",
    )
    caller = await Authenticator([demo], AUDIENCE).authenticate(f"Bearer {token}")
    assert (caller.staff_id, caller.activities) == ("555254240100", ("B1611",))
    assert (caller.requester.organisation_name, caller.requester.role_code) == ("Guy's", "S8000:G8000:R8000")
    assert caller.patient == TokenPatient("9990000018", "1948-03-02")


async def test_the_example_of_the_readme_is_believed(trust, pair):
    text = (Path(auth.__file__).parent / "README.md").read_text(encoding="utf-8")
    example = json.loads(text.partition("```json\n")[2].partition("```")[0])
    now = ordinary()
    example |= {name: now[name] for name in ("aud", "iat", "exp")}
    caller = await believed(trust, pair, example)
    assert (caller.requester.token_id, caller.staff_id) == (example["jti"], example["nhsid_useruid"])
