"""How long the loop is held, and how much memory is held: by large answers, by crafted ones, and by many at once.

    python -m tests.bench.holding serve ...      `broker serve`, watched: it answers each line on standard input with one

A stretch is what the loop does between two looks at its sockets and timers: one callback, or one step of a task. It is
timed by the clock of the thread as well as by the wall: on a busy machine, what is not CPU is somebody else's.
"""

import asyncio
import gc
import json
import subprocess
import sys
import threading
import time
from asyncio import events
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.heavy import BODIES, RAW
from tests.bench.load import Connection, Wrong, burst
from tests.bench.world import Process, World, free_port, lookup_request, write_configuration

__all__ = ["measure"]

_SITES = 8
_LIMIT = 10.0
"""Milliseconds that the loop may be held."""
_WAITED = 100.0
"""Milliseconds of wall beyond which it is told what was held: somebody else's work, as a rule."""
_MEMORY = 600
"""MB that 32 lookups of 8 x 600 KB may take."""


# The broker, watched.


class _Watch:
    """The longest stretches since it was asked last."""

    def __init__(self) -> None:
        self._longest: list[tuple[float, float, str]] = []
        self._collecting = 0.0
        self._began = 0.0

    def begin(self) -> None:
        """Time every callback of every loop, and every collection."""
        run = events.Handle._run
        wall, cpu = time.perf_counter, time.thread_time

        def timed(handle: events.Handle) -> None:
            callback = handle._callback  # gone once it has run
            began, began_cpu = wall(), cpu()
            run(handle)
            took = wall() - began
            if took > 0.002:
                self._put(took, cpu() - began_cpu, callback)

        events.Handle._run = timed
        gc.callbacks.append(self._collect)
        threading.Thread(target=self._answer, daemon=True).start()

    def _put(self, took: float, cpu: float, callback: Any) -> None:
        self._longest.append((took, cpu, _name(callback)))
        if len(self._longest) > 1000:
            self._longest = sorted(self._longest, reverse=True)[:20]

    def _collect(self, phase: str, _: Mapping[str, int]) -> None:
        if phase == "start":
            self._began = time.thread_time()
        else:
            self._collecting = max(self._collecting, time.thread_time() - self._began)

    def _answer(self) -> None:
        while sys.stdin.readline():
            seen, self._longest = self._longest, []
            by_cpu = sorted(seen, key=lambda one: one[1], reverse=True)[:5]
            by_cpu += [one for one in sorted(seen, reverse=True)[:1] if one not in by_cpu]
            said = {
                "wall": max((one[0] for one in seen), default=0.0) * 1000,
                "stretches": [{"cpu": cpu * 1000, "wall": took * 1000, "what": what} for took, cpu, what in by_cpu],
                "collecting": self._collecting * 1000,
            }
            self._collecting = 0.0
            print(json.dumps(said), flush=True)


def _name(callback: Any) -> str:
    """What ran: of a task, where it stands now."""
    task = getattr(callback, "__self__", None)
    if not isinstance(task, asyncio.Task):
        return str(getattr(callback, "__qualname__", callback))
    names = []
    waiting: Any = task.get_coro()
    while waiting is not None and hasattr(waiting, "__qualname__"):
        names.append(waiting.__qualname__)
        waiting = getattr(waiting, "cr_await", None) or getattr(waiting, "ag_await", None)
    return " > ".join(names)


# The runs.


@dataclass(slots=True)
class _Told:
    """A process that answers each line with one."""

    process: "subprocess.Popen[str]"

    async def ask(self, said: Any = "") -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(said) + "\n")
        self.process.stdin.flush()
        line = await asyncio.to_thread(self.process.stdout.readline)
        if not line:
            raise Wrong("a process of the benchmark has ended")
        return json.loads(line)


