"""FHIR's envelopes: a Bundle is opened, each resource in it handed on unread, so that a bad one costs only itself."""

import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

import msgspec

from adapters.contract import Arrival, Resource
from adapters.errors import SourceMalformed
from adapters.findings import Finding

__all__ = ["Entry", "Page", "finding_of_status", "head_of", "open_bundle", "open_page", "worst"]

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
UNSALVAGEABLE: Final = (ValueError, LookupError, TypeError, AttributeError, RecursionError, ArithmeticError)


_NOTHING: Final = msgspec.Raw(b"")


class _Search(msgspec.Struct, gc=False):
    mode: str = ""


class _Response(msgspec.Struct, gc=False):
    status: str = ""


class Entry(msgspec.Struct, rename="camel", gc=False):
    """An entry of a Bundle; `resource` is empty where there is none."""

    full_url: str | None = None
    resource: msgspec.Raw = _NOTHING
    search: _Search | None = None
    response: _Response | None = None

    @property
    def status(self) -> int:
        """The HTTP status in a `batch-response`; 0 where it can't be read."""
        code = (self.response.status if self.response else "")[:3]
        return int(code) if code.isascii() and code.isdigit() else 0


class _Link(msgspec.Struct, gc=False):
    relation: str = ""
    url: str = ""


class _Bundle(msgspec.Struct, rename="camel"):
    resource_type: str
    type: str = ""
    total: int | None = None
    link: list[_Link] | None = None
    entry: list[Entry] | None = None


class _Entries(msgspec.Struct):
    entry: msgspec.Raw = _NOTHING


class _Issue(msgspec.Struct, gc=False):
    severity: str = ""
    code: str = ""


class _Outcome(msgspec.Struct, rename="camel"):
    issue: list[_Issue] | None = None


class Head(msgspec.Struct, rename="camel", gc=False):
    """What a resource says that it is."""

    resource_type: str = ""
    id: str = ""


_BUNDLE: Final = msgspec.json.Decoder(_Bundle)
_ENTRIES: Final = msgspec.json.Decoder(_Entries)
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")
_OUTCOME: Final = msgspec.json.Decoder(_Outcome)
_HEAD: Final = msgspec.json.Decoder(Head)

_SEVERITIES: Final = frozenset({"fatal", "error", "warning", "information"})
_CODES: Final = frozenset(
    """
    invalid structure required value invariant security login unknown expired forbidden suppressed processing
    not-supported duplicate multiple-matches not-found deleted too-long code-invalid extension too-costly business-rule
    conflict transient lock-error no-store exception timeout incomplete throttled informational
    """.split()  # noqa: SIM905 - they read better as words
)
"""http://hl7.org/fhir/R4/valueset-issue-type.html: only these are repeated: any other is the source's own."""
_PARTIAL: Final = frozenset({"incomplete", "timeout", "throttled", "too-costly", "too-long"})
_WITHHELD: Final = frozenset({"suppressed", "forbidden", "security"})

_ONCE: Final = (b'"entry"', b'"total"', b'"link"')
"""Keys of a Bundle that say how much there is."""

_ANSWERS: Final = frozenset({"searchset", "batch-response", "collection", ""})
"""Types of Bundle that can be an answer; some servers give `$everything` as a collection, some say nothing."""

_FINDINGS: Final = {finding: rank for rank, finding in enumerate(Finding)}


def worst(*findings: Finding) -> Finding:
    """The one that says least about what there is."""
    return max(findings, key=_FINDINGS.__getitem__)


def finding_of_status(status: int) -> Finding:
    """What a status inside a Bundle means."""
    if 200 <= status < 300:  # noqa: PLR2004 - the classes of HTTP
        return Finding.ANSWERED
    return {401: Finding.REFUSED, 403: Finding.REFUSED, 429: Finding.BUSY, 0: Finding.MALFORMED}.get(
        status, Finding.FAILED
    )


@dataclass(slots=True)
class Page:
    """One page of a search, opened.

    Attributes:
        resources: what came, as it came.
        names: `fullUrl`, or else `Type/id`, of the entries that count towards `total`: a server that pages badly gives
            the same one twice.
        unnamed: entries that count towards `total` and have neither.
        total: what the server says there is, where it says so.
        next: the link to the next page, where there is one.
        finding: ANSWERED, or what an OperationOutcome in the page says.
        notes: its severities and codes.
    """

    resources: list[Resource] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    unnamed: int = 0
    total: int | None = None
    next: str | None = None
    finding: Finding = Finding.ANSWERED
    notes: tuple[str, ...] = ()


def head_of(resource: "bytes | msgspec.Raw") -> Head:
    """Type and id of a resource; empty where it can't be read."""
    try:
        return _HEAD.decode(resource)
    except UNREADABLE:
        return Head()


def _name_of(resource: msgspec.Raw) -> str | None:
    head = head_of(resource)
    return f"{head.resource_type}/{head.id}" if head.id else None


def open_bundle(body: bytes) -> _Bundle:
    """Open a Bundle.

    Raises:
        SourceMalformed: it is not JSON, or anything but a Bundle, or says something of itself twice.
    """
    bundle = _decode(body)
    _be_bundle(bundle)
    return bundle


