"""Which address of `/fhir` is whose. None takes HEAD: it would be a whole lookup, for a head."""

from typing import Final

from aiohttp import web
from aiohttp.web_routedef import AbstractRouteDef

from broker.surfaces.fhir.batch import batch
from broker.surfaces.fhir.metadata import metadata
from broker.surfaces.fhir.operations import not_here
from broker.surfaces.fhir.read import read
from broker.surfaces.fhir.search import search

__all__ = ["ROUTES"]

_OPERATION: Final = "[$_][^/]*"

ROUTES: Final[tuple[AbstractRouteDef, ...]] = (
    web.post("/fhir", batch),
    web.post("/fhir/", batch),
    web.get("/fhir/metadata", metadata, allow_head=False),
    web.get(f"/fhir/{{type:{_OPERATION}}}", not_here, allow_head=False),
    web.post(f"/fhir/{{type:{_OPERATION}}}", not_here),
    web.get("/fhir/{type}", search, allow_head=False),
    web.post("/fhir/{type}/_search", search),
    web.get(f"/fhir/{{type}}/{{id:{_OPERATION}}}", not_here, allow_head=False),
    web.post(f"/fhir/{{type}}/{{id:{_OPERATION}}}", not_here),
    web.get("/fhir/{type}/{id}", read, allow_head=False),
    web.get("/fhir/{type}/{id}/{more:.+}", not_here, allow_head=False),
    web.post("/fhir/{type}/{id}/{more:.+}", not_here),
)
