"""FHIR's envelopes: a Bundle is opened, each resource in it handed on unread, so that a bad one costs only itself."""

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Final

import msgspec

from adapters.contract import Arrival, Resource
from adapters.errors import SourceMalformed
from adapters.fhir_r4.bundle import NOTHING, UNREADABLE, Bundle, Entry, Opening, TooDense
from adapters.findings import Finding

__all__ = ["UNREADABLE", "Entry", "Page", "finding_of_status", "head_of", "open_bundle", "open_page", "worst"]


class _Issue(msgspec.Struct, gc=False):
    severity: str = ""
    code: str = ""


class _Outcome(msgspec.Struct, rename="camel"):
    issue: list[_Issue] | None = None


class Head(msgspec.Struct, rename="camel", gc=False):
    """What a resource says that it is."""

    resource_type: str = ""
    id: str = ""


_OUTCOME: Final = msgspec.json.Decoder(_Outcome)
_HEAD: Final = msgspec.json.Decoder(Head)
_NO_HEAD: Final = Head()

_MOST: Final = 10_000
"""Entries of one page: more than any record has."""
_PAUSE: Final = 64
"""Entries between two pauses."""
_LONG: Final = 1 << 17
"""Bytes beyond which nothing is an OperationOutcome, and a resource is followed by a pause."""
_TOO_DENSE: Final = "an entry that holds more than any resource does: the rest of the page is left out"

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
        doubted: it carries a warning: where nothing was found, the search may not have been the one asked for.
    """

    resources: list[Resource] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    unnamed: int = 0
    total: int | None = None
    next: str | None = None
    finding: Finding = Finding.ANSWERED
    notes: tuple[str, ...] = ()
    doubted: bool = False


def head_of(resource: "bytes | msgspec.Raw") -> Head:
    """Type and id of a resource; empty where it can't be read. Letters are skipped fast: a megabyte in 0.3 ms."""
    try:
        return _HEAD.decode(resource)
    except UNREADABLE:
        return Head()


def open_bundle(body: bytes) -> Generator[None, None, list[Entry]]:
    """The entries of a Bundle, pausing between them.

    Raises:
        SourceMalformed: it is not JSON, or anything but a Bundle, or says something of itself twice, or holds more than
            can be read.
    """
    opening = Opening(body)
    found: list[Entry] = []
    try:
        for entries in opening.entries():
            found += entries
            yield
    except TooDense:
        raise SourceMalformed(_TOO_DENSE) from None
    _be_bundle(opening.bundle)
    return found


def _be_bundle(bundle: Bundle) -> None:
    if bundle.resource_type != "Bundle" or bundle.type not in _ANSWERS:
        raise SourceMalformed("its answer is not a FHIR Bundle in JSON")


def open_page(
    body: bytes, arrival: Arrival, *, kind: str | None = None, all_count: bool = False
) -> Generator[None, None, Page]:
    """Open one page of a search, pausing between entries.

    Args:
        body: of the answer.
        arrival: what its hits are.
        kind: the type that was searched for: hits of another one are handed on too, but then the search was not the
            one that was asked for, and the page is TRUNCATED. None for `$everything`.
        all_count: every entry counts towards `total`, whatever its mode, as in `$everything`.

    Raises:
        SourceMalformed: it is not a searchset, or says something of itself twice.
    """
    opening = Opening(body)
    page = Page()
    sorting = _Sorting(page, arrival, kind, all_count=all_count, suspicious=b"OperationOutcome" in body)
    try:
        for entries in opening.entries():
            for n, entry in enumerate(entries):
                sorting.put(entry)
                if not n % _PAUSE or len(memoryview(entry.resource)) > _LONG:
                    yield
            yield
            if sorting.seen > _MOST:
                _be_bundle(opening.beginning())
                _tell(page, Finding.TRUNCATED, f"more than {_MOST} entries in one page: the rest is left out")
                return page
    except TooDense:
        _be_bundle(opening.beginning())
        _tell(page, Finding.TRUNCATED, _TOO_DENSE)
        return page
    bundle = opening.bundle
    if bundle.resource_type == "OperationOutcome":
        _hear(page, body)
        if page.finding is Finding.ANSWERED:
            raise SourceMalformed("its answer is an OperationOutcome, not a Bundle")
        return page
    _be_bundle(bundle)
    if bundle.type != "searchset":
        if not sorting.seen and bundle.total != 0:
            raise SourceMalformed("its answer is an empty Bundle, and not of a search")
        if sorting.seen and kind is not None and bundle.type:
            _tell(page, Finding.TRUNCATED, "a Bundle of another type than a search gives")
    if sorting.empty:
        _tell(page, Finding.TRUNCATED, f"{sorting.empty} entries without a readable resource")
    if sorting.strange:
        _tell(page, Finding.TRUNCATED, f"{sorting.strange} hits that are not what was searched for")
    page.total = bundle.total
    page.next = next((link.url for link in bundle.link or () if link.relation == "next"), None)
    return page


class _Sorting:
    """The entries of a page, put where they belong."""

    def __init__(self, page: Page, arrival: Arrival, kind: str | None, *, all_count: bool, suspicious: bool) -> None:
        self._page = page
        self._arrival = arrival
        self._kind = kind
        self._all_count = all_count
        self._suspicious = suspicious
        self.seen = 0
        self.empty = 0
        self.strange = 0

    def put(self, entry: Entry) -> None:
        """Sort one entry."""
        page, resource, full_url = self._page, entry.resource, entry.full_url
        self.seen += 1
        mode = entry.search.mode if entry.search else ""
        included = mode == "include"
        counts = self._all_count or not included
        searched = self._kind is not None and not included
        # Only where it is needed, and once: it is read over in full.
        head = head_of(resource) if self._suspicious or searched or (counts and not full_url) else _NO_HEAD
        if mode == "outcome" or head.resource_type == "OperationOutcome":
            _hear(page, resource)
            return
        if counts:
            if full_url or head.id:
                page.names.add(full_url or f"{head.resource_type}/{head.id}")
            else:
                page.unnamed += 1
        if resource is NOTHING:
            self.empty += 1
            return
        if searched and head.resource_type != self._kind:
            self.strange += 1
        page.resources.append(Resource(resource, Arrival.INCLUDED if included else self._arrival, full_url))


def _hear(page: Page, outcome: "bytes | msgspec.Raw") -> None:
    """Take what an OperationOutcome says: severity and code, never a word of it."""
    try:
        if len(memoryview(outcome)) > _LONG:
            raise msgspec.DecodeError
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
        elif severity == "warning" and code != "informational":
            page.doubted = True
        _tell(page, finding, f"{severity}: {code}")


def _tell(page: Page, finding: Finding, note: str) -> None:
    page.finding = worst(page.finding, finding)
    if note not in page.notes:
        page.notes += (note,)
