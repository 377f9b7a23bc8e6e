"""Whoever changes, removes, moves or adds a record is found out, and what can't be known is said."""

import asyncio
import json
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.journal import Journal, verify
from broker.journal.chain import digest
from broker.keys import Keys

KEYS = Keys(bytes(32))
USER = {
    "issuer": "https://ehr.rj1.example",
    "subject": "555254240100",
    "name": "Dr A Example",
    "organisation": "RJ1",
    "role": "doctor",
    "role_code": "R8000",
    "client": None,
    "jti": None,
}
INTENT = {
    "user": USER,
    "purpose": "TREAT",
    "relationship": "encounter",
    "patient": KEYS.seal_patient("9990000018"),
    "categories": None,
}


async def write_journal(directory, lookups=3):
    journal = await Journal.open(directory, KEYS, node="node-1")
    for number in range(lookups):
        async with journal.lookup(lookup_id=f"{directory.name}-{number}-{id(journal)}", intent=INTENT) as record:
            record.plan(sources=[], policies=["p"], policy_set=None)
            await record.outcome("released", complete=True)
        record.delivered()
    await journal.close()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Two runs of a broker: the second names the end of the first."""
    directory = tmp_path_factory.mktemp("verify") / "journal"
    asyncio.run(write_journal(directory))
    asyncio.run(write_journal(directory))
    return directory


@pytest.fixture
def copy(written, tmp_path):
    return Path(shutil.copytree(written, tmp_path / "copy"))


def first(directory):
    return min(directory.glob("*.jsonl"))


def edit(path, change):
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(change(lines)))


def rechained(lines):
    """As a forger would who knows how the chain is made, but can't change the segment that names this one."""
    previous, result = "0" * 64, []
    for number, line in enumerate(lines, start=1):
        record = json.loads(line)
        record["seq"], record["previous"] = number, previous
        forged = json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
        previous = digest(forged)
        result.append(forged)
    return result


def test_an_untouched_journal_is_whole(written):
    verification = verify(written, KEYS.signing_key.public_key())
    assert verification.ok, verification.faults
    assert verification.records == sum(len(path.read_bytes().splitlines()) for path in written.glob("*.jsonl"))


@given(st.data())
def test_any_changed_byte_is_found(written, data):
    """But for the last record of the newest segment, which nothing names yet."""
    newest = max(written.glob("*.jsonl"))
    path = data.draw(st.sampled_from(sorted(written.glob("*.jsonl"))))
    content = bytearray(path.read_bytes())
    end = len(content) if path != newest else content.rindex(b"\n", 0, -1) + 1
    place = data.draw(st.integers(0, end - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(written, Path(folder) / "copy"))
        (copy / path.name).write_bytes(content)
        assert not verify(copy).ok


@given(st.data())
def test_any_removed_line_is_found(written, data):
    newest = max(written.glob("*.jsonl"))
    path = data.draw(st.sampled_from(sorted(written.glob("*.jsonl"))))
    lines = path.read_bytes().splitlines(keepends=True)
    place = data.draw(st.integers(0, len(lines) - (2 if path == newest else 1)))
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(written, Path(folder) / "copy"))
        (copy / path.name).write_bytes(b"".join(lines[:place] + lines[place + 1 :]))
        assert not verify(copy).ok


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]],
        lambda lines: [*lines[:4], lines[2], *lines[4:]],
        lambda lines: lines[:-1],
        lambda lines: [*lines, b'{"event":"journal.stopped"}\n'],
        lambda lines: [*lines[:-1], lines[-1].rstrip(b"\n")],
        lambda lines: [*lines, b"\n"],
        lambda lines: [line.replace(b'":', b'": ') if number == 3 else line for number, line in enumerate(lines)],
        lambda lines: [b"x" * (3 << 20)],
        lambda lines: rechained(lines[:2] + lines[6:]),
    ],
    ids=["swapped", "inserted", "cut", "added", "newline", "empty line", "respelled", "no line", "rechained"],
)
def test_tampering_with_an_ended_segment_is_found(copy, change):
    edit(first(copy), change)
    verification = verify(copy)
    assert not verification.ok
    assert first(copy).name in {fault.file for fault in verification.faults}


