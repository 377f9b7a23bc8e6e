"""Brings a store of an earlier version to this one: a step from each version, all in one transaction."""

from collections.abc import Awaitable, Callable
from typing import Final

from sqlalchemy import JSON, cast, text, type_coerce, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.schema import CreateColumn, CreateTable

from broker.store.tables import OBJECTION_HISTORY, OBJECTIONS, VERSION

__all__ = ["migrate"]


async def migrate(connection: AsyncConnection, version: int) -> None:
    """Bring the tables from `version` to `VERSION`, inside the transaction of `connection`."""
    for step in _STEPS[version - 1 :]:
        await step(connection)
    await connection.execute(text("UPDATE schema_version SET version = :version"), {"version": VERSION})


async def _scopes_and_history(connection: AsyncConnection) -> None:
    """To version 2: objections have a scope, an origin and a day of review, and each version of them is kept.

    Of what is there already the first version is known, and the present one. Who withdrew it, or recorded that the
    patient was told, is in the journal alone.
    """
    for name in ("scope_value", "recorded_for", "review_on", "origin", "origin_reference", "origin_date"):
        column = CreateColumn(OBJECTIONS.c[name]).compile(dialect=connection.dialect)
        await connection.execute(text(f"ALTER TABLE objections ADD COLUMN {column}"))
    recorded_by = (
        cast(OBJECTIONS.c.recorded_by, JSON)
        if connection.dialect.name == "postgresql"
        else (type_coerce(OBJECTIONS.c.recorded_by, JSON))
    )
    await connection.execute(update(OBJECTIONS).values(recorded_for=recorded_by["organisation"].as_string()))
    await connection.execute(CreateTable(OBJECTION_HISTORY, if_not_exists=True))
    await connection.execute(text(_FIRST_VERSIONS))
    await connection.execute(text(_PRESENT_VERSIONS))


_FIRST_VERSIONS: Final = """
    INSERT INTO objection_history (objection, version, status, changed_by, changed_at, ico_route_told)
    SELECT id, 1, 'received', recorded_by, recorded_at, FALSE FROM objections
"""
# Received, under review, decided: the third version is the decision itself.
_PRESENT_VERSIONS: Final = """
    INSERT INTO objection_history (
        objection, version, status, changed_by, changed_at, reason, ico_route_told, told_at
    )
    SELECT
        id, version, status,
        CASE WHEN version = 3 AND status IN ('upheld', 'not-upheld') THEN decided_by END,
        CASE WHEN version = 3 AND status IN ('upheld', 'not-upheld') THEN decided_at END,
        reason, ico_route_told, told_at
    FROM objections WHERE version > 1
"""

_STEPS: Final[tuple[Callable[[AsyncConnection], Awaitable[None]], ...]] = (_scopes_and_history,)
"""From version 1, from version 2, and so on."""
