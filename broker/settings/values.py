"""Every setting of the broker, with its kind and its default. `README.md` beside this file says what each means."""

# ruff: noqa: RUF009  `setting` and `table` give a dataclasses.field, which is what belongs there

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from adapters.contract import Auth
from broker.settings.kinds import (
    DURATION,
    FLAG,
    FOLDER,
    JWKS_FILE,
    LETTER_FILE,
    LISTEN,
    MADE_FOLDER,
    ODS_CODE,
    ORIGINS,
    PUBLIC_URL,
    SECRET_FILE,
    SIZE,
    TEXT,
    WEB_ADDRESS,
    Address,
    Kind,
    Place,
    address_of,
    choice,
    integer,
    is_loopback,
)
from broker.settings.secrets import IDENTITY_AUTH
from broker.settings.shape import setting, table, tables

__all__ = [
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
]


def _store_url(text: str, place: Place) -> str:
    scheme, _, rest = text.partition("://")
    if scheme == "postgresql+asyncpg" and rest:
        return text
    name, _, options = rest.removeprefix("/").partition("?")
    if scheme != "sqlite+aiosqlite" or not rest.startswith("/") or options:
        raise ValueError('write "sqlite+aiosqlite:///path/to/broker.db" or "postgresql+asyncpg://host/database"')
    if name in {"", ":memory:"} or name.startswith("file:"):
        raise ValueError("write the path of a file: what is in memory no other process can see, and nobody can keep")
    return f"sqlite+aiosqlite:///{place.path(name)}"


def _service_url(text: str, _: Place) -> str:
    parts = address_of(text)
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise ValueError("write an https address: http is for this machine's own loopback only")
    return text.rstrip("/")


