"""What it costs the others when sources fail: 24 of them, one refusing connections and one that never answers."""

import asyncio
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.bench.load import Connection, Wrong, percentile
from tests.bench.world import Process, Sources, World, broker, lookup_request, sources

__all__ = ["measure"]

_SOURCES = 24
_FAILURES = 4
"""Lookups in a row before the breakers open, less the one that would open them."""
_NDJSON = "application/x-ndjson"
_PAUSED = 4
"""Lookups in a row while the breakers are open: they are for three quarters of a second at least."""
_RECOVERY = 60
"""Lookups, at most, until both are asked again."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One streamed lookup, in milliseconds since it was sent.

    Attributes:
        rest: until the last part of a source that answers.
        end: until its summary.
        statuses: of every row, by source.
    """

    rest: float
    end: float
    statuses: dict[str, str]


@dataclass(slots=True)
class Times:
    """Milliseconds, over all rounds."""

    alone: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)
    answer: list[float] = field(default_factory=list)
    paused: list[float] = field(default_factory=list)
    paused_alone: list[float] = field(default_factory=list)
    probes: int = 0


async def measure(at: World, core: int, load_core: int, *, quick: bool, say: Callable[[str], None]) -> None:
    """Run the rounds and print what was seen."""
    deadline = 1.5 if quick else 2.0
    asked = sources(at, _SOURCES, 1, load_core)
    all_of_them = broker(at, "all", asked.bases, core, deadline=deadline)
    healthy = broker(at, "healthy", asked.bases[:-2], core, deadline=deadline)
    names = {f"RB{n:02d}-fhir" for n in range(_SOURCES - 2)}
    times = Times()
    for _ in range(2 if quick else 5):
        await _well(all_of_them, asked, names)
        for _ in range(5):
            await _stream(healthy, names)
        asked.tell("sick")
        await _while_closed(all_of_them, healthy, names, times)
        await _while_open(all_of_them, healthy, names, times)
    _report(times, deadline, say)


async def _well(process: Process, asked: Sources, names: set[str]) -> None:
    """Everybody answers, and every breaker knows."""
    asked.tell("well")
    for _ in range(_RECOVERY):
        seen = await _stream(process, names)
        if set(seen.statuses.values()) == {"answered"}:
            break
        await asyncio.sleep(0.1)
    else:
        raise Wrong("the sources that failed are not asked again")
    for _ in range(4):
        await _stream(process, names)


async def _while_closed(process: Process, healthy: Process, names: set[str], times: Times) -> None:
    """The first failures: both are asked every time."""
    for n in range(_FAILURES):
        times.alone.append((await _stream(healthy, names)).rest)
        if n == _FAILURES - 1:
            times.answer.append(await _whole(process))
        else:
            seen = await _stream(process, names)
            _expect(seen, "unreachable", "timed-out")
            times.beside.append(seen.rest)
            times.answer.append(seen.end)


async def _while_open(process: Process, healthy: Process, names: set[str], times: Times) -> None:
    """The breakers open; then nobody waits, until one lookup probes."""
    await _stream(process, names)
    for _ in range(_PAUSED):
        seen = await _stream(process, names)
        if list(seen.statuses.values()).count("paused") == 2:
            times.paused.append(seen.end)
            times.paused_alone.append((await _stream(healthy, names)).end)
        else:
            times.probes += 1


async def _stream(process: Process, names: set[str]) -> Seen:
    connection = Connection(process.port)
    rest = end = 0.0
    statuses = {}
    try:
        async for seconds, event in connection.lines(lookup_request(process.port, 0, accept=_NDJSON)):
            if event["event"] == "source":
                if event["data"]["source"]["source"] in names:
                    rest = seconds * 1000
            elif event["event"] == "summary":
                end = seconds * 1000
                statuses = {row["source"]: row["status"] for row in event["data"]["sources"]}
            elif event["event"] == "error":
                raise Wrong(f"an error event: {event['data']['error']}")
    finally:
        await connection.close()
    if any(statuses.get(name) != "answered" for name in names):
        raise Wrong(f"a healthy source did not answer: {statuses}")
    return Seen(rest, end, statuses)


async def _whole(process: Process) -> float:
    """Milliseconds of one lookup answered whole, as JSON."""
    connection = Connection(process.port)
    try:
        began = time.perf_counter()
        await connection.call(lookup_request(process.port, 0))
        return (time.perf_counter() - began) * 1000
    finally:
        await connection.close()


def _expect(seen: Seen, *last: str) -> None:
    shown = tuple(seen.statuses[f"RB{n:02d}-fhir"] for n in (_SOURCES - 2, _SOURCES - 1))
    if shown != last:
        raise Wrong(f"the failing sources are {shown}, not {last}")


def _report(times: Times, deadline: float, say: Callable[[str], None]) -> None:
    say("")
    say(
        f"24 sources, one refusing connections, one that never answers; deadline {deadline * 1000:.0f} ms. Milliseconds:"
    )
    say(f"{'':<54}{'quartile':>10}{'median':>8}{'worst':>8}{'n':>5}")
    _line("22 that answer, alone: the last of their parts", times.alone, say)
    _line("the same 22 beside the two: the last of their parts", times.beside, say)
    _line("the whole answer beside the two", times.answer, say)
    _line("22 alone: the whole answer", times.paused_alone, say)
    _line("with both breakers open: the whole answer", times.paused, say)
    say("")
    worst = max(times.answer)
    bound = deadline * 1000 + 100
    say(f"  the answer within the deadline + 100 ms: worst {worst:.0f} of {bound:.0f}: {_verdict(met=worst <= bound)}")
    _compare("no slower for the rest", times.beside, times.alone, say)
    _compare("no added time with a breaker open", times.paused, times.paused_alone, say)
    say(f"  ({times.probes} lookups with open breakers were half-open probes, and are left out)")


def _compare(what: str, seen: Sequence[float], alone: Sequence[float], say: Callable[[str], None]) -> None:
    """By lower quartiles: what else the machine does only ever adds. A tenth, or 10 ms, counts as the same."""
    usual = percentile(alone, 0.25)
    more = percentile(seen, 0.25) - usual
    say(f"  {what}: {more:+.1f} ms on {usual:.1f} (lower quartiles): {_verdict(met=more <= max(usual / 10, 10.0))}")


def _line(name: str, values: Sequence[float], say: Callable[[str], None]) -> None:
    if not values:
        raise Wrong(f"nothing was measured of: {name}")
    quartile, middle = percentile(values, 0.25), statistics.median(values)
    say(f"{name:<54}{quartile:>10.1f}{middle:>8.1f}{max(values):>8.1f}{len(values):>5}")


def _verdict(*, met: bool) -> str:
    return "met" if met else "MISSED"
