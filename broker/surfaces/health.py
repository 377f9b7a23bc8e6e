"""`/health/live` and `/health/ready`: does the process answer, and could it answer a lookup now?"""

import msgspec
from aiohttp import web

from broker.surfaces.rooms import JOURNAL, LOOKUPS, OBJECTIONS, REGISTRY

__all__ = ["live", "ready"]


async def live(_: web.Request) -> web.Response:
    """The process answers: restart it only when this fails."""
    return _reply(200, {"status": "live"})


async def ready(request: web.Request) -> web.Response:
    """Whether a lookup would be served: the journal takes records, the register is heard from, somebody takes part.

    Not once the service stops: then no new lookup is begun.
    """
    checks = {
        "lookups": request.app[LOOKUPS].taking,
        "journal": request.app[JOURNAL].writable,
        "objections": request.app[OBJECTIONS].fresh,
        "organisations": bool(request.app[REGISTRY].live),
    }
    ready = all(checks.values())
    return _reply(200 if ready else 503, {"status": "ready" if ready else "not-ready", "checks": checks})


def _reply(status: int, content: dict[str, object]) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(content), content_type="application/json")
