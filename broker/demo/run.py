"""`broker demo`: a world of organisations in a process of its own, the broker before it, and one lookup."""

import asyncio
import contextlib
import io
import json
import shlex
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO

import aiohttp

from broker.app import issuers, running
from broker.auth.tokens import sign_demo_token
from broker.demo.objecting import record_objections
from broker.demo.show import show_audit, show_lookup
from broker.demo.trying import ROLE, show_next
from broker.demo.world import MRS_OKAFOR, ORGANISATIONS, write_world
from broker.errors import ConfigurationError
from broker.journal import records_of
from broker.registry import Registry
from broker.settings import Settings, load

__all__ = ["run"]

READY_SECONDS: Final = 20.0
"""How long the world may take to listen everywhere."""
LEAVE_SECONDS: Final = 5.0
"""How long it may take to end."""
USUAL_PORT: Final = 8080
INTERRUPTED: Final = 130
"""Exit code where a single lookup was interrupted, as a shell has it."""
LAST_EVENTS: Final = frozenset({"lookup.delivered", "lookup.not-delivered"})


async def run(*, once: bool, form: str, port: int | None, directory: Path | None) -> int:
    """Do it all; gives the exit code.

    Args:
        once: one lookup, then end; else serve until SIGINT or SIGTERM.
        form: `text` or `json`: what goes to standard output.
        port: where the broker listens; None for 8080 if that is free, else any; 0 for any.
        directory: where the files are written; None for a temporary folder, named on standard error: kept for whoever
            verifies the journal, unless the start fails.

    Raises:
        ConfigurationError: the directory can't be written, or somebody else listens there.
    """
    interrupted = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupted.set)
    work = asyncio.create_task(_perform(once, form, port, directory))
    waiting = asyncio.create_task(interrupted.wait())
    await asyncio.wait({work, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not work.done():
        work.cancel()  # closes the broker, then the world, in order
        await asyncio.wait({work})
    if work.cancelled():
        return INTERRUPTED if once else 0
    return work.result()


async def _perform(once: bool, form: str, port: int | None, directory: Path | None) -> int:  # noqa: FBT001 - as `run`
    if form == "text" and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without arrows still gets the rest
    with contextlib.ExitStack() as unless_started:
        place = directory or _temporary(unless_started)
        async with _world() as world:
            try:
                config = write_world(place, world.sources, port=port or _free(USUAL_PORT if port is None else 0))
            except OSError as error:
                problem = f"can't be written ({error.strerror}): name another directory"
                raise ConfigurationError(place, problem) from None
            settings = load(config, {})
            await record_objections(settings)
            async with running(settings) as address:
                unless_started.pop_all()
                if directory is None:
                    kept = "are kept after its end, so that the journal can be verified"
                    _tell(sys.stderr, f"broker demo: its files {kept}. To remove them: rm -r {shlex.quote(str(place))}")
                reply = await _look_up(settings, address)
                records = await _audit(settings, reply.get("lookup_id", ""))
                _tell(sys.stdout, _as_json(reply, records) if form == "json" else _as_text(reply, records))
                if once:
                    return 1 if "error" in reply else 0
                _tell(sys.stderr if form == "json" else sys.stdout, show_next(address, world.control, config))
                _tell(sys.stderr, "Serving until interrupted (Ctrl-C).")
                await asyncio.Event().wait()
    return 0


def _temporary(unless_started: contextlib.ExitStack) -> Path:
    place = Path(tempfile.mkdtemp(prefix="care-record-broker-demo-"))
    unless_started.callback(shutil.rmtree, place, ignore_errors=True)
    return place


def _as_json(reply: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps({"lookup": reply, "audit": records}, indent=2, ensure_ascii=False)


def _as_text(reply: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> str:
    if "error" in reply:
        return f"{reply['error']['code']}: {reply['error']['message']}"
    return f"{show_lookup(reply)}\n{show_audit(records)}"


def _tell(stream: TextIO, text: str) -> None:
    stream.write(text + "\n")
    stream.flush()


@dataclass(frozen=True, slots=True)
class _Running:
    """The world, as its process says."""

    control: str
    sources: Mapping[str, str]


@contextlib.asynccontextmanager
async def _world() -> AsyncIterator[_Running]:
    """The world's process, from listening everywhere until it has ended. It ends too when this one dies."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "broker.demo.world",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # a Ctrl-C is for the broker, which then ends the world
    )
    assert process.stdin is not None  # noqa: S101 - they are pipes
    assert process.stdout is not None  # noqa: S101
    try:
        try:
            async with asyncio.timeout(READY_SECONDS):
                said = json.loads(await process.stdout.readline())
        except (TimeoutError, ValueError):
            raise ConfigurationError("broker demo", "the organisations could not start: see above") from None
        yield _Running(said["control"], said["sources"])
    finally:
        process.stdin.close()
        try:
            async with asyncio.timeout(LEAVE_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _look_up(settings: Settings, address: str) -> dict[str, Any]:
    """The reply for Mrs Okafor, asked by a doctor of the organisation where she is now, as any client would."""
    person = MRS_OKAFOR.person
    reader = next(one for one in ORGANISATIONS if one.ods_code == MRS_OKAFOR.reader)
    registry = Registry.load(settings.organisations.directory, settings=settings)
    issuer = next(each for each in issuers(settings, registry) if each.organisation == reader.ods_code)
    token = sign_demo_token(
        issuer,
        audience=settings.server.public_url,
        role_code=ROLE,
        organisation=reader.ods_code,
        organisation_name=reader.name,
        client="broker-demo",
        nhs_number=person.nhs_number,
        birth_date=person.birth_date,
        relationship="encounter",
    )
    asked = {"patient": {"nhs_number": person.nhs_number, "birth_date": person.birth_date}}
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session,
        session.post(f"{address}/lookups", json=asked) as response,
    ):
        reply: dict[str, Any] = await response.json()
        return reply


async def _audit(settings: Settings, lookup_id: str) -> list[dict[str, Any]]:
    """The journal's records of one lookup. That its bytes have left is known, and written, a moment after them."""
    records: list[dict[str, Any]] = []
    for _ in range(50):
        records = await asyncio.to_thread(records_of, settings.audit.directory, lookup_id)
        if not lookup_id or any(record["event"] in LAST_EVENTS for record in records):
            break
        await asyncio.sleep(0.02)
    return records


def _free(usual: int) -> int:
    """The usual port, or another where somebody has it."""
    for wanted in (usual, 0):
        with contextlib.suppress(OSError), socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(("127.0.0.1", wanted))
            return int(tried.getsockname()[1])
    raise ConfigurationError("broker demo", "no port is free on 127.0.0.1: name one with --port")
