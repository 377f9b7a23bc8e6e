"""What may stand behind a key: what TOML gives, what it becomes, and what to write where it is something else.

No message repeats the value: it may be an address, or a secret put in the wrong place.
"""

import difflib
import ipaddress
import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import SplitResult, urlsplit

__all__ = [
    "DATE",
    "DURATION",
    "FLAG",
    "FOLDER",
    "JWKS_FILE",
    "LETTER_FILE",
    "LISTEN",
    "MADE_FOLDER",
    "NAMES",
    "ODS_CODE",
    "ORIGINS",
    "PUBLIC_URL",
    "SECRET_FILE",
    "SIZE",
    "TEXT",
    "WEB_ADDRESS",
    "Address",
    "Kind",
    "Place",
    "address_of",
    "choice",
    "did_you_mean",
    "integer",
    "ip_of",
    "is_loopback",
    "one_of",
    "seconds",
    "texts",
]

R = TypeVar("R")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Place:
    """What a value may need to be understood: where relative paths start, and where secrets are looked up."""

    directory: Path
    environ: Mapping[str, str]

    def path(self, text: str) -> Path:
        """The path, from the directory of the file if it is relative."""
        if not text or "\0" in text:
            raise ValueError("write a path, relative to this file or absolute")
        return self.directory / text


@dataclass(frozen=True, slots=True)
class Kind(Generic[R, T]):
    """A kind of value.

    Attributes:
        raw: the type that TOML gives.
        write: what to write, said where the type is another.
        make: gives the value; raises ValueError that says what to write.
    """

    raw: type[R]
    write: str
    make: Callable[[R, Place], T]


@dataclass(frozen=True, slots=True)
class Address:
    """Where the service listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)


def did_you_mean(word: str, known: Collection[str], *, cutoff: float = 0.6) -> str:
    """`; did you mean x?` where one of the known words is close, else nothing."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=cutoff)
    return f"; did you mean {close[0]}?" if close else ""


