"""Only what a registered issuer signed, for us, now, about a person, is believed; everything else is one and the same 401."""

import json
import logging

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from broker import nhs_number
from broker.auth import Authenticator, Issuer, Relationship, TokenPatient
from broker.auth.authenticator import MOST_CHARACTERS
from broker.errors import NotAuthenticated

from .conftest import AUDIENCE, JOB_ROLES, PURPOSES, RJ1, Clock, Pair, ordinary, segment

PRIVACY_OFFICER = [{"system": JOB_ROLES, "code": "R0001"}]
AUDITOR = [{"system": "urn:care-record-broker:role", "code": "auditor"}]
ODS = "https://fhir.nhs.uk/Id/ods-organization-code"


async def refused(authenticator, token, scheme="Bearer"):
    with pytest.raises(NotAuthenticated) as refusal:
        await authenticator.authenticate(f"{scheme} {token}")
    assert refusal.value.message == NotAuthenticated.default
    return True


async def test_a_doctor_with_a_patient_in_context_is_a_caller(trust, pair):
    caller = await trust(pair).authenticate(f"Bearer {pair.sign(ordinary())}")
    assert caller.requester.issuer == RJ1
    assert caller.requester.subject == "555254240100"
    assert caller.requester.name == "Dr A Example"
    assert caller.requester.organisation == "RJ1"
    assert caller.requester.organisation_name == "Guy's and St Thomas' NHS Foundation Trust"
    assert (caller.requester.role_system, caller.requester.role_code) == (JOB_ROLES, "R8000")
    assert caller.requester.purpose == "TREAT"
    assert caller.requester.client == "ward-plugin"
    assert caller.requester.token_id == "a-token"
    assert caller.patient == TokenPatient("9990000018", "1948-03-02")
    assert caller.relationship == Relationship("encounter", "visit-7")
    assert caller.registered_practice == "G85001"
    assert caller.activities == ("B0360",)
    assert (caller.operator, caller.demo, caller.own_number) == (False, False, None)


@pytest.mark.parametrize("alg", ["RS256", "PS256", "ES256", "EdDSA"])
async def test_each_algorithm_of_the_interface_is_taken(trust, alg):
    signer = Pair.make(alg, alg=alg)
    assert await trust(signer).authenticate(f"Bearer {signer.sign(ordinary())}")


@pytest.mark.parametrize("alg", ["RS256", "ES256", "EdDSA"])
async def test_a_key_without_alg_has_the_default_of_its_type(trust, alg):
    signer = Pair.make(alg, kid=None)
    assert await trust(signer).authenticate(f"bearer  {signer.sign(ordinary())}")


async def test_what_may_be_left_out_may_be_left_out(trust, pair):
    bare = ordinary(iua__person_id=None)
    del bare["extensions"]["care_record_broker"]
    caller = await trust(pair).authenticate(f"Bearer {pair.sign(bare)}")
    assert caller.patient is None
    assert caller.relationship is None
    assert caller.registered_practice is None
    assert caller.activities == ()


async def test_claims_that_nobody_here_knows_are_ignored(trust, pair):
    more = ordinary(scope="patient/*.read", iua__home_community_id="urn:oid:1.2.3", own__later={"a": [1]})
    more["extensions"]["ihe_pcf"] = {"patient_id": "x"}
    assert await trust(pair).authenticate(f"Bearer {pair.sign(more)}")


async def test_half_a_patient_is_nobody_that_could_be_asked_for(trust, pair):
    authenticator = trust(pair)
    for half in (ordinary(own__birth_date=None), ordinary(iua__person_id=None)):
        caller = await authenticator.authenticate(f"Bearer {pair.sign(half)}")
        assert not caller.patient.matches("9990000018", "1948-03-02")


async def test_the_patient_of_the_token_matches_by_number_and_birth_date_both():
    patient = TokenPatient("9990000018", "1948-03-02")
    assert patient.matches("9990000018", "1948-03-02")
    assert not patient.matches("9990000018", "1948-03-03")
    assert not patient.matches("9990000026", "1948-03-02")


