"""Who is asked for what? Decide first, ask second: an organisation that may not answer is not asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from broker.auth import Caller
from broker.errors import (
    BrokerError,
    OrganisationNotTakingPart,
    OwnRecord,
    PurposeNotPermitted,
    RelationshipNeeded,
    RoleNotPermitted,
)
from broker.identity import Person
from broker.lookup.planned import identity_row, practice_row, row_of, types_of_row, waiting
from broker.lookup.rows import in_order
from broker.lookup.values import Query, Row, Status
from broker.objections.stance import FORBIDDING, Stance
from broker.registry import Organisation, RegisteredSource, Registry
from policies import Policies
from policies.values import Decision, Objection, Reader, Reason, SourceState

__all__ = ["SELF_DECLARED", "Ask", "Permission", "Plan", "make_plan", "permit"]

_REFUSALS: Mapping[Reason | None, type[BrokerError]] = {
    Reason.ORGANISATION_NOT_TAKING_PART: OrganisationNotTakingPart,
    Reason.PURPOSE_NOT_PERMITTED: PurposeNotPermitted,
}
_NORMAL = frozenset({"N"})

SELF_DECLARED = "self-declared"
"""The relationship of which nobody but the reader says that it is there."""

_MAY_NOT_OVERRIDE = "This role may not break the glass."
_HOW = (
    "Nobody says how the reader's organisation is caring for this patient: the token must (relationship.basis "
    "encounter, referral, registration or caseload), or the reader, with POST /lookups and "
    'relationship {"basis": "self-declared", "reason": "..."}, of which the privacy officer is told.'
)
_OR_OVERRIDE = ' Or break the glass: override {"reason": "01" to "06", "text": "..."}.'

_OF_THE_PATIENT = frozenset({"demographics", "gp-registration"})
"""Categories that are answered by the one Patient, in the row of its origin alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """That this reader may look this patient up, and what of them.

    Attributes:
        reader: the state that policies decide on.
        asked: categories asked that the role may see, in the order of the interface.
        not_permitted: every category that the role may not see, asked or not.
        policies: ids of those that determined it.
        overrider: the role may break the glass.
        only: names of the sources that are asked, of those in scope; None for all.
        types: the FHIR types that are asked; None for all of the categories.
    """

    reader: Reader
    asked: tuple[str, ...]
    not_permitted: tuple[str, ...]
    policies: frozenset[str]
    overrider: bool = False
    only: frozenset[str | None] | None = None
    types: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One source that is asked.

    Attributes:
        organisation: whose it is.
        registered: the source.
        offered: every category that it offers, asked or not.
        asked: those of the asked categories that it offers.
        row: its row so far, `waiting`.
        registered_practice: the source is the patient's own practice: not to know them is a finding.
    """

    organisation: Organisation
    registered: RegisteredSource
    offered: frozenset[str]
    asked: tuple[str, ...]
    row: Row
    registered_practice: bool = False

    @property
    def name(self) -> str:
        """Of the source, as in ids and the journal."""
        return self.registered.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Who is asked, and the rows of those who are not.

    Attributes:
        asks: in the order of the rows.
        heard: other sources of the same organisations, which are asked only whether the patient refused sharing there:
            in one system it holds for all. Nothing of them is released, and what they say is in no row of theirs.
        settled: rows that are final already.
        origin: name of the source whose Patient gives the one Patient what the identity service does not; None where
            none does.
        objection: the patient objects to all sharing, or to this reader, and nothing lifts it.
        narrower: the patient objects to some of it, which nothing lifts: the reply must not tell to what.
        objected: categories objected to, and how that stands.
        barred: names of sources that are not asked because of a narrower objection alone.
        policies: ids of those that determined it.
    """

    asks: tuple[Ask, ...]
    settled: tuple[Row, ...]
    origin: str | None
    objection: bool
    narrower: bool = False
    objected: Mapping[str, Objection] = field(default_factory=dict)
    barred: frozenset[str] = frozenset()
    policies: frozenset[str] = field(default_factory=frozenset)
    heard: tuple[Ask, ...] = ()

    def rows(self) -> tuple[Row, ...]:
        """Every row, those asked as `waiting`, in the fixed order."""
        return in_order([*self.settled, *(ask.row for ask in self.asks)])

    def started(self) -> tuple[Row, ...]:
        """Every row as a stream begins: where the patient objects to some sharing, no row tells to what."""
        return tuple(waiting(row) if row.source in self.barred else row for row in self.rows())


