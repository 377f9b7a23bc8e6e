"""`[identity] kind = "file"`: the Personal Demographics Service as a directory, for demos and tests.

One file for each number, `<NHS number>.json`, holding what the service would answer when asked for that number: a
Patient, or an OperationOutcome. As with the service, a Patient whose `id` is another number says that the number asked
for is superseded by it. The file of the current number, where there is one, is the one that is believed; every number
whose file leads there, with the same date of birth, is the same person's. Files may change while the broker runs.
"""

import asyncio
import datetime as dt
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from broker import nhs_number
from broker.errors import ConfigurationError
from broker.identity import pds
from broker.identity.people import person_of
from broker.identity.values import IdentityStatus, Person

__all__ = ["FileIdentity"]


@dataclass(frozen=True, slots=True)
class _Known:
    """What one file says: a Patient, or the status that its fault becomes and why."""

    stamp: tuple[int, int, int]
    patient: pds.Patient | None
    status: IdentityStatus = "answered"
    fault: str = ""


class FileIdentity:
    """Answers from a directory. Files are read off the loop's thread, and again only when they have changed.

    Args:
        directory: where the files are. Raises ConfigurationError where there is no such directory.
        today: which names, addresses and registrations are current.
    """

    def __init__(self, directory: Path, *, today: Callable[[], dt.date] = dt.date.today) -> None:
        if not directory.is_dir():
            raise ConfigurationError(directory, "there is no such directory: `[identity] directory` names one")
        self._directory = directory
        self._today = today
        self._known: dict[str, _Known] = {}
        self._lock = threading.Lock()

    def check(self) -> None:
        """Read everything, for the start and for `config check`. Raises ConfigurationError for the first bad file."""
        for path in sorted(self._directory.glob("*.json")):
            if not nhs_number.is_valid(path.stem):
                raise ConfigurationError(path, "name it for the NHS number it answers: <ten digits>.json")
        for number, known in sorted(self._look().items()):
            if known.status == "malformed":
                raise ConfigurationError(self._directory / f"{number}.json", known.fault)

    async def resolve(
        self,
        number: str,
        birth_date: str,
        deadline: float,
        organisation: str,  # noqa: ARG002 -- the protocol's
    ) -> Person:
        """As `IdentityService.resolve`."""
        clock = asyncio.get_running_loop().time
        began = clock()
        status: IdentityStatus
        try:
            async with asyncio.timeout_at(deadline):
                known = await asyncio.to_thread(self._look)
        except TimeoutError:
            status = "timed-out"
        except OSError:
            status = "failed"
        else:
            return self._person(known, number, birth_date, _milliseconds(clock() - began))
        return Person.unconfirmed(number, birth_date, status, _milliseconds(clock() - began))

    def _person(self, known: Mapping[str, _Known], number: str, birth_date: str, elapsed_ms: int) -> Person:
        believed = _believed(known, number)
        found = believed.patient
        if found is None:
            return Person.unconfirmed(number, birth_date, believed.status, elapsed_ms)
        others = (other for other in known if _leads_to(known, other, found))
        return person_of(found, number, birth_date, others=others, today=self._today(), elapsed_ms=elapsed_ms)

    def _look(self) -> Mapping[str, _Known]:
        """What every file says now. Blocks; raises OSError where the directory can't be read."""
        with self._lock:
            now: dict[str, _Known] = {}
            with os.scandir(self._directory) as entries:
                for entry in entries:
                    number, _, ending = entry.name.partition(".")
                    if ending == "json" and nhs_number.is_valid(number):
                        now[number] = _up_to_date(entry, self._known.get(number))
            self._known = now
            return now


def _up_to_date(entry: os.DirEntry[str], before: _Known | None) -> _Known:
    try:
        state = entry.stat()
    except OSError as fault:
        return _Known((0, 0, 0), None, "malformed", f"it can't be read ({fault.strerror})")
    stamp = (state.st_mtime_ns, state.st_size, state.st_ino)
    if before is not None and before.stamp == stamp:
        return before
    try:
        found = pds.read(_content(Path(entry.path)))
    except pds.PdsMalformed as fault:
        return _Known(stamp, None, "malformed", str(fault))
    except pds.PdsFailed as fault:
        return _Known(stamp, None, "failed", str(fault))
    return _Known(stamp, None, "patient-not-found") if isinstance(found, pds.Missing) else _Known(stamp, found)


def _content(path: Path) -> bytes:
    """At most one byte more than may be read, so that what is too large shows. Raises PdsMalformed."""
    if not path.is_file():  # opening a pipe would wait for ever
        raise pds.PdsMalformed("it is no file")
    try:
        with path.open("rb") as file:
            return file.read(pds.MOST_BYTES + 1)
    except OSError as fault:
        raise pds.PdsMalformed(f"it can't be read ({fault.strerror})") from None


_NOT_FOUND = _Known((0, 0, 0), None, "patient-not-found")
_CIRCLE = _Known((0, 0, 0), None, "malformed", "numbers supersede each other in a circle")


def _believed(known: Mapping[str, _Known], number: str) -> _Known:
    """What is said of `number`: its file's word, or that of the file of the number which supersedes it."""
    said = known.get(number, _NOT_FOUND)
    passed = {number}
    while said.patient is not None and said.patient.id != number and said.patient.id in known:
        number = said.patient.id
        if number in passed:
            return _CIRCLE
        passed.add(number)
        said = known[number]
    return said


def _leads_to(known: Mapping[str, _Known], number: str, found: pds.Patient) -> bool:
    """Whether the file of `number` says that it is the number of `found`, born on the same day."""
    said, believed = known[number].patient, _believed(known, number).patient
    return said is not None and believed is not None and (believed.id, said.birth_date) == (found.id, found.birth_date)


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
