"""Turns questions in states into decisions with reasons: Cedar, asked once for each distinct question."""

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import cedarpy
from cachetools import LRUCache

from policies.entities import ABOUT, NO_ROLE, entities_of, reference
from policies.loading import TABLES, load_tables, refsets_of
from policies.reading import Place
from policies.rules import Rules, cedar_files, load_rules
from policies.tables import Tables
from policies.values import Act, Asked, Decision, Officer, Reader, Reason, Restricted, Sight, SourceState

__all__ = ["Policies"]

SUBJECTS = 1_024
"""Readers and officers, as states, whose decisions are kept: role by purpose by relationship, all that a node meets."""

QUESTIONS = 4_096
"""Decisions kept for one of them before they are begun anew. Sources choose labels, so their number needs a bound."""

ORDER = {reason: place for place, reason in enumerate(Reason)}

FAILED = re.compile(r"`(policy[0-9]+)`")
"""How Cedar names a policy in an error."""

Request = dict[str, Any]
Seen = Asked | tuple[str, frozenset[str]]
Located = tuple[str, str, bool]
Subject = TypeVar("Subject", bound=Reader | Officer)
Key = TypeVar("Key")


def _nobody_listens(action: str, policies: tuple[str, ...]) -> None:
    """What is called of a question that can't be decided, until somebody says otherwise."""