async def measure(at: World, core: int, load_core: int, *, quick: bool, say: Callable[[str], None]) -> None:
    """Run every scenario and print what was seen."""
    sites, watched, broker = _start(at, core, load_core)
    await _ready(broker)
    await sites.ask({"heavy": list(range(_SITES)), "what": "60 KB"})
    for _ in range(3):
        await _status(broker.port)
    say("")
    say(
        "How long the loop is held, in milliseconds: CPU and wall of the longest stretches, CPU of the longest collection"
    )
    say(f"{'one source of eight answers with':<46}{'CPU':>8}{'wall':>8}{'collector':>11}  status")
    await sites.ask({"heavy": list(range(_SITES)), "what": "600 KB"})
    await watched.ask()
    _forget_peak(broker)
    requests = [lookup_request(broker.port, 0) for _ in range(32 if quick else 128)]
    took = await burst(broker.port, requests, 32, b'"complete":true')
    peak = broker.peak()
    seen = await watched.ask()
    worst = _line("32 at once, 8 x 600 KB each", seen, f"answered, slowest in {max(took.seconds):.1f} s", say)
    for n, what in enumerate((*BODIES, *RAW)):
        # Whoever fails is asked in another way from then on: each of those has a site of its own.
        site = max(0, n - len(BODIES) + 1)
        await sites.ask({"heavy": [site], "what": what})
        await watched.ask()
        status = ""
        for _ in range(1 if quick else 3):
            status = await _status(broker.port, site)
        seen = await watched.ask()
        worst = max(worst, _line(what, seen, status, say))
    say("")
    say(f"  the loop is never held for more than {_LIMIT:.0f} ms: worst {worst:.1f} of CPU: {_met(worst <= _LIMIT)}")
    say(f"  memory at 32 at once of 8 x 600 KB: {peak:.0f} MB of {_MEMORY} at the most: {_met(peak < _MEMORY)}")


def _start(at: World, core: int, load_core: int) -> tuple[_Told, _Told, Process]:
    """The organisations, and the broker configured for them."""
    process, errors = at.start(["-m", "tests.bench.heavy", str(_SITES)], load_core, name="heavy")
    ports = at.first_line(process, errors)
    home = at.directory / "held"
    port = free_port()
    bases = [f"http://127.0.0.1:{one}/fhir" for one in ports]
    # The patient's own practice among them, or no answer is complete.
    write_configuration(home, bases, port=port, deadline=60, timeout=50, kinds=["gp-practice"])
    arguments = ["-m", "tests.bench.holding", "serve", "--config", str(home / "broker.toml")]
    watched, errors = at.start(arguments, core, name="watched")
    return _Told(process), _Told(watched), Process(watched.pid, port, errors)


async def _ready(broker: Process) -> None:
    for _ in range(300):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", broker.port)
        except OSError:
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return
    raise Wrong("the broker did not become ready")


async def _status(port: int, site: int = 0) -> str:
    """What the row of a source says, and what the answer took."""
    connection = Connection(port)
    began = time.perf_counter()
    try:
        answer = json.loads(await connection.call(lookup_request(port, 0)))
    finally:
        await connection.close()
    row = next(row for row in answer["sources"] if row["source"] == f"RB{site:02d}-fhir")
    return f"{row['status']}, {row['resources']}, in {(time.perf_counter() - began) * 1000:.0f} ms {row['notes'] or ''}"


def _line(what: str, seen: Any, status: str, say: Callable[[str], None]) -> float:
    stretches = seen["stretches"]
    longest = max(stretches[0]["cpu"] if stretches else 0.0, seen["collecting"])
    say(f"{what:<46}{longest:>8.1f}{seen['wall']:>8.1f}{seen['collecting']:>11.1f}  {status}")
    for one in stretches:
        if one["cpu"] > _LIMIT or one["wall"] > _WAITED:
            say(f"{'':<46}{one['cpu']:>8.1f}{one['wall']:>8.1f}{'':>11}  in {one['what']}")
    return float(longest)


def _forget_peak(broker: Process) -> None:
    """Let the peak of its memory count from here."""
    Path(f"/proc/{broker.pid}/clear_refs").write_text("5", encoding="ascii")


def _met(met: bool) -> str:
    return "met" if met else "MISSED"


if __name__ == "__main__":
    from broker.cli import main

    _Watch().begin()
    sys.exit(main(sys.argv[1:]))
