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
from broker.registry.organisations import Organisation, register_source, why_not
from broker.settings.document import read_document
from broker.settings.kinds import Place, did_you_mean
from broker.settings.loading import DEMO_BEYOND_LOOPBACK, manifests_beside_faults
from broker.settings.shape import Reading
from broker.settings.values import Settings

__all__ = ["Registry", "check", "installed_kinds", "read_manifest"]

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
    settings, faults = configuration.read(path, environ)
    directory = settings.organisations.directory if settings else manifests_beside_faults(path, environ)
    return faults + (_read(directory, known_kinds, settings, environ)[1] if directory else [])


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
        document = read_document(file)
    except ConfigurationError as fault:
        return None, [fault]
    reading = Reading(document, Place(file.parent, environ))
    manifest = reading.read(Manifest)
    if manifest is not None:
        _check_sources(manifest, reading, installed_kinds() if known_kinds is None else known_kinds)
    if manifest is None or reading.faults:
        return None, sorted(reading.faults, key=lambda fault: fault.line or 0)
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
    ), []


def _check_sources(manifest: Manifest, reading: Reading, kinds: Collection[str]) -> None:
    names: set[str] = set()
    for index, entry in enumerate(manifest.sources):
        at = ("sources", index)
        if entry.name.lower() in names:
            reading.fault((*at, "name"), "another source of this organisation has this name: give each its own")
        names.add(entry.name.lower())
        if (too_long := len(f"{manifest.ods_code}-{entry.name}") - LONGEST_NAME) > 0:
            reading.fault((*at, "name"), f"write a name that is at least {too_long} characters shorter")
        if entry.kind not in kinds:
            words = (
                "is not available in this version" if entry.kind in _KINDS_OF_THE_INTERFACE else "is no kind of source"
            )
            known = " ".join(sorted(kinds)) or "none: no adapter is installed"
            reading.fault((*at, "kind"), f"this {words}: write one of {known}{did_you_mean(entry.kind, kinds)}")
        if problem := why_not(entry):
            key, message = problem
            reading.fault((*at, key), message)


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
    issuers = {issuer.iss: settings.file.name for issuer in settings.issuers} if settings else {}
    for file in files:
        organisation, found = read_manifest(
            file,
            known_kinds=known_kinds,
            environ=environ,
            source_timeout=settings.lookup.source_timeout if settings else 4.0,
        )
        faults += found
        if organisation is None:
            continue
        faults += _beside_the_others(organisation, organisations, issuers, settings)
        organisations.setdefault(organisation.ods_code, organisation)
        if organisation.issuer:
            issuers.setdefault(organisation.issuer.iss, file.name)
    return Registry(MappingProxyType(dict(sorted(organisations.items())))), faults


def _beside_the_others(
    organisation: Organisation,
    organisations: Mapping[str, Organisation],
    issuers: Mapping[str, str],
    settings: Settings | None,
) -> list[ConfigurationError]:
    """What is wrong with a manifest only because of another file."""
    document = read_document(organisation.file)
    faults = []
    if other := organisations.get(organisation.ods_code):
        words = f"ods_code: {other.file.name} has this code too: keep one manifest per organisation"
        faults.append(document.fault(("ods_code",), words))
    if organisation.issuer and (where := issuers.get(organisation.issuer.iss)):
        words = f"issuer.iss: {where} has this issuer too: an issuer speaks for one alone"
        faults.append(document.fault(("issuer", "iss"), words))
    if organisation.issuer and organisation.issuer.demo and settings and not settings.server.listen.loopback:
        faults.append(document.fault(("issuer", "demo"), f"issuer.demo: {DEMO_BEYOND_LOOPBACK}"))
    return faults
