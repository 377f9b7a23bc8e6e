"""The tables as Cedar sees them: a role for each row, categories in their groups, and what the questions are about."""

from typing import Any

from policies.tables import Tables

__all__ = ["ABOUT", "NO_ROLE", "entities_of", "reference"]

NO_ROLE = ""
"""The role of those without one: it may do nothing."""

ABOUT = {
    "ask": ("Record", "shared"),
    "override": ("Record", "shared"),
    "answer": ("Source", "organisation"),
    "record-objection": ("Register", "objections"),
    "decide-objection": ("Register", "objections"),
    "see-objection": ("Register", "objections"),
    "register": ("Register", "organisations"),
    "audit": ("Journal", "journal"),
}
"""What each action is about, type and name, where that is always the same."""

WHEREABOUTS = ("home", "places")


def reference(kind: str, name: str) -> dict[str, str]:
    """An entity by type and name, as a question names it."""
    return {"type": kind, "id": name}


def entities_of(tables: Tables) -> list[dict[str, Any]]:
    """Every entity that a policy may meet, in Cedar's JSON."""
    roles = [_entity("Role", NO_ROLE, sees=[], shown=[], marked=[], overrides=False, recordsObjections=False)]
    for role in tables.roles.values():
        shown = [label.id for label in tables.labels.values() if role.id in label.shown]
        marked = [label.id for label in tables.labels.values() if role.id in label.marked]
        roles.append(
            _entity(
                "Role",
                role.id,
                sees=[{"__entity": reference("Group", name)} for name in sorted(role.sees)],
                shown=shown,
                marked=shown + marked,
                overrides=role.override,
                recordsObjections=role.records_objections,
            )
        )
    categories = [
        _entity(
            "Category",
            category,
            [reference("Group", name) for name, members in tables.groups.items() if category in members],
        )
        for category in tables.categories
    ]
    return [
        *(_entity(kind, name) for kind, name in sorted({*ABOUT.values()})),
        *(_entity("Whereabouts", name) for name in WHEREABOUTS),
        *(_entity("Group", name) for name in tables.groups),
        *categories,
        *roles,
    ]


def _entity(kind: str, name: str, parents: list[dict[str, str]] | None = None, **attrs: object) -> dict[str, Any]:
    return {"uid": reference(kind, name), "attrs": attrs, "parents": parents or []}
