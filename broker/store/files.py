"""Notices when the name of a SQLite store belongs to other files than those that its connections write to.

A copy that is put in its place, or a log that is removed, leaves open connections writing where nobody will look: what
was acknowledged would be lost. So each connection knows the files it opened, by device and inode.
"""

import errno
import os
from pathlib import Path
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

__all__ = ["Files", "check_files", "files_of", "watch_files"]

Files = tuple[tuple[int, int], tuple[int, int] | None, tuple[int, int] | None]
"""Device and inode of the database, of its log and of the log's index; None where one of these is not there."""

_FILES: Final = "files"
_CHECK: Final = "check"


def files_of(file: Path) -> Files:
    """The files that now have these names. Raises FileNotFoundError where there is no database."""
    status = os.stat(file)  # noqa: PTH116  three of them in every look at the register
    return (status.st_dev, status.st_ino), _identity(f"{file}-wal"), _identity(f"{file}-shm")


def watch_files(engine: AsyncEngine, file: Path) -> None:
    """Let `engine` use connections to the present files alone; OSError where that can't be."""
    watch = _Watch(file)
    event.listen(engine.sync_engine, "do_connect", watch.connecting)
    event.listen(engine.sync_engine, "connect", watch.connected)
    event.listen(engine.sync_engine, "checkout", watch.taken)


def check_files(connection: AsyncConnection) -> None:
    """Raise OSError unless what this connection writes is where it will be looked for; of SQLite alone."""
    if check := connection.info.get(_CHECK):
        check()


class _Watch:
    """Of one engine."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._log_lost = False

    def connecting(self, _dialect: Any, record: Any, _arguments: Any, _named: Any) -> None:
        """Before: SQLite would make a database that is not there."""
        self._require_log()
        record.info[_FILES] = files_of(self._file)

    def connected(self, connection: Any, record: Any) -> None:
        """After: a first read opens the log."""
        cursor = connection.cursor()
        cursor.execute("SELECT count(*) FROM sqlite_master")
        cursor.close()
        files = files_of(self._file)
        if files[0] != record.info[_FILES][0]:
            raise OSError(errno.ESTALE, "the store was replaced while it was opened")
        record.info[_FILES] = files
        record.info[_CHECK] = lambda: self._check(files)

    def taken(self, _connection: Any, record: Any, _proxy: Any) -> None:
        """Each time that it is to be used."""
        self._require_log()
        if files_of(self._file)[0] != record.info[_FILES][0]:
            raise InvalidatePoolError
        record.info[_CHECK]()

    def _check(self, files: Files) -> None:
        present = files_of(self._file)
        # The connections of a process share what they know of the log, so none that it opens now could be trusted.
        self._log_lost = self._log_lost or (present[0] == files[0] and present != files)
        self._require_log()
        if present != files:
            raise OSError(errno.ESTALE, "the store was replaced")

    def _require_log(self) -> None:
        if self._log_lost:
            raise OSError(errno.ESTALE, "the store's log was removed while it was in use: start the broker again")


def _identity(name: str) -> tuple[int, int] | None:
    try:
        status = os.stat(name)  # noqa: PTH116
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
