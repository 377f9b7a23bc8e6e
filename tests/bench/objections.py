"""The register of objections with a million in it: the check that every lookup makes, start, memory, news, import."""

import asyncio
import contextlib
import io
import json
import os
import random
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from broker import cli, nhs_number
from broker.keys import Keys
from broker.objections import ObjectionIndex, Scope
from broker.objections.scopes import ScopeKind
from broker.store import open_store
from policies.values import Objection
from tests.bench.load import Wrong
from tests.bench.world import World, write_configuration

__all__ = ["measure"]

_ROOT = Path(__file__).resolve().parents[2]
_OBJECTIONS = {False: 1_000_000, True: 50_000}
_CHECKS = {False: 50_000, True: 10_000}
_NEWS = {False: 20, True: 5}
_ROWS = {False: 100_000, True: 5_000}
_NARROWER = 100
"""One objection of so many is not about the whole record."""
_FIRST = 4_000_000_000
"""Ten digits, then those that follow: sealing asks for no check digit."""
_CHECK_MS, _IN_FORCE_S, _IMPORT_S = 0.05, 1.0, 60.0
_READER = {"issuer": "https://ehr.example", "subject": "555254240100"}
_WHO = json.dumps({"issuer": "https://idp.example", "subject": "officer", "organisation": "QKK"})


async def measure(at: World, core: int, _load_core: int, *, quick: bool, say: Callable[[str], None]) -> None:
    """Print the figures. Each is of a process of its own, on the core of what is measured."""
    home = at.directory / "objections"
    many = _OBJECTIONS[quick]
    write_configuration(home, [None], port=8080, deadline=5)
    with (home / "broker.toml").open("a") as file:
        file.write('[objections]\nlead_controller = "QKK"\n')
    keys = Keys.open(home / "state" / "keys")
    await _fill(home, keys, many)
    found = await _child(core, "check", home, many, _CHECKS[quick])
    say(f"{many:,} objections in SQLite, one of {_NARROWER} narrower than the whole record")
    say(
        f"start of the index {found['start_s']:.2f} s; {found['held_mb']:.0f} MB held after, {found['peak_mb']:.0f} at most"
    )
    say(f"{'':<32}{'p50 us':>8}{'p99 us':>8}{'worst':>8}")
    for name in ("one number", "three numbers"):
        p50, p99, worst = found[name]
        say(f"{'check of ' + name:<32}{p50:>8.1f}{p99:>8.1f}{worst:>8.0f}")
    say(
        f"one number, which nearly every patient has, below {_CHECK_MS} ms at p99: {_verdict(found['one number'][1] / 1000, _CHECK_MS)}"
    )
    await _news(home, core, _NEWS[quick], say)
    await _import(home, core, _ROWS[quick], say)


def _verdict(figure: float, target: float) -> str:
    return "target met" if figure < target else "MISSED"


async def _fill(home: Path, keys: Keys, many: int) -> None:
    """A register as years of use leave it, written at once."""
    file = home / "state" / "broker.db"
    store = await open_store(f"sqlite+aiosqlite:///{file}")
    await store.dispose()
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.executemany(
            "INSERT INTO objections (id, revision, version, status, scope, scope_value, patient, asked_by,"
            " effect_explained, recorded_by, recorded_for, recorded_at, decided_by, decided_at, ico_route_told)"
            " VALUES (?, ?, 3, ?, ?, ?, ?, 'patient', 1, ?, 'QKK', '2026-01-01T00:00:00Z', ?, ?, 0)",
            _rows(keys, many),
        )
        connection.execute("UPDATE revisions SET revision = ? WHERE register = 'objections'", (many,))


def _rows(keys: Keys, many: int) -> Iterator[tuple[Any, ...]]:
    narrower = [Scope(ScopeKind.ORGANISATION, f"RX{n}") for n in range(8)] + [Scope(ScopeKind.CATEGORY, "documents")]
    for n in range(many):
        scope = Scope() if n % _NARROWER else narrower[n // _NARROWER % len(narrower)]
        upheld = n % 10 != 0
        yield (
            f"{n:016x}",
            n + 1,
            "upheld" if upheld else "received",
            scope.kind.value,
            scope.sealed(keys),
            keys.seal_patient(f"{_FIRST + n:010d}"),
            _WHO,
            _WHO if upheld else None,
            "2026-01-02T00:00:00Z" if upheld else None,
        )


async def _child(core: int, what: str, home: Path, *words: object) -> dict[str, Any]:
    process = await _start(core, what, home, *words)
    out, _ = await process.communicate()
    if process.returncode != 0:
        raise Wrong(f"objections {what}: ended with {process.returncode}")
    found: dict[str, Any] = json.loads(out)
    return found


async def _start(core: int, what: str, home: Path, *words: object) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.objections", what, str(core), str(home), *map(str, words)),
        cwd=_ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )


