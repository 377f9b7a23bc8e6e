"""What the registers hold. Nothing clinical; patients and people's words only sealed.

Whoever follows a register reads what changed since the revision it knows. Each change takes the next revision from the
register's one counter row in the same transaction, so a revision is never seen before an earlier one.
"""

from typing import Final

from sqlalchemy import Boolean, Column, Date, Index, Integer, MetaData, String, Table, Text

__all__ = ["METADATA", "OBJECTIONS", "REVISIONS", "SCHEMA", "VERSION"]

VERSION: Final = 1
"""Of the tables below. A store of a later version is refused."""

METADATA: Final = MetaData()

SCHEMA: Final = Table(
    "schema_version",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("version", Integer, nullable=False),
)

REVISIONS: Final = Table(
    "revisions",
    METADATA,
    Column("register", String(32), primary_key=True),
    Column("revision", Integer, nullable=False),
)

OBJECTIONS: Final = Table(
    "objections",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("status", String(16), nullable=False),
    Column("scope", String(16), nullable=False),
    Column("patient", String(64), nullable=False),
    Column("asked_by", String(16), nullable=False),
    Column("effect_explained", Boolean, nullable=False),
    Column("recorded_by", Text, nullable=False),
    Column("recorded_at", String(32), nullable=False),
    Column("decided_by", Text),
    Column("decided_at", String(32)),
    Column("reason", Text),
    Column("ico_route_told", Boolean, nullable=False),
    Column("told_at", Date),
    Index("objections_by_patient", "patient"),
    Index("objections_by_revision", "revision"),
)
