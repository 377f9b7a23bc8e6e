"""The processes of a run: each pinned to its core when it starts, and ended by its id when the run is over."""

import itertools
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from broker.auth import Issuer, sign_demo_token
from tests.bench.records import BIRTH_DATE, SIZE, number_of
from tests.bench.trust import Trust

__all__ = [
    "Process",
    "Sources",
    "World",
    "broker",
    "cores",
    "floor",
    "free_port",
    "lookup_request",
    "sources",
    "world",
    "write_configuration",
]

_ROOT = Path(__file__).resolve().parents[2]
_START = 30.0
"""Seconds that a process gets to be ready."""

_READER = "RB01"
_PRACTICE = "RB00"
_KINDS = ("gp-practice", "acute", "acute", "acute", "community", "urgent-care", "social-care", "mental-health")

_CONFIGURATION = """\
[server]
listen = "127.0.0.1:{port}"
public_url = "http://127.0.0.1:{port}"
[lookup]
deadline = "{deadline}s"
# One person asks for everything here.
[limits]
user_per_minute = 1_000_000
user_at_once = 64
organisation_per_minute = 1_000_000
organisation_at_once = 64
[[issuers]]
iss = "https://idp.bench.example"
demo = true
"""

_MANIFEST = """\
ods_code = "{ods}"
name = "Organisation {ods}"
service_type = "{kind}"
region = "south-east-london"
[agreement]
isa_signed = 2020-01-01
isa_expires = 2099-12-31
dspt_expires = 2099-12-31
"""

_SOURCE = """\
[[sources]]
name = "fhir"
kind = "fhir-r4"
base_url = "{base}"
"""


def write_configuration(
    home: Path,
    bases: Sequence[str | None],
    *,
    port: int,
    deadline: float,
    timeout: float | None = None,
    kinds: Sequence[str] = _KINDS,
) -> None:
    """A broker's files in `home`: an organisation for each base address, or without a source for None.

    Args:
        home: made here.
        bases: of the sources.
        port: of the broker.
        deadline: seconds for a lookup.
        timeout: seconds for a source, or the broker's default.
        kinds: service types, in order; what is left is acute.
    """
    (home / "organisations").mkdir(parents=True)
    for n, base in enumerate(bases):
        ods = f"RB{n:02d}"
        manifest = _MANIFEST.format(ods=ods, kind=kinds[n] if n < len(kinds) else "acute")
        if base is not None:
            manifest += _SOURCE.format(base=base) + (f'timeout = "{timeout}s"\n' if timeout else "")
        (home / "organisations" / f"{ods}.toml").write_text(manifest)
    (home / "broker.toml").write_text(_CONFIGURATION.format(port=port, deadline=deadline))


def cores() -> tuple[int, int]:
    """The core of what is measured, and the one for load and sources: the same where there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


@dataclass(frozen=True, slots=True)
class Process:
    """Something that listens. `errors` holds what it wrote on standard error."""

    pid: int
    port: int
    errors: Path

    def cpu(self) -> float:
        """Seconds of CPU that it has used so far, user and system, in all its threads, to the microsecond."""
        # clock_getcpuclockid(3), which Python has for threads only: Linux makes the clock's id from the process's.
        return time.clock_gettime((~self.pid << 3) | 2)

    def peak(self) -> float:
        """MB of memory that it held at most."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The organisations' process, and what it holds, by source and patient."""

    control: int
    bases: Sequence[str]
    ids: Sequence[Sequence[str]]
    types: Sequence[Sequence[Sequence[str]]]
    resources: Sequence[Sequence[int]]
    bytes: Sequence[Sequence[int]]
    synthea: bool

    def tell(self, word: str) -> list[int]:
        """Send a word to the control address; requests served so far, by source."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.control}/{word}", timeout=5) as answer:
            counts: list[int] = json.load(answer)
            return counts


class World:
    """Starts processes, and ends all of them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._running: list[subprocess.Popen[str]] = []
        self._serial = itertools.count(1)

    def serial(self) -> int:
        """Another number each time, for names."""
        return next(self._serial)

    def start(
        self,
        arguments: Sequence[str],
        core: int,
        *,
        name: str,
        said: str | None = None,
        program: str = sys.executable,
        environment: Mapping[str, str] | None = None,
    ) -> tuple[Any, Path]:
        """Start a process on a core; what it is, and where its errors go. `environment` is added to this one's."""
        errors = self.directory / f"{name}.err"
        with errors.open("w") as file, _pinned(core):
            process = subprocess.Popen(
                [program, *arguments],
                cwd=_ROOT,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
            )
        self._running.append(process)
        if said is not None:
            assert process.stdin is not None
            process.stdin.write(said + "\n")
            process.stdin.flush()
        return process, errors

    @staticmethod
    def first_line(process: "subprocess.Popen[str]", errors: Path) -> Any:
        """What the process says, in JSON, when it is ready."""
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise SystemExit(f"a process of the benchmark ended at once:\n{errors.read_text()[-2000:]}")
        return json.loads(line)

    def end(self) -> None:
        """Ask each process to end, then make it."""
        for process in self._running:
            process.terminate()
        for process in self._running:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
        self._running.clear()