async def test_a_reader_whose_own_number_is_in_the_token_is_known_by_it(trust, pair):
    number = nhs_number.make(7)
    caller = await trust(pair).authenticate(f"Bearer {pair.sign(ordinary(own__own_nhs_number=number))}")
    assert caller.own_number == number


# Attacks on the signature.


async def test_a_token_without_signature_is_refused(trust, pair):
    authenticator = trust(pair)
    body = segment(ordinary())
    for alg in ("none", "None", "NONE", ""):
        head = segment({"alg": alg, "kid": "k1", "typ": "JWT"})
        for signature in ("", "AAAA"):
            assert await refused(authenticator, f"{head}.{body}.{signature}")


async def test_the_public_key_is_no_secret_to_sign_with(trust, rsa_pair):
    pem = rsa_pair.private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    signer = jwt.get_algorithm_by_name("HS256")
    for secret in (pem, rsa_pair.jwk["n"].encode()):
        signed = f"{segment({'alg': 'HS256', 'kid': 'k1', 'typ': 'JWT'})}.{segment(ordinary())}"
        assert await refused(trust(rsa_pair), f"{signed}.{segment(signer.sign(signed.encode(), secret))}")


async def test_a_shared_secret_in_a_key_set_verifies_nothing(trust, pair):
    secret = {"kty": "oct", "kid": "shared", "alg": "HS256", "k": segment(b"s" * 64)}
    token = jwt.encode(ordinary(), b"s" * 64, "HS256", {"kid": "shared"})
    assert await refused(trust(pair, secret), token)


async def test_a_key_serves_one_algorithm_only(trust, rsa_pair):
    authenticator = trust(rsa_pair)  # no `alg`: RS256
    assert await refused(authenticator, rsa_pair.sign(ordinary(), alg="PS256"))
    assert await refused(authenticator, rsa_pair.sign(ordinary(), alg="RS512"))
    assert await authenticator.authenticate(f"Bearer {rsa_pair.sign(ordinary(), alg='RS256')}")


async def test_a_changed_token_is_refused(trust, pair):
    head, _, signature = pair.sign(ordinary()).split(".")
    assert await refused(trust(pair), f"{head}.{segment(ordinary(sub='somebody-else'))}.{signature}")


async def test_a_key_of_another_issuer_is_not_this_issuers(key_file, pair):
    other = Pair.make("ES256", kid="k1")
    authenticator = Authenticator(
        [
            Issuer(iss=RJ1, organisation="RJ1", jwks_file=key_file(pair.jwk, name="rj1.json")),
            Issuer(iss="https://rqm", organisation="RQM", jwks_file=key_file(other.jwk, name="rqm.json")),
        ],
        AUDIENCE,
    )
    assert await refused(authenticator, other.sign(ordinary()))
    assert await refused(authenticator, pair.sign(ordinary(iss="https://rqm")))
    assert await refused(authenticator, other.sign(ordinary(iss="https://rqm")))  # RQM speaks for nobody of RJ1
    own = ordinary(iss="https://rqm", iua__subject_organization_id=f"{ODS}|RQM")
    assert (await authenticator.authenticate(f"Bearer {other.sign(own)}")).requester.organisation == "RQM"


async def test_keys_and_addresses_in_a_token_are_never_looked_at(trust, pair):
    mine = Pair.make("ES256", kid="k1")
    for lure in (
        {"jwk": mine.jwk},
        {"jku": "http://127.0.0.1:1/jwks.json"},
        {"x5u": "http://127.0.0.1:1/chain.pem"},
        {"x5c": ["MIIB"]},
    ):
        assert await refused(trust(pair), mine.sign(ordinary(), headers=lure))
        assert await trust(pair).authenticate(f"Bearer {pair.sign(ordinary(), headers=lure)}")


