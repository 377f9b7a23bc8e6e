"""What is this broker told? `broker.toml` and the environment, as values with units. `README.md` has every setting."""

from broker.settings.kinds import Address
from broker.settings.loading import check, load, read
from broker.settings.values import (
    AlertSettings,
    AuditSettings,
    IdentitySettings,
    IssuerSettings,
    LimitSettings,
    LookupSettings,
    ObjectionSettings,
    OrganisationSettings,
    PolicySettings,
    ServerSettings,
    Settings,
    StoreSettings,
)

__all__ = [
    "Address",
    "AlertSettings",
    "AuditSettings",
    "IdentitySettings",
    "IssuerSettings",
    "LimitSettings",
    "LookupSettings",
    "ObjectionSettings",
    "OrganisationSettings",
    "PolicySettings",
    "ServerSettings",
    "Settings",
    "StoreSettings",
    "check",
    "load",
    "read",
]
