"""`python -m tests.bench`: see README.md beside this file."""

import argparse
import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from tests.bench import after, cost, failing, holding, objections, policy, shapes, withheld
from tests.bench.load import Wrong
from tests.bench.world import cores, world

_LONGEST = {False: 1500, True: 600}
"""Seconds after which a whole run is given up, and a quick one."""

Part = Callable[..., Coroutine[Any, Any, None]]

_PARTS: dict[str, Part] = {
    "cost": cost.measure,
    "sizes": partial(shapes.measure, shapes=shapes.SIZES, what="Sizes"),
    "sources": partial(shapes.measure, shapes=shapes.MANY, what="Sources"),
    "ways": partial(shapes.measure, shapes=shapes.WAYS, what="Ways"),
    "after": after.measure,
    "failing": failing.measure,
    "holding": holding.measure,
    "withheld": withheld.measure,
    "policy": policy.measure,
    "objections": objections.measure,
}


def main() -> int:
    """Run what is asked for, or everything; 1 if an answer was wrong, 0 whatever the figures are."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description="What a lookup costs, and what failure costs."
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"only these: {', '.join(_PARTS)}")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: two to three minutes for everything")
    parser.add_argument(
        "--bills", action="store_true", help="cost: leave Claim and ExplanationOfBenefit in the records"
    )
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.parts) - set(_PARTS))
    if unknown:
        parser.error(f"there is no part {', '.join(unknown)}; there are {', '.join(_PARTS)}")
    core, load_core = cores()
    os.sched_setaffinity(0, {load_core})
    signal.signal(signal.SIGALRM, _stop)
    signal.signal(signal.SIGTERM, _stop)
    signal.alarm(_LONGEST[arguments.quick])
    say(f"what is measured runs on core {core}, load and sources on core {load_core}; all on loopback")
    if core == load_core:
        say("ONE CORE ONLY: times are not to be trusted, CPU is")
    status = 0
    began = time.monotonic()
    for name, part in _PARTS.items():
        if arguments.parts and name not in arguments.parts:
            continue
        say(f"\n== {name}")
        measure = partial(part, bills=arguments.bills) if name == "cost" else part
        part_began = time.monotonic()
        try:
            with world() as at:
                asyncio.run(measure(at, core, load_core, quick=arguments.quick, say=say))
        except Wrong as wrong:
            print(f"a lookup went wrong: {wrong}", file=sys.stderr, flush=True)
            status = 1
        say(f"\n{time.monotonic() - part_began:.0f} s")
    say(f"\n{time.monotonic() - began:.0f} s in all")
    return status


def _stop(number: int, _: object) -> None:
    """End in order, with every process that was started."""
    raise SystemExit(f"stopped: {'it took too long' if number == signal.SIGALRM else 'asked to'}")


def say(line: str) -> None:
    """One line of the report."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
