"""One search, from its first page to its last, followed safely and completely."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from adapters.contract import Arrival, Resource, Source
from adapters.errors import AdapterError, SourceFailed
from adapters.fhir_r4.approach import Memory
from adapters.fhir_r4.envelope import Page, open_page, worst
from adapters.fhir_r4.queries import Query
from adapters.findings import Finding
from adapters.links import target_of
from adapters.pace import paced
from adapters.transport import Answer, Exchange

__all__ = ["REFUSALS", "UNKNOWN_PARAMETER", "Give", "Outcome", "Searcher"]

REFUSALS = frozenset({404, 405, 501})
"""Statuses by which a server says that it does not do what was asked of it in this way."""
UNKNOWN_PARAMETER = frozenset({400, 422, 501})
"""Statuses by which a server may say that it does not know a parameter."""
_REFUSED_FORMS = REFUSALS | {415}
_FORM = "application/x-www-form-urlencoded"

Give = Callable[[Sequence[Resource]], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was learned by one search.

    Attributes:
        finding: of what it asked for.
        notes: the broker's own words.
        retry_after: seconds, where the source said so.
        steps: pages that came, one after the other.
        error: what ended it before its time.
    """

    finding: Finding = Finding.ANSWERED
    notes: tuple[str, ...] = ()
    retry_after: float | None = None
    steps: int = 0
    error: AdapterError | None = None

    def __or__(self, other: "Outcome") -> "Outcome":
        """Both together: the worse finding, all notes once, the more steps."""
        waits = [wait for wait in (self.retry_after, other.retry_after) if wait is not None]
        return Outcome(
            worst(self.finding, other.finding),
            tuple(dict.fromkeys(self.notes + other.notes)),
            max(waits, default=None),
            max(self.steps, other.steps),
            self.error or other.error,
        )

    @classmethod
    def of(cls, error: AdapterError) -> "Outcome":
        """What an error costs."""
        return cls(error.finding, (error.note,) if error.note else (), error.retry_after, error=error)


class Searcher:
    """Searches one server for one lookup."""

    def __init__(self, exchange: Exchange, source: Source, memory: Memory) -> None:
        self._exchange = exchange
        self._source = source
        self._memory = memory

    async def search(self, query: Query, arrival: Arrival, give: Give) -> Outcome:
        """Ask, follow every page, and give what came page by page. Errors of the source are in the outcome."""
        try:
            page = await self.open(await self._ask(query), arrival, kind=query.type)
        except AdapterError as error:
            declined = isinstance(error, SourceFailed) and error.status in UNKNOWN_PARAMETER
            if declined and query.uncoded is not None:
                return await self.search_uncoded(query, arrival, give)
            return Outcome.of(error)
        return await self.walk(page, arrival, give, kind=query.type)

    async def search_uncoded(self, query: Query, arrival: Arrival, give: Give) -> Outcome:
        """As `search`, for all of the type, where the server would not be asked for some codes of it."""
        outcome = await self.search(Query(query.type, query.uncoded or ""), arrival, give)
        if outcome.error is None:
            self._memory.refused_code(query.type)
        return outcome

    async def open(self, answer: Answer, arrival: Arrival, *, kind: str | None = None, all_count: bool = False) -> Page:
        """Open the page in an answer; SourceFailed unless its status is 200."""
        if answer.status != 200:  # noqa: PLR2004
            raise SourceFailed(f"status {answer.status}", status=answer.status)
        return await paced(open_page(answer.body, arrival, kind=kind, all_count=all_count))

    async def walk(
        self, page: Page, arrival: Arrival, give: Give, *, kind: str | None = None, all_count: bool = False
    ) -> Outcome:
        """Follow the pages from one that is open."""
        seen: set[str] = set()
        names: set[str] = set()
        unnamed = 0
        total = 0  # the most that any page says: one that shrinks does not take back what there was
        doubted = False
        outcome = Outcome()
        while True:
            give(page.resources)
            outcome = Outcome(worst(outcome.finding, page.finding), outcome.notes + page.notes, steps=outcome.steps + 1)
            names |= page.names
            unnamed += page.unnamed
            total = max(total, page.total or 0)
            doubted |= page.doubted
            if page.next is None:
                gave = len(names) + unnamed
                if total > gave:
                    return outcome | Outcome(Finding.TRUNCATED, (f"says {total}, gave {gave}",))
                if doubted and not gave:
                    return outcome | Outcome(Finding.TRUNCATED)
                return outcome
            target = target_of(page.next, self._source.base_url, self._source.link_bases)
            if target is None:
                return outcome | Outcome(Finding.TRUNCATED, ("a paging link leads away from it",))
            if target in seen:
                return outcome | Outcome(Finding.TRUNCATED, ("its paging links go round",))
            seen.add(target)
            try:
                self._exchange.turn_page()
                page = await self.open(await self._exchange.get(target), arrival, kind=kind, all_count=all_count)
            except AdapterError as error:
                return outcome | Outcome.of(error)

    async def _ask(self, query: Query) -> Answer:
        """By POST, so that no NHS number stands in an address; by GET once, where the server does not take that."""
        refused = False
        if not self._memory.by_get(query.type):
            answer = await self._exchange.post(f"/{query.type}/_search", query.form.encode(), _FORM)
            refused = answer.status in _REFUSED_FORMS
            if not refused:
                return answer
        answer = await self._exchange.get(f"/{query.type}?{query.form}")
        if refused and answer.status == 200:  # noqa: PLR2004
            self._memory.takes_only_get(query.type)
        return answer
