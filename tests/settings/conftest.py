"""A directory in which a configuration can be written."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def _write(text: str) -> Path:
        file = tmp_path / "broker.toml"
        file.write_text(text, encoding="utf-8")
        return file

    return _write
