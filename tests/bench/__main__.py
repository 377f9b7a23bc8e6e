"""`python -m tests.bench`: see README.md beside this file."""

import argparse
import asyncio
import os
import signal
import sys
import time

from tests.bench.cost import measure as measure_cost
from tests.bench.failing import measure as measure_failing
from tests.bench.load import Wrong
from tests.bench.world import cores, world

_LONGEST = 600
"""Seconds after which a run is given up."""


def main() -> int:
    """Run everything; 1 if an answer was wrong, 0 whatever the figures are."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description="What a lookup costs, and what failure costs."
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds: about a minute")
    parser.add_argument("--bills", action="store_true", help="leave Claim and ExplanationOfBenefit in the records")
    arguments = parser.parse_args()
    quick = arguments.quick
    core, load_core = cores()
    os.sched_setaffinity(0, {load_core})
    signal.signal(signal.SIGALRM, _stop)
    signal.signal(signal.SIGTERM, _stop)
    signal.alarm(_LONGEST)
    began = time.monotonic()
    say(f"what is measured runs on core {core}, load and sources on core {load_core}; all on loopback")
    if core == load_core:
        say("ONE CORE ONLY: times are not to be trusted, CPU is")
    try:
        with world() as at:
            asyncio.run(measure_cost(at, core, load_core, quick=quick, bills=arguments.bills, say=say))
        with world() as at:
            asyncio.run(measure_failing(at, core, load_core, quick=quick, say=say))
    except Wrong as wrong:
        print(f"a lookup went wrong: {wrong}", file=sys.stderr)
        return 1
    say("")
    say(f"{time.monotonic() - began:.0f} s")
    return 0


def _stop(number: int, _: object) -> None:
    """End in order, with every process that was started."""
    raise SystemExit(f"stopped: {'it took too long' if number == signal.SIGALRM else 'asked to'}")


def say(line: str) -> None:
    """One line of the report."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
