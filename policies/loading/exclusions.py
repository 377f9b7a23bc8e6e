"""Reads exclusions.toml, with the licensed value sets that lie beside it."""

from collections.abc import Iterator

from policies.loading.roles import Labels
from policies.loading.rows import Systems, unique
from policies.reading import Document, Place, Row, text_of
from policies.tables import Basis, Exclusion
from policies.values import Coding, PolicyError

__all__ = ["Exclusions", "refsets_of"]


def refsets_of(place: Place) -> list[Place]:
    """The value-set files that lie in a policy set, in order of their names."""
    folder = place.joinpath("value-sets")
    if not folder.is_dir():
        return []
    return sorted((file for file in folder.iterdir() if file.name.endswith(".txt")), key=lambda file: file.name)


class Exclusions:
    """exclusions.toml, with the licensed value sets that lie beside it."""

    def __init__(self, document: Document, systems: Systems, place: Place, labels: Labels) -> None:
        document.only(["rule"])
        top = document.top
        self.leave_out_uncoded_documents = top.flag("leave_out_uncoded_documents", default=True)
        top.done()
        self.notices: list[str] = []
        self.rules: list[Exclusion] = []
        wanted: set[str] = set()
        for name, row in unique(document.rows("rule")):
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
