"""An organisation that takes part, as the rest of the house knows it."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from adapters.contract import Source
from broker.registry.manifest import Agreement, Contacts, SourceEntry
from broker.settings.values import IssuerSettings

__all__ = ["Organisation", "RegisteredSource", "register_source"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredSource:
    """A source, with what the broker alone needs to know of it.

    Attributes:
        source: what its adapter is made with.
        currency: how old its data may be, in the words of a row: `live`, or `up to 24 h old`.
        categories: what it offers, in the order of the interface; None for all that its adapter can give.
        timeout: seconds, the most that it gets.
        allow_private: whether its address may be a private one.
    """

    source: Source
    currency: str = "live"
    categories: tuple[str, ...] | None = None
    timeout: float = 4.0
    allow_private: bool = False

    @property
    def name(self) -> str:
        """As in rows and ids: `RJ1-epr`."""
        return self.source.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Organisation:
    """One manifest.

    Attributes:
        excluded_services: kinds of service never shared that it also runs.
        issuer: of tokens for its staff; None where it is a source only.
        file: its manifest.
    """

    ods_code: str
    name: str
    service_type: str
    region: str
    agreement: Agreement
    state: str = "live"
    sources: tuple[RegisteredSource, ...] = ()
    issuer: IssuerSettings | None = None
    excluded_services: frozenset[str] = frozenset()
    contacts: Contacts = Contacts()  # noqa: RUF009  frozen
    file: Path = Path("organisation.toml")

    @property
    def live(self) -> bool:
        """Whether it takes part, its agreement aside."""
        return self.state == "live"

    def in_date(self, today: date) -> bool:
        """Whether its information sharing agreement and its DSP Toolkit status are in date."""
        return self.agreement.in_date(today)


def register_source(entry: SourceEntry, ods_code: str, source_timeout: float) -> RegisteredSource:
    """The source of an organisation; `source_timeout` in seconds, where its manifest does not say."""
    timeout = entry.timeout or source_timeout
    return RegisteredSource(
        source=Source(
            name=f"{ods_code}-{entry.name}",
            organisation=ods_code,
            kind=entry.kind,
            base_url=entry.base_url,
            link_bases=entry.link_bases,
            timeout=timeout,
            auth=entry.auth,
        ),
        currency=entry.currency,
        categories=entry.categories,
        timeout=timeout,
        allow_private=entry.allow_private,
    )