def ip_of(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a host is written as, an IPv4 one where it is mapped into IPv6; None for a name."""
    try:
        ip = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(ip, "ipv4_mapped", None) or ip


def is_loopback(host: str) -> bool:
    """Whether a host, by its name or number alone, is this machine."""
    ip = ip_of(host)
    return ip.is_loopback if ip else host.lower() == "localhost" or host.lower().endswith(".localhost")


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h|d)", re.ASCII)
_SIZES = {"B": 1, "kB": 1000, "KB": 1000, "MB": 1_000_000, "GB": 1_000_000_000}
_SIZE = re.compile(r"(\d{1,9})(B|kB|KB|MB|GB)", re.ASCII)
_WRITE_DURATION = 'write a time above zero with its unit (ms s m h d), such as "5s" or "250ms"'
_WRITE_SIZE = 'write a size above zero with its unit (B kB MB GB), such as "64kB"'


def seconds(text: str) -> float:
    """Seconds, of `5s`, `250ms`, `24h`. Raises ValueError for anything else, and for nothing or no time."""
    found = _DURATION.fullmatch(text)
    value = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if not value > 0 or not math.isfinite(value):
        raise ValueError(_WRITE_DURATION)
    return value


def _size(text: str, _: Place) -> int:
    found = _SIZE.fullmatch(text)
    value = int(found[1]) * _SIZES[found[2]] if found else 0
    if not value:
        raise ValueError(_WRITE_SIZE)
    return value


def _plain(text: str, _: Place) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("write text, not empty, on one line")
    return text.strip()


def _folder(text: str, place: Place) -> Path:
    folder = place.path(text)
    if not folder.is_dir():
        raise ValueError("there is no such directory: make it, or name another (relative to this file)")
    return folder


def _file(text: str, place: Place) -> Path:
    file = place.path(text)
    if not file.is_file():
        raise ValueError("there is no such file: write it, or name another (relative to this file)")
    return file


_PORTS = 65535
_WRITE_LISTEN = 'write host and port, such as "127.0.0.1:8080" or "[::1]:8080"'


def _listen(text: str, _: Place) -> Address:
    host, _colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    known = ip_of(host) is not None if bracketed or ":" in host else bool(_HOST.fullmatch(host))
    if (
        not known
        or (":" in host and not bracketed)
        or not re.fullmatch(r"\d{1,5}", port, re.ASCII)
        or int(port) > _PORTS
    ):
        raise ValueError(_WRITE_LISTEN)
    return Address(host, int(port))


_HOST = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?\.?")
_NAME = re.compile(r"[a-z][a-z-]{0,63}")
_NUMBER_LIKE = re.compile(r"(?:.*\.)?(?:\d+|0[xX][0-9A-Fa-f]*)\.?")


def address_of(text: str, *, query: bool = False) -> SplitResult:
    """An absolute http or https address with a host, and without user or fragment; without a query, unless it may.

    Raises:
        ValueError: what to write instead.
    """
    if not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        raise ValueError("write an address in plain ASCII, without spaces or backslashes")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError('write an absolute address, such as "https://host.example/path"') from None
    if parts.scheme not in {"http", "https"} or not host or port == 0:
        raise ValueError('write an absolute address, such as "https://host.example/path"')
    if "@" in parts.netloc:
        raise ValueError("write the address without a user or password: how to sign in stands in auth")
    if "#" in text or ("?" in text and not query):
        raise ValueError("write the address without ? or #: parameters are the broker's to add")
    if ip_of(host) is None and (":" in host or _NUMBER_LIKE.fullmatch(host) or not _HOST.fullmatch(host)):
        # Such as 127.1, 0x7f000001 or 2130706433: resolvers take these for addresses, and no check would know them.
        raise ValueError("write the host as a name, or as a whole IP address")
    return parts


def _web_address(text: str, _: Place) -> str:
    parts = address_of(text, query=True)
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise ValueError("write an https address: http is for this machine's own loopback only")
    return text


def _public_url(text: str, _: Place) -> str:
    address_of(text)
    return text.rstrip("/")


def _origins(given: list[str], _: Place) -> tuple[str, ...]:
    for origin in given:
        parts = address_of(origin)
        if parts.path:
            raise ValueError('write each origin as scheme, host and port alone, such as "https://ehr.example"')
    return tuple(dict.fromkeys(given))


def _ods_code(text: str, _: Place) -> str:
    if not re.fullmatch(r"[A-Z0-9]{3,10}", text):
        raise ValueError('write an ODS code: three to ten capitals and digits in quotes, such as "RJ1"')
    return text


def choice(known: Collection[str], *, later: Mapping[str, str] | None = None) -> Kind[str, str]:
    """One of some words. `later` holds words of the interface that this version can't do, with what to do instead."""
    write = f"write one of {' '.join(known)}"

    def make(word: str, _: Place) -> str:
        return one_of(word, known, later=later)

    return Kind(str, write, make)


def one_of(word: str, known: Collection[str], *, later: Mapping[str, str] | None = None) -> str:
    """The word, if it is known. Raises ValueError that names those there are."""
    if word in known:
        return word
    if later and word in later:
        raise ValueError(f"{word} is not available in this version: {later[word]}")
    raise ValueError(f"write one of {' '.join(known)}{did_you_mean(word, known)}")


def texts(known: Collection[str]) -> Kind[list[str], tuple[str, ...]]:
    """Any of some words, each once, in the order of those known."""
    write = f"write a list of any of {' '.join(known)}"

    def make(words: list[str], _: Place) -> tuple[str, ...]:
        for word in words:
            one_of(word, known)
        return tuple(word for word in known if word in words)

    return Kind(list[str], write, make)


def _names(words: list[str], _: Place) -> tuple[str, ...]:
    if not all(map(_NAME.fullmatch, words)):
        raise ValueError(NAMES.write)
    return tuple(dict.fromkeys(words))


NAMES: Kind[list[str], tuple[str, ...]] = Kind(
    list[str], 'write a list of names in small letters, such as ["sexual-health"]', _names
)
"""Names that another file defines, each once."""


def integer(least: int, most: int) -> Kind[int, int]:
    """A whole number in a range."""
    write = f"write a whole number from {least} to {most}, without quotes"

    def make(number: int, _: Place) -> int:
        if not least <= number <= most:
            raise ValueError(write)
        return number

    return Kind(int, write, make)


def _same(value: Any, _: Place) -> Any:
    return value


TEXT: Kind[str, str] = Kind(str, "write text in quotes", _plain)
FLAG: Kind[bool, bool] = Kind(bool, "write true or false, without quotes", _same)
DATE: Kind[date, date] = Kind(date, "write a date such as 2027-03-31, without a time", _same)
DURATION: Kind[str, float] = Kind(str, _WRITE_DURATION, lambda text, _: seconds(text))
SIZE: Kind[str, int] = Kind(str, _WRITE_SIZE, _size)
FOLDER: Kind[str, Path] = Kind(str, "write the path of a directory in quotes", _folder)
MADE_FOLDER: Kind[str, Path] = Kind(
    str, "write the path of a directory in quotes", lambda text, place: place.path(text)
)
JWKS_FILE: Kind[str, Path] = Kind(str, "write the path of a JWKS file in quotes", _file)
LETTER_FILE: Kind[str, Path] = Kind(str, "write the path of the letter's template in quotes", _file)
SECRET_FILE: Kind[str, Path] = Kind(str, "write the path of a file with the secret in quotes", _file)
LISTEN: Kind[str, Address] = Kind(str, _WRITE_LISTEN, _listen)
WEB_ADDRESS: Kind[str, str] = Kind(str, "write an https address in quotes", _web_address)
PUBLIC_URL: Kind[str, str] = Kind(str, "write an address in quotes", _public_url)
ORIGINS: Kind[list[str], tuple[str, ...]] = Kind(list[str], 'write a list such as ["https://ehr.example"]', _origins)
ODS_CODE: Kind[str, str] = Kind(str, 'write the ODS code in quotes, such as "RJ1"', _ods_code)
