"""Reading records back, from a journal at rest or beside the broker that writes it."""

from pathlib import Path
from typing import Any

import msgspec

from broker.journal.recovery import reaches
from broker.journal.segment import lines_of, segments_of

__all__ = ["records_of"]

_decoder = msgspec.json.Decoder(dict[str, Any])


def records_of(directory: Path, lookup_id: str) -> list[dict[str, Any]]:
    """The records of one lookup, in order. Reads every segment: for one lookup now and then.

    Raises:
        OSError: the journal can't be read.
        msgspec.DecodeError: a line that names the lookup is damaged: `verify` says more.
    """
    names = segments_of(directory)
    reach = reaches(directory, names)
    named = msgspec.json.encode(lookup_id)
    found = []
    for name in names:
        for line in lines_of(directory / str(name), reach.get(name)):
            if named in line and line.endswith(b"\n"):
                record = _decoder.decode(line)
                if record.get("lookup_id") == lookup_id:
                    found.append(record)
    return found
