"""Where a page of an answer begins: sealed in its link, so that nothing is kept between two pages.

A page is a new lookup, for the record may have changed and nothing of it is kept here. The link holds a digest of the
whole answer, its order, its content and what is known of each source; where that is not the same any more, the page is
of nothing (410 `page-expired`).
"""

import msgspec

from broker.errors import InvalidRequest
from broker.keys import Keys

__all__ = ["PARAMETER", "Page", "opened", "sealed"]

PARAMETER = "_page"
"""The parameter of a search that holds a sealed page; it stands alone."""

_encode = msgspec.msgpack.Encoder().encode


class Page(msgspec.Struct, frozen=True, array_like=True):
    """One page.

    Attributes:
        number: the NHS number of the patient whose record it is of.
        type: FHIR type that was searched.
        offset: matches before it.
        count: matches on it; None for all that are left.
        digest: of the whole answer, 16 bytes.
    """

    number: str
    type: str
    offset: int
    count: int | None
    digest: bytes


_decode = msgspec.msgpack.Decoder(Page).decode


def sealed(page: Page, keys: Keys) -> str:
    """`page` as it stands in a link."""
    return keys.seal_page(_encode(page))


def opened(token: str, type_: str, keys: Keys) -> Page:
    """The page of a search of `type_` that a link holds.

    Raises:
        InvalidRequest: this broker did not make it, or made it for another type.
    """
    try:
        page = _decode(keys.open_page(token))
    except (ValueError, msgspec.DecodeError):
        page = None
    if page is None or page.type != type_:
        raise InvalidRequest(f"{PARAMETER}: follow the link as the broker gave it, or search again from the start.")
    return page
