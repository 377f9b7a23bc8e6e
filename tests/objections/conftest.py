"""A register in a real SQLite file, its keys, its journal, and the people who act on it."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from broker import nhs_number
from broker.journal import Journal
from broker.keys import Keys
from broker.objections import Actor, ObjectionRecord, ObjectionRegister
from broker.store import open_store

DOCTOR = Actor(
    issuer="https://ehr.rj1.example",
    subject="doctor",
    name="Dr A Example",
    organisation="RJ1",
    role="clinician",
    operator=False,
    care=True,
    role_code="R8000",
)
OFFICER = Actor(
    issuer="https://idp.example",
    subject="officer",
    name="P Officer",
    organisation="QKK",
    role="privacy-officer",
    operator=True,
    care=False,
    role_code="R0001",
)
PATIENT = nhs_number.make(1)


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

    async def record(self, patient: str = PATIENT, actor: Actor = DOCTOR) -> ObjectionRecord:
        """A whole objection, as it should be."""
        return await self.register.record(actor, patient=patient, asked_by="patient", effect_explained=True)

    async def decide(self, objection_id: str, status: str, **given: Any) -> ObjectionRecord:
        """A decision by who may; not-upheld with what it needs."""
        if status == "not-upheld" and "told" not in given:
            given = {"reason": "Safeguarding.", "ico_route_told": True} | given
        return await self.register.decide(OFFICER, objection_id, status=status, **given)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    url = f"sqlite+aiosqlite:///{tmp_path / 'state' / 'broker.db'}"
    keys = Keys.open(tmp_path / "keys")
    engine = await open_store(url)
    journal = await Journal.open(tmp_path / "journal", keys, node="test")
    register = ObjectionRegister(engine, keys, journal, lead_controller="QKK")
    yield World(url, keys, engine, tmp_path / "journal", register, journal)
    await journal.close()
    await engine.dispose()


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
