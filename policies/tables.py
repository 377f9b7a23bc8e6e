"""What the tables say, made ready for the hot path: pure look-ups, no files."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date

from policies.codings import usual
from policies.dissents import Dissents
from policies.values import Coding, Edges, Sight

__all__ = ["Basis", "Exclusion", "Label", "Role", "Tables"]

NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Basis:
    """What a rule rests on, and when. `since` is the first day, `until` the first day on which it no longer holds."""

    name: str
    since: date | None
    until: date | None

    def holds(self, on: date) -> bool:
        """Whether it holds on this day."""
        return (self.since is None or self.since <= on) and (self.until is None or on < self.until)


@dataclass(frozen=True, slots=True)
class Exclusion:
    """One kind of service that is never shared.

    Attributes:
        id: the word that a manifest's `services.excluded` uses.
        codings: what it keeps out, exceptions taken away.
        bases: what it rests on, and when.
        adopted: the board has adopted it; a rule that it has not is in force on no day.
        refsets: the reference sets that belong to it, loaded or not.
    """

    id: str
    codings: frozenset[Coding]
    bases: tuple[Basis, ...]
    adopted: bool = True
    refsets: tuple[str, ...] = ()

    def in_force(self, on: date) -> bool:
        """In force while any basis is, once adopted."""
        return self.adopted and any(basis.holds(on) for basis in self.bases)


@dataclass(frozen=True, slots=True)
class Role:
    """One row of the role table.

    Attributes:
        sees: groups of categories.
        override: may break the glass.
        records_objections: may record a patient's objection.
        job_roles: codes of the national RBAC.
        operator_roles: codes of the broker's own roles, which only the operator's issuers may assert.
    """

    id: str
    name: str
    sees: frozenset[str]
    override: bool
    records_objections: bool
    job_roles: frozenset[str]
    operator_roles: frozenset[str]
    why: str


@dataclass(frozen=True, slots=True)
class Label:
    """One row of the label table: roles that see it as it is, and roles that see it marked. All others: withheld."""

    id: str
    shown: frozenset[str]
    marked: frozenset[str]

    def sight(self, role: str) -> Sight:
        """What this label means for a role."""
        if role in self.shown:
            return Sight.SHOW
        return Sight.MARK if role in self.marked else Sight.WITHHOLD


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """The tables of a policy set.

    Attributes:
        categories: in the order in which they are shown.
        groups: group of categories, then its categories.
        home: FHIR type, then the category under which it is counted. A type without one is not asked for.
        context: types fetched for every lookup, to judge by.
        by_reference: context types that are read when something refers to them.
        supporting: types of no patient that may accompany what refers to them.
        only_offered: categories that a source provides only where its manifest or its service type offers them.
        edges: what a reference means when one of its ends is kept out.
        severed: type, then the elements that it keeps when severed.
        containers: type, then the elements whose entries go while the resource stays.
        roles: by id.
        role_by_job: (system, job-role code), then the id of its role.
        labels: by id.
        exclusions: the rules of what is never shared.
        leave_out_uncoded_documents: whether documents without a coded type and service are left out, from organisations
            that also run an excluded service.
        dissent: the codes by which a record says that its patient does not want it shared.
        unasked: FHIR type that is never asked for, then why.
        known_systems: code systems that the tables speak of, or of which they say that the type alone decides.
        known_profiles: profiles, likewise.
    """

    categories: tuple[str, ...]
    groups: Mapping[str, frozenset[str]]
    home: Mapping[str, str]
    context: frozenset[str]
    by_reference: frozenset[str]
    supporting: frozenset[str]
    only_offered: frozenset[str]
    edges: Edges
    severed: Mapping[str, frozenset[str]]
    containers: Mapping[str, frozenset[str]]
    roles: Mapping[str, Role]
    role_by_job: Mapping[Coding, str]
    labels: Mapping[str, Label]
    exclusions: tuple[Exclusion, ...]
    leave_out_uncoded_documents: bool
    dissent: Dissents
    types_by_category: Mapping[str, frozenset[str]]
    offers: Mapping[str, frozenset[str]]
    added_by_coding: Mapping[Coding, frozenset[str]]
    added_by_profile: Mapping[str, frozenset[str]]
    unasked: Mapping[str, str]
    known_systems: frozenset[str]
    known_profiles: frozenset[str]
    label_systems: frozenset[str]
    absent_label: str
    unknown_label: str
    _excluded: dict[tuple[bool, ...], frozenset[Coding]] = field(default_factory=dict, compare=False, repr=False)

    def types_of(self, category: str) -> frozenset[str]:
        """The FHIR types to ask for a category. Raises KeyError for a word that is no category."""
        return self.types_by_category[category]

    def offered_by(self, service_type: str) -> frozenset[str]:
        """Those of `only_offered` that organisations of this service type offer."""
        return self.offers.get(service_type, NOTHING)

    def added(self, type: str, codings: Iterable[Coding], profiles: Iterable[str]) -> frozenset[str]:  # noqa: A002
        """The categories that a resource is in beside its home: all of them must be permitted."""
        coded, profiled = self.added_by_coding, self.added_by_profile
        if coded.keys().isdisjoint(codings) and profiled.keys().isdisjoint(profiles):
            return NOTHING
        found = {category for coding in codings for category in coded.get(coding, NOTHING)}
        found.update(category for profile in profiles for category in profiled.get(profile, NOTHING))
        found.discard(self.home.get(type, ""))
        return frozenset(found)

    def excluded_codings(self, on: date) -> frozenset[Coding]:
        """Codes, services, specialties and labels of every exclusion in force on a day.

        A resource is excluded where one of its codings is in this set.
        """
        force = tuple(rule.in_force(on) for rule in self.exclusions)
        if (known := self._excluded.get(force)) is None:
            parts = (rule.codings for rule, holds in zip(self.exclusions, force, strict=True) if holds)
            known = self._excluded[force] = frozenset().union(*parts)
        return known

    @property
    def deciding(self) -> frozenset[str]:
        """The types behind an edge that are read where they are not at hand. Others count only if they came along."""
        return frozenset(self.edges) & self.home.keys() | self.by_reference

    @property
    def excluded_services(self) -> frozenset[str]:
        """The kinds of excluded service: what a manifest's `services.excluded` may name."""
        return frozenset(rule.id for rule in self.exclusions if rule.adopted)

    def labels_of(self, security: Iterable[Coding]) -> frozenset[str]:
        """The labels that `meta.security` amounts to: never empty."""
        found = {
            code if code in self.labels else self.unknown_label
            for written in security
            for system, code in usual(*written)
            if system in self.label_systems or (not system and code in self.labels)
        }
        return frozenset(found or (self.absent_label,))
