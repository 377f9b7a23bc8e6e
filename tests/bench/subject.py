"""One of the servers that are compared: what it is asked, and what that cost."""

import json
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.bench.load import Connection, Wrong, burst, percentile
from tests.bench.world import Process, Sources, lookup_request

__all__ = ["Subject", "Taken", "check", "ratios", "shown", "whole"]

_COMPLETE = b'"complete":true'


@dataclass(slots=True)
class Taken:
    """What lookups took at one concurrency.

    Attributes:
        cpu: milliseconds for each lookup, by round.
        rate: lookups a second, by round.
        ms: of each lookup, until its last byte.
    """

    cpu: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    ms: list[float] = field(default_factory=list)

    @property
    def range(self) -> str:
        return f"{min(self.cpu):.2f} - {max(self.cpu):.2f}"

    def middle(self, share: float = 0.5) -> float:
        """Milliseconds within which this share of the lookups was answered."""
        return percentile(self.ms, share)


@dataclass(slots=True)
class Subject:
    """A server, asked in rounds.

    Attributes:
        patients: asked for in turn.
        expected: what every answer must hold.
        tokens: whether it reads them: then each lookup has its own.
        size: bytes of the last answer.
        taken: by concurrency.
    """

    name: str
    process: Process
    patients: int
    expected: bytes = b""
    tokens: bool = False
    size: int = 0
    taken: defaultdict[int, Taken] = field(default_factory=lambda: defaultdict(Taken))

    def requests(self, count: int) -> list[bytes]:
        """So many lookups."""
        port = self.process.port
        if self.tokens:
            return [lookup_request(port, n % self.patients) for n in range(count)]
        alike = [lookup_request(port, patient) for patient in range(self.patients)]
        return [alike[n % self.patients] for n in range(count)]

    async def warm(self, count: int, concurrency: int) -> None:
        """Ask without counting."""
        await burst(self.process.port, self.requests(count), concurrency, self.expected)

    async def run(self, count: int, concurrency: int) -> None:
        """Ask, and note what it took."""
        requests = self.requests(count)
        before = self.process.cpu()
        result = await burst(self.process.port, requests, concurrency, self.expected)
        taken = self.taken[concurrency]
        taken.cpu.append((self.process.cpu() - before) * 1000 / count)
        taken.rate.append(count / result.wall)
        taken.ms += [1000 * seconds for seconds in result.seconds]
        self.size = result.size


def whole(name: str, process: Process, patients: int) -> Subject:
    """A broker: every answer must be complete."""
    return Subject(name, process, patients, _COMPLETE, tokens=True)


async def check(subject: Subject, asked: Sources) -> list[int]:
    """One lookup of each patient of a broker, read to the end: complete, from all sources; resources released in each.

    Raises:
        Wrong: one is not.
    """
    given = []
    connection = Connection(subject.process.port)
    try:
        for request in subject.requests(subject.patients):
            answer = await connection.call(request)
            reply = json.loads(answer)
            if not reply["complete"] or len(reply["sources"]) != len(asked.bases):
                raise Wrong(f"it is not complete: {json.dumps(reply['sources'], indent=1)[:3000]}")
            given.append(sum(row["resources"] for row in reply["sources"]))
            subject.size = len(answer)
    finally:
        await connection.close()
    return given


def ratios(over: Sequence[float], under: Sequence[float]) -> list[float]:
    """Of each round: what is compared was measured seconds apart."""
    return [a / b for a, b in zip(over, under, strict=True)]


def shown(values: Sequence[float]) -> str:
    """Their median and range."""
    return f"{statistics.median(values):.2f}  ({min(values):.2f} - {max(values):.2f})"
