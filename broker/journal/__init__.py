"""What was done, and how do we know that this is all of it?

`Journal` appends records of a fixed catalogue (`EVENTS`) to a hash chain on disk; `LookupRecord` sees to it that every
lookup has exactly one outcome; `verify` reads it all again and says what is wrong, and what can't be known. The form of
the files is in `FORMAT.md`.
"""

from broker.journal.journal import Journal
from broker.journal.lookup import LookupRecord
from broker.journal.reader import records_of
from broker.journal.record import EVENTS, SCHEMA, RecordError
from broker.journal.verify import Fault, Verification, verify

__all__ = [
    "EVENTS",
    "SCHEMA",
    "Fault",
    "Journal",
    "LookupRecord",
    "RecordError",
    "Verification",
    "records_of",
    "verify",
]
