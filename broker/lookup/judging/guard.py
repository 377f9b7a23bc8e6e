"""How do we know that it is the right patient?

Nothing that a source returns is believed until it is shown to be about this patient. A source's Patient counts as
theirs when it carries a number of the identity set and the same date of birth; everything else must name that Patient
in the element that says whose it is (`compartment`). A source that answers about somebody else loses everything it
sent. A mother named in a child's record costs a reference, at most the resource. Names, sex and gender are never used
to match.
"""

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from adapters.contract import Arrival, Identity
from broker.lookup.judging.compartment import ABOUT, PARTICIPANTS, SUBJECT, UNOWNED
from broker.lookup.judging.pruning import prune
from broker.lookup.judging.reading import NHS_NUMBER_SYSTEMS, Item
from broker.lookup.judging.targets import Target, Targets
from broker.lookup.judging.whose import NoBirthDate, WrongPatient, contained_is_theirs, digits_of, is_theirs, numbers_of

__all__ = ["PAUSE", "Guarded", "guard"]

PAUSE = 16
"""Resources between two pauses, where one costs a few microseconds."""


@dataclass(slots=True)
class Guarded:
    """What was shown to be about this patient.

    Attributes:
        items: about the patient, or of a type that belongs to nobody; a type and id stand once.
        patients: the source's own records of this patient.
        targets: what references point to.
        unusable: what must say whose it is and doesn't: never released, but it may decide.
        notes: for the row.
    """

    items: list[Item] = field(default_factory=list)
    patients: list[Item] = field(default_factory=list)
    targets: Targets = field(default_factory=lambda: Targets((), ()))
    unusable: list[Item] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def guard(items: Sequence[Item], identity: Identity, bases: Sequence[str]) -> Generator[None, None, Guarded]:
    """Keep what is about this patient, pausing between resources.

    Args:
        items: all that the source gave.
        identity: whose record was asked for.
        bases: the source's `base_url` and `link_bases`.

    Raises:
        WrongPatient: the source answered about somebody else.
        NoBirthDate: its Patient has the number, and no date of birth.
    """
    guarded = Guarded(targets=Targets(items, bases))
    own = _own_patients(items, identity, guarded)
    judge = _Judge(identity, own, guarded.targets)
    seen: set[Target] = set()
    for n, item in enumerate(items):
        if not n % PAUSE:
            yield
        type_ = item.type
        if type_ == "Patient":
            continue
        data = item.data
        target = (type_, item.id)
        element = SUBJECT.get(type_)
        if element is not None:
            belongs = judge.subject(data.get(element), data) or (type_ in UNOWNED and element not in data)
        elif type_ in PARTICIPANTS:
            entries, actor = PARTICIPANTS[type_]
            belongs = judge.participants(data.get(entries), actor, data)
        else:
            belongs = True
        if type_ == "RelatedPerson" and _is_self(data):
            belongs = False
        about = "contained" not in data or judge.contained(item)
        if not belongs:
            guarded.unusable.append(item)
        elif target in seen:
            continue
        elif about and judge.others(item, element):
            seen.add(target)
            guarded.items.append(item)
            continue
        guarded.targets.dropped.add(target)
    guarded.targets.dropped -= seen
    return guarded


def _own_patients(items: Iterable[Item], identity: Identity, guarded: Guarded) -> set[str]:
    """The ids of the source's records of this patient."""
    own: dict[str, Item] = {}
    others: set[str] = set()
    undated = False
    for item in items:
        if item.type != "Patient":
            continue
        try:
            theirs = is_theirs(item.data, identity, guarded.notes)
        except NoBirthDate:
            undated = True
            continue
        if theirs:
            own.setdefault(item.id, item)
        elif item.arrival is Arrival.PATIENT:
            raise WrongPatient
        else:
            others.add(item.id)
    if not others.isdisjoint(own):
        raise WrongPatient  # one id for two people: no reference says which
    if undated:
        raise NoBirthDate  # said last: another patient among them is worse
    guarded.patients = list(own.values())
    return set(own)


