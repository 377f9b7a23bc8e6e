"""What the journal says of a lookup before anybody is asked: who asks for whose record, and on what ground."""

from typing import Any

from broker.auth import Caller
from broker.keys import Keys
from broker.lookup.override import Broken
from broker.lookup.plan import SELF_DECLARED
from broker.lookup.values import Query
from policies import Policies

__all__ = ["intent_of"]


def intent_of(
    caller: Caller, query: Query, glass: Broken | None, *, surface: str | None, keys: Keys, policies: Policies
) -> dict[str, Any]:
    """The fields of `lookup.intent`. The patient's number and all that a person wrote is sealed."""
    requester = caller.requester
    return {
        "user": {
            "issuer": requester.issuer,
            "subject": requester.subject,
            "name": requester.name,
            "organisation": requester.organisation,
            "role": policies.role_of(requester.role_system, requester.role_code),
            "role_code": requester.role_code,
            "client": requester.client,
            "jti": requester.token_id,
        },
        "purpose": requester.purpose,
        "relationship": _relationship(caller, query, keys),
        "override": None if glass is None else _override(glass, keys),
        "patient": keys.seal_patient(query.nhs_number),
        "categories": None if query.categories is None else sorted(query.categories),
        "surface": surface,
        "types": None if query.types is None else sorted(query.types),
        "require": sorted(query.require),
        "timeout_ms": None if query.timeout is None else round(query.timeout * 1000),
    }


def _relationship(caller: Caller, query: Query, keys: Keys) -> dict[str, Any] | None:
    """What is said of it. Who says it in the token and in words beside is held to both."""
    asserted = caller.relationship
    reason = None if query.declared is None else keys.seal_words(query.declared)
    if asserted is not None:
        reference = keys.seal_words(asserted.reference) if asserted.reference else None
        return {"basis": asserted.basis, "reference": reference, "evidence": "asserted", "reason": reason}
    return None if reason is None else {"basis": SELF_DECLARED, "evidence": "declared", "reason": reason}


def _override(glass: Broken, keys: Keys) -> dict[str, Any]:
    text = None if glass.text is None else keys.seal_words(glass.text)
    return {"reason": glass.reason, "text": text, "again": glass.again}
