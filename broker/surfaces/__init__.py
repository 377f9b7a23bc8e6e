"""How does the outside ask, and in what form is it answered? A module for each surface.

A surface reads a request, asks a room below, and writes the answer. It decides nothing about a record.
"""

from aiohttp import web

from broker.surfaces import about, cors, errors, health, lookups, openapi
from broker.surfaces.fhir.routes import ROUTES as FHIR
from broker.surfaces.objections import ROUTES as OBJECTIONS

__all__ = ["add_surfaces"]


def add_surfaces(app: web.Application) -> None:
    """Give `app` every route, what answers errors and preflights, and the headers of every answer."""
    app.middlewares.extend([cors.preflight, errors.middleware])
    app.on_response_prepare.extend([errors.dress, cors.allow])
    app.add_routes([
        web.post("/lookups", lookups.look_up),
        web.get("/about", about.about),
        web.get("/health/live", health.live),
        web.get("/health/ready", health.ready),
        web.get("/openapi.json", openapi.openapi),
        *OBJECTIONS,
        *FHIR,
    ])
