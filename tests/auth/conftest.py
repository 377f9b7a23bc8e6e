"""An issuer of one's own, who signs whatever a story needs."""

import base64
import copy
import json
import time
from dataclasses import dataclass, field
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from broker.auth import Authenticator, Issuer

AUDIENCE = "http://127.0.0.1:8080"
RJ1 = "https://ehr.rj1.example"
JOB_ROLES = "https://fhir.nhs.uk/CodeSystem/national-rbac-job-role"
PURPOSES = "http://terminology.hl7.org/CodeSystem/v3-ActReason"


def segment(value: object) -> str:
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@dataclass
class Pair:
    """A private key and the JWK of its public half."""

    private: Any
    jwk: dict
    alg: str

    @classmethod
    def make(cls, kind="ES256", kid="k1", *, bits=2048, **more):
        match kind:
            case "ES256":
                private = ec.generate_private_key(ec.SECP256R1())
                jwk = ECAlgorithm.to_jwk(private.public_key(), as_dict=True)
            case "EdDSA":
                private = ed25519.Ed25519PrivateKey.generate()
                jwk = OKPAlgorithm.to_jwk(private.public_key(), as_dict=True)
            case _:
                private = rsa.generate_private_key(65537, bits)
                jwk = RSAAlgorithm.to_jwk(private.public_key(), as_dict=True)
        jwk = {name: jwk[name] for name in ("kty", "crv", "x", "y", "n", "e") if name in jwk}
        named = {} if kid is None else {"kid": kid}
        return cls(private, {**jwk, **named, **more}, kind)

    def sign(self, claims, *, headers=None, alg=None):
        kid = {"kid": self.jwk["kid"]} if "kid" in self.jwk else {}
        return jwt.encode(claims, self.private, alg or self.alg, {**kid, **(headers or {})})

    def sign_bytes(self, payload: bytes, headers: dict) -> str:
        """Sign any bytes at all, under any header at all."""
        signed = f"{segment(headers)}.{segment(payload)}"
        signature = jwt.get_algorithm_by_name(self.alg).sign(signed.encode(), self.private)
        return f"{signed}.{segment(signature)}"


@dataclass
class Clock:
    now: float = field(default_factory=lambda: float(int(time.time())))

    def __call__(self) -> float:
        return self.now


def ordinary(**changes) -> dict:
    """The claims of interface.md, as a doctor of RJ1 brings them; `a__b=...` changes a nested one, None removes it."""
    now = int(time.time())
    claims = {
        "iss": RJ1,
        "sub": "555254240100",
        "aud": AUDIENCE,
        "iat": now,
        "exp": now + 300,
        "jti": "a-token",
        "client_id": "ward-plugin",
        "extensions": {
            "ihe_iua": {
                "subject_name": "Dr A Example",
                "subject_organization": "Guy's and St Thomas' NHS Foundation Trust",
                "subject_organization_id": "https://fhir.nhs.uk/Id/ods-organization-code|RJ1",
                "subject_role": [{"system": JOB_ROLES, "code": "R8000"}],
                "purpose_of_use": [{"system": PURPOSES, "code": "TREAT"}],
                "person_id": "https://fhir.nhs.uk/Id/nhs-number|9990000018",
            },
            "care_record_broker": {
                "birth_date": "1948-03-02",
                "relationship": {"basis": "encounter", "reference": "visit-7"},
                "registered_practice": "G85001",
                "activities": ["B0360"],
            },
        },
    }
    claims = copy.deepcopy(claims)
    for path, value in changes.items():
        target = claims
        *way, last = path.split("__")
        for name in way:
            short = {"iua": "ihe_iua", "own": "care_record_broker"}
            target = target["extensions"][short[name]] if name in short else target[name]
        if value is None:
            target.pop(last, None)
        else:
            target[last] = value
    return claims


@pytest.fixture
def claims():
    return ordinary


@pytest.fixture(scope="session")
def pair():
    return Pair.make("ES256")


@pytest.fixture(scope="session")
def rsa_pair():
    return Pair.make("RS256")


@pytest.fixture
def key_file(tmp_path):
    """Write a key set and name its file."""

    def write(*jwks, name="keys.json"):
        path = tmp_path / name
        path.write_text(json.dumps({"keys": list(jwks)}))
        return path

    return write


@pytest.fixture
def trust(key_file):
    """An authenticator that trusts these key pairs as those of RJ1, from a file."""

    def make(*pairs, organisation="RJ1", demo=False, **more):
        file = key_file(*(each if isinstance(each, dict) else each.jwk for each in pairs))
        issuer = Issuer(iss=RJ1, organisation=organisation, jwks_file=file, demo=demo)
        return Authenticator([issuer], AUDIENCE, **more)

    return make
