"""Kinds of source are found by name, and cost nothing until a manifest names them."""

import subprocess
import sys

import pytest

from adapters.fhir_r4 import FhirR4Adapter
from adapters.kinds import UnknownKind, load_kind


def test_a_kind_is_loaded_by_its_name():
    assert load_kind("fhir-r4") is FhirR4Adapter


def test_a_kind_that_there_is_not_names_those_that_there_are():
    with pytest.raises(UnknownKind, match=r'no adapter of kind "fhir-r5"; there are: .*fhir-r4'):
        load_kind("fhir-r5")


@pytest.mark.blocking
def test_adapters_need_aiohttp_and_msgspec_alone():
    """fhirpy and cachetools are loaded with the kind that uses them; nothing of the broker or the policies ever is."""
    program = """
import sys
import adapters, adapters.contract, adapters.errors, adapters.findings, adapters.kinds, adapters.links, adapters.transport
wanted = {"adapters", "aiohttp", "msgspec"}
banned = {"fhirpy", "cachetools", "requests", "httpx", "broker", "policies", "sqlalchemy", "cedarpy", "jwt", "structlog"}
assert wanted <= set(sys.modules)
assert not banned & set(sys.modules), banned & set(sys.modules)
import adapters.fhir_r4
assert not {"broker", "policies"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)