def permit(
    caller: Caller,
    query: Query,
    registry: Registry,
    policies: Policies,
    today: date,
    *,
    confirmed: str | None = None,
) -> Permission:
    """Whether this reader may look up this patient at all, and which categories.

    Args:
        caller: who asks.
        query: what they ask.
        registry: who takes part.
        policies: what decides.
        today: for agreements.
        confirmed: the relationship that the reader's own organisation's record confirms, where nobody asserts one.

    Raises:
        Forbidden: a leaf of it says why not.
    """
    if caller.own_number is not None and caller.own_number == query.nhs_number:
        raise OwnRecord
    requester = caller.requester
    organisation = registry.organisations.get(requester.organisation)
    reader = Reader(
        role=policies.role_of(requester.role_system, requester.role_code),
        purpose=requester.purpose,
        relationship=_relationship(caller, query) or confirmed,
        taking_part=organisation is not None and organisation.live and organisation.in_date(today),
        override=query.override is not None or query.override_id is not None,
    )
    decision = policies.may_ask(reader)
    override = policies.may_override(reader)
    if not decision.permitted:
        if decision.reason is Reason.RELATIONSHIP_NEEDED:
            raise RelationshipNeeded(_HOW + _OR_OVERRIDE if override.permitted else _HOW)
        words = _MAY_NOT_OVERRIDE if reader.override and decision.reason is Reason.ROLE_NOT_PERMITTED else None
        raise _REFUSALS.get(decision.reason, RoleNotPermitted)(words)
    every = policies.tables.categories
    seen = policies.may_see(reader, [(name, _NORMAL) for name in every])
    permitted = {name for name, one in zip(every, seen, strict=True) if one.permitted}
    asked = tuple(
        name for name in every if name in permitted and (query.categories is None or name in query.categories)
    )
    if not asked:
        raise RoleNotPermitted
    return Permission(
        reader=reader,
        asked=asked,
        not_permitted=tuple(name for name in every if name not in permitted),
        policies=frozenset(decision.policies).union(
            *(one.policies for one in seen if one.permitted), override.policies if reader.override else ()
        ),
        overrider=override.permitted,
        only=query.only,
        types=query.types,
    )


def _relationship(caller: Caller, query: Query) -> str | None:
    """What is said of it: in the token, else by the reader."""
    if caller.relationship is not None:
        return caller.relationship.basis
    return None if query.declared is None else SELF_DECLARED


def make_plan(
    permission: Permission,
    caller: Caller,
    person: Person,
    stance: Stance,
    registry: Registry,
    policies: Policies,
    *,
    practices_if_unknown: int,
    today: date,
) -> Plan:
    """Who is asked for what, and the rows of those who are not.

    Args:
        permission: what this reader may.
        caller: who asks.
        person: what the identity service says.
        stance: the patient's objections, as they stand towards this reader.
        registry: who takes part.
        policies: what decides.
        practices_if_unknown: the most GP practices asked where nobody names the registered one.
        today: for agreements.

    Raises:
        OwnRecord: the patient is the reader, under another of their numbers.
    """
    if caller.own_number in person.identity.numbers:
        raise OwnRecord
    own = caller.requester.organisation
    practice = person.practice or caller.registered_practice
    organisations, no_practice = _in_scope(registry, practice, person, practices_if_unknown)
    states = [
        SourceState(agreement=one.in_date(today), own=one.ods_code == own, objection=stance.towards(one.ods_code))
        for one in organisations
    ]
    decisions = policies.may_answer(permission.reader, states)
    lifted = permission.reader.override
    objection = stance.forbids_all and not lifted
    objected = {} if lifted else {name: one for name, one in stance.categories.items() if one in FORBIDDING}
    others = {code for code, one in stance.organisations.items() if one in FORBIDDING and code != own}
    narrower = not lifted and not objection and bool(objected or others)

    # A patient who objects is shown by the reader's own organisation alone, or not at all.
    identity_speaks = person.status is not None and not objection
    origin = None if identity_speaks else _origin(organisations, decisions, own, policies)
    asks: list[Ask] = []
    settled: list[Row] = []
    barred: set[str] = set()
    types = permission.types or frozenset()
    for organisation, decision in zip(organisations, decisions, strict=True):
        for registered in organisation.sources:
            names = _categories_of_row(permission.asked, origin, registered, identity_speaks=identity_speaks)
            offered = _offered(organisation, registered, policies)
            objects = decision.reason is Reason.OBJECTION and not objection
            if not (decision.permitted or objects):
                out = _not_asked(decision, objection=objection and organisation.ods_code != own)
                settled.append(row_of(organisation, registered, names, out))
                continue
            of_another = _OF_THE_PATIENT if registered.name != origin else frozenset()
            asked = tuple(name for name in names if name in offered - of_another)
            if objects and asked:
                barred.add(registered.name)
                settled.append(row_of(organisation, registered, names, Status.WITHHELD))
                continue
            row = replace(
                row_of(organisation, registered, names, Status.WAITING), types=types_of_row(types, asked, policies)
            )
            if asked:
                asks.append(
                    Ask(
                        organisation=organisation,
                        registered=registered,
                        offered=offered,
                        asked=asked,
                        row=row,
                        registered_practice=organisation.ods_code == practice and _is_practice(organisation),
                    )
                )
            else:
                settled.append(row_of(organisation, registered, names, Status.NOT_PROVIDED))
    if no_practice:
        clinical = tuple(name for name in permission.asked if name not in _OF_THE_PATIENT)
        settled.append(practice_row(clinical, Status.WITHHELD if objection else Status.PRACTICE_NOT_ASKED))
    if person.status is not None:
        speaks_of = permission.asked if identity_speaks else ()
        settled.append(identity_row(person, speaks_of, withheld=objection, objected=objected))
    only = permission.only
    asks = sorted((ask for ask in asks if only is None or ask.name in only), key=lambda ask: ask.name)
    return Plan(
        asks=tuple(asks),
        heard=_heard(asks, own),
        settled=tuple(row for row in settled if only is None or row.source in only),
        origin=origin,
        objection=objection,
        narrower=narrower,
        objected=objected,
        barred=frozenset(barred),
        policies=permission.policies.union(*(one.policies for one in decisions)),
    )