STORE_URL: Kind[str, str] = Kind(str, "write the address of a database in quotes", _store_url)
SERVICE_URL: Kind[str, str] = Kind(str, "write the address of the service in quotes", _service_url)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Where the service is found.

    Attributes:
        public_url: without a trailing slash; what callers write as `aud`.
        max_body: bytes of a request.
        grace: seconds that lookups get to finish, and their replies to leave, when the service stops.
    """

    reads: ClassVar = ("listen", "public_url")

    listen: Address = setting(LISTEN, "127.0.0.1:8080")
    public_url: str = setting(PUBLIC_URL, None)
    origins: tuple[str, ...] = setting(ORIGINS, [])
    max_body: int = setting(SIZE, "64kB")
    grace: float = setting(DURATION, "10s")

    def __post_init__(self) -> None:
        if not self.public_url and self.listen.loopback:
            object.__setattr__(self, "public_url", f"http://{self.listen}")

    def problem(self) -> tuple[str, str] | None:
        """Beyond loopback nobody can guess what callers call the broker."""
        if not self.public_url:
            return "public_url", "missing: beyond loopback, write the address that callers use"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupSettings:
    """The bounds of a lookup, and of all of them on this node. Times in seconds, `memory` in bytes."""

    reads: ClassVar = ("deadline", "source_timeout")

    deadline: float = setting(DURATION, "5s")
    source_timeout: float = setting(DURATION, None)
    practices_if_unknown: int = setting(integer(0, 1000), 10)
    concurrency: int = setting(integer(1, 10_000), 64)
    memory: int = setting(SIZE, "512MB")
    connections: int = setting(integer(1, 10_000), 256)

    def __post_init__(self) -> None:
        if not self.source_timeout:
            object.__setattr__(self, "source_timeout", 0.8 * self.deadline)

    def problem(self) -> tuple[str, str] | None:
        """A source's time ends before the lookup's."""
        if self.source_timeout >= self.deadline:
            words = "write less than lookup.deadline: the rest of it is for judging, recording and writing"
            return "source_timeout", words
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """Lookups a minute, and at once, of one person and of one organisation on this node.

    Attributes:
        unconfirmed_per_user: dates of birth that did not belong to the number, of one person in 15 minutes.
    """

    user_per_minute: int = setting(integer(1, 1_000_000), 240)
    user_at_once: int = setting(integer(1, 20_000), 16)
    organisation_per_minute: int = setting(integer(1, 1_000_000), 3000)
    organisation_at_once: int = setting(integer(1, 20_000), 64)
    unconfirmed_per_user: int = setting(integer(1, 1000), 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganisationSettings:
    """Where the manifests are."""

    directory: Path = setting(MADE_FOLDER, "organisations")


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentitySettings:
    """Which identity service is asked. `directory` is there with kind `file`, `base_url` with `pds`.

    Attributes:
        timeout: seconds; None for as much as it may have.
        organisation: for which the service is asked; None for the reader's own.
    """

    reads: ClassVar = ("kind", "directory", "base_url")

    kind: str = setting(choice(("none", "file", "pds")), "none")
    directory: Path | None = setting(FOLDER, None)
    base_url: str | None = setting(SERVICE_URL, None)
    auth: Auth = setting(IDENTITY_AUTH, {"kind": "none"})
    timeout: float | None = setting(DURATION, None)
    organisation: str | None = setting(ODS_CODE, None)

    def problem(self) -> tuple[str, str] | None:
        """Files, and services, must be somewhere."""
        if self.kind == "file" and self.directory is None:
            return "directory", 'missing: with kind = "file", write the directory of the Patient files'
        if self.kind == "pds" and self.base_url is None:
            return "base_url", 'missing: with kind = "pds", write the address below which the service has /Patient'
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectionSettings:
    """How long the register may be silent (seconds), who decides, and a board's own letter; None for the package's."""

    max_age: float = setting(DURATION, "10s")
    lead_controller: str | None = setting(ODS_CODE, None)
    letter: Path | None = setting(LETTER_FILE, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSettings:
    """Who is told of alerts, beside journal and log.

    Attributes:
        webhook: where they are posted to; None for nowhere.
        secret_file: with what they are signed; there with a webhook.
    """

    reads: ClassVar = ("webhook", "secret_file")

    webhook: str | None = setting(WEB_ADDRESS, None)
    secret_file: Path | None = setting(SECRET_FILE, None)

    def problem(self) -> tuple[str, str] | None:
        """Whoever receives an alert must know that it is one."""
        if self.webhook and not self.secret_file:
            return "webhook", "its secret is missing: write secret_file, a file with the secret that signs each alert"
        if self.secret_file and not self.webhook:
            return "secret_file", "there is no webhook: write the address that alerts are posted to"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySettings:
    """A board's own set of policies; None for the one that comes with the package."""

    directory: Path | None = setting(FOLDER, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSettings:
    """Where the journal and the keys are; made at first start."""

    directory: Path = setting(MADE_FOLDER, "state/journal")
    keys: Path = setting(MADE_FOLDER, "state/keys")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """Where the registers live: an address for SQLAlchemy, the path of a SQLite file already made whole."""

    url: str = setting(STORE_URL, "sqlite+aiosqlite:///state/broker.db")

    def __repr__(self) -> str:
        return f"StoreSettings(url={self.url.partition(':')[0]}:…)"


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerSettings:
    """Who may issue tokens, and with which keys.

    Attributes:
        demo: its private key is public. With neither address nor file, the key pair is the one that comes with the
            package; with a file, the file holds the private key too.
    """

    reads: ClassVar = ("jwks_url", "jwks_file", "demo")

    iss: str = setting(TEXT)
    jwks_url: str | None = setting(WEB_ADDRESS, None)
    jwks_file: Path | None = setting(JWKS_FILE, None)
    demo: bool = setting(FLAG, default=False)

    def problem(self) -> tuple[str, str] | None:
        """Its keys must be in one place."""
        if self.jwks_url and self.jwks_file:
            return "jwks_url", "jwks_url and jwks_file are both there: keep one"
        if not self.demo and not self.jwks_url and not self.jwks_file:
            return "", "its keys are missing: write jwks_url or jwks_file"
        if self.demo and self.jwks_url:
            words = "a demo issuer's keys are in a file: write jwks_file, or neither for the keys of the package"
            return "jwks_url", words
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole configuration. Paths are absolute or from where the file was named; times are seconds.

    Attributes:
        file: where it was read from.
        issuers: of tokens for staff of the broker's operator.
    """

    file: Path = Path("broker.toml")
    server: ServerSettings = table(ServerSettings)
    lookup: LookupSettings = table(LookupSettings)
    limits: LimitSettings = table(LimitSettings)
    organisations: OrganisationSettings = table(OrganisationSettings)
    identity: IdentitySettings = table(IdentitySettings)
    objections: ObjectionSettings = table(ObjectionSettings)
    alerts: AlertSettings = table(AlertSettings)
    policies: PolicySettings = table(PolicySettings)
    audit: AuditSettings = table(AuditSettings)
    store: StoreSettings = table(StoreSettings)
    issuers: tuple[IssuerSettings, ...] = tables(IssuerSettings)
