"""Tokens for trying the broker out, signed with a private key that is public."""

import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

import jwt

from broker.auth.authenticator import LONGEST_LIFE
from broker.auth.claims import NHS_NUMBER, ODS_CODE, PURPOSES
from broker.auth.issuers import JOB_ROLES, Issuer
from broker.auth.keyring import document_of
from broker.auth.keys import KeysUnreadable, SigningKey, signing_key
from broker.auth.values import Basis
from broker.errors import ConfigurationError

__all__ = ["Shape", "sign_demo_token"]

Shape = Literal["iua", "cis2"]
"""How a token says who asks: `README.md`."""

_ROLE_ID = "555254242102"


def sign_demo_token(
    issuer: Issuer,
    *,
    audience: str,
    role_code: str,
    organisation: str,
    role_system: str = JOB_ROLES,
    organisation_name: str | None = None,
    user: str = "555254240100",
    name: str = "Dr A Example",
    client: str = "broker-token",
    purpose: str = "TREAT",
    nhs_number: str | None = None,
    birth_date: str | None = None,
    practice: str | None = None,
    relationship: Basis | None = None,
    reference: str | None = None,
    activities: Sequence[str] = (),
    own_nhs_number: str | None = None,
    staff_id: str | None = None,
    shape: Shape = "iua",
    clock: Callable[[], float] = time.time,
) -> str:
    """A token of a demo issuer that lives five minutes from now, with every claim that the broker reads.

    Signed with the private key in the issuer's `jwks_file`, or with the pair that comes with the package (ES256). What
    is asserted is not checked here: the broker does that. In the shape of CIS2, `user` is the SDS user id, and the role
    a national job role, of which the token has the code in full. Blocks for one small file. Raises ConfigurationError
    where the issuer is not a demo one, or its private key is not there.
    """
    key = _private_key(issuer)
    now = int(clock())
    iua: dict[str, Any] = {
        "purpose_of_use": [{"system": PURPOSES, "code": purpose}],
        "person_id": nhs_number and f"{NHS_NUMBER}|{nhs_number}",
    }
    own: dict[str, Any] = {
        "birth_date": birth_date,
        "relationship": relationship and _present(basis=relationship, reference=reference),
        "registered_practice": practice,
        "own_nhs_number": own_nhs_number,
    }
    person: dict[str, Any] = {}
    if shape == "cis2":
        person = {
            "nhsid_useruid": user,
            "name": name,
            "idassurancelevel": "3",
            "selected_roleid": _ROLE_ID,
            "nhsid_nrbac_roles": [
                {
                    "org_code": organisation,
                    "person_orgid": f"{_ROLE_ID}0",
                    "person_roleid": _ROLE_ID,
                    "role_code": role_code if ":" in role_code else f"S8000:G8000:{role_code}",
                    "activity_codes": list(activities),
                }
            ],
            "nhsid_user_orgs": [{"org_code": organisation, "org_name": organisation_name or organisation}],
        }
    else:
        iua |= {
            "subject_name": name,
            "subject_organization": organisation_name or organisation,
            "subject_organization_id": f"{ODS_CODE}|{organisation}",
            "subject_role": [{"system": role_system, "code": role_code}],
        }
        own |= {"activities": list(activities) or None, "sds_user_id": staff_id}
    claims = {
        "iss": issuer.iss,
        "sub": user,
        "aud": audience,
        "iat": now,
        "exp": now + LONGEST_LIFE,
        "jti": secrets.token_urlsafe(16),
        "client_id": client,
        **person,
        "extensions": {"ihe_iua": _present(**iua), "care_record_broker": _present(**own)},
    }
    return jwt.encode(claims, key.key, key.algorithm, {"kid": key.kid} if key.kid else None)


def _private_key(issuer: Issuer) -> SigningKey:
    where = issuer.jwks_file or issuer.declared_in
    if not issuer.demo or issuer.jwks_url is not None:
        raise ConfigurationError(where, "tokens are signed only for a demo issuer without `jwks_url`")
    try:
        key = signing_key(document_of(issuer))
    except KeysUnreadable as fault:
        raise ConfigurationError(where, str(fault)) from None
    if key is None:
        raise ConfigurationError(where, "this set holds no usable private key to sign a demo token with")
    return key


def _present(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
