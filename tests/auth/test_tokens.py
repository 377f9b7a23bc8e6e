"""A demo token is good at a broker that trusts the demo issuer, for five minutes, and nowhere else."""

import json

import jwt
import pytest
from jwt.algorithms import OKPAlgorithm, RSAAlgorithm

from broker import nhs_number
from broker.auth import OPERATOR_ROLES, Authenticator, Issuer, Relationship, TokenPatient, sign_demo_token
from broker.errors import ConfigurationError, NotAuthenticated

from .conftest import AUDIENCE, RJ1, Clock, Pair

DEMO = Issuer(iss="https://demo.example", demo=True)


async def test_it_says_all_that_was_asked_for():
    token = sign_demo_token(
        DEMO,
        audience=AUDIENCE,
        role_code="R8000",
        organisation="RJ1",
        organisation_name="Guy's and St Thomas'",
        user="1",
        purpose="ETREAT",
        nhs_number=nhs_number.make(1),
        birth_date="1948-03-02",
        practice="G85001",
        relationship="referral",
        reference="r-1",
        activities=["B0360"],
        own_nhs_number=nhs_number.make(2),
    )
    assert jwt.get_unverified_header(token)["alg"] == "ES256"
    caller = await Authenticator([DEMO], AUDIENCE).authenticate(f"Bearer {token}")
    assert caller.demo
    assert (caller.requester.organisation, caller.requester.role_code) == ("RJ1", "R8000")
    assert (caller.requester.subject, caller.requester.purpose) == ("1", "ETREAT")
    assert caller.patient == TokenPatient(nhs_number.make(1), "1948-03-02")
    assert caller.relationship == Relationship("referral", "r-1")
    assert caller.registered_practice == "G85001"
    assert caller.activities == ("B0360",)
    assert caller.own_number == nhs_number.make(2)


async def test_without_a_patient_it_names_none():
    token = sign_demo_token(
        DEMO, audience=AUDIENCE, role_code="auditor", role_system=OPERATOR_ROLES, organisation="QKK"
    )
    caller = await Authenticator([DEMO], AUDIENCE).authenticate(f"Bearer {token}")
    assert caller.patient is caller.relationship is None
    assert caller.operator


async def test_it_lives_five_minutes():
    clock = Clock()
    token = sign_demo_token(DEMO, audience=AUDIENCE, role_code="R8000", organisation="RJ1", clock=clock)
    authenticator = Authenticator([DEMO], AUDIENCE, clock=clock)
    clock.now += 300
    assert await authenticator.authenticate(f"Bearer {token}")  # clocks may differ
    clock.now += 30
    with pytest.raises(NotAuthenticated):
        await authenticator.authenticate(f"Bearer {token}")


async def test_two_tokens_of_one_moment_are_two():
    clock = Clock()
    asked = {"audience": AUDIENCE, "role_code": "R8000", "organisation": "RJ1", "clock": clock}
    assert sign_demo_token(DEMO, **asked) != sign_demo_token(DEMO, **asked)


@pytest.mark.parametrize("alg", ["RS256", "PS256", "EdDSA"])
async def test_a_file_with_another_private_key_signs_with_that_and_as_that_key_says(alg, key_file):
    signer = Pair.make(alg, alg=alg)
    algorithm = OKPAlgorithm if alg == "EdDSA" else RSAAlgorithm
    private = algorithm.to_jwk(signer.private, as_dict=True)
    private.pop("key_ops", None)
    issuer = Issuer(iss=RJ1, demo=True, jwks_file=key_file({**private, "kid": "own", "alg": alg}))
    token = sign_demo_token(issuer, audience=AUDIENCE, role_code="R8000", organisation="RJ1")
    assert jwt.get_unverified_header(token) == {"alg": alg, "kid": "own", "typ": "JWT"}
    assert await Authenticator([issuer], AUDIENCE).authenticate(f"Bearer {token}")


def test_only_a_demo_issuer_with_a_private_key_at_hand_can_be_signed_for(key_file, pair, tmp_path):
    (tmp_path / "page.json").write_text(json.dumps([]))
    for issuer in (
        Issuer(iss=RJ1, jwks_file=key_file(pair.jwk)),
        Issuer(iss=RJ1, jwks_file=key_file(pair.jwk), demo=True),
        Issuer(iss=RJ1, jwks_url="https://idp.example/jwks.json", demo=True),
        Issuer(iss=RJ1, jwks_file=tmp_path / "page.json", demo=True),
    ):
        with pytest.raises(ConfigurationError):
            sign_demo_token(issuer, audience=AUDIENCE, role_code="R8000", organisation="RJ1")
