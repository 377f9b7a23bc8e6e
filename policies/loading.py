"""Makes `Tables` of the files of a policy set, and tells every fault with file and line."""

from collections.abc import Iterator, Mapping

from policies.reading import Document, Place, Row, text_of
from policies.tables import Basis, Exclusion, Label, Role, Tables
from policies.values import Coding, Edge, PolicyError

__all__ = ["TABLES", "load_tables", "refsets_of"]

TABLES = ("systems.toml", "roles.toml", "categories.toml", "labels.toml", "exclusions.toml", "closure.toml")
"""The files that `load_tables` reads, beside value-sets/."""

EVERYONE = "everyone"

Systems = Mapping[str, tuple[str, ...]]


def load_tables(place: Place) -> tuple[Tables, tuple[str, ...]]:
    """The tables of a policy set, and notices: what is missing without being a fault. Raises PolicyError."""
    documents = {name: Document.open(place.joinpath(name)) for name in TABLES}
    systems = _systems(documents["systems.toml"])
    categories = _Categories(documents["categories.toml"], systems)
    roles = _roles(documents["roles.toml"], categories.groups)
    labels = _Labels(documents["labels.toml"], systems, roles)
    rules = _Exclusions(documents["exclusions.toml"], systems, place, labels)
    closure = _Closure(documents["closure.toml"], categories.home)
    tables = Tables(
        categories=tuple(categories.types),
        groups=categories.groups,
        home=categories.home,
        context=closure.context,
        by_reference=closure.by_reference,
        supporting=closure.supporting,
        only_offered=frozenset(categories.only_offered),
        edges=closure.edges,
        severed=closure.severed,
        containers=closure.containers,
        roles=roles,
        role_by_job={
            (uri, code): role.id for role in roles.values() for code in role.job_roles for uri in systems["job-role"]
        },
        labels=labels.labels,
        exclusions=tuple(rules.rules),
        leave_out_uncoded_documents=rules.leave_out_uncoded_documents,
        types_by_category=categories.types,
        offers={service: frozenset(offered) for service, offered in categories.offers.items()},
        added_by_coding=categories.added_by_coding,
        added_by_profile=categories.added_by_profile,
        label_systems=labels.systems,
        absent_label=labels.absent,
        unknown_label=labels.unknown,
    )
    return tables, tuple(rules.notices)


def refsets_of(place: Place) -> list[Place]:
    """The value-set files that lie in a policy set, in order of their names."""
    folder = place.joinpath("value-sets")
    if not folder.is_dir():
        return []
    return sorted((file for file in folder.iterdir() if file.name.endswith(".txt")), key=lambda file: file.name)


def _unique(rows: list[Row]) -> Iterator[tuple[str, Row]]:
    """Each row with its id; an id twice is a fault."""
    seen: set[str] = set()
    for row in rows:
        name = row.text("id")
        if name in seen:
            raise row.fault(f"`{name}` stands twice: one row for each", "id")
        seen.add(name)
        yield name, row


def _systems(document: Document) -> Systems:
    document.only(["system"])
    document.top.done()
    systems = {}
    for name, row in _unique(document.rows("system")):
        row.text("why")
        systems[name] = row.texts("uris")
        row.done()
    for needed in ("job-role", "snomed"):
        if needed not in systems:
            raise document.fault(f"no system `{needed}`: roles.toml and value-sets/ need it")
    return systems


class _Categories:
    """categories.toml."""

    def __init__(self, document: Document, systems: Systems) -> None:
        document.only(["category", "group", "added"])
        document.top.done()
        self.types: dict[str, frozenset[str]] = {}
        self.home: dict[str, str] = {}
        self.only_offered: set[str] = set()
        self.offers: dict[str, set[str]] = {}
        for name, row in _unique(document.rows("category")):
            self._category(name, row)
        for category, row in zip(self.types, document.rows("category"), strict=True):
            if homeless := sorted(self.types[category] - self.home.keys()):
                raise row.fault(f"{', '.join(homeless)} has no home: put it into `home` of one category", "types")
        self.groups = dict(self._groups(document))
        self.added_by_coding: dict[Coding, frozenset[str]] = {}
        self.added_by_profile: dict[str, frozenset[str]] = {}
        for row in document.rows("added"):
            self._added(row, systems)

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
        for name, row in _unique(document.rows("group")):
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

    def _added(self, row: Row, systems: Systems) -> None:
        category = frozenset((row.word("category", self.types, what="a category"),))
        row.text("why")
        for coding in row.codes(systems):
            self.added_by_coding[coding] = self.added_by_coding.get(coding, frozenset()) | category
        for profile in row.texts("profiles", []):
            self.added_by_profile[profile] = self.added_by_profile.get(profile, frozenset()) | category
        row.done()


def _roles(document: Document, groups: Mapping[str, frozenset[str]]) -> dict[str, Role]:
    document.only(["role"])
    document.top.done()
    roles: dict[str, Role] = {}
    taken: dict[str, str] = {}
    for name, row in _unique(document.rows("role")):
        codes = row.meanings("job_roles")
        for code in codes:
            if code in taken:
                raise row.fault(f"job role {code} is already {taken[code]}: one role for each", code)
            taken[code] = name
        roles[name] = Role(
            id=name,
            name=row.text("name"),
            sees=frozenset(row.words("sees", groups, what="a group of categories.toml")),
            job_roles=frozenset(codes),
            why=row.text("why"),
        )
        row.done()
    return roles


