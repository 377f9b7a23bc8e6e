"""One source's answer, judged: read, guarded, screened, released; and the row that says what is known of it."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from itertools import chain
from typing import Any

from adapters.contract import Identity
from broker.lookup.fanout import Answer, Further
from broker.lookup.ids import Ids
from broker.lookup.judging.guard import PAUSE, Guarded, guard
from broker.lookup.judging.hiding import Hiding
from broker.lookup.judging.judged import Judged, failed_row, refused, timed
from broker.lookup.judging.reading import Item, let_go, read
from broker.lookup.judging.refusals import NOT_LOOKED_UP, Refusal, find_refusal, is_unknown
from broker.lookup.judging.release import Origin, release
from broker.lookup.judging.screen import Scope, Screened, Seen, screen
from broker.lookup.judging.whose import NoBirthDate, WrongPatient, digits_of, numbers_of
from broker.lookup.pace import paced
from broker.lookup.plan import Ask
from broker.lookup.rows import RUNS_EXCLUDED, STATUS_OF, category_row, row_status, worst
from broker.lookup.values import CategoryRow, Row, Status
from policies import Policies
from policies.values import Asked, Decision, Objection, Reader, Reason, Sight

__all__ = ["Judge", "Judged"]

_MOST_LACKING = 1_000
"""References read to judge one source; more than that come from a source that refers to what it does not have."""

_Question = tuple[str, frozenset[str]]
MoreReader = Callable[[Sequence[str]], Awaitable[Further]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Judges the answers of one lookup, each by itself.

    Attributes:
        policies: what decides.
        reader: on whose state.
        identity: whose record.
        id_key: for the ids of this node.
        patient_id: of the one Patient.
        today: for exclusions.
        label: what `meta.source` and links say of a row where places are hidden.
        types: the FHIR types that are asked; None for all of the categories.
        objected: categories that the patient objects to being shared, and how that stands.
        own: ODS code of the reader's own organisation: what it recorded itself is not shared with it by anybody, so
            neither `objected` nor a refusal in its record is heeded there.
    """

    policies: Policies
    reader: Reader
    identity: Identity
    id_key: bytes
    patient_id: str
    today: date
    label: Callable[[Row], Row]
    types: frozenset[str] | None = None
    objected: Mapping[str, Objection] = field(default_factory=dict)
    own: str = ""

    def types_of(self, category: str) -> frozenset[str]:
        """The FHIR types that are asked of a category."""
        every = self.policies.tables.types_of(category)
        return every if self.types is None else every & self.types

    async def judge(self, ask: Ask, answer: Answer, hiding: Hiding, *, labels: bool, more: MoreReader) -> Judged:
        """Judge what one source gave.

        Args:
            ask: what it was asked.
            answer: what it gave.
            hiding: how much must not show, as far as is known.
            labels: the reader is bound by a restriction found at the source.
            more: reads what lacks, at the source.
        """
        items: list[Item] = []
        try:
            return await self._judge(ask, answer, hiding, items, labels=labels, more=more)
        finally:
            await asyncio.sleep(0)  # what else was held is freed by now, which takes its time too
            await paced(let_go(items))

    async def _judge(
        self, ask: Ask, answer: Answer, hiding: Hiding, items: list[Item], *, labels: bool, more: MoreReader
    ) -> Judged:
        """As `judge`; `items` are still there, and of no more use."""
        unread: list[str] = []
        _, unreadable = await paced(read(answer.resources, items))
        if any(resource_type == "Patient" for resource_type in unreadable):
            return self._whole(ask, answer, Status.MALFORMED, "its Patient can't be read")
        own = ask.organisation.ods_code == self.own
        try:
            guarded, copies = await self._guard(ask, items)
            refusal = Refusal() if own else await self._refusal(guarded, copies)
            scope, lost = self._scope(ask, answer)
            screened = await self._screen(guarded, copies, scope, own=own, final=False)
            if screened.lacks:
                said = await more(screened.lacks[:_MOST_LACKING])
                further, failed = await paced(read(said.resources))
                known = said.absent.union(f"{item.type}/{item.id}" for item in further)
                unread = [one for one in screened.lacks if one not in known]
                items.extend(further)
                unreadable.extend(failed)
                guarded, copies = await self._guard(ask, items)
                screened = await self._screen(guarded, copies, scope, own=own, final=True, unread=unread)
        except WrongPatient as wrong:
            judged = self._whole(ask, answer, Status.WRONG_PATIENT, "it answered about somebody else")
            foreign = dict.fromkeys((item.id for item in items if item.type == "Encounter"), None) if own else {}
            return replace(judged, wrong_patient=True, wrong_birth_date=wrong.birth_date, encounters=foreign)
        except NoBirthDate:
            return self._whole(ask, answer, Status.MALFORMED, "its Patient has no date of birth")
        patients = _patients(items, guarded)
        if labels and _is_restricted(patients, self.policies):
            hiding = Hiding.PLACES
        if lost is not None or answer.not_found:
            # What came before it was cut, or before it was said that there is nothing, can't be judged whole.
            screened, unread = Screened(), []
        encounters = _encounters(guarded) if own else {}
        judged = await self._release(ask, answer, guarded, screened, hiding, unreadable, lost, len(unread))
        heard = own or answer.not_found or not is_unknown(answer.findings, self.policies.tables.dissent)
        if not heard and lost is None:
            judged = replace(judged, row=replace(judged.row, notes=(*judged.row.notes, NOT_LOOKED_UP)))
        judged = replace(
            judged,
            numbers=self._other_numbers(patients),
            dissent=refusal.dissent,
            heard=heard,
            third_party=refusal.third_party,
            encounters=encounters,
        )
        return refused(judged) if refusal.dissent else judged

    async def _guard(self, ask: Ask, items: list[Item]) -> tuple[Guarded, list[Item]]:
        """What is this patient's; and more of it under the same types and ids."""
        source = ask.registered.source
        guarded = await paced(guard(items, self.identity, (source.base_url, *source.link_bases)))
        return guarded, await paced(_copies(items, guarded))

    async def _refusal(self, guarded: Guarded, copies: Sequence[Item]) -> Refusal:
        """What the record says of being shared: of two copies of one resource, each may say it."""
        unclear = frozenset(guarded.unusable)
        clear = chain(guarded.items, (one for one in copies if one not in unclear))
        return await paced(find_refusal(clear, self.policies.tables.dissent, self.today, guarded.unusable))

    def _other_numbers(self, patients: Iterable[Item]) -> frozenset[str]:
        """The NHS numbers that the source's Patients of this patient have beside the identity set."""
        stated = {digits_of(one) for patient in patients for one in numbers_of(patient.data)}
        return frozenset(stated.difference(self.identity.numbers))

    async def _screen(
        self,
        guarded: Guarded,
        copies: Sequence[Item],
        scope: Scope,
        *,
        own: bool,
        final: bool,
        unread: Collection[str] = (),
    ) -> Screened:
        tables, see = self.policies.tables, partial(self._see, {} if own else self.objected)
        return await paced(screen(guarded, tables, scope, see, final=final, unread=unread, copies=copies))

    def _see(self, objected: Mapping[str, Objection], questions: frozenset[_Question]) -> Mapping[_Question, Seen]:
        """Decide them: where the patient objects, as if they did not; then, of what would be seen, as they do."""
        seen = self._decide(dict.fromkeys(questions, Objection.NONE))
        if objected:
            seen |= self._decide({
                one: objected[one[0]]
                for one in questions
                if one[0] in objected and seen[one] not in {Sight.WITHHOLD, None}
            })
        return seen

    def _decide(self, questions: Mapping[_Question, Objection]) -> dict[_Question, Seen]:
        asked: list[_Question | Asked] = [
            question if objection is Objection.NONE else Asked(*question, objection)
            for question, objection in questions.items()
        ]
        decisions = self.policies.may_see(self.reader, asked)
        return {question: _seen(decision) for question, decision in zip(questions, decisions, strict=True)}

    def _scope(self, ask: Ask, answer: Answer) -> tuple[Scope, Status | None]:
        """What is screened for; and where nothing may be released, because what decides is not whole, the status."""
        tables = self.policies.tables
        runs_excluded = bool(ask.organisation.excluded_services)
        scope = Scope(
            asked=frozenset(ask.asked),
            offered=ask.offered,
            excluded=tables.excluded_codings(self.today),
            runs_excluded=runs_excluded,
            services=tables.offered_by(ask.organisation.service_type),
            types=self.types,
        )
        if answer.not_found:
            return scope, None
        statuses = []
        for one in tables.context - tables.by_reference:
            finding = answer.findings.get(one)
            if finding is None:
                statuses.append(answer.failure or Status.MALFORMED)
            elif finding in STATUS_OF and runs_excluded:
                statuses.append(STATUS_OF[finding])
        return scope, worst(statuses) if statuses else None

    async def _release(
        self,
        ask: Ask,
        answer: Answer,
        guarded: Guarded,
        screened: Screened,
        hiding: Hiding,
        unreadable: Sequence[str],
        lost: Status | None,
        unread: int,
    ) -> Judged:
        source = ask.name
        shown = self.label(ask.row) if hiding is Hiding.PLACES else ask.row
        ids = Ids(self.id_key, self.identity.numbers[0], hidden=hiding is Hiding.PLACES)
        patient = guarded.patients[0].data if guarded.patients else None
        entries, facts = await paced(
            release(
                screened.kept,
                out=screened.out,
                targets=guarded.targets,
                origin=Origin(
                    source=source,
                    place=shown.source or source,
                    label=shown.service_type if hiding is Hiding.PLACES else source,
                    organisation=None if hiding is Hiding.PLACES else ask.organisation.ods_code,
                ),
                ids=ids,
                patient_id=self.patient_id,
                hiding=hiding,
                order={name: rank for rank, name in enumerate(self.policies.tables.categories)},
                where=shown.name,
            )
        )
        # What is never shared is not even something that could not be used.
        left = [one.type for one in guarded.unusable if (one.type, one.id) not in screened.out]
        unusable = [*unreadable, *left]
        # Whatever category depends on what was not read, it may lack something.
        short = [*unusable, *screened.without_medicine, *([""] if unread else ())]
        row = self._row(ask, answer, screened, patient if lost is None else None, short, lost)
        notes = [*answer.notes, *guarded.notes]
        if unusable and lost is None:
            notes.append(f"{len(unusable)} resource{'s' if len(unusable) > 1 else ''} could not be read or used")
        if unread:
            several = f"{unread} references that decide were" if unread > 1 else "a reference that decides was"
            notes.append(f"{several} not read: what depends on {'them' if unread > 1 else 'it'} is left out")
        if medicines := len(screened.medicines):
            notes.append(
                f"{medicines} medicine{'s' if medicines > 1 else ''} that prescriptions refer to could not be read"
            )
        if ask.organisation.excluded_services:
            notes.append(RUNS_EXCLUDED)
        return Judged(
            row=replace(row, notes=tuple(notes)),
            entries=tuple(entries),
            facts=tuple(facts),
            patient=patient,
            hiding=hiding,
        )

    def _row(
        self,
        ask: Ask,
        answer: Answer,
        screened: Screened,
        patient: Mapping[str, Any] | None,
        unusable: Collection[str],
        lost: Status | None,
    ) -> Row:
        """The row of a source that was not lost as a whole by its guard."""
        unknown = Status.PATIENT_NOT_FOUND if ask.registered_practice else Status.NO_RECORD_FOUND
        whole = unknown if answer.not_found else lost

        def known(types: Collection[str], resources: int, *, asked: bool, withheld: bool) -> CategoryRow:
            if not asked:
                return CategoryRow(status=Status.NOT_PROVIDED)
            if whole is not None:
                return CategoryRow(status=whole)
            return category_row(
                types,
                answer.findings,
                resources=resources,
                unusable=unusable,
                withheld=withheld,
                cut=answer.failure or Status.MALFORMED,
            )

        by_category, by_type = _counts(screened, patient)
        categories = {
            name: known(
                self.types_of(name), by_category[name], asked=name in ask.asked, withheld=name in screened.withheld
            )
            for name in ask.row.categories
        }
        types = {
            name: known(
                {name},
                by_type[name],
                asked=before.status is not Status.NOT_PROVIDED,
                withheld=name in screened.withheld_types,
            )
            for name, before in ask.row.types.items()
        }
        row = replace(
            ask.row,
            categories=categories,
            status=row_status(categories),
            resources=sum(1 for one in screened.kept if one.categories),
            types=types,
        )
        return timed(row, answer)

    def _whole(self, ask: Ask, answer: Answer, status: Status, note: str) -> Judged:
        """A source that lost everything it sent."""
        return Judged(row=failed_row(ask, status, answer, (note,)))


