"""The rows of a plan: what is known of each source before any is asked."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from broker.identity import Person
from broker.lookup.rows import DEFINITE, worst
from broker.lookup.values import CategoryRow, Row, Status
from broker.registry import Organisation, RegisteredSource
from policies import Policies

__all__ = ["identity_row", "practice_row", "row_of", "types_of_row", "waiting"]


def row_of(organisation: Organisation, registered: RegisteredSource, names: Iterable[str], status: Status) -> Row:
    """The row of a source, with one status for each of these categories."""
    return Row(
        source=registered.name,
        organisation=organisation.ods_code,
        name=organisation.name,
        service_type=organisation.service_type,
        status=status,
        categories={name: CategoryRow(status=status) for name in names},
        currency=registered.currency,
    )


def practice_row(names: Iterable[str], status: Status) -> Row:
    """The row that has no source: of a practice that nobody names, or that takes no part."""
    return Row(
        source=None,
        organisation=None,
        name="The patient's GP practice",
        service_type="gp-practice",
        status=status,
        categories={name: CategoryRow(status=status) for name in names},
    )


def identity_row(person: Person, asked: Sequence[str], *, withheld: bool, objected: Collection[str]) -> Row:
    """The identity service's row: it was asked whatever the categories; its own status where none of them is its."""
    own = Status.WITHHELD if withheld else Status(person.status or Status.NOT_PROVIDED)
    categories: dict[str, CategoryRow] = {}
    if "demographics" in asked:
        shown = own is Status.ANSWERED
        categories["demographics"] = CategoryRow(status=own, resources=int(shown))
    if "gp-registration" in asked:
        known = own is Status.ANSWERED and person.practice is not None
        status = own if known or own is not Status.ANSWERED else Status.NO_RECORD_FOUND
        categories["gp-registration"] = CategoryRow(status=status, resources=int(known))
    for name in categories.keys() & objected:
        if categories[name].status in DEFINITE:
            categories[name] = CategoryRow(status=Status.WITHHELD)
    return Row(
        source="identity",
        organisation=None,
        name="Identity service",
        service_type="identity",
        status=worst(row.status for row in categories.values()) if categories else own,
        categories=categories,
        resources=int(any(row.resources for row in categories.values())),
        elapsed_ms=person.elapsed_ms,
        retry_after_s=None if withheld or person.retry_after is None else max(1, round(person.retry_after)),
    )


def types_of_row(types: Iterable[str], asked: Sequence[str], policies: Policies) -> dict[str, CategoryRow]:
    """The status of each type before anything came: what no asked category of the source carries is not asked of it."""
    carried = frozenset().union(*(policies.tables.types_of(name) for name in asked))
    return {
        name: CategoryRow(status=Status.WAITING if name in carried else Status.NOT_PROVIDED) for name in sorted(types)
    }


def waiting(row: Row) -> Row:
    """The same, as if its source were asked."""
    asked = CategoryRow(status=Status.WAITING)
    return replace(row, status=Status.WAITING, categories=dict.fromkeys(row.categories, asked))
