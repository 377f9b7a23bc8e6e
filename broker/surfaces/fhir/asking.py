"""What is asked, whose id it is, and what a lookup must ask for it. Nobody is asked anything here."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

from aiohttp import web

from broker.auth import Caller
from broker.errors import NotFound, NotSupported, PatientMismatch
from broker.keys import Keys
from broker.lookup.ids import Home, Ids
from broker.lookup.values import Query
from broker.registry import Registry
from broker.surfaces.fhir import parameters
from broker.surfaces.fhir.found import made_of
from broker.surfaces.fhir.pages import Page
from broker.surfaces.fhir.parameters import Pairs, shown
from broker.surfaces.requests import override_id
from broker.surfaces.rooms import KEYS, POLICIES, REGISTRY, SETTINGS
from policies.tables import Tables

__all__ = ["NOT_BY_ITSELF", "Asking", "Read", "Search", "Wanted", "base_of"]

_BROKERS_OWN: Final = frozenset({"linkage", "detected-issue"})
"""What stands for a source in the ids of what the broker made of several resources (`broker.lookup.merging.merge`)."""
NOT_BY_ITSELF: Final = (
    "What the broker says of several resources stands only in the answer that they are in: search for them again."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """One search by patient.

    Attributes:
        number: the patient's NHS number.
        type: FHIR type.
        count: matches on a page, or None for all.
        page: a further page of an earlier answer, or None for the first.
    """

    number: str
    type: str
    count: int | None = None
    page: Page | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """One read by id.

    Attributes:
        number: the patient's NHS number.
        type: FHIR type.
        id: the broker's.
        home: where the id came from; None for the one Patient, who is the broker's own.
        supporting: of a type that only accompanies others, so that its whole source must be asked.
        practice: it goes to a GP practice: where that is not asked, the row says so.
    """

    number: str
    type: str
    id: str
    home: Home | None
    supporting: bool = False
    practice: bool = False

    @property
    def sources(self) -> frozenset[str | None] | None:
        """Names of the sources to ask; None for all of the patient's."""
        if self.home is None or self.home.source is None:
            return None
        return frozenset({self.home.source, None}) if self.practice else frozenset({self.home.source})


Wanted = Search | Read


def base_of(request: web.Request) -> str:
    """The broker's own FHIR address."""
    return f"{request.app[SETTINGS].server.public_url}/fhir"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Understands what one caller asks.

    Attributes:
        base: the broker's own FHIR address.
        keys: that made its ids.
        tables: which types there are.
        registry: which sources there are.
        caller: who asks.
        override_id: with which the glass was broken before; None where it was not.
    """

    base: str
    keys: Keys
    tables: Tables
    registry: Registry
    caller: Caller
    override_id: str | None = None

    @classmethod
    def of(cls, request: web.Request, caller: Caller) -> Self:
        """With what stands behind `request`.

        Raises:
            InvalidRequest: its `Override-Id` can be none.
        """
        app = request.app
        return cls(
            base=base_of(request),
            keys=app[KEYS],
            tables=app[POLICIES].tables,
            registry=app[REGISTRY],
            caller=caller,
            override_id=override_id(request),
        )

    def search(self, type_: str, given: Pairs) -> Search:
        """A search of `type_` with these parameters.

        Raises:
            RequestError: a parameter is wrong, or not supported.
            NotFound: there is no such type.
        """
        self._known(type_)
        if type_ not in self.tables.home:
            raise NotSupported(f"{type_} comes along with what refers to it, and is read by id: it can't be searched.")
        searched = parameters.read(type_, given, self.base, self.keys)
        return Search(number=searched.number, type=type_, count=searched.count, page=searched.page)

    def read(self, type_: str, id_: str) -> Read:
        """A read of `type_` by the broker's id.

        Raises:
            NotFound: there is no such type, or the id is not one of this patient's: the two patients' ids are told
                apart nowhere from ids of nothing.
            NotSupported: it does not stand by itself.
            PatientMismatch: the token names no patient.
        """
        self._known(type_)
        number = self.caller.patient.nhs_number if self.caller.patient else None
        if number is None:
            raise PatientMismatch
        if type_ == "Patient":
            if id_ != self.keys.patient_id(number):
                raise NotFound
            return Read(number=number, type=type_, id=id_, home=None)
        home = Ids(self.keys.id_check_key, number).home(id_)
        if home is None:
            raise NotFound
        if home.source in _BROKERS_OWN:
            raise NotSupported(NOT_BY_ITSELF)
        practice = home.source is not None and self._is_practice(home.source)
        supporting = type_ not in self.tables.home
        return Read(number=number, type=type_, id=id_, home=home, supporting=supporting, practice=practice)

    def query(self, wanted: Iterable[Wanted]) -> Query:
        """The one lookup that answers all of `wanted`, which are of one patient."""
        every = list(wanted)
        types = frozenset().union(*(self._types(one) for one in every))
        sources = [one.sources if isinstance(one, Read) else None for one in every]
        named = [one for one in sources if one is not None]
        patient = self.caller.patient
        return Query(
            nhs_number=every[0].number,
            birth_date=(patient and patient.birth_date) or "",
            categories=frozenset(name for name in self.tables.categories if self.tables.types_of(name) & types),
            types=types,
            only=frozenset().union(*named) if len(named) == len(sources) else None,
            override_id=self.override_id,
        )

    def _types(self, one: Wanted) -> frozenset[str]:
        # What accompanies others comes only with them: whatever may refer to it must be asked.
        if isinstance(one, Read):
            return frozenset(self.tables.home) if one.supporting else frozenset({one.type})
        return made_of(one.type)

    def _known(self, type_: str) -> None:
        if type_ == "Linkage":
            raise NotSupported(NOT_BY_ITSELF)
        if type_ not in self.tables.home and type_ not in self.tables.supporting:
            raise NotFound(f"{shown(type_)} is not a FHIR type here: /fhir/metadata names them.")

    def _is_practice(self, source: str) -> bool:
        """Whether the source with this name is a GP practice's; raises `NotFound` where there is none."""
        for organisation in self.registry.live:
            if any(one.name == source for one in organisation.sources):
                return organisation.service_type == "gp-practice"
        raise NotFound
