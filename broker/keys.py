"""The broker's own keys: one master secret on disk, everything else derived from it (HKDF-SHA256, RFC 5869).

    <directory>/master.key    32 random bytes; whoever has them can open every sealed number and word. Back them up.
    <directory>/journal.pub   the public half of the journal's signing key (Ed25519, PEM), for those who verify

What is sealed is encrypted with AES-SIV (RFC 5297): authenticated, and deterministic, so that the same patient can be
found again without being named. Patients in journal and register, patients in FHIR ids, words, pages of an answer, and
overrides each have a key of their own: none of them opens or matches another's.
"""

import base64
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from broker.errors import ConfigurationError

__all__ = ["Keys"]

_MASTER_BYTES = 32
_NUMBER_DIGITS = 10
_NUMBER_BYTES = 5  # ten decimal digits fit


class Keys:
    """Seals what the journal and the registers may not hold in clear, and signs.

    Attributes:
        id_check_key: 32 bytes, for keyed hashes over ids.
        signing_key: signs the journal's checkpoints; its public half is `journal.pub`.
    """

    __slots__ = ("_ids", "_overrides", "_pages", "_patients", "_words", "id_check_key", "signing_key")

    def __init__(self, master: bytes) -> None:
        self._patients = AESSIV(_derive(master, "patients", 64))
        self._ids = AESSIV(_derive(master, "patient-ids", 64))
        self._words = AESSIV(_derive(master, "words", 64))
        self._pages = AESSIV(_derive(master, "pages", 64))
        self._overrides = AESSIV(_derive(master, "overrides", 64))
        self.id_check_key = _derive(master, "id-check", 32)
        self.signing_key = Ed25519PrivateKey.from_private_bytes(_derive(master, "journal-signing", 32))

    @classmethod
    def open(cls, directory: Path) -> Self:
        """The keys kept in this directory, made at first start. Several processes may do so at once: they agree.

        Raises:
            ConfigurationError: others than the owner can read the keys, or they are lost, damaged or out of reach.
        """
        try:
            directory.parent.mkdir(parents=True, exist_ok=True)
            directory.mkdir(mode=0o700, exist_ok=True)
            _refuse_if_shared(directory, "700")
            public = directory / "journal.pub"
            begun = public.exists()  # looked at before the master key, which is always made first
            keys = cls(_read_or_make_master(directory / "master.key", begun=begun))
            keys._publish(public)
        except OSError as error:
            problem = f"the keys can't be read or made ({error.strerror}): the broker's user must own this directory"
            raise ConfigurationError(directory, problem) from error
        return keys

    def seal_patient(self, number: str) -> str:
        """The sealed form of an NHS number for journal and registers: 34 characters, the same each time.

        Raises:
            ValueError: not ten digits.
        """
        return _seal(self._patients, _pack_number(number))

    def open_patient(self, sealed: str) -> str:
        """The NHS number that `seal_patient` sealed.

        Raises:
            ValueError: these keys did not seal it.
        """
        return _unpack_number(_unseal(self._patients, sealed))

    def patient_id(self, number: str) -> str:
        """The FHIR id of the patient with this NHS number: opaque, 34 of `[a-z2-7]`. It gives no right by itself.

        Raises:
            ValueError: not ten digits.
        """
        return _seal(self._ids, _pack_number(number))

    def open_patient_id(self, patient_id: str) -> str:
        """The NHS number behind a FHIR id.

        Raises:
            ValueError: these keys did not make it.
        """
        return _unpack_number(_unseal(self._ids, patient_id))

    def seal_words(self, text: str) -> str:
        """The sealed form of a person's words, or of an id of an item. Its length shows that of the text."""
        return _seal(self._words, text.encode())

    def open_words(self, sealed: str) -> str:
        """The text that `seal_words` sealed.

        Raises:
            ValueError: these keys did not seal it.
        """
        return _unseal(self._words, sealed).decode()

    def seal_page(self, place: bytes) -> str:
        """The sealed form of a place in an answer: what a link to its next page holds."""
        return _seal(self._pages, place)

    def open_page(self, sealed: str) -> bytes:
        """The place that `seal_page` sealed.

        Raises:
            ValueError: these keys did not seal it.
        """
        return _unseal(self._pages, sealed)

    def seal_override(self, opened: bytes) -> str:
        """The sealed form of an override that was opened: its `override_id`."""
        return _seal(self._overrides, opened)

    def open_override(self, sealed: str) -> bytes:
        """The override that `seal_override` sealed.

        Raises:
            ValueError: these keys did not seal it.
        """
        return _unseal(self._overrides, sealed)

    def _publish(self, path: Path) -> None:
        pem = self.signing_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        try:
            published = path.read_bytes()
        except FileNotFoundError:
            fresh = _written_beside(path, pem)
            fresh.chmod(0o644)
            fresh.replace(path)
            return
        if published != pem:
            raise ConfigurationError(
                path, "not the public half of master.key beside it: restore the pair that belongs together from backup"
            )


def _derive(master: bytes, purpose: str, length: int) -> bytes:
    return HKDF(SHA256(), length, salt=None, info=f"care-record-broker/1/{purpose}".encode()).derive(master)


def _read_or_make_master(path: Path, *, begun: bool) -> bytes:
    if not path.exists():
        if begun:
            raise ConfigurationError(
                path,
                "lost, although journal.pub is there: restore it from backup; without it nothing sealed can be opened",
            )
        fresh = _written_beside(path, os.urandom(_MASTER_BYTES))
        with suppress(FileExistsError):  # another process was first: its key is the key
            path.hardlink_to(fresh)
        fresh.unlink()
        _sync_directory(path.parent)
    _refuse_if_shared(path, "600")
    master = path.read_bytes()
    if len(master) != _MASTER_BYTES:
        raise ConfigurationError(path, f"damaged: it must be {_MASTER_BYTES} bytes; restore it from backup")
    return master


def _written_beside(path: Path, content: bytes) -> Path:
    """A durable new file in the same directory, mode 0600, ready to be put in place at once."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    return Path(name)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refuse_if_shared(path: Path, mode: str) -> None:
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise ConfigurationError(path, f"others than its owner can reach it: chmod {mode} {path}")


def _pack_number(number: str) -> bytes:
    if len(number) != _NUMBER_DIGITS or not (number.isascii() and number.isdigit()):
        raise ValueError("an NHS number has ten digits")
    return int(number).to_bytes(_NUMBER_BYTES)


def _unpack_number(packed: bytes) -> str:
    return f"{int.from_bytes(packed):0{_NUMBER_DIGITS}d}"


def _seal(cipher: AESSIV, clear: bytes) -> str:
    return base64.b32encode(cipher.encrypt(clear, None)).decode().rstrip("=").lower()


def _unseal(cipher: AESSIV, sealed: str) -> bytes:
    try:
        padded = sealed.upper() + "=" * (-len(sealed) % 8)
        clear = cipher.decrypt(base64.b32decode(padded), None)
    except (ValueError, InvalidTag):
        raise ValueError("not sealed with these keys") from None
    if _seal(cipher, clear) != sealed:  # base32 spells the same bytes in several ways: one of them is ours
        raise ValueError("not sealed with these keys")
    return clear