class Policies:
    """A policy set: the Cedar policies, the tables, and the decisions made so far.

    Attributes:
        tables: what the tables say.
        rules: the Cedar policies, with their ids and reasons.
        hash: SHA-256, in hex, over every file that decides.
        notices: what is missing without being a fault, such as a reference set that is not loaded, with file and line.
        on_undecidable: called with the action, and the ids of the policies that failed, each time that Cedar can't
            decide. Such a question is denied, and asked anew the next time.
    """

    def __init__(self, tables: Tables, rules: Rules, *, digest: str, notices: tuple[str, ...] = ()) -> None:
        self.tables = tables
        self.rules = rules
        self.hash = digest
        self.notices = notices
        self.on_undecidable: Callable[[str, tuple[str, ...]], None] = _nobody_listens
        self._entities = cedarpy.Entities.from_json_str(json.dumps(entities_of(tables)), rules.schema)
        self._decided: LRUCache[Reader | Officer, dict[object, Decision]] = LRUCache(SUBJECTS)

    @classmethod
    def load(cls, directory: Path | None) -> "Policies":
        """Read a policy set: a board's own folder, or None for the set that comes with the package.

        Raises PolicyError with file and line for any fault in any file.
        """
        place: Place = directory if directory is not None else files("policies")
        tables, notices = load_tables(place)
        known = {(entity["uid"]["type"], entity["uid"]["id"]) for entity in entities_of(tables)}
        return cls(tables, load_rules(place, known), digest=_digest(place), notices=notices)

    def role_of(self, system: str, code: str) -> str | None:
        """The role of a job-role code, short (`R8000`) or in full (`S8000:G8000:R8000`); None where it has none."""
        return self.tables.role_by_job.get((system, code.rsplit(":", 1)[-1]))

    def may_ask(self, reader: Reader) -> Decision:
        """May this reader look anybody up at all?"""
        return self._each(reader, ["ask"], self._general)[0]

    def may_override(self, reader: Reader) -> Decision:
        """May this reader break the glass? Asked as if they had: `reader.override` does not matter."""
        return self._each(replace(reader, override=True), ["override"], self._general)[0]

    def may_answer(self, reader: Reader, sources: Sequence[SourceState]) -> list[Decision]:
        """May each of these organisations answer this reader about this patient?"""
        return self._each(reader, sources, self._answer)

    def may_see(self, reader: Reader, questions: Sequence[Seen]) -> list[Decision]:
        """May this reader see items of each category with these labels, and how, while the patient objects so?

        A question without an objection is about the reader's own organisation, or a patient who objects to nothing.
        """
        return self._each(reader, questions, self._see)

    def may_locate(self, restricted: Restricted, *, reader: Reader, sensitive: bool) -> tuple[Decision, Decision]:
        """May this reader know where the patient lives and can be reached, and where they are seen?

        Args:
            restricted: what is known of it.
            reader: who reads.
            sensitive: the reader's token has activity B1611.
        """
        asked: list[Located] = [(name, restricted, sensitive) for name in ("home", "places")]
        home, places = self._each(reader, asked, self._locate)
        return home, places

    def may_act(self, officer: Officer, act: Act) -> Decision:
        """May this officer do this with the registers or the journal?"""
        return self._each(officer, [act], self._act)[0]

    def _each(
        self, subject: Subject, keys: Sequence[Key], decide: Callable[[Subject, list[Key]], list[Decision]]
    ) -> list[Decision]:
        """Decide each distinct question once, and remember; what could not be decided is asked anew."""
        known = self._decided.get(subject)
        if known is None or len(known) > QUESTIONS:
            known = self._decided[subject] = {}
        missing = [key for key in dict.fromkeys(keys) if key not in known]
        if not missing:
            return [known[key] for key in keys]
        fresh = dict(zip(missing, decide(subject, missing), strict=True))
        known.update((key, one) for key, one in fresh.items() if one.reason is not Reason.UNDECIDABLE)
        return [fresh[key] if key in fresh else known[key] for key in keys]

    def _general(self, reader: Reader, actions: list[str]) -> list[Decision]:
        requests = [self._asked_by(reader, action, *ABOUT[action]) for action in actions]
        return self._decide(requests, Reason.ROLE_NOT_PERMITTED)

    def _answer(self, reader: Reader, sources: list[SourceState]) -> list[Decision]:
        requests = [
            self._asked_by(
                reader,
                "answer",
                *ABOUT["answer"],
                agreement=source.agreement,
                own=source.own,
                objection=source.objection.value,
            )
            for source in sources
        ]
        return self._decide(requests, Reason.AGREEMENT_LAPSED)

    def _see(self, reader: Reader, questions: list[Seen]) -> list[Decision]:
        def ask(action: str, questions: list[Seen]) -> list[Decision]:
            requests = [
                self._asked_by(
                    reader, action, "Category", one.category, labels=sorted(one.labels), objection=one.objection.value
                )
                for one in (Asked(*question) for question in questions)
            ]
            return self._decide(requests, Reason.CATEGORY_NOT_PERMITTED)

        shown = dict(zip(questions, ask("show", questions), strict=True))
        hidden = [
            question
            for question, decision in shown.items()
            if not decision.permitted and decision.reason is not Reason.UNDECIDABLE
        ]
        for question, seen in zip(hidden, ask("see", hidden), strict=True):
            if seen.permitted:
                policies = (*seen.policies, *shown[question].policies)
                shown[question] = Decision(permitted=True, policies=policies, sight=Sight.MARK)
            else:
                shown[question] = seen
        return [shown[question] for question in questions]

    def _locate(self, reader: Reader, questions: list[Located]) -> list[Decision]:
        requests = [
            self._asked_by(reader, "locate", "Whereabouts", name, restricted=restricted, sensitive=sensitive)
            for name, restricted, sensitive in questions
        ]
        return self._decide(requests, Reason.RESTRICTED)

    def _act(self, officer: Officer, acts: list[Act]) -> list[Decision]:
        context = {
            "operator": officer.operator,
            "lead": officer.lead,
            "concerned": officer.concerned,
            "general": officer.general,
            "recorder": officer.recorder,
            "sameOrganisation": officer.same_organisation,
            "named": officer.named,
        }
        requests = [self._request(officer.role, act.value, *ABOUT[act.value], context) for act in acts]
        return self._decide(requests, Reason.ROLE_NOT_PERMITTED)

    def _asked_by(self, reader: Reader, action: str, kind: str, name: str, **context: object) -> Request:
        context.update(purpose=reader.purpose, takingPart=reader.taking_part, override=reader.override)
        if reader.relationship is not None:
            context["relationship"] = reader.relationship
        return self._request(reader.role, action, kind, name, context)

    def _request(self, role: str | None, action: str, kind: str, name: str, context: dict[str, Any]) -> Request:
        return {
            "principal": reference("Role", role if role is not None and role in self.tables.roles else NO_ROLE),
            "action": reference("Action", action),
            "resource": reference(kind, name),
            "context": context,
        }

    def _decide(self, requests: list[Request], otherwise: Reason) -> list[Decision]:
        """Ask Cedar; `otherwise` is why, where no policy permits and none forbids."""
        if not requests:
            return []
        answers = cedarpy.is_authorized_batch(requests, self.rules.policies, self._entities)
        return [
            self._decision(request["action"]["id"], answer, otherwise)
            for request, answer in zip(requests, answers, strict=True)
        ]

    def _decision(self, action: str, answer: cedarpy.AuthzResult, otherwise: Reason) -> Decision:
        ids = tuple(sorted(answer.diagnostics.id_annotations_by_reason.values()))
        errors = answer.diagnostics.errors
        # A policy that fails is skipped by Cedar, and a forbid that is skipped forbids nothing: so any failure denies.
        if errors or answer.decision is cedarpy.Decision.NoDecision:
            failed = {self.rules.ids[name] for error in errors for name in FAILED.findall(error)}
            self.on_undecidable(action, tuple(sorted(failed)))
            return Decision(
                permitted=False,
                policies=tuple(sorted({*ids, *failed})),
                reason=Reason.UNDECIDABLE,
                sight=Sight.WITHHOLD,
            )
        if answer.allowed:
            return Decision(permitted=True, policies=ids)
        reasons = [self.rules.reasons[name] for name in ids]
        return Decision(
            permitted=False,
            policies=ids,
            reason=min(reasons, key=ORDER.__getitem__, default=otherwise),
            sight=Sight.WITHHOLD,
        )


def _digest(place: Place) -> str:
    """SHA-256 over name, length and content of every file that decides, in a fixed order."""
    digest = hashlib.sha256()
    for file in (*cedar_files(place), *(place.joinpath(name) for name in TABLES), *refsets_of(place)):
        content = file.read_bytes()
        digest.update(f"{file.name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()
