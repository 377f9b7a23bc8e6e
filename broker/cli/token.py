"""`broker token`: a token to try the service with."""

import argparse
import re
import sys
import zlib
from typing import cast

from broker import settings
from broker.app import issuers
from broker.auth import JOB_ROLES, OPERATOR_ROLES, Basis, Issuer, sign_demo_token
from broker.cli.outcome import HOLDS, USAGE, Stopped
from broker.registry import Registry

__all__ = ["run"]


def run(arguments: argparse.Namespace) -> int:
    """Print one token."""
    if (arguments.patient is None) != (arguments.birth_date is None):
        raise Stopped("--patient and --birth-date go together: write both or neither", USAGE)
    if arguments.relationship and arguments.relationship != "none" and arguments.patient is None:
        raise Stopped("--relationship is with a patient: write --patient and --birth-date too", USAGE)
    job_role = bool(re.fullmatch(r"(.*:)?R[0-9]{4}", arguments.role))
    user = arguments.user or _somebody(arguments.role)
    if arguments.shape == "cis2" and not (job_role and re.fullmatch(r"[0-9]{12}", user)):
        words = "--shape cis2 is for national job roles, such as R8000, and for SDS user ids, which have twelve digits"
        raise Stopped(words, USAGE)
    read = settings.load(arguments.config)
    registry = Registry.load(read.organisations.directory, settings=read)
    organisation = registry.organisations.get(arguments.organisation)
    asserted = arguments.relationship or ("encounter" if arguments.patient else "none")
    basis = None if asserted == "none" else cast("Basis", asserted)
    sys.stdout.write(
        sign_demo_token(
            _issuer(issuers(read, registry), arguments.organisation),
            audience=read.server.public_url,
            role_code=arguments.role,
            role_system=JOB_ROLES if job_role else OPERATOR_ROLES,
            organisation=arguments.organisation,
            organisation_name=organisation.name if organisation else None,
            user=user,
            purpose=arguments.purpose,
            nhs_number=arguments.patient,
            birth_date=arguments.birth_date,
            practice=arguments.practice,
            relationship=basis,
            activities=arguments.activity,
            shape=arguments.shape,
        )
        + "\n"
    )
    return HOLDS


def _somebody(role: str) -> str:
    """Twelve digits, the same for the same role code: whoever decides an objection must not be who recorded it."""
    return f"55{zlib.crc32(role.rpartition(':')[2].encode()):010}"


def _issuer(known: list[Issuer], organisation: str) -> Issuer:
    """The organisation's own issuer, else the operator's, else any: a demo issuer may speak for everybody."""
    real = next((issuer for issuer in known if not issuer.demo), None)
    if real is not None:
        raise Stopped(
            f"{real.declared_in}: an issuer here is not a demo one: ask that issuer for a token",
        )
    if not known:
        raise Stopped('no issuer is configured: write [[issuers]], iss = "https://demo.example" and demo = true')
    preference = {organisation: 0, None: 1}
    return min(known, key=lambda issuer: preference.get(issuer.organisation, 2))
