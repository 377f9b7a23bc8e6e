"""How long a caller waits once the slowest source has answered: one lookup at a time, 8 sources of 60 KB.

The sources note when the last byte of their last answer was written, the caller when the last byte of the reply came:
both on CLOCK_MONOTONIC, which the processes of one machine share.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.bench.load import Connection, Wrong, percentile
from tests.bench.subject import Subject, check, whole
from tests.bench.world import Sources, World, broker, floor, sources

__all__ = ["measure"]

_SOURCES = 8
_PATIENTS = 4
_TARGET = 10.0
"""Milliseconds, of the median."""
_SITUATIONS = {"prompt": "all answer at once", "slow": "each takes 50 to 300 ms"}


@dataclass(slots=True)
class _Waits:
    """Milliseconds of each lookup: after the slowest source, and from request to reply."""

    after: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)


async def measure(at: World, core: int, load_core: int, *, quick: bool, say: Callable[[str], None]) -> None:
    """Run the rounds and print what was seen."""
    asked = sources(at, _SOURCES, _PATIENTS, load_core)
    subjects = [
        whole("broker: the whole lookup", broker(at, "after", asked.bases, core, deadline=10), _PATIENTS),
        Subject("fan-out, one decode and encode", floor(at, "decode", asked, core), _PATIENTS),
    ]
    await check(subjects[0], asked)
    for subject in subjects:
        await subject.warm(40, 4)
    seen = {(word, subject.name): _Waits() for word in _SITUATIONS for subject in subjects}
    for _ in range(2 if quick else 5):
        for word in _SITUATIONS:
            asked.tell(word)
            for subject in subjects:
                await _round(subject, asked, 8 if quick else 16, seen[word, subject.name])
    _report(seen, subjects, say)


async def _round(subject: Subject, asked: Sources, count: int, waits: _Waits) -> None:
    connection = Connection(subject.process.port)
    try:
        for request in subject.requests(count):
            began = time.monotonic_ns()
            answer = await connection.call(request)
            ended = time.monotonic_ns()
            if subject.expected not in answer:
                raise Wrong("a lookup is not complete")
            (last,) = asked.tell("last")
            waits.after.append((ended - last) / 1e6)
            waits.whole.append((ended - began) / 1e6)
    finally:
        await connection.close()


def _report(seen: dict[tuple[str, str], _Waits], subjects: list[Subject], say: Callable[[str], None]) -> None:
    say("")
    say(f"{_SOURCES} x 60 KB, one lookup at a time, ms{'':<26}{'after the slowest source':>32}{'from the request':>20}")
    say(f"{'':<58}{'p50':>10}{'p95':>8}{'least':>8}{'n':>6}{'p50':>14}")
    for (word, name), waits in seen.items():
        after = waits.after
        say(
            f"{f'{_SITUATIONS[word]}: {name}':<58}{percentile(after, 0.5):>10.1f}{percentile(after, 0.95):>8.1f}"
            f"{min(after):>8.1f}{len(after):>6}{percentile(waits.whole, 0.5):>14.1f}"
        )
    say("")
    for word, situation in _SITUATIONS.items():
        middle = percentile(seen[word, subjects[0].name].after, 0.5)
        met = "target met" if middle <= _TARGET else "MISSED"
        say(f"  the median reply after the slowest source, {situation}: {middle:.1f} ms; at most {_TARGET:.0f}: {met}")
