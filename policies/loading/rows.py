"""What the readers of every table share: rows with an id, and the systems by their short names."""

from collections.abc import Iterator, Mapping

from policies.reading import Document, Row

__all__ = ["Systems", "load_systems", "unique"]

Systems = Mapping[str, tuple[str, ...]]
"""Short name of a code system, then every address under which a source may send it."""


def unique(rows: list[Row]) -> Iterator[tuple[str, Row]]:
    """Each row with its id; an id twice is a fault."""
    seen: set[str] = set()
    for row in rows:
        name = row.text("id")
        if name in seen:
            raise row.fault(f"`{name}` stands twice: one row for each", "id")
        seen.add(name)
        yield name, row


def load_systems(document: Document) -> Systems:
    """systems.toml."""
    document.only(["system"])
    document.top.done()
    systems = {}
    for name, row in unique(document.rows("system")):
        row.text("why")
        systems[name] = row.texts("uris")
        row.done()
    for needed in ("job-role", "snomed"):
        if needed not in systems:
            raise document.fault(f"no system `{needed}`: roles.toml and value-sets/ need it")
    return systems