class _Judge:
    """Judges the references of a source's resources against the ids of its records of this patient."""

    def __init__(self, identity: Identity, own: set[str], targets: Targets) -> None:
        self._identity = identity
        self._own = own
        self._targets = targets
        self._ours: set[str] = set()
        """Literals known to name this patient."""
        self._fine: set[str] = set()
        """Literals known to name no other patient."""
        self._container: Mapping[str, Any] | None = None
        self._inside: dict[str, Mapping[str, Any]] = {}
        self._verdicts: dict[str, bool | None] = {}
        """The resource last asked for what it contains, and by the literals that name them its contained resources, and
        what is known of them."""
        self._leaving: set[str] = set()
        """Literals of contained resources that don't stay in the resource that is being judged."""

    def subject(self, value: Any, data: Mapping[str, Any]) -> bool:
        """Whether the element that says whose it is names this patient; False where it says nothing usable."""
        if value.__class__ is dict and "identifier" not in value:
            literal = value.get("reference")
            if literal.__class__ is str and literal in self._ours:
                return True
        stated = value if isinstance(value, list) else [value]
        verdicts = [self._names_patient(one, data) for one in stated]  # all of them: any may be another patient
        return bool(verdicts) and all(verdicts)

    def participants(self, entries: Any, actor: str, data: Mapping[str, Any]) -> bool:
        """Whether this patient is among the participants; raises where only other patients are."""
        said = [
            self._names_patient(entry.get(actor), data, among_others=True)
            for entry in (entries if isinstance(entries, list) else ())
            if isinstance(entry, dict)
        ]
        if True in said:
            return True
        if False in said:
            raise WrongPatient
        return False

    def contained(self, item: Item) -> bool:
        """Guard contained resources by the same table; one that doesn't say whose it is belongs to its container.

        False where one is a finding about another patient.
        """
        about = True
        for inner in item.data["contained"]:
            kind = str(inner.get("resourceType"))
            element = SUBJECT.get(kind)
            participants = PARTICIPANTS.get(kind)
            if element is not None and element in inner:
                self.subject(inner[element], item.data)
            elif participants is not None:
                self.participants(inner.get(participants[0]), participants[1], item.data)
            for name in ABOUT.intersection(inner):
                stated = inner[name] if isinstance(inner[name], list) else [inner[name]]
                if any(self._names_patient(one, item.data, among_others=True) is False for one in stated):
                    about = False
        return about

    def others(self, item: Item, subject: str | None) -> bool:
        """Remove every further mention of another patient; False where the finding is about that patient."""
        fine = self._fine
        foreign = False
        staying = []
        self._leaving = set()
        if "contained" in item.data:
            for inner in item.data["contained"]:  # judged before anything in them is removed
                if self._must_go(inner):
                    self._leaving.add(f"#{inner.get('id')}")
                    foreign = True
                else:
                    staying.append(inner)
        for element, reference in item.references:
            literal = reference.get("reference")
            if literal in fine or element == subject or not reference or not self._is_foreign(literal, reference):
                continue
            if element in ABOUT:
                return False
            reference.clear()
            foreign = True
        if item.numbers:
            theirs = self._identity.numbers
            stated = [(element, digits) for element, number in item.numbers if (digits := digits_of(number))]
            if any(element in ABOUT and digits not in theirs for element, digits in stated):
                return False
            if any(digits != theirs[0] for _, digits in stated):
                _remove_numbers(list(item.data.values()), theirs)
                foreign = True
        if "contained" in item.data:
            item.data["contained"] = staying
        if foreign:
            prune(item.data)
        return True

    def _names_patient(self, value: Any, data: Mapping[str, Any], *, among_others: bool = False) -> bool | None:
        """True: this patient. None: nothing usable. Another patient raises, or is False among other participants."""
        if not isinstance(value, dict):
            return None
        verdicts: list[bool | None] = []
        identifier = value.get("identifier")
        if isinstance(identifier, dict) and identifier.get("system") in NHS_NUMBER_SYSTEMS:
            verdicts.append(digits_of(identifier) in self._identity.numbers)
        literal = value.get("reference")
        if isinstance(literal, str):
            verdicts.append(self._points_at_patient(literal, value, data))
        if False in verdicts:
            if among_others:
                return False
            raise WrongPatient
        return True if True in verdicts else None

    def _points_at_patient(self, literal: str, reference: Mapping[str, Any], data: Mapping[str, Any]) -> bool | None:
        if literal.startswith("#"):
            return self._points_inside(literal, data)
        target = self._targets.of(literal)
        if target is None:
            return False if "Patient" in literal or reference.get("type") == "Patient" else None
        if target[0] != "Patient":
            return None
        if target[1] in self._own:
            self._ours.add(literal)
            return True
        return False

    def _is_foreign(self, literal: str | None, reference: Mapping[str, Any]) -> bool:
        """Whether a reference, in an element that says nothing of whose it is, is to another patient."""
        if literal is None:
            return not self._names_patient(reference, reference, among_others=True)
        if literal.startswith("#"):
            return literal in self._leaving
        target = self._targets.of(literal)
        if target is None:
            return "Patient" in literal or reference.get("type") == "Patient"
        if target[0] == "Patient" and target[1] not in self._own:
            return True
        self._fine.add(literal)
        return False

    def _points_inside(self, literal: str, data: Mapping[str, Any]) -> bool | None:
        """As `_points_at_patient`, of a contained resource: judged once, however often it is named."""
        if self._container is not data:
            self._container = data
            self._inside = {f"#{inner.get('id')}": inner for inner in data.get("contained", ())}
            self._verdicts = {}
        inner = self._inside.get(literal)
        if inner is None or inner["resourceType"] != "Patient":
            return None
        if literal not in self._verdicts:
            theirs = contained_is_theirs(inner, self._identity)
            self._verdicts[literal] = theirs or (False if numbers_of(inner) else None)
        return self._verdicts[literal]

    def _must_go(self, inner: Mapping[str, Any]) -> bool:
        """Whether a contained resource is of another patient, or says of ours what they were called elsewhere."""
        kind = inner["resourceType"]
        if kind == "Patient":
            try:
                return not contained_is_theirs(inner, self._identity)
            except WrongPatient:
                return True
        if kind == "Person" or (kind == "RelatedPerson" and _is_self(inner)):
            return True
        return kind not in SUBJECT and kind not in PARTICIPANTS and self._names_another(inner)

    def _names_another(self, inner: Mapping[str, Any]) -> bool:
        """Whether another patient is named anywhere in it: where no table tells what that means, it is theirs."""
        waiting: list[Any] = list(inner.values())
        while waiting:
            node = waiting.pop()
            if isinstance(node, list):
                waiting.extend(node)
            elif isinstance(node, dict):
                literal = node.get("reference")
                if isinstance(literal, str):
                    if literal[:1] != "#" and literal not in self._fine and self._is_foreign(literal, node):
                        return True
                elif node.get("type") == "Patient" and self._is_foreign(None, node):
                    return True
                if node.get("system") in NHS_NUMBER_SYSTEMS and digits_of(node) not in ("", *self._identity.numbers):
                    return True
                waiting.extend(node.values())
        return False