async def _news(home: Path, core: int, rounds: int, say: Callable[[str], None]) -> None:
    """From the commit of one process until another one, which follows the register, forbids."""
    child = await _start(core, "follow", home)
    if child.stdin is None or child.stdout is None:
        raise Wrong("objections: no pipe to the other process")
    file, keys = home / "state" / "broker.db", Keys.open(home / "state" / "keys")
    seconds = []
    if await child.stdout.readline() != b"ready\n":
        raise Wrong("objections: the other process did not start")
    for n in range(rounds):
        child.stdin.write(f"{nhs_number.make(n + 1)}\n".encode())
        await child.stdin.drain()
        await child.stdout.readline()
        await asyncio.sleep(random.random() / 3)
        committed = _record(file, keys, n)
        seconds.append(float(await child.stdout.readline()) - committed)
    child.stdin.close()
    await child.wait()
    say(
        f"in force in another process after {statistics.median(seconds):.2f} s (median of {rounds}),"
        f" {max(seconds):.2f} s at worst; in under {_IN_FORCE_S:g} s: {_verdict(max(seconds), _IN_FORCE_S)}"
    )


def _record(file: Path, keys: Keys, n: int) -> float:
    """Put one down as the register does; the moment at which it is committed."""
    with contextlib.closing(sqlite3.connect(file, timeout=5)) as connection:
        with connection:
            connection.execute("UPDATE revisions SET revision = revision + 1 WHERE register = 'objections'")
            connection.execute(
                "INSERT INTO objections (id, revision, version, status, scope, patient, asked_by, effect_explained,"
                " recorded_by, recorded_for, recorded_at, ico_route_told) SELECT ?, revision, 1, 'received', 'whole',"
                " ?, 'patient', 1, ?, 'QKK', '2026-01-01T00:00:00Z', 0 FROM revisions WHERE register = 'objections'",
                (f"news-{n}", keys.seal_patient(nhs_number.make(n + 1)), _WHO),
            )
        return time.monotonic()


async def _import(home: Path, core: int, rows: int, say: Callable[[str], None]) -> None:
    """The command itself, twice: all of it new, then none."""
    numbers = (nhs_number.make(1000 + n) for n in range(rows))
    lines = (f"{number},2019-03-02,CC-{n}" for n, number in enumerate(numbers))
    (home / "said-no.csv").write_text("\n".join(["nhs_number,date,reference", *lines, ""]))
    for what, key in (("new", "imported"), ("once more", "already_there")):
        found = await _child(core, "import", home)
        if found[key] != rows:
            raise Wrong(f"objections: of {rows} rows {found[key]} were {key}")
        say(f"import of {rows:,} rows, {what}: {found['seconds']:.1f} s, of which {found['cpu']:.1f} s are its own CPU")
        if what == "new" and rows == _ROWS[False]:
            say(f"in under {_IMPORT_S:g} s: {_verdict(found['seconds'], _IMPORT_S)}")


async def _check(home: Path, many: str, checks: str) -> dict[str, Any]:
    store, keys = await _opened(home)
    before, began = _held(), time.perf_counter()
    async with ObjectionIndex(store, keys, max_age=60) as index:
        started = time.perf_counter() - began
        found: dict[str, Any] = {"start_s": started, "held_mb": _held() - before, "peak_mb": _peak()}
        for name, numbers in (("one number", 1), ("three numbers", 3)):
            taken = []
            for _ in range(int(checks)):
                # Half of them object, as far as any of their numbers does.
                asked = [f"{_FIRST + random.randrange(2 * int(many)):010d}" for _ in range(numbers)]
                begun = time.thread_time()
                index.stance(asked, **_READER)
                taken.append(1e6 * (time.thread_time() - begun))
            taken.sort()
            found[name] = [taken[len(taken) // 2], taken[int(0.99 * len(taken))], taken[-1]]
        if index.stance([f"{_FIRST + 1:010d}"], **_READER).whole is not Objection.UPHELD:
            raise Wrong("objections: one that is there is not honoured")
    await store.dispose()
    return found


async def _follow(home: Path) -> None:
    """Says when each patient named on standard input is objected for, on the clock that all processes share."""
    store, keys = await _opened(home)
    async with ObjectionIndex(store, keys, max_age=60) as index:
        print("ready", flush=True)
        while number := (await asyncio.to_thread(sys.stdin.readline)).strip():
            print("looking", flush=True)
            while not index.stance([number], **_READER).forbids_all:
                await asyncio.sleep(0.001)
            print(time.monotonic(), flush=True)
    await store.dispose()


def _import_file(home: Path) -> dict[str, Any]:
    config = ("--config", str(home / "broker.toml"))
    token = home / "token"
    token.write_text(_said("token", *config, "--role", "R5105", "--organisation", "QKK"))
    began, used = time.perf_counter(), time.process_time()
    words = (str(home / "said-no.csv"), "--origin", "connectcare", *config, "--token", str(token), "--format", "json")
    found: dict[str, Any] = json.loads(_said("objection", "import", *words))
    return found | {"seconds": time.perf_counter() - began, "cpu": time.process_time() - used}


def _said(*words: str) -> str:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        if code := cli.main(words):
            raise SystemExit(code)
    return said.getvalue()


async def _opened(home: Path) -> tuple[Any, Keys]:
    store = await open_store(f"sqlite+aiosqlite:///{home / 'state' / 'broker.db'}")
    return store, Keys.open(home / "state" / "keys")


def _held() -> float:
    """MB of memory."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


def _peak() -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def _alone() -> None:
    what, core, home, *words = sys.argv[1:]
    os.sched_setaffinity(0, {int(core)})
    match what:
        case "check":
            print(json.dumps(asyncio.run(_check(Path(home), *words))))
        case "follow":
            asyncio.run(_follow(Path(home)))
        case _:
            print(json.dumps(_import_file(Path(home))))


if __name__ == "__main__":
    _alone()
