"""Why a decision is as it is, in words: the questions of one lookup in order, what was decided, by which policies."""

from dataclasses import dataclass

from policies.engine import Policies
from policies.values import (
    Act,
    Asked,
    Decision,
    Objection,
    Officer,
    Reader,
    Restricted,
    Sight,
    SourceState,
)

__all__ = ["Explanation", "Step", "explain", "explain_act"]

PURPOSES = {
    "TREAT": "treatment",
    "ETREAT": "emergency treatment",
    "BTG": "breaking the glass",
}

RELATIONSHIPS = {
    "encounter": "an encounter with the patient",
    "referral": "a referral of the patient",
    "registration": "the patient registered with them",
    "caseload": "the patient on their caseload",
    "self-declared": "a relationship that they declare themselves",
    None: "no relationship with the patient",
}

OBJECTIONS = {
    Objection.NONE: "the patient does not object",
    Objection.UNDECIDED: "the patient objects, and nobody has decided it yet",
    Objection.UPHELD: "the patient objects, and it was upheld",
    Objection.NOT_UPHELD: "the patient objects, and it was not upheld",
}

RESTRICTED = {
    "yes": "a restricted patient",
    "no": "a patient who is not restricted",
    "unknown": "a patient of whom nobody can say whether they are restricted",
}

ACTS = {
    Act.RECORD_OBJECTION: "record a patient's objection",
    Act.DECIDE_OBJECTION: "decide this objection",
    Act.SEE_OBJECTION: "read this objection",
    Act.AUDIT: "search the journal",
    Act.REGISTER: "register organisations",
}

SIGHTS = {
    Sight.SHOW: "yes",
    Sight.MARK: "yes, marked as sensitive",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One question and its answer.

    Attributes:
        question: in words.
        decision: what was decided.
        because: each policy that determined it, its id and what it is for; empty where no policy permits it.
    """

    question: str
    decision: Decision
    because: tuple[tuple[str, str], ...]

    @property
    def answer(self) -> str:
        """In words: yes, yes with a mark, or no with the reason's code."""
        if self.decision.permitted:
            return SIGHTS[self.decision.sight]
        return f"no: {self.decision.reason}"


@dataclass(frozen=True, slots=True)
class Explanation:
    """All questions about one category of one organisation's records.

    Attributes:
        ask: may they look anybody up?
        answer: may the organisation answer?
        see: may they see the category?
        beside: whether they may break the glass, and what they may know of where the patient is; nothing above hangs
            on these.
    """

    ask: Step
    answer: Step
    see: Step
    beside: tuple[Step, ...]

    @property
    def permitted(self) -> bool:
        """Whether they see anything: all three must permit."""
        return all(step.decision.permitted for step in (self.ask, self.answer, self.see))

    @property
    def steps(self) -> tuple[Step, ...]:
        """Every question, in the order in which they are asked."""
        return (self.ask, self.answer, self.see, *self.beside)


def explain(
    policies: Policies,
    reader: Reader,
    category: str,
    *,
    source: SourceState,
    labels: frozenset[str] = frozenset(),
    objection: Objection = Objection.NONE,
    restricted: Restricted = "no",
    sensitive: bool = False,
) -> Explanation:
    """Every question of one lookup, on states.

    Args:
        policies: what decides.
        reader: who reads.
        category: a kind of information.
        source: the organisation whose record it is.
        labels: those of the item; none counts as the label that stands for none.
        objection: to this category, beside what `source` says of the organisation. The reader's own organisation's
            records are not touched by it.
        restricted: whether the patient is.
        sensitive: the reader's token has activity B1611.
    """
    asked = Asked(
        category, labels or frozenset((policies.tables.absent_label,)), Objection.NONE if source.own else objection
    )
    home, places = policies.may_locate(restricted, reader=reader, sensitive=sensitive)
    who, patient = _who(policies, reader), RESTRICTED[restricted]
    breaking = "" if reader.override else f"May {_role(policies, reader.role)} break the glass?"
    return Explanation(
        ask=_step(policies, f"May {who} look a patient up?", policies.may_ask(reader)),
        answer=_step(policies, f"May {_whose(source)} answer them?", policies.may_answer(reader, [source])[0]),
        see=_step(policies, f"May they see {_what(asked)}?", policies.may_see(reader, [asked])[0]),
        beside=(
            _step(policies, f"May they know where {patient} lives?", home),
            _step(policies, f"May they know where {patient} is seen?", places),
            *([_step(policies, breaking, policies.may_override(reader))] if breaking else []),
        ),
    )


def explain_act(policies: Policies, officer: Officer, act: Act) -> Step:
    """What somebody may do with the registers or the journal."""
    being = {
        "signed in with the operator": officer.operator,
        "working for the lead controller": officer.lead,
        "working for the organisation that it is about": officer.concerned,
        "when it is about no single organisation": officer.general,
        "having recorded it": officer.recorder,
        "working where it was recorded": officer.same_organisation,
        "being whom the patient objects to": officer.named,
    }
    states = "".join(f", {state}" for state, holds in being.items() if holds)
    question = f"May {_role(policies, officer.role)}{states}, {ACTS[act]}?"
    return _step(policies, question, policies.may_act(officer, act))


def _step(policies: Policies, question: str, decision: Decision) -> Step:
    return Step(question, decision, tuple((name, policies.rules.why(name)) for name in decision.policies))


def _role(policies: Policies, role: str | None) -> str:
    row = policies.tables.roles.get(role) if role is not None else None
    return f'somebody in the role "{row.name}"' if row else "somebody without a role"


def _who(policies: Policies, reader: Reader) -> str:
    purpose = PURPOSES.get(reader.purpose, f'the purpose "{reader.purpose}"')
    relationship = RELATIONSHIPS.get(reader.relationship, f'the relationship "{reader.relationship}"')
    outside = "" if reader.taking_part else ", from an organisation that takes no part"
    override = ", having broken the glass" if reader.override else ""
    return f"{_role(policies, reader.role)}, for {purpose}, with {relationship}{outside}{override},"


def _whose(source: SourceState) -> str:
    whose = "their own organisation" if source.own else "another organisation"
    agreement = "in date" if source.agreement else "out of date"
    return f"{whose}, its agreement {agreement}, while {OBJECTIONS[source.objection]},"


def _what(asked: Asked) -> str:
    labels = ", ".join(sorted(asked.labels))
    objection = (
        "" if asked.objection is Objection.NONE else f" (to sharing {asked.category}: {OBJECTIONS[asked.objection]})"
    )
    return f"an item of {asked.category} with the label {labels}{objection}"
