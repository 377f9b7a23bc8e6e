"""Which addresses are a source's own: everything else is never asked.

A *target* is what follows `base_url` in an address: empty, or `/path`, or `?query`, or both.
"""

import re
from urllib.parse import quote, unquote, urlsplit

__all__ = ["is_target", "target_of"]

_SAFE = "".join(chr(c) for c in range(0x21, 0x7F) if chr(c) not in '"<>\\^`{|}#')
_TARGET = re.compile(r"(?:/[!-~]*)?(?:\?[!-~]*)?")
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//")


def is_target(target: str) -> bool:
    """Whether `base_url + target` stays below `base_url` and is fit for a request line."""
    if not _TARGET.fullmatch(target) or "#" in target:
        return False
    path = target.partition("?")[0]
    if "." not in path and "%" not in path:
        return True
    return not {".", ".."} & set(re.split(r"[/\\]", unquote(path)))


def target_of(link: str, base_url: str, link_bases: tuple[str, ...] = ()) -> str | None:
    """The target of a source's own link, to be asked at `base_url`; None if the link leads anywhere else.

    Links are opaque: nothing in them but the base is looked at or changed. Behind a proxy they may name another
    address, which the manifest declares in `link_bases`. A relative link is relative to `base_url`, as FHIR says.
    """
    link = quote(link.strip().partition("#")[0], safe=_SAFE)
    target: str | None
    if _ABSOLUTE.match(link):
        target = next((rest for base in (base_url, *link_bases) if (rest := _below(link, base)) is not None), None)
    elif link.startswith("/"):
        path = next(
            (b for base in (base_url, *link_bases) if (b := urlsplit(base).path) and _cut(link, b) is not None), ""
        )
        target = _cut(link, path)
    else:
        target = link if link.startswith("?") else link and f"/{link}"
    return target if target and is_target(target) else None


def _below(link: str, base: str) -> str | None:
    """What follows `base` in an absolute link, comparing scheme, host and port as addresses and the path as text."""
    try:
        ours, theirs = urlsplit(base), urlsplit(link)
        same = (ours.scheme, ours.hostname, _port(ours.scheme, ours.port)) == (
            theirs.scheme,
            theirs.hostname,
            _port(theirs.scheme, theirs.port),
        )
    except ValueError:
        return None
    if not same or "@" in theirs.netloc:
        return None
    return _cut(link[link.index("//") + 2 + len(theirs.netloc) :], ours.path)


def _port(scheme: str, port: int | None) -> int | None:
    return port or {"http": 80, "https": 443}.get(scheme)


def _cut(link: str, path: str) -> str | None:
    """`link` without the leading `path`, where that ends at a boundary."""
    path = path.rstrip("/")
    rest = link[len(path) :]
    return rest if link.startswith(path) and rest[:1] in {"", "/", "?"} else None
