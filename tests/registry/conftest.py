"""A directory in which manifests can be written."""

from collections.abc import Callable
from pathlib import Path

import pytest

MANIFEST = """\
ods_code = "RJ1"
name = "Guy's and St Thomas' NHS Foundation Trust"
service_type = "acute"
region = "south-east-london"

[agreement]
isa_signed = 2025-04-01
isa_expires = 2027-03-31
dspt_expires = 2027-06-30

[[sources]]
name = "epr"
kind = "fhir-r4"
base_url = "http://127.0.0.1:8101/fhir/"
"""

Write = Callable[..., Path]


@pytest.fixture
def manifest() -> str:
    return MANIFEST


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "organisations"
    made.mkdir()
    return made


@pytest.fixture
def write(directory: Path) -> Write:
    """Write a manifest, some of its words changed."""

    def _write(name: str = "rj1.toml", text: str = MANIFEST, **changed: str) -> Path:
        for old, new in changed.items():
            assert old in text
            text = text.replace(old, new)
        file = directory / name
        file.write_text(text, encoding="utf-8")
        return file

    return _write
