"""A journal in a folder of its own, and what a lookup puts into it."""

import errno
import os
from pathlib import Path

import pytest

from broker.journal import Journal
from broker.journal.segment import Disk
from broker.keys import Keys

PATIENT = "9990000018"


@pytest.fixture(scope="session")
def keys(tmp_path_factory):
    return Keys.open(tmp_path_factory.mktemp("keys") / "keys")


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "journal"


@pytest.fixture
async def journal(directory, keys):
    journal = await Journal.open(directory, keys, node="node-1")
    yield journal
    await journal.close()


@pytest.fixture(scope="session")
def intent(keys):
    return {
        "user": {
            "issuer": "https://ehr.rj1.example",
            "subject": "555254240100",
            "name": "Dr A Example",
            "organisation": "RJ1",
            "role": "doctor",
            "role_code": "R8000",
            "client": "ward-plugin",
            "jti": "token-1",
        },
        "purpose": "TREAT",
        "relationship": {"basis": "encounter"},
        "patient": keys.seal_patient(PATIENT),
        "categories": ["allergies"],
    }


@pytest.fixture
def row():
    return {
        "source": "RJ1-epr",
        "organisation": "RJ1",
        "name": "Guy's and St Thomas' NHS Foundation Trust",
        "service_type": "acute",
        "status": "answered",
        "elapsed_ms": 182,
        "resources": 2,
        "currency": "live",
        "retry_after_s": None,
        "notes": ["a note that stays out"],
        "categories": {"allergies": {"status": "answered", "resources": 2}},
    }


@pytest.fixture
def segments(directory):
    """Gives the segments there are now, oldest first."""

    def listed() -> list[Path]:
        return sorted(directory.glob("*.jsonl"))

    return listed


class Faulty:
    """A disk that fails when told to: `sync` or `write` is the errno to fail with."""

    def __init__(self) -> None:
        self.sync: int | None = None
        self.write: int | None = None
        self.synced: list[str] = []
        self.disk = Disk(write=self._write, sync=self._sync)

    def _write(self, descriptor, content):
        if (fault := self.write) is not None:  # read once: the test may heal it meanwhile
            os.write(descriptor, content[: len(content) // 2])  # a full disk takes what it can
            raise OSError(fault, os.strerror(fault))
        return os.write(descriptor, content)

    def _sync(self, descriptor):
        self.synced.append(Path(f"/dev/fd/{descriptor}").readlink().name)
        if (fault := self.sync) is not None:
            raise OSError(fault, os.strerror(fault))
        os.fdatasync(descriptor)

    def heal(self):
        self.sync = self.write = None


@pytest.fixture(scope="session")
def faulty_disk():
    return Faulty


@pytest.fixture
def faulty():
    return Faulty()


@pytest.fixture
def full_disk(faulty):
    faulty.write = errno.ENOSPC
    return faulty
