"""Bare gateways in Go and Node, kept beside the checkout: what a lookup's CPU is compared with, where they can run.

Each asks every source once, merges the Bundles, and judges nothing.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.bench.subject import Subject
from tests.bench.world import Process, Sources, World, free_port

__all__ = ["GENERIC", "gateways"]

GENERIC = "Go, decoded to generic values"
_GO = {"fan": "Go, bodies passed on", "raw": "Go, entries kept as bytes", "generic": GENERIC}
_NODE = "Node with undici"

_KEPT = Path(__file__).resolve().parents[3] / "shared" / "servers" / "gateway"
_BUILD = 240.0
"""Seconds that Go gets to build its standard library too, the first time on a machine."""
_INSTALL = 60.0
_START = 10.0


def gateways(at: World, asked: Sources, core: int, say: Callable[[str], None]) -> list[Subject]:
    """Those that can run here, started; a line for each that can't."""
    if not _KEPT.is_dir():
        say("the bare gateways are not beside the checkout: left out")
        return []
    folder = at.directory / "gateway"
    shutil.copytree(_KEPT, folder)
    everything = [
        f"{base}/Patient/{ids[0]}/$everything?_count=500" for base, ids in zip(asked.bases, asked.ids, strict=True)
    ]
    total = f'"total":{sum(held[0] for held in asked.resources)}'.encode()
    started = []
    for name, program, arguments in (*_go(folder, say), *_node(folder, say)):
        port = free_port()
        words = [word.format(port=port) for word in arguments]
        process, errors = at.start(
            [*words, *everything],
            core,
            name=f"gateway-{at.serial()}",
            program=program,
            environment={"GOMAXPROCS": "1"},
        )
        _await_port(process, port, errors)
        expected = b'"searchset"' if name == _GO["fan"] else total
        started.append(Subject(name, Process(process.pid, port, errors), 1, expected))
    return started


def _go(folder: Path, say: Callable[[str], None]) -> Iterator[tuple[str, str, Sequence[str]]]:
    """Name, program and arguments of each mode, once it is built."""
    go = shutil.which("go")
    if go is None:
        say("go is not here: its gateways are left out")
        return
    offline = {"GOFLAGS": "-mod=mod", "GOPROXY": "off", "GOTOOLCHAIN": "local"}
    if _made([go, "build", "-o", "gateway", "."], folder, offline, _BUILD, "its gateways are left out", say):
        for mode, name in _GO.items():
            yield name, str(folder / "gateway"), (mode, "127.0.0.1:{port}")


def _node(folder: Path, say: Callable[[str], None]) -> Iterator[tuple[str, str, Sequence[str]]]:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        say("node or npm is not here: its gateway is left out")
        return
    install = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--silent", "undici@6"]
    if _made(install, folder, {}, _INSTALL, "Node's gateway is left out", say):
        yield _NODE, node, (str(folder / "gateway.mjs"), "{port}")


def _made(
    command: Sequence[str],
    folder: Path,
    environment: dict[str, str],
    seconds: float,
    otherwise: str,
    say: Callable[[str], None],
) -> bool:
    """Whether a command did what it should. If not, a line says so: it is no fault of what is measured."""
    try:
        subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **environment},
            timeout=seconds,
            check=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        say(f"{Path(command[0]).name} {command[1]} failed ({type(error).__name__}): {otherwise}")
        return False
    return True


def _await_port(process: "subprocess.Popen[str]", port: int, errors: Path) -> None:
    until = time.monotonic() + _START
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"a gateway did not become ready:\n{errors.read_text()[-2000:]}")
