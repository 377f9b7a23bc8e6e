"""A key set is what its owner publishes, and may still be wrong: a bad key costs itself, and no key does more than it is for."""

import json

import pytest

from broker.auth.keys import MOST_BYTES, KeySet, KeysUnreadable, signing_key

from .conftest import Pair


def parse(*jwks):
    return KeySet.parse(json.dumps({"keys": list(jwks)}).encode())


@pytest.fixture(scope="module")
def weak():
    return Pair.make("RS256", kid="weak", bits=1024)


def private_jwk(pair):
    from jwt.algorithms import ECAlgorithm

    return {**pair.jwk, "d": ECAlgorithm.to_jwk(pair.private, as_dict=True)["d"]}


def test_a_malformed_key_costs_itself_not_the_set(pair, weak, rsa_pair):
    bad = [
        weak.jwk,
        {"kty": "RSA", "kid": "no numbers"},
        {"kty": "oct", "kid": "secret", "k": "c2VjcmV0"},
        {"kty": "EC", "kid": "off the curve", "crv": "P-256", "x": pair.jwk["x"], "y": pair.jwk["x"]},
        {"kty": "EC", "kid": "another curve", "crv": "P-384", "x": pair.jwk["x"], "y": pair.jwk["y"]},
        {"kty": "EC", "kid": "no curve", "x": pair.jwk["x"], "y": pair.jwk["y"]},
        {"kty": "OKP", "kid": "x25519", "crv": "X25519", "x": pair.jwk["x"]},
        {"kty": "OKP", "kid": "short", "crv": "Ed25519", "x": "AAAA"},
        {"kty": 7},
        "no object",
        None,
        {**rsa_pair.jwk, "kid": "HS", "alg": "HS256"},
        {**rsa_pair.jwk, "kid": "none", "alg": "none"},
        {**rsa_pair.jwk, "kid": "RS512", "alg": "RS512"},
        {**rsa_pair.jwk, "kid": "ES", "alg": "ES256"},
        {**rsa_pair.jwk, "kid": "e", "e": "AQ"},
        {**rsa_pair.jwk, "kid": "!", "n": "!"},
    ]
    found = parse(*bad, pair.jwk)
    assert set(found.named) == {"k1"}
    assert len(found.faults) == len(bad)
    assert "1024 bits" in found.faults[0]


@pytest.mark.parametrize(
    "more", [{"use": "enc"}, {"use": ""}, {"key_ops": ["encrypt"]}, {"key_ops": []}, {"key_ops": ["sign"]}]
)
def test_a_key_for_something_else_verifies_nothing(pair, more):
    assert not parse({**pair.jwk, **more})


@pytest.mark.parametrize(
    "more", [{"use": "sig"}, {"key_ops": ["verify"]}, {"alg": "ES256"}, {"x5c": ["MII"], "x5t": "a"}]
)
def test_a_key_for_signatures_verifies_them(pair, more):
    assert parse({**pair.jwk, **more})


def test_the_private_half_in_a_file_is_not_what_verifies(pair):
    found = parse({**private_jwk(pair), "key_ops": ["sign"]})
    assert not hasattr(found.named["k1"].key, "private_numbers")


def test_two_keys_of_one_name_are_neither(pair):
    found = parse(pair.jwk, Pair.make("ES256", kid="k1").jwk, Pair.make("ES256", kid="k2").jwk)
    assert set(found.named) == {"k2"}
    assert found.select("k1") is None
    assert found.select(None) is None


def test_a_single_key_without_a_name_answers_to_any(pair):
    unnamed = {name: value for name, value in pair.jwk.items() if name != "kid"}
    found = parse(unnamed)
    assert found.select("whatever") is found.select(None) is not None


def test_a_single_named_key_answers_to_its_name_only(pair):
    found = parse(pair.jwk)
    assert found.select("k1") is found.select(None) is not None
    assert found.select("k2") is None


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys": {}}',
        b'{"keys": [',
        b"\xff",
        b"<html>",
        b" " * (MOST_BYTES + 1),
        b'{"keys": [' + b"1," * 100 + b"1]}",
    ],
    ids=["empty", "a list", "no keys", "keys no list", "cut off", "no text", "a page", "too large", "too many"],
)
def test_what_is_no_key_set_is_unreadable(document):
    with pytest.raises(KeysUnreadable):
        KeySet.parse(document)


def test_a_signing_key_is_the_first_usable_private_one(pair, weak):
    document = json.dumps({"keys": [weak.jwk, Pair.make("ES256", kid="public").jwk, private_jwk(pair)]}).encode()
    found = signing_key(document)
    assert (found.kid, found.algorithm) == ("k1", "ES256")
    assert signing_key(b'{"keys": []}') is None
