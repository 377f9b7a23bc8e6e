"""What a lookup costs: CPU of the broker, beside servers that do next to nothing with the same answers."""

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.bench.load import Connection, burst, percentile
from tests.bench.world import Process, Sources, World, broker, floor, lookup_request, sources

__all__ = ["measure"]

_SOURCES = 8
_PATIENTS = 4
_CONCURRENCY = 32
_WHOLE = b'"complete":true'


@dataclass(slots=True)
class Subject:
    """One of the servers that are compared.

    Attributes:
        busy: lookups of a round at concurrency 32.
        alone: lookups of a round at concurrency 1.
        cpu: milliseconds for each lookup, by round, at concurrency 32.
        cpu_alone: the same at concurrency 1.
        seconds: of each lookup at concurrency 1.
    """

    name: str
    process: Process
    busy: int
    alone: int
    expected: bytes = b""
    tokens: bool = False
    cpu: list[float] = field(default_factory=list)
    cpu_alone: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    size: int = 0


async def measure(
    at: World, core: int, load_core: int, *, quick: bool, bills: bool, say: Callable[[str], None]
) -> None:
    """Run the rounds and print the table."""
    asked = sources(at, _SOURCES, _PATIENTS, load_core, bills=bills)
    share = 0.35 if quick else 1.0
    subjects = [
        Subject(
            "broker: the whole lookup",
            broker(at, "eight", asked.bases, core, deadline=10),
            150,
            60,
            _WHOLE,
            tokens=True,
        ),
        Subject("fan-out, no parsing", floor(at, "fan-out", asked, core), 500, 100),
        Subject("fan-out, one decode and encode", floor(at, "decode", asked, core), 350, 100),
        Subject("fhirpy fetch(), twice a source", floor(at, "fetch", asked, core), 40, 12),
        Subject("fhirpy fetch() of each type", floor(at, "fetch-types", asked, core), 16, 4),
    ]
    whole, *_ = subjects
    await _check(whole, asked, say)
    for subject in subjects:
        warming = min(2 * _CONCURRENCY, subject.busy)
        await burst(subject.process.port, _requests(subject, warming), _CONCURRENCY, subject.expected)
    before = sum(asked.tell("requests"))
    await burst(whole.process.port, _requests(whole, 8), 1, _WHOLE)
    say(f"requests to each source for a lookup: {(sum(asked.tell('requests')) - before) / 8 / _SOURCES:g}")
    rounds = 3 if quick else 5
    for n in range(rounds):
        for subject in (*subjects[n:], *subjects[:n]):
            await _round(subject, share)
    _table(subjects, rounds, say)


async def _check(whole: Subject, asked: Sources, say: Callable[[str], None]) -> None:
    """One lookup of each patient, read to the end: complete, from all sources, and how much of what there is."""
    held = given = 0
    for patient in range(_PATIENTS):
        answers = await _one(whole.process.port, lookup_request(whole.process.port, patient))
        reply = json.loads(answers)
        if not reply["complete"] or len(reply["sources"]) != _SOURCES:
            raise SystemExit(f"the lookup is not complete: {json.dumps(reply['sources'], indent=1)[:3000]}")
        held += sum(row[patient] for row in asked.resources)
        given += sum(row["resources"] for row in reply["sources"])
        whole.size = len(answers)
    average = sum(map(sum, asked.bytes)) / _SOURCES / _PATIENTS
    what = "Synthea records" if asked.synthea else "GENERATED records (the Synthea ones are not beside the checkout)"
    say(
        f"{_SOURCES} sources x {average / 1000:.0f} KB of {what}, {_PATIENTS} patients; a lookup: {held / _PATIENTS:.0f}"
        f" resources held, {given / _PATIENTS:.0f} released, {whole.size / 1000:.0f} KB"
    )


async def _one(port: int, request: bytes) -> bytes:
    connection = Connection(port)
    try:
        return await connection.call(request)
    finally:
        await connection.close()


def _requests(subject: Subject, count: int) -> list[bytes]:
    """Each with a token of its own, where tokens are read."""
    port = subject.process.port
    if subject.tokens:
        return [lookup_request(port, n % _PATIENTS) for n in range(count)]
    alike = [lookup_request(port, patient) for patient in range(_PATIENTS)]
    return [alike[n % _PATIENTS] for n in range(count)]


async def _round(subject: Subject, share: float) -> None:
    process = subject.process
    requests = _requests(subject, max(min(_CONCURRENCY, subject.busy), int(subject.busy * share)))
    before = process.cpu()
    result = await burst(process.port, requests, _CONCURRENCY, subject.expected)
    subject.cpu.append((process.cpu() - before) * 1000 / len(requests))
    subject.rate.append(len(requests) / result.wall)
    requests = _requests(subject, max(int(subject.alone * share), 3))
    before = process.cpu()
    result = await burst(process.port, requests, 1, subject.expected)
    subject.cpu_alone.append((process.cpu() - before) * 1000 / len(requests))
    subject.seconds += result.seconds
    subject.size = result.size


def _table(subjects: Sequence[Subject], rounds: int, say: Callable[[str], None]) -> None:
    say("")
    say(
        f"{'':<32}{'CPU ms':>8}{'range':>16}{'a second':>10}{'CPU ms':>9}{'p50 ms':>8}{'p95 ms':>8}{'p99 ms':>8}"
        f"{'n':>5}{'peak MB':>9}"
    )
    say(f"{'':<32}{f'{_CONCURRENCY} at once':>34}{'one at a time':>38}")
    for subject in subjects:
        ms = [1000 * seconds for seconds in subject.seconds]
        say(
            f"{subject.name:<32}{statistics.median(subject.cpu):>8.2f}"
            f"{f'{min(subject.cpu):.2f} - {max(subject.cpu):.2f}':>16}{statistics.median(subject.rate):>10.0f}"
            f"{statistics.median(subject.cpu_alone):>9.2f}{percentile(ms, 0.5):>8.1f}{percentile(ms, 0.95):>8.1f}"
            f"{percentile(ms, 0.99):>8.1f}{len(ms):>5}{subject.process.peak():>9.0f}"
        )
    whole, _, decode, twice, types = subjects
    say("")
    say(f"CPU for a lookup, {_CONCURRENCY} at once, ratio within a round, median of {rounds} rounds (range):")
    _ratio("broker / (fan-out + one decode and encode)", whole.cpu, decode.cpu, "at most", 3.0, 2.0, say)
    _ratio("fhirpy fetch(), twice a source / broker", twice.cpu, whole.cpu, "at least", 8.0, 12.0, say)
    _ratio("fhirpy fetch() of each type / broker", types.cpu, whole.cpu, "at least", 8.0, 12.0, say)


def _ratio(
    name: str,
    over: list[float],
    under: list[float],
    words: str,
    target: float,
    stretch: float,
    say: Callable[[str], None],
) -> None:
    ratios = [a / b for a, b in zip(over, under, strict=True)]
    middle = statistics.median(ratios)
    sign = 1 if words == "at most" else -1
    met = [sign * middle <= sign * bound for bound in (target, stretch)]
    verdict = "stretch met" if met[1] else "target met" if met[0] else "MISSED"
    say(
        f"  {name:<44}{middle:>6.2f}  ({min(ratios):.2f} - {max(ratios):.2f})"
        f"   {words} {target:g}, stretch {stretch:g}: {verdict}"
    )
