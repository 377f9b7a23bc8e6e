"""What FORMAT.md says is what the journal writes, and nothing else can be written."""

import asyncio
import inspect
import re
import subprocess
import sys
from importlib.resources import files

import msgspec
import pytest

from broker.journal import EVENTS, RecordError, record, records_of
from broker.journal.record import Record

FORMAT = files("broker.journal").joinpath("FORMAT.md").read_text()
COMMON = [field.name for field in msgspec.structs.fields(Record)]


def described():
    """Event, then its sentence and its fields, as FORMAT.md has them."""
    sections = re.split(r"^### `(.+)`$", FORMAT.partition("## Events")[2], flags=re.MULTILINE)[1:]
    return {
        event: (text.strip().splitlines()[0], re.findall(r"^\| `(\w+)` \|", text, flags=re.MULTILINE))
        for event, text in zip(sections[::2], sections[1::2], strict=True)
    }


def fields_of(kind):
    return [field.name for field in msgspec.structs.fields(kind) if field.name not in COMMON]


def test_every_event_is_described_and_nothing_else_is():
    assert list(described()) == list(EVENTS)


@pytest.mark.parametrize("event", EVENTS)
def test_the_description_of_an_event_agrees_with_what_is_written(event):
    sentence, fields = described()[event]
    assert sentence.startswith(inspect.getdoc(EVENTS[event]))
    assert fields == fields_of(EVENTS[event])


def test_what_every_record_has_is_described():
    text = FORMAT.partition("## Every record")[2].partition("## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", text, flags=re.MULTILINE) == ["event", *COMMON]


def test_the_fields_of_a_row_are_described():
    text = " ".join(FORMAT.partition("A row: ")[2].partition(". ")[0].split())
    named = re.findall(r"`(\w+)`", text.partition(", each with")[0])
    assert named == [field.name for field in msgspec.structs.fields(record.Row)]


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        ("lookup.seen", {}),
        ("lookup.delivered", {}),
        ("lookup.delivered", {"lookup_id": "L1", "diagnosis": "38341003"}),
        ("lookup.delivered", {"lookup_id": 1}),
        ("lookup.outcome", {"lookup_id": "L1", "outcome": "perhaps"}),
        ("lookup.outcome", {"lookup_id": "L1", "outcome": "released", "sources": [{"source": "RJ1-epr"}]}),
        ("request.refused", {"user": {"subject": "s", "token": "ey..."}, "code": "x"}),
        ("authentication.refused", {"address": None, "reason": "r", "count": 0}),
        ("authentication.refused", {"address": "a" * 300, "reason": "r", "count": 1}),
        ("authentication.refused", {"address": "\ud800", "reason": "r", "count": 1}),
        ("lookup.plan", {"lookup_id": "L1", "sources": [], "policies": ["p" * 200] * 10_000, "policy_set": None}),
    ],
)
async def test_what_the_catalogue_does_not_have_is_refused_and_leaves_no_gap(journal, directory, event, fields):
    with pytest.raises(RecordError):
        journal.append(event, **fields)
    await journal.record("lookup.delivered", lookup_id="L2")
    assert [known["seq"] for known in records_of(directory, "L2")] == [2]


async def test_the_recipe_for_verifying_by_hand_works_as_printed(journal, directory, segments, tmp_path):
    await journal.record("lookup.delivered", lookup_id="L1")
    await journal.close()
    script = tmp_path / "by_hand.py"
    script.write_text(re.search(r"```python\n(.+?)```", FORMAT, flags=re.DOTALL)[1])
    command = [sys.executable, "-W", "ignore", str(script), str(segments()[0]).removesuffix("-0000.jsonl")]
    whole = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=True)
    assert whole.stdout.startswith("3 records, the last ")
    segments()[0].write_bytes(segments()[0].read_bytes().replace(b"L1", b"L2"))
    changed = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    assert "does not follow" in changed.stderr