def test_one_change_is_one_fault_at_its_place(copy):
    edit(
        first(copy),
        lambda lines: [line.replace(b"Dr A", b"Dr B") if number == 1 else line for number, line in enumerate(lines)],
    )
    (fault,) = verify(copy).faults
    assert (fault.file, fault.line) == (first(copy).name, 3)
    assert "does not follow" in fault.problem


def test_a_removed_segment_is_found(copy):
    gone = first(copy)
    gone.unlink()
    (fault,) = verify(copy).faults
    assert (fault.file, fault.line) == (gone.name, None)
    assert "missing" in fault.problem


def test_a_segment_under_another_name_is_found(copy):
    segment = first(copy)
    segment.rename(segment.with_name(segment.name.replace("node-1", "node-2")))
    assert not verify(copy).ok


def test_an_outcome_cut_off_the_newest_segment_leaves_an_intent_without_one(copy):
    newest = max(copy.glob("*.jsonl"))
    edit(newest, lambda lines: lines[:-3])
    (fault,) = verify(copy).faults
    assert "an intent without an outcome" in fault.problem


def test_what_can_not_be_known_is_said(written):
    said = verify(written).cannot_know
    assert any(max(written.glob("*.jsonl")).name in sentence for sentence in said)
    assert all("checkpoint kept elsewhere" in sentence for sentence in said)


def test_another_signing_key_is_found(written):
    assert not verify(written, Keys(b"x" * 32).signing_key.public_key()).ok


def test_the_result_reads_as_the_command_prints_it(copy):
    first(copy).unlink()
    printed = verify(copy).as_json()
    assert list(printed) == ["ok", "records", "faults", "cannot_know"]
    assert set(printed["faults"][0]) == {"file", "line", "problem"}


def test_an_empty_directory_holds_nothing_wrong_and_nothing_known(tmp_path):
    verification = verify(tmp_path)
    assert verification.ok
    assert verification.records == 0
    assert "no segment" in verification.cannot_know[0]


def test_a_directory_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        verify(tmp_path / "nowhere")


def test_verifying_changes_nothing(written):
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in written.iterdir()}
    verify(written)
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in written.iterdir()} == before


async def test_a_journal_that_is_being_written_is_whole(journal, directory, intent, segments):
    async with journal.lookup(lookup_id="L1", intent=intent) as record:
        await record.durable()
        assert verify(directory).ok
        with segments()[0].open("ab") as half:
            half.write(b'{"event":"lookup.pl')
        assert verify(directory).ok


@pytest.mark.parametrize(
    ("events", "problem"),
    [
        (["outcome"], "no intent before it"),
        (["intent", "outcome", "outcome"], "second outcome"),
        (["intent", "intent", "outcome"], "second intent"),
        (["part", "intent", "outcome"], "no intent before it"),
        (["intent", "plan", "plan", "outcome"], "second plan"),
        (["intent", "outcome", "plan"], "has ended"),
        (["intent", "delivered", "outcome"], "no outcome before it"),
        (["intent", "outcome", "delivered", "not-delivered"], "second delivery"),
        (["intent"], "without an outcome"),
        (["unknown"], "not left open"),
    ],
)
async def test_a_lookup_told_in_the_wrong_order_is_found(journal, directory, intent, row, events, problem):
    fields = {
        "intent": intent,
        "plan": {"sources": [], "policies": [], "policy_set": None},
        "part": {"source": row},
        "outcome": {"outcome": "refused"},
        "unknown": {"outcome": "unknown"},
    }
    for event in events:
        name = "outcome" if event == "unknown" else event
        await journal.record(f"lookup.{name}", lookup_id="L1", **fields.get(event, {}))
    await journal.close()
    assert problem in " ".join(fault.problem for fault in verify(directory).faults)
