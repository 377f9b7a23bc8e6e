"""What to try next: lines that work as printed, in the world that is running."""

import json
import shlex
import shutil
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

from broker.demo.world import DOWN, MRS_OKAFOR, STORIES
from broker.demo.world.story import Story

__all__ = ["ROLE", "show_next"]

ROLE = "R8000"
"""Clinical practitioner: who the demo asks as."""


def show_next(address: str, control: str, config: Path) -> str:
    """The lines. `address` is the broker's, `control` the world's, `config` the file that both run by."""
    return "\n".join(_lines(address, control, config))


def _lines(address: str, control: str, config: Path) -> Iterator[str]:
    down = DOWN.split("-", maxsplit=1)[0]
    guarded = next(story for story in STORIES if "never shared" in story.shows)
    yield from ("", "-- WHAT TO TRY NEXT, in another terminal ".ljust(96, "-"))
    yield from ("", f"  Bring {down} back:", "", f"curl -s -X POST {control}/revive/{down}")
    yield from ("", "  Then the same lookup again is complete:", "", _curl(address, config, MRS_OKAFOR, readable=True))
    yield from ("", "  The same as it arrives, line by line, each source as soon as it has answered:", "")
    yield _curl(address, config, MRS_OKAFOR, "-N -H 'Accept: application/x-ndjson'")
    yield from ("", *_wrap(f"Somebody else: {guarded.shows}:"), "")
    yield _curl(address, config, guarded, readable=True)
    yield from ("", "  Proof that the journal is whole, and who takes part:", "")
    yield f"{_broker()} audit verify --config {shlex.quote(str(config))}"
    yield f"curl -s {address}/about"
    yield from ("", *_wrap("Others, each with the organisation that cares for them now (--organisation):"), "")
    for story in STORIES:
        person = story.person
        asked = person.superseded or person.nhs_number
        head = f"  {asked}  {person.birth_date}  {story.reader:<4} {person.name:<20} "
        yield from textwrap.wrap(story.shows, 96, initial_indent=head, subsequent_indent=" " * len(head))
    yield ""


def _curl(address: str, config: Path, story: Story, options: str = "", *, readable: bool = False) -> str:
    """One lookup, with a token of its own. The shell runs it as it stands."""
    person = story.person
    number = person.superseded or person.nhs_number
    token = (
        f"{_broker()} token --config {shlex.quote(str(config))} --role {ROLE} --organisation {story.reader} "
        f"--patient {number} --birth-date {person.birth_date}"
    )
    body = json.dumps({"patient": {"nhs_number": number, "birth_date": person.birth_date}})
    reader = f" \\\n  | {shlex.quote(sys.executable)} -m broker.demo" if readable else ""
    return (
        f"curl -s {address}/lookups {options + ' ' if options else ''}-H 'Content-Type: application/json' \\\n"
        f'  -H "Authorization: Bearer $({token})" \\\n'
        f"  -d {shlex.quote(body)}{reader}"
    )


def _broker() -> str:
    """The `broker` command, as this shell finds it."""
    beside = Path(sys.executable).with_name("broker")
    return "broker" if shutil.which("broker") or not beside.exists() else shlex.quote(str(beside))


def _wrap(text: str) -> list[str]:
    return textwrap.wrap(text, 96, initial_indent="  ", subsequent_indent="  ")
