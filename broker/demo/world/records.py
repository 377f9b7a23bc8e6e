"""What one server holds: the stories' resources under its own ids, with its own words beside the national ones."""

import uuid
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any

from broker.demo.world.codes import NHS_NUMBER, ODS
from broker.demo.world.organisations import Habits, Organisation, Site
from broker.demo.world.story import Person, Story

__all__ = ["Records", "fill", "rewrite"]

Resource = dict[str, Any]
Key = tuple[str, str, str]
"""(whose, type, key): NHS number of the story or nobody's, FHIR type, and the key that the story uses."""

NOBODY = ""
NAMESPACE = uuid.UUID("6f0c7d0e-9990-4000-8000-000000000018")


@dataclass(frozen=True, slots=True)
class Records:
    """Everything on one server.

    Attributes:
        resources: `Type/id` to the resource, references relative, in the order written.
        members: id of a Patient to the `Type/id` of what is in their record, the Patient first.
    """

    resources: Mapping[str, Resource]
    members: Mapping[str, tuple[str, ...]]

    def patients(self, system: str, value: str) -> list[str]:
        """`Patient/id` of those with this identifier; an empty system matches any."""
        return [
            f"Patient/{patient}"
            for patient in self.members
            if any(
                identifier["value"] == value and system in {"", identifier["system"]}
                for identifier in self.resources[f"Patient/{patient}"]["identifier"]
            )
        ]


def fill(organisation: Organisation, site: Site, stories: tuple[Story, ...]) -> Records:
    """Write into one server what the stories say that it holds."""
    source = organisation.source(site)
    told = [story for story in stories if source in story.at]
    if site.habits.backwards:
        told.reverse()
    written: dict[Key, Resource] = {
        (NOBODY, resource["resourceType"], resource["id"]): resource for resource in _own(organisation)
    }
    for story in told:
        whose = story.person.nhs_number
        written[whose, "Patient", "me"] = _patient(story.person, organisation, story.differs.get(source, {}))
        for resource in story.at[source]:
            written[whose, resource["resourceType"], resource["id"]] = deepcopy(resource)
    names = _names(written, source, site.habits)
    members: dict[str, tuple[str, ...]] = {}
    for key, resource in written.items():
        rewrite(resource, partial(_resolve, whose=key[0], names=names))
        resource["id"] = names[key]
        resource["meta"] = {**resource.get("meta", {}), "versionId": "1", "lastUpdated": "2026-11-22T06:00:00Z"}
        if site.habits.local_codes:
            _add_local_code(resource, site.habits.local_codes)
    for story in told:
        whose = story.person.nhs_number
        members[names[whose, "Patient", "me"]] = tuple(f"{key[1]}/{names[key]}" for key in written if key[0] == whose)
    return Records({f"{key[1]}/{names[key]}": resource for key, resource in written.items()}, members)


def rewrite(node: Any, change: Callable[[str], str]) -> None:
    """Pass every reference in a resource through `change`, in place; references to contained ones stay."""
    if isinstance(node, dict):
        target = node.get("reference")
        if isinstance(target, str) and not target.startswith("#"):
            node["reference"] = change(target)
        for value in node.values():
            rewrite(value, change)
    elif isinstance(node, list):
        for value in node:
            rewrite(value, change)


def _own(organisation: Organisation) -> Iterator[Resource]:
    """The organisation itself, and somebody who works there."""
    yield {
        "resourceType": "Organization",
        "id": "here",
        "identifier": [{"system": ODS, "value": organisation.ods_code}],
        "active": True,
        "name": organisation.name,
    }
    yield {
        "resourceType": "Practitioner",
        "id": "staff",
        "active": True,
        "name": [{"text": f"On-duty clinician, {organisation.name}"}],
    }


def _patient(person: Person, organisation: Organisation, differs: Mapping[str, Any]) -> Resource:
    """The Patient as this organisation knows them, with a number of its own beside the NHS number."""
    line, town, postcode = person.address
    return {
        "resourceType": "Patient",
        "id": "me",
        "identifier": [
            {"use": "official", "system": NHS_NUMBER, "value": differs.get("nhs_number", person.nhs_number)},
            {
                "use": "usual",
                "system": f"https://{organisation.ods_code.lower()}.example/patients",
                "value": f"{organisation.ods_code}{person.nhs_number[5:9]}",
            },
        ],
        "active": True,
        "name": [{"use": "official", "family": person.family, "given": [person.given], "prefix": [person.title]}],
        "telecom": [{"system": "phone", "value": person.phone, "use": "home"}],
        "gender": person.gender,
        "birthDate": differs.get("birthDate", person.birth_date),
        "address": [{"use": "home", "line": [line], "city": town, "postalCode": postcode}],
        "managingOrganization": {"reference": "Organization/here"},
    }


def _names(written: Mapping[Key, Resource], source: str, habits: Habits) -> dict[Key, str]:
    """An id for each resource. Numbers start at 1000 and are shared by all types, as some servers count.

    The patients come first, so that two counting servers give the same number to different people.
    """
    ordered = sorted(written, key=lambda key: key[1] != "Patient")
    return {key: _id(habits.ids, index, key, source) for index, key in enumerate(ordered)}


def _id(kind: str, index: int, key: Key, source: str) -> str:
    """One id, of the kind that this server hands out."""
    if kind == "number":
        return str(1000 + index)
    if kind == "uuid":
        return str(uuid.uuid5(NAMESPACE, "/".join((source, *key))))
    return f"{source.split('-', maxsplit=1)[1]}-{index:05d}"


def _resolve(target: str, whose: str, names: Mapping[Key, str]) -> str:
    """`Type/key` of a story as `Type/id` here. Another story's patient is named by NHS number."""
    kind, key = target.split("/", 1)
    candidates: list[Key] = [(whose, kind, key), (NOBODY, kind, key)]
    if kind == "Patient" and key != "me":
        candidates = [(key, "Patient", "me")]
    for candidate in candidates:
        if candidate in names:
            return f"{kind}/{names[candidate]}"
    raise LookupError(f"{target} is named in a story, but is not at this source")


def _add_local_code(resource: Resource, system: str) -> None:
    """Put the server's own code beside the national one in `code`, as systems with a catalogue of their own do."""
    code = resource.get("code")
    if isinstance(code, dict) and "text" in code:
        own = "".join(word[0] for word in code["text"].upper().split() if word[0].isalpha())
        code.setdefault("coding", []).append({"system": system, "code": own, "display": code["text"]})
