"""Where do the registers live? SQLAlchemy Core tables in SQLite, or another database; nothing clinical."""

from broker.store.files import Files, check_files, files_of
from broker.store.opening import open_store, sqlite_file
from broker.store.tables import ALERTS, METADATA, OBJECTION_HISTORY, OBJECTIONS, REVISIONS, SCHEMA, VERSION

__all__ = [
    "ALERTS",
    "METADATA",
    "OBJECTIONS",
    "OBJECTION_HISTORY",
    "REVISIONS",
    "SCHEMA",
    "VERSION",
    "Files",
    "check_files",
    "files_of",
    "open_store",
    "sqlite_file",
]
