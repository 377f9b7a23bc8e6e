"""What a scenario may ask: each action, the keys of its row, and how it is decided."""

from collections.abc import Callable, Iterator
from datetime import date

from policies.engine import Policies
from policies.reading import Row
from policies.tables import Tables
from policies.values import (
    Act,
    Asked,
    Coding,
    Decision,
    Objection,
    Officer,
    Reader,
    Reason,
    Restricted,
    Sight,
    SourceState,
)

__all__ = ["ACTIONS", "Question", "question_of"]

Question = Callable[[Policies], Decision]

NOBODY = "unknown"
"""The role of somebody whose job role is in no table."""

NONE = "none"
"""The relationship of somebody who has none."""

RESTRICTED: tuple[Restricted, ...] = ("yes", "no", "unknown")


def question_of(row: Row, tables: Tables, on: date) -> Question:
    """The question of a scenario's row. What is left out is the ordinary case. Raises PolicyError.

    Only the keys that matter to the action are read, so that the row can complain about any other.
    """
    return ACTIONS[row.word("action", ACTIONS, what="an action", default="see")](row, tables, on)


def _ask(row: Row, tables: Tables, _: date) -> Question:
    reader = _reader(row, tables)
    return lambda policies: policies.may_ask(reader)


def _override(row: Row, tables: Tables, _: date) -> Question:
    reader = _reader(row, tables)
    return lambda policies: policies.may_override(reader)


def _answer(row: Row, tables: Tables, _: date) -> Question:
    reader = _reader(row, tables)
    source = SourceState(
        agreement=row.flag("agreement", default=True), own=row.flag("own", default=False), objection=_objection(row)
    )
    return lambda policies: policies.may_answer(reader, [source])[0]


def _see(row: Row, tables: Tables, _: date) -> Question:
    reader = _reader(row, tables)
    category = row.word("category", tables.categories, what="a category", default="allergies")
    labels = frozenset(row.words("labels", tables.labels, what="a label of labels.toml", default=[]))
    asked = Asked(category, labels or frozenset((tables.absent_label,)), _objection(row))
    return lambda policies: policies.may_see(reader, [asked])[0]


def _locate(row: Row, tables: Tables, _: date) -> Question:
    reader, sensitive = _reader(row, tables), row.flag("sensitive", default=False)
    written = row.word("restricted", RESTRICTED, what="a state", default="no")
    restricted = next(state for state in RESTRICTED if state == written)
    place = row.word("place", ("home", "places"), what="a place: home is where they live, places where they are seen")

    def decide(policies: Policies) -> Decision:
        home, places = policies.may_locate(restricted, reader=reader, sensitive=sensitive)
        return home if place == "home" else places

    return decide


def _share(row: Row, _: Tables, on: date) -> Question:
    codings = frozenset(coding for coding, _ in _codes(row, dated=False))

    def decide(policies: Policies) -> Decision:
        rules = policies.tables.exclusions
        return Decision(
            permitted=codings.isdisjoint(policies.tables.excluded_codings(on)),
            policies=tuple(rule.id for rule in rules if rule.in_force(on) and rule.codings & codings),
        )

    return decide


def _dissent(row: Row, _: Tables, __: date) -> Question:
    dated = tuple(_codes(row, dated=True))

    def decide(policies: Policies) -> Decision:
        if policies.tables.dissent.standing(dated) == "refused":
            return Decision(permitted=False, policies=("dissent",), reason=Reason.OBJECTION, sight=Sight.WITHHOLD)
        return Decision(permitted=True, policies=())

    return decide


def _act(act: Act) -> Callable[[Row, Tables, date], Question]:
    def read(row: Row, tables: Tables, _: date) -> Question:
        officer = Officer(
            role=_role(row, tables),
            operator=row.flag("operator", default=False),
            lead=row.flag("lead", default=False),
            concerned=row.flag("concerned", default=False),
            general=row.flag("general", default=False),
            recorder=row.flag("recorder", default=False),
            same_organisation=row.flag("same_organisation", default=False),
            named=row.flag("named", default=False),
        )
        return lambda policies: policies.may_act(officer, act)

    return read


ACTIONS = {
    "ask": _ask,
    "override": _override,
    "answer": _answer,
    "see": _see,
    "locate": _locate,
    "share": _share,
    "dissent": _dissent,
    **{act.value: _act(act) for act in Act},
}
"""Each action, and how its row is read."""


def _role(row: Row, tables: Tables) -> str | None:
    role = row.word("role", [*tables.roles, NOBODY], what="a role of roles.toml", default="clinician")
    return None if role == NOBODY else role


def _reader(row: Row, tables: Tables) -> Reader:
    relationship = row.text("relationship", "encounter")
    return Reader(
        role=_role(row, tables),
        purpose=row.text("purpose", "TREAT"),
        relationship=None if relationship == NONE else relationship,
        taking_part=row.flag("taking_part", default=True),
        override=row.flag("override", default=False),
    )


def _objection(row: Row) -> Objection:
    return Objection(row.word("objection", list(Objection), what="a state of an objection", default="none"))


def _codes(row: Row, *, dated: bool) -> Iterator[tuple[Coding, str | None]]:
    """`codes = ["system|code"]`, for a dissent `system|code@date` too."""
    for written in row.texts("codes", []):
        what, _, when = written.partition("@") if dated else (written, "", "")
        system, _, code = what.rpartition("|")
        if not (system and code):
            raise row.fault('write each code as "system|code", with the whole address of the system', "codes")
        yield (system, code), when or None
