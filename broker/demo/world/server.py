"""A FHIR R4 server over one source's records: honest, with habits.

It answers `/metadata`, reads, searches by patient, `$everything` and batches, as its habits say and its
CapabilityStatement declares. What it refuses it refuses as real servers do, with an OperationOutcome.
"""

import asyncio
import json
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any, Final

from aiohttp import web
from yarl import URL

from broker.demo.world.capability import BY_ID_ONLY, Refusal, capability, outcome
from broker.demo.world.organisations import Site
from broker.demo.world.records import Records, rewrite

__all__ = ["FhirServer"]

Resource = dict[str, Any]
RESULT_PARAMETERS: Final = frozenset({"_count", "_format", "_total", "_sort", "_summary", "_include", "_pretty"})
SEARCHES_KEPT: Final = 512
FHIR_JSON: Final = "application/fhir+json"


class FhirServer:
    """One server. `app()` is what listens; `base` is known once a port is."""

    def __init__(self, site: Site, records: Records, base: str) -> None:
        self._site = site
        self._habits = site.habits
        self._records = records
        self._base = base
        self._searches: OrderedDict[str, list[Resource]] = OrderedDict()

    def app(self) -> web.Application:
        """The routes, below `/fhir`."""
        app = web.Application()
        app.add_routes([
            web.get("/fhir/metadata", self._answering(self._metadata)),
            web.get("/fhir", self._answering(self._page_at_base)),
            web.post("/fhir", self._answering(self._batch)),
            web.get("/fhir/Patient/{id}/$everything", self._answering(self._everything)),
            web.get("/fhir/{type}/{id}", self._answering(self._read)),
            web.get("/fhir/{type}", self._answering(self._search_by_get)),
            web.post("/fhir/{type}/_search", self._answering(self._search_by_post)),
        ])
        return app

    def _answering(
        self, find: Callable[[web.Request], Awaitable[Resource]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        """A handler that answers with what `find` finds, or with the outcome of its refusal."""

        async def answer(request: web.Request) -> web.Response:
            await asyncio.sleep(self._habits.delay)
            try:
                status, body = 200, await find(request)
            except Refusal as refusal:
                status, body = refusal.status, refusal.outcome
            return web.Response(body=json.dumps(body).encode(), status=status, content_type=FHIR_JSON)

        return answer

    async def _metadata(self, _: web.Request) -> Resource:
        return capability(self._site, self._base)

    async def _read(self, request: web.Request) -> Resource:
        return self._one(request.match_info["type"], request.match_info["id"])

    async def _search_by_get(self, request: web.Request) -> Resource:
        kind = request.match_info["type"]
        if "_page" in request.query:
            return self._page(request.query["_page"], request.query)
        if not self._habits.get:
            raise Refusal(405, "not-supported", "Search by POST _search")
        return self._search(kind, request.query)

    async def _search_by_post(self, request: web.Request) -> Resource:
        if not self._habits.post:
            raise Refusal(405, "not-supported", "Search by GET")
        if request.content_type != "application/x-www-form-urlencoded":
            raise Refusal(415, "not-supported", "A search is a form")
        form = {name: str(value) for name, value in (await request.post()).items()}
        return self._search(request.match_info["type"], {**request.query, **form})

    async def _everything(self, request: web.Request) -> Resource:
        if not self._habits.everything:
            raise Refusal(404, "not-supported", "There is no such operation here")
        patient = request.match_info["id"]
        if patient not in self._records.members:
            raise Refusal(404, "not-found", "There is no such patient")
        members = self._records.members[patient]
        found = [deepcopy(self._records.resources[name]) for name in (*members, *self._companions(members))]
        if self._habits.references == "urn":
            addresses = {f"{resource['resourceType']}/{resource['id']}": _urn(resource["id"]) for resource in found}
            entries = [self._entry(resource, addresses) for resource in found]
        else:
            entries = [self._entry(resource) for resource in found]
        return self._first_page("Patient", entries, request.query)

    async def _batch(self, request: web.Request) -> Resource:
        if not self._habits.batch:
            raise Refusal(405, "not-supported", "There is no batch here")
        try:
            bundle = json.loads(await request.read())
            asked = [entry["request"] for entry in bundle["entry"]]
        except (ValueError, KeyError, TypeError) as error:
            raise Refusal(400, "invalid", "Not a batch") from error
        return {
            "resourceType": "Bundle",
            "type": "batch-response",
            "entry": [self._batched(one.get("method"), one.get("url", "")) for one in asked],
        }

    async def _page_at_base(self, request: web.Request) -> Resource:
        if "_getpages" not in request.query:
            raise Refusal(400, "invalid", "Nothing is asked for")
        return self._page(request.query["_getpages"], request.query)

    def _batched(self, method: str | None, address: str) -> Resource:
        """One entry of a batch: a read or a search, never a failure of the whole."""
        if method != "GET":
            return {"response": {"status": "405", "outcome": outcome("error", "not-supported", "GET only")}}
        url = URL(address.lstrip("/"))
        kind, _, key = url.path.partition("/")
        try:
            found = self._one(kind, key) if key else self._search(kind, url.query)
        except Refusal as refusal:
            return {"response": {"status": str(refusal.status), "outcome": refusal.outcome}}
        return {"resource": found, "response": {"status": "200"}}

    def _one(self, kind: str, key: str) -> Resource:
        resource = self._records.resources.get(f"{kind}/{key}")
        if resource is None:
            raise Refusal(404, "not-found", "There is no such resource here")
        return self._addressed(deepcopy(resource))

    def _search(self, kind: str, query: Mapping[str, str]) -> Resource:
        """A search of one type. Without a patient, an identifier or ids nothing is searched."""
        names = self._candidates(kind, query)
        entries = [self._entry(deepcopy(self._records.resources[name])) for name in names]
        if entries and self._habits.warns:
            told = outcome("warning", "informational", "Free text is held elsewhere and was not searched")
            entries.append({"resource": told, "search": {"mode": "outcome"}})
        return self._first_page(kind, entries, query)

    def _candidates(self, kind: str, query: Mapping[str, str]) -> list[str]:
        """`Type/id` of what a search finds."""
        if kind == "Patient":
            known = {"_id", "identifier"}
        elif kind in self._site.types:
            known = {"_id", "patient"}
        elif kind in BY_ID_ONLY:
            known = {"_id"}
        else:
            raise Refusal(404, "not-supported", f"{kind} is not known here")
        unknown = set(query) - known - RESULT_PARAMETERS
        if unknown and self._habits.strict:
            raise Refusal(400, "not-supported", f"Unknown search parameter; known are {', '.join(sorted(known))}")
        asked = {name: query[name].split(",") for name in known if name in query}
        if not asked:
            raise Refusal(400, "required", f"Search by one of {', '.join(sorted(known))}")
        found = [name for name in self._records.resources if name.startswith(f"{kind}/")]
        if "_id" in asked:
            found = [name for name in found if name.split("/")[1] in asked["_id"]]
        if "identifier" in asked:
            pairs = [token.rpartition("|") for token in asked["identifier"]]
            named = {name for system, _, value in pairs for name in self._records.patients(system, value)}
            found = [name for name in found if name in named]
        if "patient" in asked:
            patients = [value.rsplit("/", 1)[-1] for value in asked["patient"]]
            theirs = {name for patient in patients for name in self._records.members.get(patient, ())}
            found = [name for name in found if name in theirs]
        return found

    def _first_page(self, kind: str, entries: list[Resource], query: Mapping[str, str]) -> Resource:
        """The first page, the rest kept for a while."""
        size = self._habits.page
        wanted = query.get("_count", "")
        if self._habits.obeys_count and wanted.isdigit() and int(wanted):
            size = min(size, int(wanted))
        token = str(uuid.uuid4())
        if len(entries) > size:
            self._searches[token] = entries
            if len(self._searches) > SEARCHES_KEPT:
                self._searches.popitem(last=False)
        return self._bundle(token, kind, entries, start=0, size=size)

    def _page(self, cursor: str, query: Mapping[str, str]) -> Resource:
        """A later page, by its link. A search that is no longer kept is gone."""
        token, _, place = cursor.partition("~")
        kind, start, size = "", query.get("_getpagesoffset", ""), query.get("_count", "")
        if place:
            kind, start, size = place.split("~")
        if token not in self._searches or not (start.isdigit() and size.isdigit()):
            raise Refusal(410, "expired", "This search is no longer kept")
        return self._bundle(token, kind, self._searches[token], start=int(start), size=int(size))

    def _bundle(self, token: str, kind: str, entries: Sequence[Resource], *, start: int, size: int) -> Resource:
        end = start + size
        bundle: Resource = {"resourceType": "Bundle", "id": str(uuid.uuid4()), "type": "searchset", "link": []}
        matches = sum(entry["search"]["mode"] == "match" for entry in entries)
        if self._habits.total or end >= len(entries):
            bundle["total"] = matches
        bundle["link"].append({"relation": "self", "url": f"{self._base}/{kind}"})
        if end < len(entries):
            follow = f"?_getpages={token}&_getpagesoffset={end}&_count={size}&_bundletype=searchset"
            if self._habits.links == "type":
                follow = f"/{kind}?_page={token}~{kind}~{end}~{size}"
            bundle["link"].append({"relation": "next", "url": self._base + follow})
        page = list(entries[start:end])
        if page:
            bundle["entry"] = page
        return bundle

    def _entry(self, resource: Resource, addresses: Mapping[str, str] | None = None) -> Resource:
        """An entry; `addresses` are those of the other entries, where they go by `urn:uuid:`."""
        name = f"{resource['resourceType']}/{resource['id']}"
        if addresses:
            rewrite(resource, lambda target: addresses.get(target, target))
            return {"fullUrl": addresses[name], "resource": resource, "search": {"mode": "match"}}
        full_url = f"{self._base}/{name}"
        return {"fullUrl": full_url, "resource": self._addressed(resource), "search": {"mode": "match"}}

    def _addressed(self, resource: Resource) -> Resource:
        """With references in the form that this server writes."""
        if self._habits.references == "absolute":
            rewrite(resource, lambda target: f"{self._base}/{target}")
        return resource

    def _companions(self, members: Sequence[str]) -> list[str]:
        """What a record refers to and is nobody's: organisations, practitioners, places."""
        named: dict[str, None] = {}
        for member in members:
            rewrite(self._records.resources[member], lambda target: named.setdefault(target) or target)
        return [name for name in named if name not in members and name.split("/")[0] in BY_ID_ONLY]


def _urn(key: str) -> str:
    return f"urn:uuid:{key}"
