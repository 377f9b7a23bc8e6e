"""What each source gave, on its way to the reader: asked side by side, and in a stream released one by one.

Between judging and release a part may still become less: another source says that places must not show, the
organisation was told by the patient not to share, an objection stands under a number that nobody knew of.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace

from broker.journal import LookupRecord
from broker.lookup.admission import size_of
from broker.lookup.alarms import Alarms
from broker.lookup.begun import Lookup
from broker.lookup.fanout import Answer
from broker.lookup.judging.hiding import Hiding
from broker.lookup.judging.judged import Judged, refused
from broker.lookup.judging.refusals import NOT_LOOKED_UP
from broker.lookup.objecting import Heed
from broker.lookup.places import Places
from broker.lookup.plan import Ask, Plan
from broker.lookup.revealing import is_silent, narrowed, withheld
from broker.lookup.sources import Sources
from broker.lookup.values import Part, Row

__all__ = ["Parts"]


class _Together:
    """The sources of another organisation, none of which is released before all are judged or heard.

    One of them may say that the patient refused sharing there, which holds for all.
    """

    def __init__(self, several: int) -> None:
        self._left = several
        self._judged = asyncio.Event()

    async def judged(self) -> None:
        """One more is judged: wait for the others."""
        self._left -= 1
        if not self._left:
            self._judged.set()
        await self._judged.wait()


@dataclass(slots=True, kw_only=True)
class Parts:
    """The parts of one lookup.

    Attributes:
        lookup: that they are of.
        record: its record.
        plan: who is asked.
        sources: who answer.
        places: how much of where the patient is shows.
        heed: the patient's objections.
        alarms: who must be told.
        own: ODS code of the reader's organisation.
        rows: by name of source: each is put there when it is known.
        given: names of sources whose part was released in a stream.
        met: a source knows the patient by this number and date of birth, whatever is shown of it.
        born: dates of birth of the patient, whole or partial, as the sources have them.
    """

    lookup: Lookup
    record: LookupRecord
    plan: Plan
    sources: Sources
    places: Places
    heed: Heed
    alarms: Alarms
    own: str
    rows: dict[str | None, Row]
    given: set[str] = field(default_factory=set)
    met: bool = False
    born: set[object] = field(default_factory=set)
    _refusing: set[str] = field(default_factory=set)
    _unheard: set[str] = field(default_factory=set)
    _together: dict[str, _Together] = field(default_factory=dict)

    async def gather(self) -> list[Judged]:
        """Every source side by side; what ends the lookup as a whole cancels and awaits them all."""
        asks, heard = self.plan.asks, self.plan.heard
        if self.lookup.streaming:
            several = Counter(code for one in (*asks, *heard) if (code := one.organisation.ods_code) != self.own)
            self._together = {code: _Together(n) for code, n in several.items() if n > 1}
        tasks: list[asyncio.Task[tuple[Judged, Answer | None]]] = []
        try:
            async with asyncio.TaskGroup() as group:
                tasks.extend(group.create_task(self._one(one), name=one.name) for one in asks)
                for one in heard:
                    group.create_task(self._hear(one), name=one.name)
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return [await self._settled(one, *task.result()) for one, task in zip(asks, tasks, strict=True)]

    async def _settled(self, one: Ask, part: Judged, answer: Answer | None) -> Judged:
        """A part, once every source has said what bears on the others; in a stream it was released before."""
        if self.lookup.streaming:
            return part
        if self._shows_too_much(part) and answer is not None:
            part = await self._again(one, answer)
        self._drop(answer)
        return self._heeded(one, part)

    async def _one(self, one: Ask) -> tuple[Judged, Answer | None]:
        """One source; in a stream its part is released here, once its line is durable."""
        part, answer = await self.sources.one(one)
        self.rows[one.name] = part.row
        self.lookup.place.hold(size_of(part.entries))
        self._note(one, part)
        if self.lookup.streaming:
            return await self._released(one, part, answer), None
        if not self.sources.labels or part.hiding is Hiding.PLACES:
            self._drop(answer)  # nothing that another source may say could make it be judged again
            return part, None
        return part, answer

    async def _hear(self, one: Ask) -> None:
        """A source that is asked for nothing else: did the patient refuse sharing there?"""
        part, answer = await self.sources.one(one)
        self._drop(answer)
        self._note(one, part)
        if not part.heard:
            self._unheard.add(one.organisation.ods_code)
        if together := self._together.get(one.organisation.ods_code):
            await together.judged()

    def _note(self, one: Ask, part: Judged) -> None:
        """What it says that is not only about itself."""
        code = one.organisation.ods_code
        if part.wrong_patient:
            self.record.wrong_patient(source=one.name, organisation=code)
            self.alarms.wrong_patient(one.name, code)
        if part.third_party:
            self.alarms.third_party(one.name, code)
        if part.dissent:
            self._refusing.add(code)
        self.met = self.met or part.patient is not None or part.dissent
        if part.patient is not None:
            self.born.add(part.patient.get("birthDate"))
        self.heed.learn(part.numbers)

    async def _released(self, one: Ask, part: Judged, answer: Answer | None) -> Judged:
        together = self._together.get(one.organisation.ods_code)
        if together is not None:
            await together.judged()
        part = self._heeded(one, part)
        self.record.part(source=part.row.as_json())
        await self.record.durable()
        if self._shows_too_much(part) and answer is not None:
            part = await self._again(one, answer)
        self.heed.check()
        part = self._heeded(one, part)
        if not self._is_silent(part.row):
            self.given.add(one.name)
            self.lookup.give(self.shown(part))
        self._drop(answer)
        return part

    def shown(self, part: Judged) -> Part:
        """A part as the reader may see it."""
        row = narrowed(part.row, self.own, self.plan.objected) if self.plan.narrower else part.row
        return Part(row=self.places.shown([row])[0], entries=part.entries)

    def _is_silent(self, row: Row) -> bool:
        """An objection may be why there is nothing here: when that was known must not tell, so the summary says it."""
        if row.organisation == self.own or not (self.plan.narrower or self.heed.forbidden):
            return False
        return is_silent(narrowed(row, self.own, self.plan.objected))

    def _heeded(self, one: Ask, part: Judged) -> Judged:
        """What is left of a part, as far as is known by now."""
        code, size = one.organisation.ods_code, size_of(part.entries)
        if code in self._refusing:
            part = refused(part)
        elif code in self._unheard and NOT_LOOKED_UP not in part.row.notes:
            part = replace(part, row=replace(part.row, notes=(*part.row.notes, NOT_LOOKED_UP)))
        if self.heed.forbidden and code != self.own:
            part = replace(part, row=withheld(part.row, self.own), entries=(), facts=(), patient=None)
        self.lookup.place.let_go(size - size_of(part.entries))
        self.rows[one.name] = part.row
        return part

    async def _again(self, one: Ask, answer: Answer) -> Judged:
        part = await self.sources.again(one, answer)
        self.rows[one.name] = part.row  # it may have run out of time
        return part

    def _shows_too_much(self, part: Judged) -> bool:
        """It was judged before another source said that places must not show."""
        return self.places.hiding is Hiding.PLACES and part.hiding is not Hiding.PLACES

    def _drop(self, answer: Answer | None) -> None:
        """What a source gave has been judged, and is held no more."""
        if answer is not None:
            self.lookup.place.let_go(answer.size)
