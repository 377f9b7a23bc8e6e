"""Guards over every test: no blocking call on the loop, no leaked task; and the profile of generated cases."""

import ast
import asyncio
import inspect
import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
"""Synthetic records in real shapes, beside the checkout; tests that need them skip where they are not."""

_QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
settings.register_profile("dev", deadline=None, suppress_health_check=_QUIET)
settings.register_profile("ci", deadline=None, derandomize=True, suppress_health_check=_QUIET)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


@pytest.fixture(scope="session")
def shared_data():
    if not SHARED_DATA.is_dir():
        pytest.skip("the synthetic records (shared/data beside the checkout) are not here")
    return SHARED_DATA


@pytest.fixture(scope="session")
def existing_tests():
    """Every test of the tree as `tests/room/test_file.py::test_name`."""
    here = Path(__file__).parent
    return {
        f"{file.relative_to(here.parent).as_posix()}::{node.name}"
        for file in here.rglob("test_*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


_BLOCKING = {"time.sleep", "sqlite3.connect", "subprocess.Popen", "shutil.copyfile"}
_OWNERS = ("Story.", "LookupService.", "RequestHandler.", "Journal.", "ObjectionIndex.")
_caught: list[str] = []


def _watch(event, arguments):
    """An audit hook: what blocks inside a task of the broker is put down, and fails the test that ran it."""
    if event not in _BLOCKING and event != "open":
        return
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return
    if task is None or not task.get_coro().__qualname__.startswith(_OWNERS):
        return
    if event == "open":
        path = str(arguments[0])
        if path.startswith((sys.prefix, sys.base_prefix)) or path.endswith((".py", ".pyc")):
            return
    _caught.append(event)


sys.addaudithook(_watch)


@pytest.fixture(autouse=True)
def no_blocking_call(request):
    _caught.clear()
    yield
    if _caught and "blocking" not in request.keywords:
        pytest.fail(f"the loop was blocked by {sorted(set(_caught))}")


@pytest.fixture(autouse=True)
def no_leaked_task(request):
    if inspect.iscoroutinefunction(getattr(request, "function", None)):
        request.getfixturevalue("_watch_tasks")


@pytest.fixture
async def _watch_tasks():
    before = asyncio.all_tasks()
    yield
    for _ in range(20):
        left = [task for task in asyncio.all_tasks() - before if task is not asyncio.current_task()]
        if not left:
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"tasks were left running: {sorted(task.get_coro().__qualname__ for task in left)}")
