"""Who may issue tokens, and what each may assert."""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import httpx

from broker.errors import ConfigurationError

__all__ = ["JOB_ROLES", "OPERATOR_ROLES", "PRIVACY_ROLES", "Issuer", "by_name", "may_assert"]

JOB_ROLES: Final = "https://fhir.nhs.uk/CodeSystem/national-rbac-job-role"
"""Code system of the national job roles."""

OPERATOR_ROLES: Final = "urn:care-record-broker:role"
"""Code system of the broker's own roles (auditor, registrar): only the operator's issuers may assert one."""

PRIVACY_ROLES: Final = frozenset({(JOB_ROLES, "R0001"), (JOB_ROLES, "R5105")})
"""Privacy officer and Caldicott guardian: an organisation's issuer asserts its own, the operator's issuers any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """One that may sign tokens.

    Attributes:
        iss: as it stands in the token, compared character by character.
        organisation: ODS code of the organisation whose staff it knows; None for the broker's operator.
        jwks_url: where its public keys are; https outside loopback.
        jwks_file: or the file that holds them, read once at start.
        demo: its private key is public. With neither URL nor file, the key pair that comes with the package.
        declared_in: the file that declares it, for messages.
    """

    iss: str
    organisation: str | None = None
    jwks_url: str | None = None
    jwks_file: Path | None = None
    demo: bool = False
    declared_in: Path | str = "broker.toml"


def by_name(issuers: Iterable[Issuer]) -> Mapping[str, Issuer]:
    """The issuers by `iss`. Raises ConfigurationError for one that could not be trusted or told from another."""
    found: dict[str, Issuer] = {}
    for issuer in issuers:
        _check(issuer)
        if issuer.iss in found:
            message = (
                f"`iss` {issuer.iss!r} is declared twice (also in {found[issuer.iss].declared_in}): give each its own"
            )
            raise ConfigurationError(issuer.declared_in, message)
        found[issuer.iss] = issuer
    return MappingProxyType(found)


def may_assert(issuer: Issuer, organisation: str, role: tuple[str, str]) -> bool:
    """Whether `issuer` may say that somebody works for `organisation` (ODS code) in `role` (system, code).

    An organisation speaks for its own staff, in care and privacy roles. The operator speaks for auditors, registrars
    and the privacy officers of any organisation, and for nobody who gives care. A demo issuer may say anything.
    """
    if issuer.demo:
        return True
    system, code = role[0], role[1].rpartition(":")[2]  # short, or in full as S8000:G8000:R8000
    if issuer.organisation is None:
        return system == OPERATOR_ROLES or (system, code) in PRIVACY_ROLES
    return organisation == issuer.organisation and system != OPERATOR_ROLES


def _check(issuer: Issuer) -> None:
    if not issuer.iss:
        raise ConfigurationError(issuer.declared_in, "an issuer without `iss`: write the `iss` that its tokens carry")
    if issuer.jwks_url is not None and issuer.jwks_file is not None:
        message = f"issuer {issuer.iss!r} has both `jwks_url` and `jwks_file`: keep one"
        raise ConfigurationError(issuer.declared_in, message)
    if issuer.jwks_url is None and issuer.jwks_file is None and not issuer.demo:
        message = f"issuer {issuer.iss!r} has no keys: write `jwks_url` or `jwks_file`"
        raise ConfigurationError(issuer.declared_in, message)
    if issuer.jwks_url is not None and not _is_pinned(issuer.jwks_url):
        message = f"`jwks_url` of issuer {issuer.iss!r} must be https (http only on loopback), without user or fragment"
        raise ConfigurationError(issuer.declared_in, message)


def _is_pinned(address: str) -> bool:
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL:
        return False
    if not url.host or url.userinfo or url.fragment:
        return False
    return url.scheme == "https" or (url.scheme == "http" and _is_loopback(url.host))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
