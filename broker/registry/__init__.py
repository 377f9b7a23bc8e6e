"""Who takes part? Organisations by their manifests, with their sources, agreements and issuers."""

from broker.registry.loading import Registry, check, installed_kinds, read, read_manifest, unknown_services
from broker.registry.manifest import CATEGORIES, SERVICE_TYPES, STATES, Agreement, Contacts
from broker.registry.noticing import notices
from broker.registry.organisations import Organisation, RegisteredSource
from broker.registry.watching import RegistryWatch

__all__ = [
    "CATEGORIES",
    "SERVICE_TYPES",
    "STATES",
    "Agreement",
    "Contacts",
    "Organisation",
    "RegisteredSource",
    "Registry",
    "RegistryWatch",
    "check",
    "installed_kinds",
    "notices",
    "read",
    "read_manifest",
    "unknown_services",
]
