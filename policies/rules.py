"""Reads the Cedar policies of a set, and refuses those that could not explain themselves."""

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import cedarpy

from policies.reading import Place, text_of
from policies.values import PolicyError, Reason

__all__ = ["Rules", "cedar_files", "load_rules"]

SCHEMA = "schema.cedarschema"
UNPARSED = "error parsing schema"
UNFINISHED = "unexpected end of input"


@dataclass(frozen=True, slots=True)
class Rules:
    """The parsed policies.

    Attributes:
        policies: handle of the parsed set.
        schema: handle of the parsed schema.
        reasons: `@id` of each forbid, then what the reader is told.
        permits: `@id` of each permit.
        whys: `@id` of each policy, then what it is for, in one sentence.
        ids: what Cedar calls each (`policy0` ...), then its `@id`.
    """

    policies: cedarpy.PolicySet
    schema: cedarpy.Schema
    reasons: Mapping[str, Reason]
    permits: frozenset[str]
    whys: Mapping[str, str]
    ids: Mapping[str, str]

    def why(self, policy: str) -> str:
        """What a policy is for, in plain words. Raises KeyError for an id that no policy has."""
        return self.whys[policy]


def cedar_files(place: Place) -> list[Place]:
    """The files that hold policies, in order of their names, the schema last."""
    folder = place.joinpath("cedar")
    if not folder.is_dir():
        raise PolicyError("cedar", "this folder is missing: it holds the policies (*.cedar) and their schema")
    found = sorted((file for file in folder.iterdir() if file.name.endswith(".cedar")), key=lambda file: file.name)
    if not found:
        raise PolicyError("cedar", "no policy (*.cedar) in it: nothing would ever be permitted")
    return [*found, folder.joinpath(SCHEMA)]


def load_rules(place: Place, known: Collection[tuple[str, str]]) -> Rules:
    """Read and check `cedar/`.

    Args:
        place: the folder of the set.
        known: type and name of everything that a policy may name.

    Raises:
        PolicyError: the first fault, with file and line.
    """
    *files, schema_file = cedar_files(place)
    schema_text = text_of(schema_file, "cedar")
    try:
        schema = cedarpy.Schema.from_str(schema_text)
    except ValueError as error:
        line = _line_of(schema_text, _parse_schema) if UNPARSED in str(error) else None
        raise PolicyError(f"cedar/{SCHEMA}", f"not a Cedar schema: {error}", line=line) from None
    reasons: dict[str, Reason] = {}
    permits: set[str] = set()
    whys: dict[str, str] = {}
    texts = {f"cedar/{file.name}": text_of(file, "cedar") for file in files}
    for name, text in texts.items():
        for policy in _policies(name, text, schema_text):
            if policy.id in whys:
                raise policy.fault(f'@id("{policy.id}") stands twice: one id for each policy')
            for kind, thing in policy.named:
                if (kind, thing) not in known:
                    among = ", ".join(sorted(other for of, other in known if of == kind and other))
                    raise policy.fault(f'{kind}::"{thing}" is in no table: write one of {among}')
            whys[policy.id] = policy.why()
            if policy.effect == "permit":
                permits.add(policy.id)
            else:
                reasons[policy.id] = policy.reason()
    whole = "\n".join(texts.values())
    return Rules(
        policies=cedarpy.PolicySet.from_str(whole),
        schema=schema,
        reasons=reasons,
        permits=frozenset(permits),
        whys=whys,
        ids={name: str(policy["annotations"]["id"]) for name, policy in _parsed(whole)["staticPolicies"].items()},
    )


def _parsed(text: str) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(cedarpy.policies_to_json_str(text))
    return parsed


def _parse_schema(text: str) -> None:
    """Part of a schema may speak of types that stand elsewhere: only its form counts."""
    try:
        cedarpy.Schema.from_str(text)
    except ValueError as error:
        if UNPARSED in str(error):
            raise


def _line_of(text: str, parse: Callable[[str], object]) -> int:
    """The line of the first fault in a text that does not parse: Cedar says what it is, and not where.

    Line is added to line. What is merely unfinished may yet become whole; the first line that makes it anything else is
    the one. Where the whole text stays unfinished, it is the first line of what never ends.
    """
    lines = text.split("\n")
    start = 0
    for end in range(1, len(lines) + 1):
        try:
            parse("\n".join(lines[start:end]))
        except ValueError as error:
            if UNFINISHED not in str(error):
                return end
        else:
            start = end
    written = (
        n for n, line in enumerate(lines[start:], start + 1) if line.strip() and not line.strip().startswith("//")
    )
    return next(written, len(lines))


@dataclass(frozen=True, slots=True)
class _Policy:
    file: str
    line: int | None
    effect: str
    annotations: Mapping[str, Any]
    named: frozenset[tuple[str, str]]

    @property
    def id(self) -> str:
        return str(self.annotations["id"])

    def fault(self, message: str) -> PolicyError:
        return PolicyError(self.file, message, line=self.line)

    def why(self) -> str:
        why = str(self.annotations.get("why") or "").strip()
        if not why:
            raise self.fault('a policy needs @why("…"): one sentence that says what it is for')
        return why

    def reason(self) -> Reason:
        told = {reason.value: reason for reason in Reason if reason is not Reason.UNDECIDABLE}
        if (reason := told.get(str(self.annotations.get("reason")))) is None:
            raise self.fault(f'a forbid needs @reason("…"), one of {", ".join(told)}')
        return reason


def _policies(file: str, text: str, schema: str) -> Iterator[_Policy]:
    try:
        parsed = _parsed(text)
    except ValueError as error:
        where = _line_of(text, cedarpy.policies_to_json_str)
        raise PolicyError(file, f"not Cedar: {error}", line=where) from None
    if parsed["templates"]:
        raise PolicyError(file, "write policies, not templates (?principal, ?resource)")
    heads = re.finditer(r"^\s*(permit|forbid)\b", text, re.MULTILINE)
    starts = [text.count("\n", 0, head.start(1)) + 1 for head in heads]
    found = {}
    for name, policy in parsed["staticPolicies"].items():
        place = int(name.removeprefix("policy"))
        line = starts[place] if place < len(starts) else None
        annotations = policy.pop("annotations", {})
        found[name] = _Policy(file, line, policy["effect"], annotations, frozenset(_named(policy)))
        if not found[name].annotations.get("id"):
            raise found[name].fault('a policy needs @id("…"): the journal records it')
    for problem in cedarpy.validate_policies(text, schema).errors:
        place_of = found.get(problem.policy_id)
        raise PolicyError(file, f"does not fit {SCHEMA}: {problem.error}", line=place_of.line if place_of else None)
    yield from found.values()


def _named(policy: object) -> Iterator[tuple[str, str]]:
    """Type and name of all that a policy names, as `Role::"auditor"`; a misspelt action is the schema's to tell."""
    if isinstance(policy, dict):
        if policy.keys() == {"type", "id"}:
            if policy["type"] != "Action":
                yield policy["type"], policy["id"]
        else:
            for part in policy.values():
                yield from _named(part)
    elif isinstance(policy, list):
        for part in policy:
            yield from _named(part)
