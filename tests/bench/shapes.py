"""What a lookup costs with other records: smaller and larger, from fewer and more sources, gzip, over TLS."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.bench.subject import Subject, check, ratios, shown, whole
from tests.bench.trust import make_trust
from tests.bench.world import World, broker, floor, sources

__all__ = ["MANY", "SIZES", "WAYS", "Shape", "measure"]

_PATIENTS = 2
_CONCURRENCY = (1, 8, 32)
_LOOKUPS = {1: (12, 30), 8: (24, 60), 32: (48, 120)}
"""By concurrency: lookups of a round at 8 x 60 KB, and at most. More where there is less to each, fewer where there is
more; at least one for each caller, and four."""
_HEAVY = 4.0
"""Times 8 x 60 KB; such sources are warmed by fewer callers."""
_DEADLINE = 60.0
"""Seconds: 32 large lookups at once on one core are no failure here."""


@dataclass(frozen=True, slots=True)
class Shape:
    """So many sources, so large a record at each, and how it comes."""

    sources: int
    kilobytes: int
    zipped: bool = False
    tls: bool = False

    @property
    def name(self) -> str:
        how = ", gzip" * self.zipped + ", TLS" * self.tls
        return f"{self.sources} x {self.kilobytes} KB{how}"

    @property
    def weight(self) -> float:
        """About how much work it is: 1 for 8 x 60 KB."""
        return self.sources * (self.kilobytes + 20) / 640


SIZES = (Shape(8, 6), Shape(8, 60), Shape(8, 600))
MANY = (Shape(1, 60), Shape(8, 60), Shape(24, 60), Shape(50, 60))
WAYS = (Shape(8, 60), Shape(8, 60, zipped=True), Shape(8, 60, tls=True))


@dataclass(frozen=True, slots=True)
class _Pair:
    """A broker, and beside it the fan-out with one decode and encode, at sources of one shape."""

    shape: Shape
    broker: Subject
    decode: Subject

    def lookups(self, concurrency: int, *, quick: bool) -> int:
        usual, most = _LOOKUPS[concurrency]
        share = 0.5 if quick else 1.0
        return max(int(share * min(usual / self.shape.weight, most)), concurrency, 4)


async def measure(
    at: World,
    core: int,
    load_core: int,
    *,
    shapes: Sequence[Shape],
    what: str,
    quick: bool,
    say: Callable[[str], None],
) -> None:
    """Run the rounds, all shapes in each, and print the table."""
    pairs = [await _start(at, core, load_core, shape) for shape in shapes]
    rounds, asked_at = (1, _CONCURRENCY[:2]) if quick else (3, _CONCURRENCY)
    for n in range(rounds):
        for pair in (*pairs[n:], *pairs[:n]):
            for concurrency in asked_at:
                for subject in (pair.broker, pair.decode):
                    await subject.run(pair.lookups(concurrency, quick=quick), concurrency)
    _table(pairs, what, say)


async def _start(at: World, core: int, load_core: int, shape: Shape) -> _Pair:
    trust = make_trust(at.directory) if shape.tls else None
    asked = sources(
        at,
        shape.sources,
        _PATIENTS,
        load_core,
        size=shape.kilobytes * 1000,
        zipped=shape.zipped,
        trust=trust,
    )
    name = f"broker-{at.serial()}"
    process = broker(at, name, asked.bases, core, deadline=_DEADLINE, trust=trust)
    pair = _Pair(
        shape,
        whole(shape.name, process, _PATIENTS),
        Subject(shape.name, floor(at, "decode", asked, core, trust=trust), _PATIENTS),
    )
    await check(pair.broker, asked)
    for subject in (pair.broker, pair.decode):
        await subject.warm(max(int(32 / shape.weight), 8), 8 if shape.weight > _HEAVY else 32)
    return pair


def _table(pairs: Sequence[_Pair], what: str, say: Callable[[str], None]) -> None:
    say("")
    say(f"{what + ', broker':<24}{'1 at once':>17}{'8 at once':>17}{'32 at once':>38}{'':>9}{'a reply':>9}")
    say(
        f"{'':<24}{'CPU ms':>9}{'p50 ms':>8}{'CPU ms':>9}{'p50 ms':>8}{'CPU ms':>9}{'range':>17}{'p50 ms':>8}{'/s':>6}"
        f"{'peak MB':>9}{'KB':>9}"
    )
    for pair in pairs:
        of_broker = pair.broker
        line = f"{pair.shape.name:<24}"
        for concurrency in _CONCURRENCY:
            taken = of_broker.taken[concurrency]
            if not taken.cpu:
                line += f"{'-':>9}{'-':>17}{'-':>8}{'-':>6}"
                continue
            last = concurrency == _CONCURRENCY[-1]
            line += f"{statistics.median(taken.cpu):>9.2f}"
            line += f"{taken.range:>17}" if last else ""
            line += f"{taken.middle():>8.1f}"
            line += f"{statistics.median(taken.rate):>6.0f}" if last else ""
        say(f"{line}{of_broker.process.peak():>9.0f}{of_broker.size / 1000:>9.0f}")
    say("")
    say("CPU of broker / (fan-out + one decode and encode), within a round, median (range):")
    for pair in pairs:
        say(f"{pair.shape.name:<24}" + "".join(f"{_ratio(pair, concurrency):>26}" for concurrency in _CONCURRENCY))


def _ratio(pair: _Pair, concurrency: int) -> str:
    mine, other = pair.broker.taken[concurrency].cpu, pair.decode.taken[concurrency].cpu
    return shown(ratios(mine, other)) if mine else "-"