@pytest.mark.parametrize(
    "headers",
    [
        {"crit": ["exp"], "exp": 1},
        {"crit": ["b64"], "b64": True},
        {"crit": []},
        {"crit": None},
        {"b64": False},
        {"typ": "logout+jwt"},
        {"kid": 7},
        {"alg": None},
        {"kid": "k2"},
        {"kid": "../k1"},
    ],
)
async def test_a_header_that_asks_for_more_than_a_signature_is_refused(trust, pair, headers):
    token = pair.sign_bytes(json.dumps(ordinary()).encode(), {"alg": "ES256", "kid": "k1", "typ": "JWT", **headers})
    assert await refused(trust(pair), token)


async def test_no_kid_is_needed_where_there_is_one_key_and_is_where_there_are_more(trust, pair):
    payload = json.dumps(ordinary()).encode()
    unnamed = pair.sign_bytes(payload, {"alg": "ES256"})
    assert await trust(pair).authenticate(f"Bearer {unnamed}")
    assert await refused(trust(pair, Pair.make("ES256", kid="k2")), unnamed)


# Attacks on the claims.


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://stranger.example"},
        {"iss": None},
        {"iss": ["https://ehr.rj1.example"]},
        {"aud": "https://another.example"},
        {"aud": AUDIENCE + "/"},
        {"aud": [AUDIENCE, "https://another.example"]},
        {"aud": []},
        {"aud": None},
        {"jti": None},
        {"jti": ""},
        {"jti": 7},
        {"jti": "j" * 200},
        {"sub": None},
        {"sub": ""},
        {"sub": 555254240100},
        {"sub": "ward-plugin"},  # the system itself, not a person
        {"sub": "a\nforged log line"},
        {"sub": "s" * 300},
        {"client_id": None},
        {"extensions": None},
        {"extensions": {}},
        {"extensions": []},
        {"iua__subject_name": None},
        {"iua__subject_name": "Dr \u202eelpmaxE"},
        {"iua__subject_organization_id": "RJ1"},
        {"iua__subject_organization_id": "https://elsewhere.example/codes|RJ1"},
        {"iua__subject_organization_id": f"{ODS}|RJ1|RQM"},
        {"iua__subject_organization_id": f"{ODS}|rj1"},
        {"iua__subject_organization_id": f"{ODS}|"},
        {"iua__subject_organization_id": f"{ODS}|RQM"},  # another organisation's staff
        {"iua__subject_role": None},
        {"iua__subject_role": []},
        {"iua__subject_role": {"system": JOB_ROLES, "code": "R8000"}},
        {"iua__subject_role": [{"system": JOB_ROLES, "code": "R8000"}] * 2},
        {"iua__subject_role": [{"code": "R8000"}]},
        {"iua__purpose_of_use": []},
        {"iua__purpose_of_use": [{"system": PURPOSES, "code": "TREAT"}, {"system": PURPOSES, "code": "HPAYMT"}]},
        {"iua__purpose_of_use": [{"system": "https://elsewhere.example", "code": "TREAT"}]},
        {"iua__person_id": "9990000018"},
        {"iua__person_id": "https://elsewhere.example|9990000018"},
        {"iua__person_id": "https://fhir.nhs.uk/Id/nhs-number|9990000017"},
        {"iua__person_id": "https://fhir.nhs.uk/Id/nhs-number|999 000 0018"},
        {"own__birth_date": "1948-02-30"},
        {"own__birth_date": "19480302"},
        {"own__birth_date": "02/03/1948"},
        {"own__relationship": {"basis": "curiosity"}},
        {"own__relationship": {"reference": "visit-7"}},
        {"own__relationship": "encounter"},
        {"own__registered_practice": "the one in the high street"},
        {"own__activities": "B0360"},
        {"own__activities": ["B0360"] * 65},
        {"own__own_nhs_number": "1234567890"},
    ],
    ids=str,
)
async def test_claims_out_of_shape_are_refused(trust, pair, changes):
    assert await refused(trust(pair), pair.sign_bytes(json.dumps(ordinary(**changes)).encode(), {"alg": "ES256"}))


