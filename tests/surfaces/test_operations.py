"""The operational log: JSON lines on standard error, with nobody in them."""

import asyncio
import json
import logging
import re
from importlib.resources import files
from pathlib import Path

import pytest

from broker.surfaces import operations
from broker.surfaces.operations import Operation, forwarding_logger, log, log_to_stderr


@pytest.fixture
def said(capsys):
    log_to_stderr()

    def read():
        captured = capsys.readouterr()
        assert captured.out == ""
        return [json.loads(line) for line in captured.err.splitlines()]

    return read


def test_a_line_has_its_event_its_level_and_its_time(said):
    log(Operation.STARTED, listening="http://127.0.0.1:8080")
    (line,) = said()
    assert set(line) == {"event", "level", "time", "listening"}
    assert (line["event"], line["level"]) == ("broker.started", "info")


def test_of_what_a_library_says_only_that_it_did_is_passed_on(said):
    logger = forwarding_logger("aiohttp.server")
    try:
        int("patient 9990000018")
    except ValueError:
        logger.exception("Error handling request from %s", "9990000018")
    (line,) = said()
    assert (line["event"], line["level"]) == ("log.library", "warning")
    assert line["exception"] == "ValueError"
    assert "9990000018" not in json.dumps(line)


def test_what_a_room_says_is_passed_on_in_its_own_words(said):
    logger = forwarding_logger("broker.journal.writer")
    logger.warning("the disk is %s", "full")
    assert said()[0]["message"] == "the disk is full"
    assert not logging.getLogger("broker.journal.writer").handlers


@pytest.mark.blocking
async def test_a_loop_that_fails_again_and_again_says_so_once_a_second(said, monkeypatch):
    failed = operations._LoopFailed()
    loop = asyncio.get_running_loop()
    for _ in range(1000):
        failed(loop, {"exception": OSError(24, "9990000018")})
    failed(loop, {"exception": KeyError()})
    failed(loop, {"message": "9990000018"})
    lines = said()
    assert [(line["exception"], line["count"]) for line in lines] == [("OSError", 1), ("KeyError", 1000), (None, 1)]
    assert "9990000018" not in json.dumps(lines)


def test_the_catalogue_in_the_documentation_is_the_catalogue():
    for operation in Operation:
        assert f"    {operation.value} " in operations.__doc__


@pytest.mark.parametrize("room", ["lookup", "surfaces", "auth", "identity"])
def test_what_a_room_below_says_with_an_event_of_its_own_is_in_it_too(room):
    said = {
        event
        for module in Path(str(files("broker"))).joinpath(room).rglob("*.py")
        for event in re.findall(r'_log\.\w+\(\s*"([a-z]+\.[a-z-]+)"', module.read_text())
    }
    assert not [event for event in said if f"    {event} " not in operations.__doc__]
