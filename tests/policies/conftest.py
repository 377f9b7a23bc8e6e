"""The policy set that comes with the package, and a copy of it for a board to edit."""

import shutil
from importlib.resources import as_file, files

import pytest

from policies import Policies


@pytest.fixture(scope="session")
def policies():
    return Policies.load(None)


@pytest.fixture
def board(tmp_path):
    """A board's own folder, equal to the package's."""
    folder = tmp_path / "board"
    with as_file(files("policies")) as package:
        shutil.copytree(package, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    return folder


@pytest.fixture
def edit(board):
    """Replace a text that stands once in one of the board's files."""

    def edit(name, old, new):
        file = board / name
        text = file.read_text(encoding="utf-8")
        assert text.count(old) >= 1, f"{old!r} is not in {name}"
        file.write_text(text.replace(old, new, 1), encoding="utf-8")
        return text[: text.index(old)].count("\n") + 1

    return edit