@pytest.mark.parametrize(
    ("iat", "exp", "nbf", "good"),
    [
        (0, 300, None, True),
        (0, 301, None, False),  # more than five minutes of life
        (0, 360, None, False),
        (-300, 0, None, True),  # over, but clocks may differ
        (-329, -29, None, True),
        (-330, -30, None, False),
        (30, 300, None, True),
        (31, 300, None, False),  # from the future
        (0, 300, 30, True),
        (0, 300, 31, False),  # not yet valid
        (0, 0, None, False),
        (10, 5, None, False),
        (0.5, 300.25, None, True),
        (None, 300, None, False),
        (0, None, None, False),
    ],
)
async def test_a_token_lives_five_minutes_and_clocks_may_differ_by_half_a_minute(trust, pair, iat, exp, nbf, good):
    clock = Clock()
    given_times = {"iat": iat, "exp": exp, "nbf": nbf}
    times = {name: None if value is None else clock.now + value for name, value in given_times.items()}
    token = pair.sign_bytes(json.dumps(ordinary(**times)).encode(), {"alg": "ES256"})
    authenticator = trust(pair, clock=clock)
    if good:
        assert await authenticator.authenticate(f"Bearer {token}")
    else:
        assert await refused(authenticator, token)


@pytest.mark.parametrize("moment", ['"1900000000"', "true", "1e400", "NaN", "-1", "9" * 400, "[1]"])
async def test_a_time_that_is_no_number_is_refused(trust, pair, moment):
    for name in ("iat", "exp", "nbf"):
        payload = json.dumps({**ordinary(), name: "MOMENT"}).replace('"MOMENT"', moment)
        assert await refused(trust(pair), pair.sign_bytes(payload.encode(), {"alg": "ES256"}))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"null",
        b"\xff\xfe",
        json.dumps(ordinary()).encode()[:-1],
        json.dumps(ordinary()).encode() + b" {}",
        json.dumps(ordinary()).replace('"sub":', '"sub": "first", "sub":').encode(),
        json.dumps(ordinary()).replace('"basis":', '"basis": "referral", "basis":').encode(),
        json.dumps(ordinary()).replace("Dr A Example", "\\ud800").encode(),
        json.dumps(ordinary()).replace("Dr A Example", "RAW").encode().replace(b"RAW", b"\xc3\x28"),
        json.dumps({**ordinary(), "deep": 1}).replace('"deep": 1', '"deep": ' + "[" * 2500 + "]" * 2500).encode(),
    ],
    ids=[
        "empty", "a list", "null", "not text", "cut off", "two objects", "a name twice", "a deep name twice",
        "half a character", "bad UTF-8", "too deep",
    ],
)  # fmt: skip
async def test_a_payload_that_two_readers_could_read_differently_is_refused(trust, pair, payload):
    assert await refused(trust(pair), pair.sign_bytes(payload, {"alg": "ES256", "kid": "k1"}))


async def test_a_header_with_a_name_twice_is_read_one_way_only(trust, pair):
    twice = b'{"alg":"none","kid":"k1","alg":"ES256"}'
    body = segment(ordinary())
    signature = jwt.get_algorithm_by_name("ES256").sign(f"{segment(twice)}.{body}".encode(), pair.private)
    assert await refused(trust(pair), f"{segment(twice)}.{body}.{segment(signature)}")


async def test_a_huge_token_is_refused_before_anything_of_it_is_read(trust, pair):
    token = pair.sign(ordinary(padding="x" * MOST_CHARACTERS))
    assert await refused(trust(pair), token)


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Basic dTpw", "Bearer a.b", "Bearer a.b.c.d.e", "Bearer a.b.c, Bearer a.b.c",
     "Bearer \u00e9.b.c", "Bearer a.b.c\n", " Bearer a.b.c", "Bearer a=.b.c", "Bearer a.b.c", "Bearer \udcff.b.c"],
)  # fmt: skip
async def test_a_header_that_is_no_bearer_token_is_refused(trust, pair, header):
    with pytest.raises(NotAuthenticated):
        await trust(pair).authenticate(header)


async def test_a_good_token_with_something_about_it_is_refused(trust, pair):
    authenticator, token = trust(pair), pair.sign(ordinary())
    for spoilt in (token + "=", token + ".", token + " x", token + ",", token.replace(".", " .", 1)):
        assert await refused(authenticator, spoilt)
    assert await refused(authenticator, token, scheme="Basic")