@contextmanager
def world() -> Iterator[World]:
    """A temporary folder, and the processes that live in it."""
    with tempfile.TemporaryDirectory(prefix="care-record-bench-") as directory:
        made = World(Path(directory))
        try:
            yield made
        finally:
            made.end()


def sources(
    at: World,
    count: int,
    patients: int,
    core: int,
    *,
    size: int = SIZE,
    bills: bool = False,
    zipped: bool = False,
    trust: Trust | None = None,
) -> Sources:
    """Start the organisations: with `zipped` they answer gzip, with `trust` they are https."""
    arguments = ["-m", "tests.bench.sources", str(count), str(patients), "--size", str(size)]
    arguments += ["--bills"] * bills + ["--gzip"] * zipped
    if trust is not None:
        arguments += ["--certificate", str(trust.server)]
    process, errors = at.start(arguments, core, name=f"sources-{at.serial()}")
    return Sources(**at.first_line(process, errors))


def floor(at: World, what: str, asked: Sources, core: int, *, trust: Trust | None = None) -> Process:
    """Start one of the servers of `floors`."""
    said = json.dumps({
        "bases": asked.bases,
        "records": [
            {number_of(n): record for n, record in enumerate(zip(ids, types, strict=True))}
            for ids, types in zip(asked.ids, asked.types, strict=True)
        ],
    })
    process, errors = at.start(
        ["-m", "tests.bench.floors", what],
        core,
        name=f"{what}-{at.serial()}",
        said=said,
        environment=_trusting(trust),
    )
    return Process(process.pid, at.first_line(process, errors)["port"], errors)


def broker(
    at: World, name: str, bases: Sequence[str], core: int, *, deadline: float, trust: Trust | None = None
) -> Process:
    """Start `broker serve`, configured for these sources."""
    home = at.directory / name
    # The reader's organisation takes part, with or without a source of its own.
    port = free_port()
    write_configuration(home, [*bases, None] if len(bases) == 1 else bases, port=port, deadline=deadline)
    command = "import sys; from broker.cli import main; sys.exit(main())"
    process, errors = at.start(
        ["-c", command, "serve", "--config", str(home / "broker.toml")],
        core,
        name=f"{name}-log",
        environment=_trusting(trust),
    )
    _await_ready(process, port, errors)
    return Process(process.pid, port, errors)


def lookup_request(port: int, patient: int, *, accept: str = "application/json") -> bytes:
    """One lookup of everything as bytes, with a token of its own: none is verified twice."""
    number = number_of(patient)
    token = sign_demo_token(
        Issuer(iss="https://idp.bench.example", demo=True),
        audience=f"http://127.0.0.1:{port}",
        role_code="R8000",
        organisation=_READER,
        nhs_number=number,
        birth_date=BIRTH_DATE,
        practice=_PRACTICE,
        relationship="encounter",
    )
    body = json.dumps({"patient": {"nhs_number": number, "birth_date": BIRTH_DATE}}).encode()
    head = (
        f"POST /lookups HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\nAccept: {accept}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def free_port() -> int:
    """A port of loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _trusting(trust: Trust | None) -> dict[str, str]:
    """What makes a Python process believe the certificates of `trust`, and no other."""
    return {} if trust is None else {"SSL_CERT_FILE": str(trust.authority)}


def _await_ready(process: "subprocess.Popen[str]", port: int, errors: Path) -> None:
    until = time.monotonic() + _START
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise SystemExit(f"the broker did not become ready:\n{errors.read_text()[-2000:]}")


@contextmanager
def _pinned(core: int) -> Iterator[None]:
    """What is started inside runs on this core, with every thread that it will have."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
