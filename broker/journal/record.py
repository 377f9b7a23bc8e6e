"""What a record of the journal may say: one schema, a type for every event, and nothing beside.

A line is encoded from these types and from nothing else, so what they do not name can't reach the journal: no code, no
display, no date of a clinical event, no note of a source. `FORMAT.md` describes the same for those who verify; a test
compares the two.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, get_args

import msgspec

__all__ = [
    "EVENTS",
    "MAX_LINE",
    "SCHEMA",
    "Record",
    "RecordError",
    "UnreadableRecord",
    "decode",
    "encode",
    "make",
]

SCHEMA: Final = 1
MAX_LINE: Final = 1 << 20
"""Bytes of the longest line, so that a reader need never hold more."""

_Text = Annotated[str, msgspec.Meta(max_length=256)]
_Code = Annotated[str, msgspec.Meta(max_length=128)]
_Count = Annotated[int, msgspec.Meta(ge=0)]
_Hash = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
_SealedPatient = Annotated[str, msgspec.Meta(pattern="^[a-z2-7]{34}$")]
_Sealed = Annotated[str, msgspec.Meta(pattern="^[a-z2-7]+$")]


class RecordError(ValueError):
    """An event or a field that the catalogue does not have: a fault of the program, never of its input."""


class UnreadableRecord(ValueError):
    """A line that is not a record of this schema."""


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A value inside a record."""


class User(_Part, frozen=True):
    """Who asked, as they were then. `jti` names the token; the token itself is never written."""

    issuer: _Text
    subject: _Text
    name: _Text | None
    organisation: _Text
    role: _Code | None
    role_code: _Code
    client: _Text | None
    jti: _Text | None


class Relationship(_Part, frozen=True):
    """Why this reader may ask about this patient. `reference` and `reason` are sealed (`Keys.seal_words`).

    `evidence`: who says so: `asserted` (the reader's own system, in the token), `confirmed` (their organisation's
    record) or `declared` (the reader, with a reason).
    """

    basis: _Code
    reference: _Sealed | None = None
    evidence: _Code | None = None
    reason: _Sealed | None = None


class Override(_Part, frozen=True):
    """The glass was broken: a Spine AccessReasonCode, and the reader's words, sealed. `again`: by an `override_id`."""

    reason: _Code
    text: _Sealed | None = None
    again: bool = False


class CategoryRow(_Part, frozen=True):
    """One category at one source, as the reply says it."""

    status: _Code
    resources: _Count


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One source, as the reply says it. What a row has beside (its notes) is left out of the journal."""

    source: _Text | None
    organisation: _Text | None
    name: _Text
    service_type: _Code
    status: _Code
    elapsed_ms: _Count | None
    resources: _Count
    currency: _Code
    retry_after_s: _Count | None
    categories: dict[str, CategoryRow]


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="event"):
    """What every record has: its place in the chain of the process that wrote it, and when."""

    schema: Literal[1]
    seq: Annotated[int, msgspec.Meta(ge=1)]
    node: _Code
    time: Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")]
    previous: _Hash


class _OfLookup(Record, frozen=True):
    """A record of one lookup."""

    lookup_id: _Code


class Started(Record, frozen=True, tag="journal.started"):
    """A process began to write: the first record of its chain, in the segment it names."""

    segment: _Text
    software: _Code
    key: _Hash


class SegmentClosed(Record, frozen=True, tag="journal.segment-closed"):
    """A later process found a segment whose writer has ended: how much is in it, and the hash of its last record."""

    closed: _Text
    records: _Count
    last: _Hash
    torn: _Count
    torn_hash: _Hash | None


class SegmentFailed(Record, frozen=True, tag="journal.segment-failed"):
    """The segment before could not be written on: the chain goes on here after its last durable record."""

    segment: _Text
    failed: _Text
    records: _Count
    reason: _Code
    tail: Literal["whole", "damaged", "unreadable"]


class Stopped(Record, frozen=True, tag="journal.stopped"):
    """The process stopped in order: the last record of its chain."""


class Intent(_OfLookup, frozen=True, tag="lookup.intent"):
    """Somebody asks for a record: durable before anything about the patient leaves the broker."""

    user: User
    purpose: _Code
    relationship: Relationship | _Code | None
    patient: _SealedPatient
    categories: list[_Code] | None
    surface: _Code | None = None
    types: list[_Code] | None = None
    require: list[_Code] = []
    timeout_ms: _Count | None = None
    override: Override | None = None


class Plan(_OfLookup, frozen=True, tag="lookup.plan"):
    """Who will be asked, and by which policies: durable before any of them is."""

    sources: list[Row]
    policies: list[_Text]
    policy_set: _Text | None
    categories: list[_Code] | None = None
    identity: _Code | None = None
    relationship: Relationship | None = None


class Part(_OfLookup, frozen=True, tag="lookup.part"):
    """One source has finished, or was cut: durable before its part of a streamed reply is released."""

    source: Row


class WrongPatient(_OfLookup, frozen=True, tag="lookup.wrong-patient"):
    """A source answered about somebody else: everything from it was dropped."""

    source: _Text
    organisation: _Text | None
    reason: _Code | None = None


class Outcome(_OfLookup, frozen=True, tag="lookup.outcome"):
    """How a lookup ended: exactly one for every intent, durable before the reply is released."""

    outcome: Literal["released", "refused", "abandoned", "failed", "unknown"]
    complete: bool = False
    sources: list[Row] = []
    policies: list[_Text] = []
    policy_set: _Text | None = None
    code: _Code | None = None


class Delivered(_OfLookup, frozen=True, tag="lookup.delivered"):
    """The bytes of the reply have left the broker. Sent is not seen."""

    code: _Code | None = None
    shown: _Count | None = None


class NotDelivered(_OfLookup, frozen=True, tag="lookup.not-delivered"):
    """The caller was gone before all bytes of the reply had left."""


class AuthenticationRefused(Record, frozen=True, tag="authentication.refused"):
    """Requests without a valid token: counted, and written at most once a second for each address."""

    address: _Text | None
    reason: _Code
    count: Annotated[int, msgspec.Meta(ge=1)]


class RequestRefused(Record, frozen=True, tag="request.refused"):
    """A known caller asked for what can't be given, and no lookup was begun."""

    user: User
    code: _Code
    purpose: _Code | None = None
    relationship: Relationship | _Code | None = None
    patient: _SealedPatient | None = None
    categories: list[_Code] | None = None
    policies: list[_Text] = []
    policy_set: _Text | None = None
    surface: _Code | None = None
    count: Annotated[int, msgspec.Meta(ge=1)] = 1