def _be_bundle(bundle: _Bundle) -> None:
    if bundle.resource_type != "Bundle" or bundle.type not in _ANSWERS:
        raise SourceMalformed("its answer is not a FHIR Bundle in JSON")


def _decode(body: bytes) -> _Bundle:
    try:
        try:
            bundle = _BUNDLE.decode(body)
        except UNREADABLE:
            bundle = _salvage(body)
        # What is in doubt is an answer without entries, and one that may hold these keys twice; most hold them once.
        twice = (not bundle.entry or any(body.count(key) > 1 for key in _ONCE)) and _says_twice(body)
    except UNSALVAGEABLE:
        raise SourceMalformed("its answer is not a FHIR Bundle in JSON") from None
    if twice:
        raise SourceMalformed("its Bundle says something of itself twice")
    return bundle


def _says_twice(body: bytes) -> bool:
    """Whether a key of the envelope is there twice: a decoder takes the last, and what the first said would be lost."""
    try:
        entries = bytes(_ENTRIES.decode(body).entry)
    except UNREADABLE:
        entries = b""
    # The entries are set aside, since the standard decoder is slow and need not read them.
    rest = body.replace(entries, b"null", 1) if entries else body
    keys = [key for key, _ in json.loads(rest, object_pairs_hook=list)]
    return len(set(keys)) < len(keys)


def _salvage(body: bytes) -> _Bundle:
    """Open a Bundle that holds half of a surrogate pair somewhere, leaving out only what holds it.

    Some systems cut text between the halves of an emoji. The standard decoder takes that, and is not asked otherwise.
    """
    whole = json.loads(body, parse_float=Decimal, parse_constant=_refuse)
    for entry in whole["entry"]:
        try:
            _ENCODER.encode(entry)
        except UnicodeEncodeError:
            entry.pop("resource", None)
            entry.pop("fullUrl", None)
    return _BUNDLE.decode(_ENCODER.encode(whole))


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def open_page(body: bytes, arrival: Arrival, *, kind: str | None = None, all_count: bool = False) -> Page:
    """Open one page of a search.

    Args:
        body: of the answer.
        arrival: what its hits are.
        kind: the type that was searched for: hits of another one are handed on too, but then the search was not the
            one that was asked for, and the page is TRUNCATED. None for `$everything`.
        all_count: every entry counts towards `total`, whatever its mode, as in `$everything`.

    Raises:
        SourceMalformed: it is not a searchset, or says something of itself twice.
    """
    bundle = _decode(body)
    page = Page()
    if bundle.resource_type == "OperationOutcome":
        _hear(page, body)
        if page.finding is Finding.ANSWERED:
            raise SourceMalformed("its answer is an OperationOutcome, not a Bundle")
        return page
    _be_bundle(bundle)
    suspicious = b"OperationOutcome" in body
    resources = page.resources
    names = page.names
    empty = strange = 0
    for entry in bundle.entry or ():
        mode = entry.search.mode if entry.search else ""
        resource = entry.resource
        if mode == "outcome" or (suspicious and head_of(resource).resource_type == "OperationOutcome"):
            _hear(page, resource)
            continue
        included = mode == "include"
        full_url = entry.full_url
        if all_count or not included:
            name = full_url or _name_of(resource)
            if name:
                names.add(name)
            else:
                page.unnamed += 1
        if kind is not None and not included and resource is not _NOTHING and head_of(resource).resource_type != kind:
            strange += 1
        if resource is _NOTHING:
            empty += 1
        else:
            resources.append(Resource(resource, Arrival.INCLUDED if included else arrival, full_url))
    if empty:
        _tell(page, Finding.TRUNCATED, f"{empty} entries without a readable resource")
    if strange:
        _tell(page, Finding.TRUNCATED, f"{strange} hits that are not what was searched for")
    page.total = bundle.total
    page.next = next((link.url for link in bundle.link or () if link.relation == "next"), None)
    return page


def _hear(page: Page, outcome: "bytes | msgspec.Raw") -> None:
    """Take what an OperationOutcome says: severity and code, never a word of it."""
    try:
        issues = _OUTCOME.decode(outcome).issue
    except UNREADABLE:
        _tell(page, Finding.TRUNCATED, "an OperationOutcome that can't be read")
        return
    if not issues:
        _tell(page, Finding.TRUNCATED, "an OperationOutcome without an issue")
        return
    for issue in issues:
        severity = issue.severity if issue.severity in _SEVERITIES else "error"
        code = issue.code if issue.code in _CODES else "unknown code"
        finding = Finding.ANSWERED
        if severity in {"fatal", "error"}:
            finding = Finding.FAILED
        elif code in _PARTIAL:
            finding = Finding.TRUNCATED
        elif code in _WITHHELD:
            finding = Finding.WITHHELD_BY_SOURCE
        _tell(page, finding, f"{severity}: {code}")


def _tell(page: Page, finding: Finding, note: str) -> None:
    page.finding = worst(page.finding, finding)
    if note not in page.notes:
        page.notes += (note,)