def _heard(asks: Sequence[Ask], own: str) -> tuple[Ask, ...]:
    """The other sources of the organisations that are asked, for refusals alone; none where each has one source."""
    asked = {ask.name for ask in asks}
    several = {
        ask.organisation.ods_code: ask.organisation
        for ask in asks
        if len(ask.organisation.sources) > 1 and ask.organisation.ods_code != own
    }
    return tuple(
        Ask(
            organisation=organisation,
            registered=registered,
            offered=frozenset(),
            asked=(),
            row=row_of(organisation, registered, (), Status.NOT_PROVIDED),
        )
        for organisation in several.values()
        for registered in organisation.sources
        if registered.name not in asked
    )


def _in_scope(registry: Registry, practice: str | None, person: Person, most: int) -> tuple[list[Organisation], bool]:
    """Every live organisation; of GP practices the registered one. And whether a row must say that none was asked."""
    others = [one for one in registry.live if not _is_practice(one)]
    practices = list(registry.practices)
    if practice is not None:
        named = [one for one in practices if one.ods_code == practice]
        return [*others, *named], not named
    if not practices:
        return others, False
    if len(practices) <= most and person.restricted != "yes":
        return [*others, *practices], False
    return others, True


def _is_practice(organisation: Organisation) -> bool:
    return organisation.service_type == "gp-practice"


def _origin(
    organisations: Sequence[Organisation], decisions: Sequence[Decision], own: str, policies: Policies
) -> str | None:
    """Without an identity service, the reader's own organisation's Patient says the rest of the one Patient."""
    return next(
        (
            registered.name
            for organisation, decision in zip(organisations, decisions, strict=True)
            if organisation.ods_code == own and decision.permitted
            for registered in organisation.sources
            if "demographics" in _offered(organisation, registered, policies)
        ),
        None,
    )


def _categories_of_row(
    asked: Sequence[str], origin: str | None, registered: RegisteredSource, *, identity_speaks: bool
) -> tuple[str, ...]:
    """The categories that stand in a source's row: those of the patient only where the one Patient comes from it."""
    if identity_speaks or (origin is not None and registered.name != origin):
        return tuple(name for name in asked if name not in _OF_THE_PATIENT)
    return tuple(asked)


def _offered(organisation: Organisation, registered: RegisteredSource, policies: Policies) -> frozenset[str]:
    """What a source offers: as its manifest says, else all but what only some kinds of service have."""
    if registered.categories is not None:
        return frozenset(registered.categories)
    tables = policies.tables
    return frozenset(tables.categories) - tables.only_offered | tables.offered_by(organisation.service_type)


def _not_asked(decision: Decision, *, objection: bool) -> Status:
    """What becomes of a source that may not answer."""
    return Status.AGREEMENT_LAPSED if decision.reason is Reason.AGREEMENT_LAPSED and not objection else Status.WITHHELD
