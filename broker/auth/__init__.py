"""Who is asking, for whom do they work, in what role, for what purpose?"""

from broker.auth.authenticator import Authenticator
from broker.auth.issuers import JOB_ROLES, OPERATOR_ROLES, PRIVACY_ROLES, Issuer
from broker.auth.refusals import Refusals
from broker.auth.tokens import Shape, sign_demo_token
from broker.auth.values import Basis, Caller, Relationship, TokenPatient

__all__ = [
    "JOB_ROLES",
    "OPERATOR_ROLES",
    "PRIVACY_ROLES",
    "Authenticator",
    "Basis",
    "Caller",
    "Issuer",
    "Refusals",
    "Relationship",
    "Shape",
    "TokenPatient",
    "sign_demo_token",
]
