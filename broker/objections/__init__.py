"""Who has said no? The register of objections, and the index of it that lookups ask."""

from broker.objections.index import EVERY, ObjectionIndex
from broker.objections.letter import Letter
from broker.objections.register import Journal, ObjectionRegister
from broker.objections.scopes import WHOLE, Known, Scope, ScopeKind
from broker.objections.values import (
    ASKED_BY,
    Actor,
    ImportedObjection,
    ImportResult,
    ObjectionRecord,
    Origin,
    Status,
    Version,
)

__all__ = [
    "ASKED_BY",
    "EVERY",
    "WHOLE",
    "Actor",
    "ImportResult",
    "ImportedObjection",
    "Journal",
    "Known",
    "Letter",
    "ObjectionIndex",
    "ObjectionRecord",
    "ObjectionRegister",
    "Origin",
    "Scope",
    "ScopeKind",
    "Status",
    "Version",
]
