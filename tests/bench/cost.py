"""What a lookup costs: CPU of the broker, beside servers that do next to nothing with the same answers."""

import statistics
from collections.abc import Callable, Sequence

from tests.bench.gateways import GENERIC, gateways
from tests.bench.subject import Subject, check, ratios, shown, whole
from tests.bench.world import Sources, World, broker, floor, sources

__all__ = ["measure"]

_SOURCES = 8
_PATIENTS = 4
_MANY = 32
_LOOKUPS = {"fan-out": (300, 100), "decode": (250, 100), "fetch": (32, 12), "fetch-types": (12, 4)}
"""Of a round: at concurrency 32, and one at a time."""
_OF_BROKER = (120, 60)
_OF_GATEWAY = (120, 50)


async def measure(
    at: World, core: int, load_core: int, *, quick: bool, bills: bool, say: Callable[[str], None]
) -> None:
    """Run the rounds and print the table."""
    asked = sources(at, _SOURCES, _PATIENTS, load_core, bills=bills)
    of_broker = whole("broker: the whole lookup", broker(at, "eight", asked.bases, core, deadline=10), _PATIENTS)
    await _introduce(of_broker, asked, say)
    floors = [
        Subject(name, floor(at, what, asked, core), _PATIENTS)
        for what, name in (
            ("fan-out", "fan-out, no parsing"),
            ("decode", "fan-out, one decode and encode"),
            ("fetch", "fhirpy fetch(), twice a source"),
            ("fetch-types", "fhirpy fetch() of each type"),
        )
    ]
    others = gateways(at, asked, core, say)
    subjects = [of_broker, *floors, *others]
    lookups = [_OF_BROKER, *_LOOKUPS.values(), *[_OF_GATEWAY] * len(others)]
    for subject, (busy, _) in zip(subjects, lookups, strict=True):
        await subject.warm(min(2 * _MANY, busy), _MANY)
    await _count_requests([of_broker, floors[1], *others[:1]], asked, say)
    share, rounds = (0.27, 2) if quick else (1.0, 5)
    turns = list(zip(subjects, lookups, strict=True))
    for n in range(rounds):
        for subject, (busy, alone) in (*turns[n:], *turns[:n]):
            await subject.run(max(int(busy * share), 3), _MANY)
            await subject.run(max(int(alone * share), 3), 1)
    _table(subjects, say)
    _ratios(of_broker, floors, others, say)


async def _introduce(of_broker: Subject, asked: Sources, say: Callable[[str], None]) -> None:
    given = await check(of_broker, asked)
    held = sum(map(sum, asked.resources)) / _PATIENTS
    average = sum(map(sum, asked.bytes)) / _SOURCES / _PATIENTS
    what = "Synthea records" if asked.synthea else "GENERATED records (the Synthea ones are not beside the checkout)"
    say(
        f"{_SOURCES} sources x {average / 1000:.0f} KB of {what}, {_PATIENTS} patients; a lookup: {held:.0f}"
        f" resources held, {sum(given) / _PATIENTS:.0f} released, {of_broker.size / 1000:.0f} KB"
    )


async def _count_requests(subjects: Sequence[Subject], asked: Sources, say: Callable[[str], None]) -> None:
    """What each asks of a source for one lookup."""
    for subject in subjects:
        before = sum(asked.tell("requests"))
        await subject.warm(8, 1)
        made = (sum(asked.tell("requests")) - before) / 8 / _SOURCES
        say(f"requests to each source for a lookup: {made:g} ({subject.name})")


def _table(subjects: Sequence[Subject], say: Callable[[str], None]) -> None:
    say("")
    say(f"{'':<32}{f'{_MANY} at once':>34}{'one at a time':>38}")
    say(
        f"{'':<32}{'CPU ms':>8}{'range':>16}{'a second':>10}{'CPU ms':>9}{'p50 ms':>8}{'p95 ms':>8}{'p99 ms':>8}"
        f"{'n':>5}{'peak MB':>9}"
    )
    for subject in subjects:
        busy, alone = subject.taken[_MANY], subject.taken[1]
        say(
            f"{subject.name:<32}{statistics.median(busy.cpu):>8.2f}{busy.range:>16}{statistics.median(busy.rate):>10.0f}"
            f"{statistics.median(alone.cpu):>9.2f}{alone.middle():>8.1f}{alone.middle(0.95):>8.1f}"
            f"{alone.middle(0.99):>8.1f}{len(alone.ms):>5}{subject.process.peak():>9.0f}"
        )


def _ratios(
    of_broker: Subject, floors: Sequence[Subject], others: Sequence[Subject], say: Callable[[str], None]
) -> None:
    mine = of_broker.taken[_MANY].cpu
    _, decode, twice, types = (one.taken[_MANY].cpu for one in floors)
    say("")
    say(f"CPU for a lookup, {_MANY} at once, ratio within a round, median of {len(mine)} rounds (range):")
    _line("broker / (fan-out + one decode and encode)", ratios(mine, decode), say, _at_most)
    _line("fhirpy fetch(), twice a source / broker", ratios(twice, mine), say, _at_least)
    _line("fhirpy fetch() of each type / broker", ratios(types, mine), say, _at_least)
    for other in others:
        verdict = _below_one if other.name == GENERIC else _no_target
        _line(f"broker / ({other.name})", ratios(mine, other.taken[_MANY].cpu), say, verdict)


def _line(name: str, of_rounds: Sequence[float], say: Callable[[str], None], verdict: Callable[[float], str]) -> None:
    say(f"  {name:<44}{shown(of_rounds):>24}   {verdict(statistics.median(of_rounds))}".rstrip())


def _at_most(middle: float) -> str:
    return f"at most 3, stretch 2: {'stretch met' if middle <= 2 else 'target met' if middle <= 3 else 'MISSED'}"


def _at_least(middle: float) -> str:
    return f"at least 8, stretch 12: {'stretch met' if middle >= 12 else 'target met' if middle >= 8 else 'MISSED'}"


def _below_one(middle: float) -> str:
    return f"below 1: {'target met' if middle < 1 else 'MISSED'}"


def _no_target(_: float) -> str:
    return ""
