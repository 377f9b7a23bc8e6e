"""Reads roles.toml and labels.toml: who sees what, and what a label means for whom."""

import re
from collections.abc import Iterator, Mapping

from policies.loading.rows import Systems, unique
from policies.reading import Document
from policies.tables import Label, Role
from policies.values import Coding

__all__ = ["Labels", "load_roles", "roles_by_code"]

EVERYONE = "everyone"

OPERATOR_ROLES = "urn:care-record-broker:role"
"""The code system of roles that no national job role stands for: those whom the broker's operator employs."""


_JOB_ROLE = re.compile(r"R[0-9]{4}")
"""As the national RBAC writes them. Scenarios name roles, not codes: none would notice one that matches nobody."""


def load_roles(document: Document, groups: Mapping[str, frozenset[str]]) -> dict[str, Role]:
    """roles.toml."""
    document.only(["role"])
    document.top.done()
    roles: dict[str, Role] = {}
    taken: dict[str, str] = {}
    for name, row in unique(document.rows("role")):
        codes, own = row.meanings("job_roles"), row.meanings("operator_roles")
        for code in codes:
            if not _JOB_ROLE.fullmatch(code):
                raise row.fault(f"{code} is no job role: write R and four digits, such as R8000", code)
        for code in (*codes, *own):
            if code in taken:
                raise row.fault(f"job role {code} is already {taken[code]}: one role for each", code)
            taken[code] = name
        roles[name] = Role(
            id=name,
            name=row.text("name"),
            sees=frozenset(row.words("sees", groups, what="a group of categories.toml")),
            override=row.flag("override", default=False),
            records_objections=row.flag("records_objections", default=False),
            job_roles=frozenset(codes),
            operator_roles=frozenset(own),
            why=row.text("why"),
        )
        row.done()
    return roles


def roles_by_code(roles: Mapping[str, Role], systems: Systems) -> dict[Coding, str]:
    """The role of each job role, at every address of the national code system and at the broker's own."""
    return {
        (uri, code): role.id
        for role in roles.values()
        for uris, codes in ((systems["job-role"], role.job_roles), ((OPERATOR_ROLES,), role.operator_roles))
        for uri in uris
        for code in codes
    }


class Labels:
    """labels.toml."""

    def __init__(self, document: Document, systems: Systems, roles: Mapping[str, Role]) -> None:
        document.only(["label"])
        top = document.top
        used = top.words("systems", systems, what="a system of systems.toml")
        self.systems = frozenset(uri for name in used for uri in systems[name])
        self.labels = dict(self._labels(document, roles))
        self.absent = top.word("absent", self.labels, what="a label of this file")
        self.unknown = top.word("unknown", self.labels, what="a label of this file")
        top.done()

    def _labels(self, document: Document, roles: Mapping[str, Role]) -> Iterator[tuple[str, Label]]:
        for name, row in unique(document.rows("label")):
            row.text("why")
            shown, marked = (
                frozenset(roles) if EVERYONE in names else frozenset(names)
                for names in (
                    row.words(key, [*roles, EVERYONE], what="a role of roles.toml", default=[])
                    for key in ("show", "mark")
                )
            )
            if both := sorted(shown & marked):
                raise row.fault(f"{', '.join(both)} stands in `show` and in `mark`: choose one", "mark")
            row.done()
            yield name, Label(name, shown, marked)