def _is_self(related: Mapping[str, Any]) -> bool:
    """Whether a RelatedPerson is the patient themself, as another name (v3-RoleCode ONESELF)."""
    stated = related.get("relationship")
    concepts = stated if isinstance(stated, list) else [stated]
    codings = [concept.get("coding") for concept in concepts if isinstance(concept, dict)]
    return any(
        isinstance(coding, dict) and str(coding.get("code")).strip().upper() == "ONESELF"
        for listed in codings
        for coding in (listed if isinstance(listed, list) else [listed])
    )


def _remove_numbers(node: Any, theirs: Sequence[str]) -> None:
    """Take out every NHS number but the one asked for, which stands for the patient's others from here on.

    Another patient's goes with the reference that carries it.
    """
    if isinstance(node, list):
        for inner in node:
            _remove_numbers(inner, theirs)
    elif isinstance(node, dict):
        for carried in (node, node.get("identifier")):
            if not isinstance(carried, dict) or carried.get("system") not in NHS_NUMBER_SYSTEMS:
                continue
            digits = digits_of(carried)
            if digits in theirs[1:]:
                system = carried["system"]
                carried.clear()
                carried.update(system=system, value=theirs[0])
            elif digits and digits != theirs[0]:
                (carried if "resourceType" in node else node).clear()
        for inner in node.values():
            _remove_numbers(inner, theirs)
