"""A register in a real SQLite file, its keys, its journal, and the people who act on it."""

import importlib.util
import json
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from broker import nhs_number
from broker.journal import Journal
from broker.keys import Keys
from broker.objections import Actor, Known, ObjectionRecord, ObjectionRegister
from broker.store import open_store
from policies import Policies

DOCTOR = Actor(
    issuer="https://ehr.rj1.example",
    subject="doctor",
    name="Dr A Example",
    organisation="RJ1",
    role="clinician",
    operator=False,
    role_code="R8000",
)
OFFICER = Actor(
    issuer="https://idp.example",
    subject="officer",
    name="P Officer",
    organisation="QKK",
    role="privacy-officer",
    operator=True,
    role_code="R0001",
)
PATIENT = nhs_number.make(1)
POLICIES = Policies.load(None)
KNOWN = Known(
    organisations={"RJ1": "Guy's and St Thomas'", "RRV": "UCLH", "QKK": "South East London ICB"},
    categories=POLICIES.tables.categories,
    issuers={"https://ehr.rj1.example", "https://idp.example"},
)


@dataclass
class World:
    """A register and what is beside it."""

    url: str
    keys: Keys
    engine: AsyncEngine
    journal_directory: Path
    register: ObjectionRegister
    journal: Journal

    def journalled(self) -> list[dict[str, Any]]:
        """What the journal holds of objections, in order."""
        lines = [
            json.loads(line)
            for file in sorted(self.journal_directory.rglob("*"))
            if file.is_file() and file.suffix not in {".pub", ".lock"}
            for line in file.read_bytes().splitlines()
        ]
        return [line for line in lines if line["event"].startswith(("objection.", "request."))]

    async def record(self, patient: str = PATIENT, actor: Actor = DOCTOR, **given: Any) -> ObjectionRecord:
        """An objection, as it should be: a whole one unless told otherwise."""
        given = {"asked_by": "patient", "effect_explained": True} | given
        return await self.register.record(actor, patient=patient, **given)

    async def decide(self, objection_id: str, status: str, actor: Actor = OFFICER, **given: Any) -> ObjectionRecord:
        """A decision by who may; not-upheld with what it needs."""
        if status == "not-upheld" and "told" not in given:
            given = {"reason": "Safeguarding.", "ico_route_told": True} | given
        return await self.register.decide(actor, objection_id, status=status, **given)


TOOLS = ("initdb", "postgres", "pg_isready", "createdb")


def _binaries() -> Path | None:
    """Where PostgreSQL's own are: few of them are on the path."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = shutil.which("postgres")
    places = [*([Path(found).resolve().parent] if found else []), *installed]
    return next((place for place in places if all((place / tool).is_file() for tool in TOOLS)), None)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Callable[[], str]]:
    """A PostgreSQL of this session's own, on loopback; gives the address of a new database each time."""
    binaries = _binaries()
    if binaries is None:
        pytest.skip("PostgreSQL's binaries are not here")
    if importlib.util.find_spec("asyncpg") is None:
        pytest.skip("the driver asyncpg is not installed")
    # PostgreSQL refuses to run as root.
    who = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.getuid() == 0 else {}
    directory = Path(tempfile.mkdtemp(prefix="postgresql-"))
    if who:
        shutil.chown(directory, "nobody", "nogroup")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    quiet = {
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL,
        "cwd": directory,
        "env": {"PATH": os.environ["PATH"]},
    }
    cluster = ["-D", str(directory / "data")]
    subprocess.run(
        [binaries / "initdb", *cluster, "-U", "broker", "-A", "trust", "-N"], check=True, timeout=60, **quiet, **who
    )
    options = ["-h", "127.0.0.1", "-p", port, "-k", "", "-F"]
    server = subprocess.Popen([binaries / "postgres", *cluster, *options], **quiet, **who)
    at = ["-h", "127.0.0.1", "-p", port, "-U", "broker"]
    try:
        for _ in range(100):
            if subprocess.run([binaries / "pg_isready", *at], check=False, timeout=10, **quiet).returncode == 0:
                break
            time.sleep(0.1)

        def create() -> str:
            name = f"broker_{secrets.token_hex(6)}"
            subprocess.run([binaries / "createdb", *at, name], check=True, timeout=30, **quiet)
            return f"postgresql+asyncpg://broker@127.0.0.1:{port}/{name}"

        yield create
    finally:
        server.terminate()
        server.wait(timeout=30)
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """Makes the address of an empty store of a kind: `sqlite` or `postgresql`."""

    def make(kind: str) -> str:
        if kind == "postgresql":
            return str(request.getfixturevalue("postgresql")())
        return f"sqlite+aiosqlite:///{tmp_path / 'state' / 'broker.db'}"

    return make


@pytest.fixture
def store_url(new_store: Callable[[str], str]) -> str:
    """The address of an empty store; a module may ask for either kind."""
    return new_store("sqlite")


@pytest.fixture
async def world(store_url: str, tmp_path: Path) -> AsyncIterator[World]:
    url = store_url
    keys = Keys.open(tmp_path / "keys")
    engine = await open_store(url)
    journal = await Journal.open(tmp_path / "journal", keys, node="test")
    register = ObjectionRegister(engine, keys, journal, POLICIES, lead_controller="QKK", known=KNOWN)
    yield World(url, keys, engine, tmp_path / "journal", register, journal)
    await journal.close()
    await engine.dispose()


@pytest.fixture(scope="session")
def policies() -> Policies:
    return POLICIES


@pytest.fixture
def doctor() -> Actor:
    return DOCTOR


@pytest.fixture
def officer() -> Actor:
    return OFFICER


@pytest.fixture
def patient() -> str:
    return PATIENT


@pytest.fixture
def person() -> Callable[..., Actor]:
    """Somebody else: the doctor, with some of it changed."""

    def _person(**changed: Any) -> Actor:
        return replace(DOCTOR, **changed)

    return _person
