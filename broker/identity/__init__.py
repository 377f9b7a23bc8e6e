"""Which numbers are this patient's, are they restricted, where are they registered?"""

from broker.identity.asking import PdsIdentity
from broker.identity.files import FileIdentity
from broker.identity.service import IdentityService, NoIdentity
from broker.identity.values import IdentityStatus, Person, Restriction

__all__ = ["FileIdentity", "IdentityService", "IdentityStatus", "NoIdentity", "PdsIdentity", "Person", "Restriction"]
