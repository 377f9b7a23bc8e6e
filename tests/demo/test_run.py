"""The command, as a person or a script runs it."""

import asyncio
import json
import os
import re
import signal
import sys

import pytest

from broker.demo.world import MRS_OKAFOR

BROKER = "import sys; from broker.cli import main; sys.exit(main(sys.argv[1:]))"


async def start(*arguments, stdin=asyncio.subprocess.PIPE, **environment):
    return await asyncio.create_subprocess_exec(
        *arguments,
        stdin=stdin,
        env=os.environ | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def broker(*arguments, **environment):
    return await start(sys.executable, "-c", BROKER, *arguments, **environment)


async def read_until(stream, words):
    text = ""
    async with asyncio.timeout(30):
        while words not in text:
            line = await stream.readline()
            assert line, text
            text += line.decode()
    return text


async def test_the_world_says_where_it_is_and_never_outlives_whoever_started_it():
    world = await start(sys.executable, "-m", "broker.demo.world")
    said = json.loads(await world.stdout.readline())
    assert said["control"].startswith("http://127.0.0.1:")
    assert len(said["sources"]) == 11
    world.stdin.close()
    async with asyncio.timeout(10):
        assert await world.wait() == 0


async def test_the_world_has_help_and_says_in_one_line_what_it_needs_of_standard_input():
    asked = await start(sys.executable, "-m", "broker.demo.world", "--help")
    out, _ = await asked.communicate()
    assert asked.returncode == 0
    assert b"without a broker" in b" ".join(out.split())
    world = await start(sys.executable, "-m", "broker.demo.world", stdin=asyncio.subprocess.DEVNULL)
    out, err = await world.communicate()
    assert (world.returncode, out) == (1, b"")
    assert err.count(b"\n") == 1
    assert b"standard input" in err


async def test_a_temporary_folder_is_kept_and_named_but_not_after_a_failed_start(tmp_path):
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        failed = await broker("demo", "--once", "--port", str(port), TMPDIR=str(tmp_path))
        await failed.communicate()
    assert failed.returncode == 1
    assert list(tmp_path.iterdir()) == []
    demo = await broker("demo", "--once", "--port", "0", TMPDIR=str(tmp_path), PYTHONIOENCODING="ascii")
    out, err = await demo.communicate()
    assert demo.returncode == 0, err.decode()
    assert b"newest last" in out
    (place,) = tmp_path.iterdir()
    assert f"kept after its end, so that the journal can be verified. To remove them: rm -r {place}" in err.decode()


async def test_once_as_json_prints_one_document_and_nothing_else(tmp_path):
    demo = await broker("demo", "--once", "--format", "json", "--directory", str(tmp_path))
    out, err = await demo.communicate()
    assert demo.returncode == 0, err.decode()
    document = json.loads(out)
    assert set(document) == {"lookup", "audit"}
    assert document["lookup"]["patient"]["nhs_number"] == MRS_OKAFOR.person.nhs_number
    assert not document["lookup"]["complete"]
    events = [record["event"] for record in document["audit"]]
    assert events[0] == "lookup.intent"
    assert events[-2:] == ["lookup.outcome", "lookup.delivered"]
    assert {record["lookup_id"] for record in document["audit"]} == {document["lookup"]["lookup_id"]}
    assert {path.name for path in tmp_path.iterdir()} >= {"broker.toml", "organisations", "identity", "state"}
    again = await broker("demo", "--once", "--directory", str(tmp_path))
    out, err = await again.communicate()
    assert again.returncode == 0, err.decode()
    assert b"WHAT WAS WRITTEN DOWN" in out


async def test_the_lines_that_it_prints_work_as_printed_and_it_ends_in_order_when_told_to(tmp_path):
    demo = await broker("demo", "--directory", str(tmp_path))
    try:
        out = await read_until(demo.stdout, "Others, each with")
        assert "RD8-ecare unreachable" in out
        lines = re.findall(
            r"^(?:curl|\S*broker) .*?(?=\n\n|\n(?=curl)|\Z)", out[out.index("WHAT TO TRY") :], re.DOTALL | re.MULTILINE
        )
        assert len(lines) == 6
        revive, again, stream, other, verify, about = [await shell(line) for line in lines]
        assert "RD8-ecare: answering" in revive
        assert "  COMPLETE: everybody in scope" in again
        assert json.loads(stream.splitlines()[-1])["event"] == "summary"
        assert "Allergy to latex" in other
        assert "Burrell" not in other
        assert "whole" in verify
        assert "what" in json.loads(about)
    finally:
        demo.send_signal(signal.SIGTERM)
        _, err = await demo.communicate()
    assert demo.returncode == 0, err.decode()
    assert b"Traceback" not in err


async def shell(line):
    run = await start("bash", "-c", f"set -o pipefail; {line}")
    out, err = await run.communicate()
    assert run.returncode == 0, f"{line}\n{err.decode()}"
    return out.decode()


async def test_a_port_that_somebody_has_is_one_line_that_says_so(tmp_path):
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        demo = await broker("demo", "--once", "--port", str(port), "--directory", str(tmp_path))
        out, err = await demo.communicate()
    assert demo.returncode == 1
    assert out == b""
    assert b"listen" in err.splitlines()[-1]


async def test_a_directory_that_cannot_be_written_is_one_line_that_says_so(tmp_path):
    taken = tmp_path / "file"
    taken.write_text("")
    demo = await broker("demo", "--once", "--directory", str(taken))
    out, err = await demo.communicate()
    assert demo.returncode == 1
    assert out == b""
    assert b"name another directory" in err.splitlines()[-1]


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM])
async def test_a_lookup_that_is_interrupted_leaves_nothing_running(tmp_path, name):
    demo = await broker("demo", "--once", "--directory", str(tmp_path))
    while not (tmp_path / "state").exists():
        await asyncio.sleep(0.01)
    demo.send_signal(name)
    async with asyncio.timeout(20):
        _, err = await demo.communicate()
    assert demo.returncode == 130
    assert b"Traceback" not in err