class ObjectionRecorded(Record, frozen=True, tag="objection.recorded"):
    """A patient's objection was put down. Its words and its scope are in the register, sealed."""

    objection_id: _Code
    version: _Count
    status: _Code
    patient: _SealedPatient
    user: User | None
    origin: _Code | None = None


class ObjectionDecided(Record, frozen=True, tag="objection.decided"):
    """The state of an objection was changed by somebody who may."""

    objection_id: _Code
    version: _Count
    status: _Code
    patient: _SealedPatient
    user: User | None


class AlertRaised(Record, frozen=True, tag="alert.raised"):
    """Somebody must be told now."""

    alert_id: _Code
    kind: _Code
    to: list[_Code]
    lookup_id: _Code | None = None
    source: _Text | None = None


class AlertSent(Record, frozen=True, tag="alert.sent"):
    """What receives alerts has taken it, or will not."""

    alert_id: _Code
    delivered: bool
    tries: _Count


_AnyRecord = (
    Started
    | SegmentClosed
    | SegmentFailed
    | Stopped
    | Intent
    | Plan
    | Part
    | WrongPatient
    | Outcome
    | Delivered
    | NotDelivered
    | AuthenticationRefused
    | RequestRefused
    | ObjectionRecorded
    | ObjectionDecided
    | AlertRaised
    | AlertSent
)

EVENTS: Final[Mapping[str, type[Record]]] = MappingProxyType({
    str(kind.__struct_config__.tag): kind for kind in get_args(_AnyRecord)
})
"""Every event that there is: its stable name, and the type that says and explains its fields."""

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Record] = msgspec.json.Decoder(_AnyRecord)


def make(fields: Mapping[str, Any]) -> Record:
    """The record with these fields, `event` among them.

    Raises:
        RecordError: the catalogue has no such event, or this event no such field or value. Holds no value.
    """
    kind = EVENTS.get(fields["event"])
    if kind is None:
        raise RecordError("the catalogue of the journal has no such event: add it to record.py and FORMAT.md")
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        raise RecordError(f"{fields['event']}: {error}") from None


def encode(record: Record) -> bytes:
    """The line of a record, newline included.

    Raises:
        RecordError: longer than a line may be, or text that is not Unicode.
    """
    try:
        line = _encoder.encode(record) + b"\n"
    except UnicodeEncodeError:
        raise RecordError("a record holds text that is not Unicode") from None
    if len(line) > MAX_LINE:
        raise RecordError("a record is longer than a line may be")
    return line


def decode(line: bytes) -> Record:
    """The record of a line, only if it is exactly the line that this record has.

    Raises:
        UnreadableRecord: anything else.
    """
    try:
        record = _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UnreadableRecord from None
    if encode(record) != line:
        raise UnreadableRecord
    return record
