"""Reads categories.toml."""

from collections.abc import Iterator

from policies.loading.rows import Systems, unique
from policies.reading import Document, Row
from policies.values import Coding

__all__ = ["Categories"]


class Categories:
    """categories.toml."""

    def __init__(self, document: Document, systems: Systems) -> None:
        document.only(["category", "group", "added", "plain", "unasked"])
        document.top.done()
        self.types: dict[str, frozenset[str]] = {}
        self.home: dict[str, str] = {}
        self.only_offered: set[str] = set()
        self.offers: dict[str, set[str]] = {}
        for name, row in unique(document.rows("category")):
            self._category(name, row)
        for category, row in zip(self.types, document.rows("category"), strict=True):
            if homeless := sorted(self.types[category] - self.home.keys()):
                raise row.fault(f"{', '.join(homeless)} has no home: put it into `home` of one category", "types")
        self.groups = dict(self._groups(document))
        self.added_by_coding: dict[Coding, frozenset[str]] = {}
        self.added_by_profile: dict[str, frozenset[str]] = {}
        for row in document.rows("added"):
            self._added(row, systems)
        self.known_systems = {uri for uris in systems.values() for uri in uris}
        self.known_profiles = set(self.added_by_profile)
        for row in document.rows("plain"):
            self._plain(row)
        self.unasked = dict(self._unasked(document))

    def _category(self, name: str, row: Row) -> None:
        row.text("why")
        types = row.texts("types")
        self.types[name] = frozenset(types)
        for kind in row.words("home", types, what="a type of this category", default=[]):
            if kind in self.home:
                raise row.fault(f"{kind} already has its home in {self.home[kind]}: one home for each type", "home")
            self.home[kind] = name
        if row.flag("only_where_offered", default=False):
            self.only_offered.add(name)
        for service in row.texts("offered_by", []):
            self.offers.setdefault(service, set()).add(name)
        if self.only_offered.isdisjoint({name}) and row.has("offered_by"):
            raise row.fault("`offered_by` means something only with `only_where_offered = true`", "offered_by")
        row.done()

    def _groups(self, document: Document) -> Iterator[tuple[str, frozenset[str]]]:
        left = dict.fromkeys(self.types)
        for name, row in unique(document.rows("group")):
            row.text("why")
            members = row.words("categories", self.types, what="a category")
            for category in members:
                if category not in left:
                    raise row.fault(f"{category} is in two groups: one group for each category", "categories")
                del left[category]
            row.done()
            yield name, frozenset(members)
        if left:
            raise document.fault(f"{', '.join(left)} is in no group: add it to the `categories` of one")

    def _plain(self, row: Row) -> None:
        row.text("why")
        profiles = row.texts("profiles", [])
        if both := sorted(self.added_by_profile.keys() & set(profiles)):
            raise row.fault(f"{both[0]} adds a category under [[added]]: choose one", "profiles")
        self.known_systems.update(row.texts("systems", []))
        self.known_profiles.update(profiles)
        row.done()

    def _unasked(self, document: Document) -> Iterator[tuple[str, str]]:
        for row in document.rows("unasked"):
            why = row.text("why")
            for kind in row.texts("types"):
                if kind in self.home:
                    raise row.fault(f"{kind} has its home in {self.home[kind]}: it is asked for", "types")
                yield kind, why
            row.done()

    def _added(self, row: Row, systems: Systems) -> None:
        category = frozenset((row.word("category", self.types, what="a category"),))
        row.text("why")
        for coding in row.codes(systems):
            self.added_by_coding[coding] = self.added_by_coding.get(coding, frozenset()) | category
        for profile in row.texts("profiles", []):
            self.added_by_profile[profile] = self.added_by_profile.get(profile, frozenset()) | category
        row.done()