def _seen(decision: Decision) -> Seen:
    """What is kept from a reader who sees its category otherwise is kept with what would show it."""
    if decision.permitted:
        return decision.sight
    if decision.reason is Reason.OBJECTION:
        return Reason.OBJECTION
    return Sight.WITHHOLD if decision.reason is Reason.LABEL else None


def _encounters(guarded: Guarded) -> dict[str, str | None]:
    """The status of each encounter, by id."""
    return {item.id: str(item.data.get("status")) for item in guarded.items if item.type == "Encounter"}


def _counts(screened: Screened, patient: Mapping[str, Any] | None) -> tuple[Counter[str], Counter[str]]:
    """How much is shown of each category, and of each type."""
    by_category: Counter[str] = Counter()
    by_type: Counter[str] = Counter()
    for one in screened.kept:
        by_category.update(one.categories)
        by_type[one.item.type] += bool(one.categories)
    # The one Patient stands for what the source's Patient says: its fields are released there alone.
    if patient is not None:
        by_category["demographics"] = by_type["Patient"] = 1
        by_category["gp-registration"] = int("generalPractitioner" in patient)
    return by_category, by_type


def _copies(items: Sequence[Item], guarded: Guarded) -> Generator[None, None, list[Item]]:
    """What came more than once under one type and id, and may differ: all but the one that may be released."""
    if len(guarded.items) + len(guarded.patients) == len(items):
        return []
    kept = {}
    for n, item in enumerate(guarded.items):
        if not n % PAUSE:
            yield
        kept[item.type, item.id] = item
    copies = []
    for n, item in enumerate(items):
        if not n % PAUSE:
            yield
        if kept.get((item.type, item.id), item) is not item:
            copies.append(item)
    return copies


def _patients(items: Iterable[Item], guarded: Guarded) -> list[Item]:
    """The source's Patients of this patient, copies too: they may differ in what matters."""
    theirs = {patient.id for patient in guarded.patients}
    return [item for item in items if item.type == "Patient" and item.id in theirs]


def _is_restricted(patients: Sequence[Item], policies: Policies) -> bool:
    """A source's own Patient says R or V: where the patient is seen must not show."""
    for item in patients:
        coded = item.security
        if coded and not policies.tables.labels_of(coded).isdisjoint({"R", "V"}):
            return True
    return False
