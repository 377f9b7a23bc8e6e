"""From `broker.toml` and the environment to `Settings`, with every fault named."""

import dataclasses
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from broker.errors import ConfigurationError
from broker.settings.document import At, read_document
from broker.settings.kinds import Place, did_you_mean
from broker.settings.shape import FromEnvironment, Reading, Tables
from broker.settings.values import IssuerSettings, OrganisationSettings, Settings

__all__ = ["DEMO_BEYOND_LOOPBACK", "check", "load", "manifests_beside_faults", "read"]

DEMO_BEYOND_LOOPBACK = (
    "anybody can sign as a demo issuer: listen on 127.0.0.1, or write an issuer with keys of its own and demo = false"
)


def load(path: Path, environ: Mapping[str, str] = os.environ) -> Settings:
    """The configuration in a file, each setting replaced by its environment variable where there is one.

    Raises:
        ConfigurationError: the first fault; `check` tells them all.
    """
    settings, faults = read(path, environ)
    if settings is None:
        raise faults[0]
    return settings


def check(path: Path, environ: Mapping[str, str] = os.environ) -> list[ConfigurationError]:
    """Every fault of `broker.toml` alone, in the order of its lines. `broker.registry.check` adds the manifests."""
    return read(path, environ)[1]


def read(path: Path, environ: Mapping[str, str] = os.environ) -> tuple[Settings | None, list[ConfigurationError]]:
    """The configuration, or None with at least one fault."""
    path = Path(path)
    try:
        document = read_document(path)
    except ConfigurationError as fault:
        return None, [fault]
    if not document.data:
        words = 'empty: write at least [organisations] and directory = "organisations", where the manifests are'
        return None, [ConfigurationError(path, words, line=1)]
    reading = Reading(document, Place(path.parent, environ))
    _take_environment(document.data, environ, reading)
    settings = reading.read(Settings, file=path)
    _check_together(reading)
    faults = sorted(reading.faults, key=lambda fault: fault.line or 0)
    return (None if faults else settings), faults


def manifests_beside_faults(path: Path, environ: Mapping[str, str] = os.environ) -> Path | None:
    """Where the manifests are, though other settings have faults; None where that can't be told."""
    try:
        document = read_document(Path(path))
    except ConfigurationError:
        return None
    reading = Reading(document, Place(Path(path).parent, environ))
    _take_environment(document.data, environ, reading)
    section = document.data.get("organisations", {})
    found = reading.read(OrganisationSettings, section, ("organisations",)) if isinstance(section, dict) else None
    return found.directory if found else None


def _take_environment(data: dict[str, Any], environ: Mapping[str, str], reading: Reading) -> None:
    """Put the values of environment variables where the file's would stand."""
    known = dict(_variables(data, environ))
    for name, text in environ.items():
        if name in known:
            _put(data, known[name], FromEnvironment(name, text))
        elif name.startswith("BROKER_") and (guess := did_you_mean(name, list(known), cutoff=0.9)):
            # Others may well have variables that begin with BROKER_, so only one that is nearly a setting's is a fault.
            reading.fault((), f"{name} in the environment: there is no such setting; remove it{guess}")


def _variables(data: Mapping[str, Any], environ: Mapping[str, str]) -> Iterator[tuple[str, At]]:
    for section in dataclasses.fields(Settings):
        shape = section.metadata.get("shape")
        if isinstance(shape, Tables) and not shape.many:
            for field in dataclasses.fields(shape.cls):
                yield f"BROKER_{section.name}_{field.name}".upper(), (section.name, field.name)
    there = data.get("issuers", [])
    index = 0
    while True:
        names = {
            f"BROKER_ISSUERS_{index}_{field.name}".upper(): field.name for field in dataclasses.fields(IssuerSettings)
        }
        if index >= (len(there) if isinstance(there, list) else 0) and not names.keys() & environ.keys():
            return
        for name, key in names.items():
            yield name, ("issuers", index, key)
        index += 1


def _put(data: dict[str, Any], at: At, value: FromEnvironment) -> None:
    """Set what stands there. What stands in the way and is of the wrong form is left, for the reading to find."""
    *way, last = at
    node: Any = data
    for step, following in zip(way, [*way[1:], last], strict=True):
        if isinstance(node, dict):
            node = node.setdefault(str(step), [] if isinstance(following, int) else {})
        elif isinstance(node, list) and isinstance(step, int):
            node.extend({} for _ in range(len(node), step + 1))
            node = node[step]
    if isinstance(node, dict):
        node[str(last)] = value


def _check_together(reading: Reading) -> None:
    """What is wrong only beside another table."""
    seen: set[str] = set()
    listen = reading.right.get(("server", "listen"))
    for at, value in list(reading.right.items()):
        match at:
            case ("issuers", _, "iss"):
                if value in seen:
                    reading.fault(at, "this issuer is already there: keep one of the two")
                seen.add(value)
            case ("issuers", _, "demo") if value and listen and not listen.loopback:
                reading.fault(at, DEMO_BEYOND_LOOPBACK)
