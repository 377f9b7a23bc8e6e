"""Turns questions in states into decisions with reasons: Cedar, asked once for each distinct question."""

import hashlib
import json
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import cedarpy
from cachetools import LRUCache

from policies.loading import TABLES, load_tables, refsets_of
from policies.reading import Place
from policies.rules import Rules, cedar_files, load_rules
from policies.tables import Tables
from policies.values import Decision, Reader, Reason, Sight, SourceState

__all__ = ["Policies"]

READERS = 1_024
"""Readers, as states, whose decisions are kept: role by purpose by relationship, so all that a node meets."""

QUESTIONS = 4_096
"""Decisions kept for one reader before they are begun anew. Sources choose labels, so their number needs a bound."""

NO_ROLE = ""
"""The entity of readers without a role: it sees nothing."""

ORDER = {reason: place for place, reason in enumerate(Reason)}

Request = dict[str, Any]
Seen = tuple[str, frozenset[str]]
Key = TypeVar("Key", None, SourceState, Seen)


class Policies:
    """A policy set: the Cedar policies, the tables, and the decisions made so far.

    Attributes:
        tables: what the tables say.
        rules: the Cedar policies, with their ids and reasons.
        hash: SHA-256, in hex, over every file that decides.
        notices: what is missing without being a fault, such as a reference set that is not loaded, with file and line.
    """

    def __init__(self, tables: Tables, rules: Rules, *, digest: str, notices: tuple[str, ...] = ()) -> None:
        self.tables = tables
        self.rules = rules
        self.hash = digest
        self.notices = notices
        self._entities = cedarpy.Entities.from_json_str(json.dumps(_entities(tables)), rules.schema)
        self._decided: LRUCache[Reader, dict[object, Decision]] = LRUCache(READERS)

    @classmethod
    def load(cls, directory: Path | None) -> "Policies":
        """Read a policy set: a board's own folder, or None for the set that comes with the package.

        Raises PolicyError with file and line for any fault in any file.
        """
        place: Place = directory if directory is not None else files("policies")
        tables, notices = load_tables(place)
        return cls(tables, load_rules(place), digest=_digest(place), notices=notices)

    def role_of(self, system: str, code: str) -> str | None:
        """The role of a job-role code, short (`R8000`) or in full (`S8000:G8000:R8000`); None where it has none."""
        return self.tables.role_by_job.get((system, code.rsplit(":", 1)[-1]))

    def may_ask(self, reader: Reader) -> Decision:
        """May this reader look anybody up at all?"""
        return self._each(reader, [None], self._ask)[0]

    def may_answer(self, reader: Reader, sources: Sequence[SourceState]) -> list[Decision]:
        """May each of these organisations answer this reader about this patient?"""
        return self._each(reader, sources, self._answer)

    def may_see(self, reader: Reader, questions: Sequence[Seen]) -> list[Decision]:
        """May this reader see items of each category with these labels, and how?"""
        return self._each(reader, questions, self._see)

    def _each(
        self, reader: Reader, keys: Sequence[Key], decide: Callable[[Reader, list[Key]], list[Decision]]
    ) -> list[Decision]:
        """Decide each distinct question once, and remember."""
        known = self._decided.get(reader)
        if known is None or len(known) > QUESTIONS:
            known = self._decided[reader] = {}
        if missing := [key for key in dict.fromkeys(keys) if key not in known]:
            known.update(zip(missing, decide(reader, missing), strict=True))
        return [known[key] for key in keys]

    def _ask(self, reader: Reader, _: list[None]) -> list[Decision]:
        return self._decide([self._request("ask", reader, "Record", "shared")], Reason.ROLE_NOT_PERMITTED)

    def _answer(self, reader: Reader, sources: list[SourceState]) -> list[Decision]:
        requests = [
            self._request(
                "answer",
                reader,
                "Source",
                "organisation",
                agreement=source.agreement,
                own=source.own,
                objection=source.objection.value,
            )
            for source in sources
        ]
        return self._decide(requests, Reason.UNDECIDABLE)

    def _see(self, reader: Reader, questions: list[Seen]) -> list[Decision]:
        def ask(action: str, questions: list[Seen]) -> list[Decision]:
            requests = [
                self._request(action, reader, "Category", category, labels=sorted(labels))
                for category, labels in questions
            ]
            return self._decide(requests, Reason.CATEGORY_NOT_PERMITTED)

        shown = dict(zip(questions, ask("show", questions), strict=True))
        hidden = [question for question, decision in shown.items() if not decision.permitted]
        for question, seen in zip(hidden, ask("see", hidden), strict=True):
            if seen.permitted:
                policies = (*seen.policies, *shown[question].policies)
                shown[question] = Decision(permitted=True, policies=policies, sight=Sight.MARK)
            else:
                shown[question] = Decision(
                    permitted=False, policies=seen.policies, reason=seen.reason, sight=Sight.WITHHOLD
                )
        return [shown[question] for question in questions]

    def _request(self, action: str, reader: Reader, kind: str, name: str, **context: object) -> Request:
        context.update(purpose=reader.purpose, takingPart=reader.taking_part)
        if reader.relationship is not None:
            context["relationship"] = reader.relationship
        return {
            "principal": {"type": "Reader", "id": reader.role if reader.role in self.tables.roles else NO_ROLE},
            "action": {"type": "Action", "id": action},
            "resource": {"type": kind, "id": name},
            "context": context,
        }

    def _decide(self, requests: list[Request], otherwise: Reason) -> list[Decision]:
        """Ask Cedar; `otherwise` is why, where no policy permits and none forbids."""
        if not requests:
            return []
        answers = cedarpy.is_authorized_batch(requests, self.rules.policies, self._entities)
        return [self._decision(answer, otherwise) for answer in answers]

    def _decision(self, answer: cedarpy.AuthzResult, otherwise: Reason) -> Decision:
        ids = tuple(sorted(answer.diagnostics.id_annotations_by_reason.values()))
        # A policy that fails is skipped by Cedar, and a forbid that is skipped forbids nothing: so any failure denies.
        if answer.diagnostics.errors or answer.decision is cedarpy.Decision.NoDecision:
            return Decision(permitted=False, policies=ids, reason=Reason.UNDECIDABLE, sight=Sight.WITHHOLD)
        if answer.allowed:
            return Decision(permitted=True, policies=ids)
        reasons = [self.rules.reasons[name] for name in ids]
        return Decision(
            permitted=False,
            policies=ids,
            reason=min(reasons, key=ORDER.__getitem__, default=otherwise),
            sight=Sight.WITHHOLD,
        )


