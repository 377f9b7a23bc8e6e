"""The broker's ids: where a resource came from, so that a later read goes home, and a check that it is this patient's.

`{source}.{id}.{check}` where FHIR's 64 characters of `[A-Za-z0-9.-]` allow it, else `{digest}.{check}`. The check is
keyed over the patient and all before it: an id taken from another patient's reply is the id of nothing (FHIR R4,
`id`).
"""

import binascii
import hashlib
import re
import string
from dataclasses import dataclass

__all__ = ["Home", "Ids"]

_FHIR_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_CHECK = 8
_BLOCK = 64


@dataclass(frozen=True, slots=True)
class Home:
    """Where a read goes: to one source, with its id; or, `source` None, to all of them, to match the digest."""

    source: str | None
    id: str


class Ids:
    """The ids of one patient's reply.

    Args:
        key: of the node, secret.
        patient: the NHS number asked for.
        hidden: where the patient is seen must not show: every id takes the digest form.
    """

    def __init__(self, key: bytes, patient: str, *, hidden: bool = False) -> None:
        # A secret first, and part of the digest shown: a state that is copied for each id costs a fifth
        # of an HMAC, and nothing can be appended to what nobody has the rest of.
        self._check_state = hashlib.sha256(key + b"check" + patient.encode().ljust(_BLOCK))
        # Of the patient too: the digest of what two patients share, as a medicine of a formulary, would tell that one
        # is known where the other is.
        self._digest_state = hashlib.sha256(key + b"digest" + patient.encode().ljust(_BLOCK))
        self._hidden = hidden

    def make(self, source: str, own: str) -> str:
        """The broker's id of a source's id."""
        if not self._hidden:
            plain = f"{source}.{own}"
            if _FHIR_ID.fullmatch(plain) and len(plain) < 64 - _CHECK:
                return f"{plain}.{self._check(plain)}"
        digest = self.digest(source, own)
        return f"{digest}.{self._check(digest)}"

    def digest(self, source: str, own: str) -> str:
        """What stands in an id that does not say where it came from: 32 characters."""
        state = self._digest_state.copy()
        state.update(f"{source}\0{own}".encode())
        return _letters(state.digest()[:24])

    def home(self, id_: str) -> Home | None:
        """Where an id came from; None where it is not one of this patient's."""
        before, _, check = id_.rpartition(".")
        if not before or not _FHIR_ID.fullmatch(id_) or check != self._check(before):
            return None
        source, dot, own = before.partition(".")
        return Home(source, own) if dot else Home(None, before)

    def of_set(self, kind: str, members: list[str]) -> str:
        """The id of something of the broker's own, made of members: the same members give the same id."""
        return self.make(kind, self.digest(kind, "\0".join(members)))

    def _check(self, before: str) -> str:
        state = self._check_state.copy()
        state.update(before.encode())
        return _letters(state.digest()[:6])


def _letters(digest: bytes) -> str:
    """A digest in small letters and digits. Several letters stand for two things: it is compared, never read back."""
    return binascii.b2a_base64(digest, newline=False).translate(_ALPHABET).decode()


_ALPHABET = bytes.maketrans(
    string.ascii_uppercase.encode() + b"+/=",
    string.ascii_lowercase.encode() + b"pse",
)