class _Labels:
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
        for name, row in _unique(document.rows("label")):
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


class _Exclusions:
    """exclusions.toml, with the licensed value sets that lie beside it."""

    def __init__(self, document: Document, systems: Systems, place: Place, labels: _Labels) -> None:
        document.only(["rule"])
        top = document.top
        self.leave_out_uncoded_documents = top.flag("leave_out_uncoded_documents", default=True)
        top.done()
        self.notices: list[str] = []
        self.rules: list[Exclusion] = []
        wanted: set[str] = set()
        for name, row in _unique(document.rows("rule")):
            row.text("why")
            codings = set(row.codes(systems))
            for label in row.words("labels", labels.labels, what="a label of labels.toml", default=[]):
                codings.update((system, label) for system in labels.systems)
            for refset in row.rows("refset"):
                wanted.add(refset.text("id"))
                codings.update(self._members(refset, place, systems))
            if not (bases := tuple(_basis(basis) for basis in row.rows("basis"))):
                raise row.fault("a rule needs a [[rule.basis]]: name what it rests on")
            row.done()
            self.rules.append(Exclusion(name, frozenset(codings), bases))
        for file in refsets_of(place):
            if file.name.removesuffix(".txt") not in wanted:
                raise document.fault(f"no rule names value-sets/{file.name}: add a [[rule.refset]] or remove the file")

    def _members(self, refset: Row, place: Place, systems: Systems) -> Iterator[Coding]:
        name, title = refset.text("id"), refset.text("name")
        refset.done()
        file = place.joinpath("value-sets", f"{name}.txt")
        if not file.is_file():
            self.notices.append(
                f"exclusions.toml:{refset.line}: reference set {name} ({title}) is not loaded: only the codes listed "
                f"in the table are screened. Put its members into value-sets/{name}.txt"
            )
            return
        codes = list(_codes_of(name, file.name, text_of(file, "value-sets")))
        if not codes:
            raise PolicyError(f"value-sets/{file.name}", "no active member in it: give the members, or remove it")
        yield from ((uri, code) for code in codes for uri in systems["snomed"])


def _codes_of(refset: str, file: str, text: str) -> Iterator[str]:
    """The members that a value-set file gives: RF2 simple reference set, or a code a line."""
    lines = text.splitlines()
    if lines and lines[0].startswith("id\t"):
        columns = lines[0].split("\t")
        try:
            active, of, member = (columns.index(name) for name in ("active", "refsetId", "referencedComponentId"))
        except ValueError:
            raise PolicyError(
                f"value-sets/{file}",
                "not an RF2 reference set: it needs active, refsetId and referencedComponentId",
                line=1,
            ) from None
        for number, line in enumerate(lines[1:], 2):
            cells = line.split("\t")
            if len(cells) < len(columns):
                raise PolicyError(f"value-sets/{file}", "a column is missing on this line", line=number)
            if cells[of] == refset and cells[active] == "1":
                yield cells[member]
        return
    for number, line in enumerate(lines, 1):
        code = line.split("|")[0].split("#")[0].strip().split(" ")[0]
        if code and not code.isdecimal():
            raise PolicyError(f"value-sets/{file}", "write one SNOMED CT code a line", line=number)
        if code:
            yield code


def _basis(row: Row) -> Basis:
    name = row.text("name")
    row.text("why")
    basis = Basis(name, row.day("from"), row.day("until"))
    if basis.since and basis.until and basis.since >= basis.until:
        raise row.fault("`until` must be later than `from`", "until")
    row.done()
    return basis


class _Closure:
    """closure.toml."""

    def __init__(self, document: Document, home: Mapping[str, str]) -> None:
        document.only(["type"])
        top = document.top
        self.context = frozenset(top.words("context", home, what="a type with a home in categories.toml"))
        self.by_reference = frozenset(top.texts("by_reference"))
        self.supporting = frozenset(top.texts("supporting"))
        for key, types in (("by_reference", self.by_reference), ("supporting", self.supporting)):
            if homely := sorted(types & home.keys()):
                raise top.fault(f"{', '.join(homely)} has a home in categories.toml: it is of a patient", key)
        top.done()
        self.edges: dict[str, dict[str, Edge]] = {}
        self.severed: dict[str, frozenset[str]] = {}
        self.containers: dict[str, frozenset[str]] = {}
        for kind, row in document.named("type"):
            self._type(kind, row)

    def _type(self, kind: str, row: Row) -> None:
        row.text("why")
        edges: dict[str, Edge] = {}
        for edge in Edge:
            for element in row.texts(edge.value, []):
                if element in edges:
                    raise row.fault(f"{element} is already {edges[element].value}: one kind for each", edge.value)
                edges[element] = edge
        self.edges[kind] = edges
        if contained := frozenset(element for element, edge in edges.items() if edge is Edge.CONTAINER):
            self.containers[kind] = contained
        if row.has("keeps"):
            self.severed[kind] = frozenset(row.texts("keeps"))
            if lost := sorted(self.severed[kind] & edges.keys()):
                raise row.fault(f"{', '.join(lost)} leads to what is kept out: a severed item can't keep it", "keeps")
        row.done()
