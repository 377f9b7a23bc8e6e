"""Who has said no? The register of objections, and the index of it that lookups ask."""

from broker.objections.index import EVERY, ObjectionIndex
from broker.objections.register import Journal, ObjectionRegister
from broker.objections.values import ASKED_BY, DECIDERS, Actor, ObjectionRecord, Status

__all__ = [
    "ASKED_BY",
    "DECIDERS",
    "EVERY",
    "Actor",
    "Journal",
    "ObjectionIndex",
    "ObjectionRecord",
    "ObjectionRegister",
    "Status",
]
