"""From what one lookup found to the answer to one question: for search, read and batch alike.

**A partial answer never looks finished.** Many libraries drop the outcome, which is all that says that a source was
down. So an answer without a match, where a source leaves something open, is an error; and the last page of one with
matches has a link to a next page, which has none, and so is that error (or 410, if the source is back). Whoever follows
`next` to the end (fhirpy's `fetch_all`, `pageLimit: 0` of SMART's client) is stopped, and takes no part for the whole.
A client that reads outcomes says `Prefer: partial-results`, and gets neither.
"""

from dataclasses import dataclass
from typing import Final

from broker.errors import BrokerError, NotFound, NotSupported, PageExpired, RoleNotPermitted, Withheld
from broker.lookup.ids import Ids
from broker.surfaces.fhir import pages
from broker.surfaces.fhir.asking import NOT_BY_ITSELF, Asking, Read, Search, Wanted
from broker.surfaces.fhir.bundle import searchset
from broker.surfaces.fhir.found import OF_SEVERAL, Found, made_of
from broker.surfaces.fhir.outcome import (
    END,
    GONE,
    NAMELESS,
    NOTHING,
    Shown,
    nothing_found,
    restriction,
    search_outcome,
)
from broker.surfaces.replies import Pieces

__all__ = ["Answers", "unheard"]

_PREFER: Final = " With `Prefer: partial-results` the answer comes as it is."


@dataclass(slots=True, kw_only=True)
class Answers:
    """The answers to what one caller asks, from one lookup.

    Attributes:
        asking: how it was asked.
        found: what the lookup gave.
        partial: the client can cope with a partial answer, and said so.
        shown: how many resources the answers so far hold, outcomes aside.
    """

    asking: Asking
    found: Found
    partial: bool
    shown: int = 0

    def to(self, wanted: Wanted) -> Pieces:
        """The resource that answers `wanted`, in pieces, pausing on the way.

        Raises:
            BrokerError: there is none; where that is not certain, with the rows that leave it open.
        """
        match wanted:
            case Search():
                self._may_see(wanted.type)
                return (yield from self._search(wanted))
            case Read():
                return (yield from self._read(wanted))

    def restrictions(self, wanted: Wanted) -> list[str]:
        """What bounds the answer to `wanted`, each in a word."""
        nameless = wanted.type == "Patient" and self._nameless
        return [*self.found.restrictions, *(["demographics-left-out"] if nameless else [])]

    @property
    def _nameless(self) -> bool:
        return all(map(self.found.says_nothing, self.found.matches("Patient")))

    def _may_see(self, type_: str) -> None:
        # Whatever else it is in, a resource must be permitted where it has its home: without that there is none.
        if self.asking.tables.home[type_] in self.found.not_permitted:
            raise RoleNotPermitted

    def _search(self, search: Search) -> Pieces:
        found, page = self.found, search.page
        left = found.left(search.type)
        unseen = self._unseen(search.type)
        complete = bool(found.rows) and found.definite and not left and not unseen
        matches = () if self._stands_for_nothing(search.type, left) else found.matches(search.type)
        if page is not None and (yield from found.digest(search.type)) != page.digest:
            raise PageExpired
        start = 0 if page is None else page.offset
        end = len(matches) if search.count is None else min(start + search.count, len(matches))
        shown = matches[start:end]
        if not (complete or shown or self.partial):
            raise self._nothing(search, left, unseen)
        links = [("self", self._self(search))]
        if end < len(matches) or not (complete or self.partial):
            digest = page.digest if page is not None else (yield from found.digest(search.type))
            place = pages.Page(search.number, search.type, end, search.count, digest)
            links.append(("next", self._page(search.type, place)))
        accompanying = yield from found.accompanying(shown)
        self.shown += len(shown) + len(accompanying)
        restrictions = [restriction(name) for name in self.restrictions(search)]
        if unseen:
            restrictions.append(restriction("not-compared", _not_compared(unseen)))
        return (
            yield from searchset(
                search_outcome(left, found.rows, restrictions, definite=found.definite),
                [*shown, *accompanying],
                base=self.asking.base,
                lookup_id=found.lookup_id,
                links=links,
                total=len(matches) if complete else None,
            )
        )

    def _nothing(self, search: Search, left: list[Shown], unseen: list[str]) -> BrokerError:
        if unseen and not left:
            return RoleNotPermitted(_not_compared(unseen) + _PREFER)
        words = (unheard(search) if search.page is None else END) + _PREFER
        if not (left or self.found.definite):
            return Withheld(words if search.page is not None else None)
        return nothing_found(left, words)

    def _unseen(self, type_: str) -> list[str]:
        """Categories that the role may not see, of all that an answer of this type is made of."""
        return sorted({self.asking.tables.home[one] for one in made_of(type_)} & self.found.not_permitted)

    def _stands_for_nothing(self, type_: str, left: list[Shown]) -> bool:
        """There is always a Patient: while something is open, one that says no more than the token is no match."""
        return type_ == "Patient" and bool(left) and not self.partial and self._nameless

    def _self(self, search: Search) -> str:
        if search.page is not None:
            return self._page(search.type, search.page)
        count = "" if search.count is None else f"&_count={search.count}"
        return f"{self.asking.base}/{search.type}?patient={self.found.patient_id}{count}"

    def _page(self, type_: str, page: pages.Page) -> str:
        return f"{self.asking.base}/{type_}?{pages.PARAMETER}={pages.sealed(page, self.asking.keys)}"

    def _read(self, read: Read) -> Pieces:
        if not read.supporting:
            self._may_see(read.type)
        # What accompanies others may be missing for the lack of any of them.
        left = [row for row in self.found.left(None if read.supporting else read.type) if _may_hold(row, read)]
        if self._stands_for_nothing(read.type, left):
            raise nothing_found(left, NAMELESS + _PREFER)
        ids = Ids(self.asking.keys.id_check_key, read.number)
        for entry in self.found.all_of(read.type):
            yield
            if entry.id == read.id or _is_of_digest(entry.id, read, ids):
                self.shown += 1
                return [entry.content]
        if left:
            raise nothing_found(left, unheard(read))
        if read.type == OF_SEVERAL and read.home is not None and read.home.source is None:
            raise NotSupported(NOT_BY_ITSELF)  # where places are hidden, the broker's own have ids like all others
        raise NotFound


def unheard(wanted: Wanted) -> str:
    """What is said where there is nothing for `wanted`, and that is not certain."""
    if wanted.type == "Patient":
        return NAMELESS
    return NOTHING if isinstance(wanted, Search) else GONE


def _not_compared(unseen: list[str]) -> str:
    return f"This role may not see {', '.join(unseen)}: contradictions in them were not looked for."


def _may_hold(row: Shown, read: Read) -> bool:
    """The row is one of those that the read went to; where places are hidden, each may be."""
    if read.sources is None or row["source"] in read.sources:
        return True
    return row["organisation"] is None and row["source"] is not None and row["service_type"] != "identity"


def _is_of_digest(id_: str, read: Read, ids: Ids) -> bool:
    """The id asked for hides where it came from, and this one, which does not, came from there."""
    if read.home is None or read.home.source is not None:
        return False
    plain = ids.home(id_)
    return plain is not None and plain.source is not None and ids.digest(plain.source, plain.id) == read.home.id
