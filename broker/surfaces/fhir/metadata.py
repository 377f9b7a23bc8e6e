"""`GET /fhir/metadata`: what can be asked here, for programs and in words (CapabilityStatement, FHIR R4)."""

from importlib import metadata as package
from typing import Any, Final

from aiohttp import web

from broker.lookup.values import STATEMENT
from broker.surfaces.errors import FHIR_JSON
from broker.surfaces.fhir.asking import base_of
from broker.surfaces.fhir.bundle import encode
from broker.surfaces.fhir.parameters import IDENTIFIER, NHS_NUMBER
from broker.surfaces.rooms import POLICIES, SETTINGS
from policies.tables import Tables

__all__ = ["capability_statement", "metadata"]

_CHANGED: Final = "2026-11-22"
"""The day on which what is said here was last changed."""

_HOW: Final = f"""\
Asks every organisation that may hold something of one patient, and keeps nothing.

- Every search names the patient whom the token names: by `patient`, the id of the Patient as given here, or by
`patient.identifier` (of Patient: `identifier`), written as {NHS_NUMBER}| and the number. POST to `_search` keeps
numbers out of addresses. Every parameter that is not named here is refused, never ignored.
- The first entry of a searchset is an OperationOutcome: which organisations were not heard from, or hold something
back. `total` is there only where everybody was heard from.
- A search without a match is empty only where everybody was heard from; otherwise it is an error (403 withheld, 502,
503, 504). The last page of an answer that is not complete has a `next` link to that error. A client that reads the
outcome says `Prefer: partial-results`, and gets what there is, without either.
- `_count` cuts the matches into pages of that many; without it all come at once. Nothing is kept between pages.
- `next` is followed with a token for the same patient; it asks again, and is 410 where what is known has changed.
- What bounds an answer (an objection, an address that is hidden) is said in the outcome, and of a read in the header
`Restrictions`.
- A batch of searches and reads for one patient is one lookup: better than many. It asks for nothing twice.
- {STATEMENT}
"""
_WHO: Final = "A bearer token of an organisation that takes part, in the shape of IHE IUA: see /openapi.json."


async def metadata(request: web.Request) -> web.Response:
    """The statement. It needs no token."""
    settings = request.app[SETTINGS].server
    statement = capability_statement(request.app[POLICIES].tables, base_of(request), cors=bool(settings.origins))
    return web.Response(body=encode(statement), content_type=FHIR_JSON, charset="utf-8")


def capability_statement(tables: Tables, base: str, *, cors: bool) -> dict[str, Any]:
    """What can be asked.

    Args:
        tables: which types there are.
        base: the broker's own FHIR address.
        cors: programs in a browser may ask too.
    """
    version = package.version("care-record-broker")
    return {
        "resourceType": "CapabilityStatement",
        "name": "CareRecordBroker",
        "title": "Care record broker",
        "status": "active",
        "date": _CHANGED,
        "kind": "instance",
        "software": {"name": "care-record-broker", "version": version},
        "implementation": {"description": "A federated query broker for shared care records", "url": base},
        "fhirVersion": "4.0.1",
        "format": [FHIR_JSON, "json"],
        "rest": [
            {
                "mode": "server",
                "documentation": _HOW,
                "security": {"cors": cors, "description": _WHO},
                "resource": [
                    *(_searched(type_) for type_ in sorted(tables.home)),
                    *(_read_only(type_) for type_ in sorted(tables.supporting - tables.home.keys())),
                ],
                "interaction": [
                    {"code": "batch", "documentation": "GET searches and reads of one patient: one lookup for all."}
                ],
            }
        ],
    }


def _searched(type_: str) -> dict[str, Any]:
    patient = "The id of the Patient as given here: alone, as Patient/id, or as the whole address."
    number = f"{NHS_NUMBER}| and the NHS number."
    count = "Matches on a page, from 1 to 999999; left out, all come at once."
    return {
        **_resource(type_, "read", "search-type"),
        "searchParam": [
            {"name": "patient", "type": "reference", "documentation": patient},
            {"name": IDENTIFIER[type_ == "Patient"], "type": "token", "documentation": number},
            {"name": "_count", "type": "number", "documentation": count},
        ],
    }


def _read_only(type_: str) -> dict[str, Any]:
    words = "Comes along with what refers to it (search.mode include), and is read by id."
    return {**_resource(type_, "read"), "documentation": words}


def _resource(type_: str, *interactions: str) -> dict[str, Any]:
    return {
        "type": type_,
        "interaction": [{"code": code} for code in interactions],
        "versioning": "no-version",
        "readHistory": False,
        "updateCreate": False,
        "referencePolicy": ["literal", "local"],
    }