def _entities(tables: Tables) -> list[dict[str, Any]]:
    """The tables as Cedar sees them: readers by role, categories in their groups."""

    def entity(kind: str, name: str, parents: list[dict[str, str]] | None = None, **attrs: object) -> dict[str, Any]:
        return {"uid": {"type": kind, "id": name}, "attrs": attrs, "parents": parents or []}

    def group(name: str) -> dict[str, str]:
        return {"type": "Group", "id": name}

    readers = [entity("Reader", NO_ROLE, sees=[], shown=[], marked=[])]
    for role in tables.roles.values():
        shown = [label.id for label in tables.labels.values() if role.id in label.shown]
        marked = [label.id for label in tables.labels.values() if role.id in label.marked]
        sees = [{"__entity": group(name)} for name in sorted(role.sees)]
        readers.append(entity("Reader", role.id, sees=sees, shown=shown, marked=shown + marked))
    categories = [
        entity("Category", category, [group(name) for name, members in tables.groups.items() if category in members])
        for category in tables.categories
    ]
    return [
        entity("Record", "shared"),
        entity("Source", "organisation"),
        *(entity("Group", name) for name in tables.groups),
        *categories,
        *readers,
    ]


def _digest(place: Place) -> str:
    """SHA-256 over name, length and content of every file that decides, in a fixed order."""
    digest = hashlib.sha256()
    for file in (*cedar_files(place), *(place.joinpath(name) for name in TABLES), *refsets_of(place)):
        content = file.read_bytes()
        digest.update(f"{file.name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()
