"""The contract between the broker and an adapter: all that someone who writes one needs to know.

An adapter is one class, constructed with a `Source` and a `Transport`, with two methods, `fetch` and `read`. It yields
what the source holds as FHIR R4 and says for each resource type what was learned. It decides no policy, matches no
identity and filters nothing: all that comes is handed on, and judged by the broker.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from adapters.findings import Finding

if TYPE_CHECKING:
    from adapters.transport import Transport

__all__ = [
    "Adapter",
    "AdapterFactory",
    "Arrival",
    "Auth",
    "Identity",
    "Learned",
    "Limits",
    "Requester",
    "Resource",
    "Source",
    "SourceRequest",
    "Unread",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whose record is asked for.

    Attributes:
        numbers: NHS numbers, ten digits each, checked by Modulus 11. The first is the one asked for; the others are
            superseded ones that the identity service confirmed. A source may know the patient by any of them.
        birth_date: `YYYY-MM-DD`.
    """

    numbers: tuple[str, ...]
    birth_date: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Requester:
    """Who asks, for onward provenance: what a source may need to write its own audit record.

    Attributes:
        issuer: `iss` of the verified token.
        subject: `sub` of the verified token, a natural person.
        name: the person's name as the token gives it.
        organisation: ODS code of the organisation the person works for.
        organisation_name: its name as the token gives it.
        role_system: code system of `role_code`.
        role_code: national job role code, such as `R8000`.
        purpose: v3-ActReason code: `TREAT`, `ETREAT` or `BTG`.
        client: `client_id` of the calling software.
        token_id: `jti`.
    """

    issuer: str
    subject: str
    name: str
    organisation: str
    organisation_name: str
    role_system: str
    role_code: str
    purpose: str
    client: str
    token_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRequest:
    """One lookup at one source.

    Attributes:
        identity: whose record.
        categories: each category asked, with the FHIR R4 types that may carry it. A source answers all of these types
            that it has; what it does not offer it reports as NOT_PROVIDED.
        context: further FHIR types, needed to judge what the others may show. Asked first; never released alone.
        coded: further FHIR types, of which only resources with one of these codes (system, code) matter: by them a
            patient refused sharing. Asked with the context; what a source gives beside is no fault. A source that can't
            search so is asked for all of the type.
        requester: who asks.
        deadline: the last moment that counts, on the clock of `asyncio.get_running_loop().time()`, in seconds.
        correlation_id: the lookup's id, sent on as `X-Request-ID`.
    """

    identity: Identity
    categories: Mapping[str, frozenset[str]]
    context: frozenset[str]
    requester: Requester
    deadline: float
    correlation_id: str
    coded: Mapping[str, frozenset[tuple[str, str]]] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def types(self) -> frozenset[str]:
        """Every type wanted: those of the categories, those of the context, and those wanted for a code."""
        return self.context.union(self.coded, *self.categories.values())


class Arrival(StrEnum):
    """How a resource came, which decides how far it must be about the patient."""

    PATIENT = "patient"
    """A hit of the search for the patient: if it is another patient, the source is answering about somebody else."""
    RECORD = "record"
    """A hit of a search in this patient's record, an entry of their `$everything`, or an answer of `read`."""
    INCLUDED = "included"
    """Sent along by the source (`search.mode` include)."""


class Resource(msgspec.Struct, frozen=True, gc=False):
    """One FHIR R4 resource as it came.

    Attributes:
        content: the bytes of one JSON object, or the object itself.
        arrival: how it came.
        full_url: the entry's `fullUrl`, where there was one: what other entries of the same answer may refer to.
    """

    content: "bytes | msgspec.Raw | dict[str, Any]"
    arrival: Arrival = Arrival.RECORD
    full_url: str | None = None


@dataclass(frozen=True, slots=True)
class Learned:
    """What was learned of some types. A type may be reported more than once: the worst holds.

    Attributes:
        types: the FHIR types this is about.
        finding: what was learned.
        notes: the broker's own words, such as `says 38, gave 3` or `warning: incomplete`; never a source's text.
        retry_after: seconds, where the source said when to try again.
    """

    types: frozenset[str]
    finding: Finding
    notes: tuple[str, ...] = ()
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Unread:
    """A reference that `read` could not follow.

    Attributes:
        reference: as it was asked for.
        finding: why; ANSWERED means that the source says there is no such thing (404 or 410).
    """

    reference: str
    finding: Finding


class Adapter(Protocol):
    """How one source answers. Both methods raise a leaf of `adapters.errors` when the source fails as a whole."""

    def fetch(self, request: SourceRequest) -> AsyncIterator[Resource | Sequence[Resource] | Learned]:
        """Yield everything that the source holds of this patient in the types wanted, context first.

        Resources are yielded one by one, or together as they came (a page at a time costs less).

        Every wanted type is reported by a `Learned` once nothing more of it will come; a type without one, when the
        iterator ends or is closed early, counts as not answered. Raises `PatientNotFound` where the source answers that
        it has no record of the identity set.
        """
        ...

    def read(self, request: SourceRequest, references: Sequence[str]) -> AsyncIterator[Resource | Unread]:
        """Yield the resources behind `references` (`Type/id`, at this source), in one step where the source can.

        Each reference is answered once, by a `Resource` or an `Unread`.
        """
        ...


class AdapterFactory(Protocol):
    """What an entry point of the group `care_record_broker.adapters` names: usually the adapter's class."""

    def __call__(self, source: "Source", transport: "Transport") -> Adapter:
        """Make the adapter of one source. Does no I/O."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most that is taken from one source in one lookup.

    Attributes:
        bytes: of bodies, after decompression.
        pages: over all searches.
        connections: at once to this source, over all lookups.
    """

    bytes: int = 8_000_000
    pages: int = 50
    connections: int = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """How the broker shows itself to a source: `kind` and the settings of that kind, secrets included.

    The representation names the kind alone, so that no secret reaches a log or a traceback.
    """

    kind: str = "none"
    settings: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One source of an organisation, as its manifest describes it.

    Attributes:
        name: such as `RJ1-epr`; unique, without a dot.
        organisation: ODS code.
        kind: the adapter's entry point name, such as `fhir-r4`.
        base_url: without a trailing slash. Every request goes below it.
        link_bases: other addresses that its paging links and references may name; requests still go to `base_url`.
        timeout: seconds, the most that this source gets.
        auth: how the broker shows itself.
        limits: the most that is taken.
        settings: further settings of the kind, as in the manifest.
    """

    name: str
    organisation: str
    kind: str
    base_url: str
    link_bases: tuple[str, ...] = ()
    timeout: float = 4.0
    auth: Auth = field(default_factory=Auth)
    limits: Limits = field(default_factory=Limits)
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
