"""From a directory of manifests to the registry, with every fault named."""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType
from typing import Final

from broker import settings as configuration
from broker.errors import ConfigurationError
from broker.registry.manifest import LONGEST_NAME, Manifest
from broker.registry.organisations import Organisation, register_source
from broker.settings.document import read_document
from broker.settings.kinds import Place, did_you_mean
from broker.settings.loading import DEMO_BEYOND_LOOPBACK, manifests_beside_faults
from broker.settings.shape import Reading
from broker.settings.values import Settings

__all__ = ["Registry", "check", "installed_kinds", "read", "read_manifest", "unknown_services"]

_KINDS_OF_THE_INTERFACE: Final = frozenset({"fhir-r4", "gp-connect", "openehr", "rest-json", "nrl"})


@dataclass(frozen=True)
class Registry:
    """Who takes part.

    Attributes:
        organisations: every manifest by ODS code, in the order of the codes.
    """

    organisations: Mapping[str, Organisation]

    @classmethod
    def load(
        cls,
        directory: Path,
        *,
        known_kinds: Collection[str] | None = None,
        settings: Settings | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> "Registry":
        """The registry in a directory of manifests.

        Args:
            directory: its `*.toml` are the manifests.
            known_kinds: of adapters; left out, those installed.
            settings: where given, the manifests must agree with it (issuers, demo issuers).
            environ: where secrets may be.

        Raises:
            ConfigurationError: the first fault; `check` tells them all.
        """
        registry, faults = _read(directory, known_kinds, settings, environ)
        if faults:
            raise faults[0]
        return registry

    @cached_property
    def live(self) -> tuple[Organisation, ...]:
        """The organisations in state live, in the order of their codes, whatever their agreements say today."""
        return tuple(organisation for organisation in self.organisations.values() if organisation.live)

    @cached_property
    def practices(self) -> tuple[Organisation, ...]:
        """The live GP practices."""
        return tuple(organisation for organisation in self.live if organisation.service_type == "gp-practice")

    @cached_property
    def _issuers(self) -> Mapping[str, Organisation]:
        return {each.issuer.iss: each for each in self.organisations.values() if each.issuer}

    def by_issuer(self, iss: str) -> Organisation | None:
        """The organisation whose staff have tokens of this issuer, in whatever state it is; None if there is none."""
        return self._issuers.get(iss)


def check(
    path: Path,
    environ: Mapping[str, str] = os.environ,
    *,
    known_kinds: Collection[str] | None = None,
) -> list[ConfigurationError]:
    """Every fault of `broker.toml` and of the manifests that it names."""
    return read(path, environ, known_kinds=known_kinds)[2]


def read(
    path: Path,
    environ: Mapping[str, str] = os.environ,
    *,
    known_kinds: Collection[str] | None = None,
) -> tuple[Settings | None, Registry, list[ConfigurationError]]:
    """The configuration (None with a fault of its own), the organisations whose manifests have none, and all faults."""
    settings, faults = configuration.read(path, environ)
    directory = settings.organisations.directory if settings else manifests_beside_faults(path, environ)
    if directory is None:
        return settings, Registry({}), faults
    registry, found = _read(directory, known_kinds, settings, environ)
    return settings, registry, faults + found


def unknown_services(registry: Registry, known: Collection[str]) -> list[ConfigurationError]:
    """A fault for every kind of excluded service that a manifest names and no rule of the board's does.

    Args:
        registry: the organisations.
        known: the ids of the rules in `exclusions.toml` that are adopted.
    """
    return [
        ConfigurationError(
            each.file,
            f"services.excluded: {name} is no rule of exclusions.toml: write one of {' '.join(sorted(known))}",
            line=_line_of(each.file, name),
        )
        for each in registry.organisations.values()
        for name in sorted(each.excluded_services - set(known))
    ]


def _line_of(file: Path, word: str) -> int | None:
    """Where a manifest, which was read whole before, names a word."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return next((number for number, line in enumerate(lines, 1) if f'"{word}"' in line), None)


def installed_kinds() -> frozenset[str]:
    """The kinds of adapter that are installed; none is loaded."""
    return frozenset(found.name for found in entry_points(group="care_record_broker.adapters"))


def read_manifest(
    file: Path,
    *,
    known_kinds: Collection[str] | None = None,
    environ: Mapping[str, str] = os.environ,
    source_timeout: float = 4.0,
) -> tuple[Organisation | None, list[ConfigurationError]]:
    """One organisation, or None with at least one fault."""
    try:
        organisation, reading = _read_manifest(file, known_kinds, environ, source_timeout)
    except ConfigurationError as fault:
        return None, [fault]
    return (None, _sorted(reading.faults)) if reading.faults else (organisation, [])


def _read_manifest(
    file: Path, known_kinds: Collection[str] | None, environ: Mapping[str, str], source_timeout: float
) -> tuple[Organisation | None, Reading]:
    """The organisation, None with a fault that leaves no whole one, and what was read. Raises ConfigurationError."""
    reading = Reading(read_document(file), Place(file.parent, environ))
    manifest = reading.read(Manifest)
    _check_sources(reading, installed_kinds() if known_kinds is None else known_kinds)
    if manifest is None:
        return None, reading
    return Organisation(
        ods_code=manifest.ods_code,
        name=manifest.name,
        service_type=manifest.service_type,
        region=manifest.region,
        state=manifest.state,
        agreement=manifest.agreement,
        sources=tuple(register_source(entry, manifest.ods_code, source_timeout) for entry in manifest.sources),
        issuer=manifest.issuer,
        excluded_services=frozenset(manifest.services.excluded),
        contacts=manifest.contacts,
        file=file,
    ), reading


def _sorted(faults: list[ConfigurationError]) -> list[ConfigurationError]:
    return sorted(faults, key=lambda fault: fault.line or 0)


def _check_sources(reading: Reading, kinds: Collection[str]) -> None:
    """What is wrong with a source only beside other settings, or beside what is installed."""
    names: set[str] = set()
    ods_code = reading.right.get(("ods_code",))
    for at, value in list(reading.right.items()):
        match at:
            case ("sources", _, "name"):
                if value.lower() in names:
                    reading.fault(at, "another source of this organisation has this name: give each its own")
                names.add(value.lower())
                if ods_code and (too_long := len(f"{ods_code}-{value}") - LONGEST_NAME) > 0:
                    reading.fault(at, f"write a name that is at least {too_long} characters shorter")
            case ("sources", _, "kind") if value not in kinds:
                reading.fault(at, _no_kind(value, kinds))


def _no_kind(kind: str, kinds: Collection[str]) -> str:
    words = "is not available in this version" if kind in _KINDS_OF_THE_INTERFACE else "is no kind of source"
    known = " ".join(sorted(kinds)) or "none: no adapter is installed"
    guess = did_you_mean(kind, kinds) if len(kinds) > 1 else ""
    return f"this {words}: write one of {known}{guess}"


def _read(
    directory: Path,
    known_kinds: Collection[str] | None,
    settings: Settings | None,
    environ: Mapping[str, str],
) -> tuple[Registry, list[ConfigurationError]]:
    directory = Path(directory)
    files = sorted(file for file in directory.glob("*.toml") if not file.name.startswith("."))
    if not files:
        words = "there are no manifests here" if directory.is_dir() else "there is no such directory"
        message = f"{words}: an empty federation looks like patients with no records; write one *.toml per organisation"
        return Registry({}), [ConfigurationError(directory, message)]
    faults: list[ConfigurationError] = []
    organisations: dict[str, Organisation] = {}
    codes: dict[str, str] = {}
    issuers = {issuer.iss: settings.file.name for issuer in settings.issuers} if settings else {}
    source_timeout = settings.lookup.source_timeout if settings else 4.0
    for file in files:
        try:
            organisation, reading = _read_manifest(file, known_kinds, environ, source_timeout)
        except ConfigurationError as fault:
            faults.append(fault)
            continue
        _check_beside_the_others(file, reading, codes, issuers, settings)
        faults += _sorted(reading.faults)
        if organisation is not None and not reading.faults:
            organisations[organisation.ods_code] = organisation
    return Registry(MappingProxyType(dict(sorted(organisations.items())))), faults


def _check_beside_the_others(
    file: Path, reading: Reading, codes: dict[str, str], issuers: dict[str, str], settings: Settings | None
) -> None:
    """What is wrong with a manifest only because of another file. `codes` and `issuers`: in which file each stands."""
    if ods_code := reading.right.get(("ods_code",)):
        if other := codes.get(ods_code):
            reading.fault(("ods_code",), f"{other} has this code too: keep one manifest per organisation")
        codes.setdefault(ods_code, file.name)
    if iss := reading.right.get(("issuer", "iss")):
        if other := issuers.get(iss):
            reading.fault(("issuer", "iss"), f"{other} has this issuer too: an issuer speaks for one alone")
        issuers.setdefault(iss, file.name)
    if reading.right.get(("issuer", "demo")) and settings and not settings.server.listen.loopback:
        reading.fault(("issuer", "demo"), DEMO_BEYOND_LOOPBACK)
