"""`GET /openapi.json`: the document beside this file, kept by hand, with this node's address."""

from functools import cache
from importlib import metadata, resources
from typing import Any

import msgspec
from aiohttp import web

from broker.surfaces.rooms import SETTINGS

__all__ = ["document", "openapi"]


@cache
def _written() -> bytes:
    return (resources.files("broker.surfaces") / "openapi.json").read_bytes()


def document(public_url: str) -> dict[str, Any]:
    """The OpenAPI 3.1 document of a broker at `public_url`."""
    written: dict[str, Any] = msgspec.json.decode(_written())
    written["info"]["version"] = metadata.version("care-record-broker")
    written["servers"] = [{"url": public_url}]
    return written


async def openapi(request: web.Request) -> web.Response:
    """The document as JSON."""
    content = msgspec.json.encode(document(request.app[SETTINGS].server.public_url))
    return web.Response(body=content, content_type="application/json", charset="utf-8")
