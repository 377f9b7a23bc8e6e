"""What the registers hold. Nothing clinical; patients and people's words only sealed.

Whoever follows a register reads what changed since the revision it knows. Each change takes the next revision from the
register's one counter row in the same transaction, so a revision is never seen before an earlier one.
"""

from typing import Final

from sqlalchemy import Boolean, Column, Date, Float, Index, Integer, MetaData, String, Table, Text

__all__ = ["ALERTS", "METADATA", "OBJECTIONS", "OBJECTION_HISTORY", "REVISIONS", "SCHEMA", "VERSION"]

VERSION: Final = 2
"""Of the tables below. A store of an earlier version is brought to it; one of a later version is refused."""

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
    # whole, organisation, category or staff; and which one it is about: sealed, NULL for the whole record.
    Column("scope", String(16), nullable=False),
    Column("scope_value", Text),
    Column("patient", String(64), nullable=False),
    Column("asked_by", String(16), nullable=False),
    Column("effect_explained", Boolean, nullable=False),
    Column("recorded_by", Text, nullable=False),
    Column("recorded_at", String(32), nullable=False),
    # ODS code of the organisation whose staff recorded it: of `recorded_by`, to be looked for.
    Column("recorded_for", String(16)),
    Column("decided_by", Text),
    Column("decided_at", String(32)),
    Column("reason", Text),
    Column("ico_route_told", Boolean, nullable=False),
    Column("told_at", Date),
    # The day on which a child's objection is looked at again.
    Column("review_on", Date),
    # Of one made elsewhere: where, its reference there (sealed), and its date there.
    Column("origin", String(32)),
    Column("origin_reference", Text),
    Column("origin_date", Date),
    Index("objections_by_age", "recorded_at", "id"),
    Index("objections_by_patient", "patient"),
    Index("objections_by_revision", "revision"),
    Index("objections_by_origin", "origin", "origin_reference", unique=True),
)

OBJECTION_HISTORY: Final = Table(
    "objection_history",
    METADATA,
    # A row for each version of each objection, only ever added to.
    Column("objection", String(32), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("status", String(16), nullable=False),
    # Who made this version, and when; NULL where a store of version 1 did not keep it.
    Column("changed_by", Text),
    Column("changed_at", String(32)),
    Column("reason", Text),
    Column("ico_route_told", Boolean, nullable=False),
    Column("told_at", Date),
)

ALERTS: Final = Table(
    "alerts",
    METADATA,
    # What is still to be sent, and what was done today and must not be done again. Names neither patient nor user.
    Column("id", String(128), primary_key=True),
    Column("raised_at", Float, nullable=False),
    # As it is sent; NULL where there is nothing to send.
    Column("body", Text),
    Column("tries", Integer, nullable=False),
    # When it is to be tried next, in seconds since 1970. Whoever tries it moves it on first: nobody else does then.
    Column("due_at", Float),
    Index("alerts_by_due", "due_at"),
)
