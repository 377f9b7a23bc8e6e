"""Breaking the glass: opened by one request, and open for a few minutes to the same person, for the same patient.

What the reply says of it is sealed and kept nowhere: whoever comes back with it shows that the glass was broken, for
what reason, and who was told, without the words, which stand in the journal once.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import msgspec
from msgspec import structs

from adapters.contract import Requester
from broker.errors import InvalidRequest
from broker.keys import Keys
from broker.lookup.values import Query

__all__ = ["LIFE", "Broken", "broken"]

LIFE: Final = 300
"""Seconds for which an override stays open."""

_NOT_OPEN: Final = (
    "Override-Id: not one that is open to you here, for this patient and in this program: it may have ended. "
    "Send POST /lookups with override again."
)
_BOTH: Final = "override: send either it or the header Override-Id, not both."


class _Opened(msgspec.Struct, frozen=True, array_like=True):
    """What an `override_id` holds: who opened it, where, for whom, why, when it ends (since 1970), who was told."""

    issuer: str
    subject: str
    organisation: str
    client: str
    number: str
    reason: str
    end: int
    told: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """The glass is broken.

    Attributes:
        reason: Spine AccessReasonCode.
        text: the reader's own words; None where they were said before.
        again: by an id that an earlier reply gave.
        told: ODS codes of those who were told before: who decides against sharing after that is not among them.
    """

    reason: str
    text: str | None = None
    again: bool = False
    told: frozenset[str] = frozenset()
    _opened: _Opened = field(repr=False)

    def sealed(self, keys: Keys, told: Iterable[str]) -> str:
        """The `override_id` for the reply, once these are told as well."""
        return keys.seal_override(_encode(structs.replace(self._opened, told=tuple(sorted(self.told.union(told))))))


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Opened).decode


def broken(query: Query, requester: Requester, keys: Keys, now: float) -> Broken | None:
    """How the glass is broken for this query; None where it is whole.

    Args:
        query: with `override`, or with an `override_id` of an earlier reply.
        requester: who asks.
        keys: that seal it.
        now: seconds since 1970.

    Raises:
        InvalidRequest: the `override_id` is not one of this broker's, not this person's in this organisation, of
            another patient or program, or has ended: in one message, for whoever tries.
    """
    if query.override is not None and query.override_id is not None:
        raise InvalidRequest(_BOTH)
    who = (requester.issuer, requester.subject, requester.organisation, requester.client, query.nhs_number)
    if query.override is not None:
        opened = _Opened(*who, query.override.reason, int(now) + LIFE)
        return Broken(reason=opened.reason, text=query.override.text, _opened=opened)
    if query.override_id is None:
        return None
    try:
        opened = _decode(keys.open_override(query.override_id))
    except (ValueError, msgspec.DecodeError):
        raise InvalidRequest(_NOT_OPEN) from None
    theirs = (opened.issuer, opened.subject, opened.organisation, opened.client, opened.number)
    if theirs != who or opened.end <= now:
        raise InvalidRequest(_NOT_OPEN)
    return Broken(reason=opened.reason, again=True, told=frozenset(opened.told), _opened=opened)
