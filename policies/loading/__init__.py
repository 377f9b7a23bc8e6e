"""Makes `Tables` of the files of a policy set, and tells every fault with file and line."""

from policies.loading.categories import Categories
from policies.loading.closure import Closure
from policies.loading.dissent import load_dissents
from policies.loading.exclusions import Exclusions
from policies.loading.roles import Labels, load_roles, roles_by_code
from policies.loading.rows import load_systems
from policies.loading.value_sets import refsets_of
from policies.reading import Document, Place
from policies.tables import Tables

__all__ = ["TABLES", "load_tables", "refsets_of"]

TABLES = (
    "systems.toml",
    "roles.toml",
    "categories.toml",
    "labels.toml",
    "exclusions.toml",
    "closure.toml",
    "dissent.toml",
)
"""The files that `load_tables` reads, beside value-sets/."""


def load_tables(place: Place) -> tuple[Tables, tuple[str, ...]]:
    """The tables of a policy set, and notices: what is missing without being a fault. Raises PolicyError."""
    documents = {name: Document.open(place.joinpath(name)) for name in TABLES}
    systems = load_systems(documents["systems.toml"])
    categories = Categories(documents["categories.toml"], systems)
    roles = load_roles(documents["roles.toml"], categories.groups)
    labels = Labels(documents["labels.toml"], systems, roles)
    rules = Exclusions(documents["exclusions.toml"], systems, place, labels)
    closure = Closure(documents["closure.toml"], categories.home)
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
        role_by_job=roles_by_code(roles, systems),
        labels=labels.labels,
        exclusions=tuple(rules.rules),
        leave_out_uncoded_documents=rules.leave_out_uncoded_documents,
        dissent=load_dissents(documents["dissent.toml"], systems, categories.home),
        types_by_category=categories.types,
        offers={service: frozenset(offered) for service, offered in categories.offers.items()},
        added_by_coding=categories.added_by_coding,
        added_by_profile=categories.added_by_profile,
        unasked=categories.unasked,
        known_systems=frozenset(categories.known_systems),
        known_profiles=frozenset(categories.known_profiles),
        label_systems=labels.systems,
        absent_label=labels.absent,
        unknown_label=labels.unknown,
    )
    return tables, tuple(rules.notices)
