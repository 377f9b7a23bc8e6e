"""Reads exclusions.toml, with the value sets that lie beside it."""

import re
from collections.abc import Iterator

from policies.loading.roles import Labels
from policies.loading.rows import Systems, unique
from policies.loading.value_sets import FOLDER, refsets_of, value_set
from policies.reading import Document, Place, Row
from policies.tables import Basis, Exclusion
from policies.values import Coding

__all__ = ["Exclusions"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*")


class Exclusions:
    """exclusions.toml."""

    def __init__(self, document: Document, systems: Systems, place: Place, labels: Labels) -> None:
        document.only(["rule"])
        top = document.top
        self.leave_out_uncoded_documents = top.flag("leave_out_uncoded_documents", default=True)
        top.done()
        self.notices: list[str] = []
        self.rules = [self._rule(name, row, systems, place, labels) for name, row in unique(document.rows("rule"))]
        wanted = {refset for rule in self.rules for refset in rule.refsets}
        for file in refsets_of(place):
            if file.name.rpartition(".")[0] not in wanted:
                raise document.fault(f"no rule names {FOLDER}/{file.name}: add a [[rule.refset]] or remove the file")

    def _rule(self, name: str, row: Row, systems: Systems, place: Place, labels: Labels) -> Exclusion:
        row.text("why")
        adopted = row.flag("adopted", default=True)
        listed = row.codes(systems)
        labelled = {
            (system, label)
            for label in row.words("labels", labels.labels, what="a label of labels.toml", default=[])
            for system in labels.systems
        }
        refsets = dict(self._refset(refset, place, systems, adopted=adopted) for refset in row.rows("refset"))
        members = frozenset[Coding]().union(*(found for found in refsets.values() if found))
        exempt = frozenset(self._exempt(row, systems, listed, members if None not in refsets.values() else None))
        bases = tuple(_basis(basis) for basis in row.rows("basis"))
        row.done()
        if not bases:
            raise row.fault("a rule needs a [[rule.basis]]: name what it rests on")
        if not (listed or labelled or refsets):
            raise row.fault("keeps nothing out: give it codes, labels or a [[rule.refset]]")
        if adopted and not (listed or labelled or members):
            lacks = "its reference set is" if len(refsets) == 1 else "its reference sets are"
            self.notices.append(
                f"exclusions.toml:{row.line}: rule `{name}` is adopted and keeps nothing out: it lists no code, and "
                f"{lacks} not loaded"
            )
        return Exclusion(name, listed | labelled | (members - exempt), bases, adopted, tuple(refsets))

    def _refset(
        self, row: Row, place: Place, systems: Systems, *, adopted: bool
    ) -> tuple[str, frozenset[Coding] | None]:
        name, title = row.text("id"), row.text("name")
        row.done()
        if not _NAME.fullmatch(name):
            raise row.fault(f"`{name}` can't name a file in {FOLDER}/: use letters, digits, full stops, hyphens", "id")
        found = value_set(place, name, systems)
        if found is None and adopted:
            self.notices.append(
                f"exclusions.toml:{row.line}: reference set {name} ({title}) is not loaded: only the codes listed "
                f"in the table are screened. Put its members into {FOLDER}/{name}.txt"
            )
        return name, found

    def _exempt(
        self, row: Row, systems: Systems, listed: frozenset[Coding], members: frozenset[Coding] | None
    ) -> Iterator[Coding]:
        """What the board exempts from the reference sets of a rule; its own codes it strikes out where they stand."""
        if row.has("except") and not row.rows("except"):
            raise row.fault("`except` is empty: leave it out, or say what is exempt under [[rule.except]]", "except")
        for each in row.rows("except"):
            each.text("why")
            if not (codes := each.codes(systems)):
                raise each.fault("this exception lists no code: write them under [rule.except.codes.snomed]")
            each.done()
            for system, code in sorted(codes):
                if (system, code) in listed:
                    raise each.fault(f"{code} stands in the rule's own codes too: strike it out there instead", code)
                if members is not None and not any((uri, code) in members for uri in _beside(system, systems)):
                    raise each.fault(f"{code} is in no reference set of this rule: it exempts nothing", code)
            yield from codes


def _beside(system: str, systems: Systems) -> tuple[str, ...]:
    """Every address of a system: a value set uses one of them."""
    return next((uris for uris in systems.values() if system in uris), (system,))


def _basis(row: Row) -> Basis:
    name = row.text("name")
    row.text("why")
    basis = Basis(name, row.day("from"), row.day("until"))
    if basis.since and basis.until and basis.since >= basis.until:
        raise row.fault("`until` must be later than `from`", "until")
    row.done()
    return basis