@given(st.text(max_size=200))
async def test_no_text_at_all_gets_in_or_breaks_anything(text):
    authenticator = Authenticator([Issuer(iss="https://demo", demo=True)], AUDIENCE)
    for header in (text, f"Bearer {text}", f"Bearer {segment(text.encode(errors='replace'))}.{segment({'iss': 1})}.AA"):
        with pytest.raises(NotAuthenticated):
            await authenticator.authenticate(header)


# What an issuer may assert.


@pytest.mark.parametrize(
    ("issuer_of", "organisation", "role", "good"),
    [
        ("RJ1", "RJ1", PRIVACY_OFFICER, True),
        ("RJ1", "RQM", PRIVACY_OFFICER, False),
        ("RJ1", "RJ1", AUDITOR, False),
        (None, "RJ1", PRIVACY_OFFICER, True),
        (None, "QKK", [{"system": JOB_ROLES, "code": "R5105"}], True),
        (None, "QKK", AUDITOR, True),
        (None, "RJ1", [{"system": JOB_ROLES, "code": "R8000"}], False),
    ],
)
async def test_an_issuer_asserts_only_what_is_its_own_to_assert(trust, pair, issuer_of, organisation, role, good):
    token = pair.sign(ordinary(iua__subject_organization_id=f"{ODS}|{organisation}", iua__subject_role=role))
    authenticator = trust(pair, organisation=issuer_of)
    if good:
        caller = await authenticator.authenticate(f"Bearer {token}")
        assert caller.operator is (issuer_of is None)
    else:
        assert await refused(authenticator, token)


async def test_a_demo_issuer_may_assert_anything_and_the_caller_says_so(trust, pair):
    for issuer_of in ("RJ1", None):
        authenticator = trust(pair, organisation=issuer_of, demo=True)
        for role in (AUDITOR, PRIVACY_OFFICER, [{"system": JOB_ROLES, "code": "R8000"}]):
            token = pair.sign(ordinary(iua__subject_organization_id=f"{ODS}|RQM", iua__subject_role=role))
            caller = await authenticator.authenticate(f"Bearer {token}")
            assert (caller.demo, caller.operator, caller.requester.organisation) == (True, issuer_of is None, "RQM")


# Remembered tokens.


async def test_one_token_serves_several_requests_while_it_lives_and_none_afterwards(trust, pair):
    clock = Clock()
    authenticator = trust(pair, clock=clock)
    header = f"Bearer {pair.sign(ordinary(iat=int(clock.now), exp=int(clock.now) + 20))}"
    first = await authenticator.authenticate(header)
    assert await authenticator.authenticate(header) is first  # remembered
    clock.now += 49
    assert await authenticator.authenticate(header) == first
    clock.now += 1
    assert await refused(authenticator, header.removeprefix("Bearer "))


async def test_a_token_is_remembered_for_a_minute_at_most(trust, pair):
    timer = Clock(0.0)
    authenticator = trust(pair, timer=timer)
    header = f"Bearer {pair.sign(ordinary())}"
    first = await authenticator.authenticate(header)
    timer.now = 59
    assert await authenticator.authenticate(header) is first
    timer.now = 60
    assert await authenticator.authenticate(header) is not first


async def test_a_remembered_token_says_nothing_for_one_that_differs_in_its_signature(trust, pair):
    authenticator, token = trust(pair), pair.sign(ordinary())
    await authenticator.authenticate(f"Bearer {token}")
    head, body, signature = token.split(".")
    assert await refused(authenticator, f"{head}.{body}.{signature[:-4]}AAAA")


async def test_nothing_of_a_token_is_logged(trust, pair, caplog):
    caplog.set_level(logging.DEBUG)
    authenticator = trust(pair)
    await authenticator.authenticate(f"Bearer {pair.sign(ordinary())}")
    await refused(authenticator, pair.sign(ordinary(aud="https://another.example")))
    assert "9990000018" not in caplog.text
    assert "Example" not in caplog.text
