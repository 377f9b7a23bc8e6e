"""What stands in an organisation's manifest. `../settings/README.md` says what each setting means."""

# ruff: noqa: RUF009  `setting` and `table` give a dataclasses.field, which is what belongs there

import ipaddress
import re
from dataclasses import dataclass
from datetime import date
from typing import ClassVar, Final
from urllib.parse import urlsplit

from adapters.contract import Auth
from broker.settings.kinds import (
    DATE,
    DURATION,
    FLAG,
    NAMES,
    ODS_CODE,
    TEXT,
    Kind,
    Place,
    address_of,
    choice,
    ip_of,
    is_loopback,
    seconds,
    texts,
)
from broker.settings.secrets import AUTH
from broker.settings.shape import setting, table, tables
from broker.settings.values import IssuerSettings

__all__ = [
    "CATEGORIES",
    "SERVICE_TYPES",
    "STATES",
    "Agreement",
    "Contacts",
    "Manifest",
    "Services",
    "SourceEntry",
]

SERVICE_TYPES: Final = ("gp-practice", "acute", "community", "urgent-care", "social-care", "mental-health")
STATES: Final = ("pending", "checked", "approved", "live", "suspended", "withdrawn")
CATEGORIES: Final = (
    "demographics",
    "gp-registration",
    "allergies",
    "medications",
    "problems",
    "immunisations",
    "results",
    "procedures",
    "encounters",
    "appointments",
    "referrals",
    "care-plans",
    "documents",
    "alerts",
    "social-care",
    "mental-health",
)

LONGEST_NAME: Final = 32
"""Of `ODS-name`: an id of the broker has 64 characters for the source's name, the source's own id and a check."""

_SHARED: Final = ipaddress.ip_network("100.64.0.0/10")


def _source_name(text: str, _: Place) -> str:
    if not re.fullmatch(r"[A-Za-z0-9-]+", text):
        raise ValueError('write a name of letters, digits and hyphens, such as "epr"')
    return text


def _base_url(text: str, _: Place) -> str:
    address_of(text)
    return text.rstrip("/")


def _link_bases(given: list[str], _: Place) -> tuple[str, ...]:
    for address in given:
        address_of(address)
    return tuple(dict.fromkeys(address.rstrip("/") for address in given))


def _currency(text: str, _: Place) -> str:
    if text == "live":
        return text
    try:
        seconds(text)
    except ValueError:
        raise ValueError('write "live", or how old its data may be with its unit, such as "24h"') from None
    number, unit = re.split(r"(?<=\d)(?=[a-z])", text, maxsplit=1)
    return f"up to {number} {'min' if unit == 'm' else unit} old"


SOURCE_NAME: Kind[str, str] = Kind(str, 'write a name of letters, digits and hyphens, such as "epr"', _source_name)
BASE_URL: Kind[str, str] = Kind(str, "write the address of the source in quotes", _base_url)
LINK_BASES: Kind[list[str], tuple[str, ...]] = Kind(list[str], "write a list of addresses in quotes", _link_bases)
CURRENCY: Kind[str, str] = Kind(str, 'write "live", or how old its data may be, such as "24h"', _currency)
AGREEMENT_LINES = "write [agreement] with isa_signed, isa_expires and dspt_expires, each a date such as 2027-03-31"


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """The information sharing agreement and the Data Security and Protection Toolkit status.

    Each holds on its last day too, to midnight in London.
    """

    reads: ClassVar = ("isa_signed", "isa_expires")

    isa_signed: date = setting(DATE)
    isa_expires: date = setting(DATE)
    dspt_expires: date = setting(DATE)

    def in_date(self, today: date) -> bool:
        """Whether both hold on this day in London."""
        return self.isa_signed <= today <= self.isa_expires and today <= self.dspt_expires

    def problem(self) -> tuple[str, str] | None:
        """An agreement ends after it began."""
        if self.isa_expires < self.isa_signed:
            return "isa_expires", "the agreement ends before it was signed: write the later date here"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceEntry:
    """One `[[sources]]`, before it is known whose it is."""

    reads: ClassVar = ("base_url", "allow_private")

    name: str = setting(SOURCE_NAME)
    kind: str = setting(TEXT)
    base_url: str = setting(BASE_URL)
    link_bases: tuple[str, ...] = setting(LINK_BASES, [])
    timeout: float | None = setting(DURATION, None)
    currency: str = setting(CURRENCY, "live")
    categories: tuple[str, ...] | None = setting(texts(CATEGORIES), None)
    auth: Auth = setting(AUTH, {"kind": "none"})
    allow_private: bool = setting(FLAG, default=False)

    def problem(self) -> tuple[str, str] | None:
        """Some addresses are such that the broker sends nothing there."""
        parts = urlsplit(self.base_url)
        host = parts.hostname or ""
        if is_loopback(host):
            return None
        ip = ip_of(host)
        if ip and (ip.is_unspecified or ip.is_multicast or ip.is_link_local):
            # Link-local is where clouds hand out the machine's own credentials.
            return "base_url", "this is no organisation's address: write the source's own"
        if ip and not self.allow_private and (not ip.is_global or ip in _SHARED):
            words = "a private address: if the source really is on your own network, write allow_private = true"
            return "base_url", words
        if parts.scheme != "https":
            return "base_url", "write an https address: http is for this machine's own loopback only"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Kinds of service never shared that the organisation also runs."""

    excluded: tuple[str, ...] = setting(NAMES, [])


@dataclass(frozen=True, slots=True, kw_only=True)
class Contacts:
    """Whom to ask."""

    privacy: str | None = setting(TEXT, None)
    subject_access: str | None = setting(TEXT, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A whole file."""

    ods_code: str = setting(ODS_CODE)
    name: str = setting(TEXT)
    service_type: str = setting(choice(SERVICE_TYPES))
    region: str = setting(TEXT)
    state: str = setting(choice(STATES), "live")
    agreement: Agreement = table(Agreement, required=AGREEMENT_LINES)
    sources: tuple[SourceEntry, ...] = tables(SourceEntry)
    issuer: IssuerSettings | None = table(IssuerSettings, optional=True)
    services: Services = table(Services)
    contacts: Contacts = table(Contacts)
