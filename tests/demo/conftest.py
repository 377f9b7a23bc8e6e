"""The demo world, as anybody with an HTTP client meets it."""

import aiohttp
import pytest

from broker.demo.world import World, open_world


class Client:
    """Asks one of the world's servers at a time, and gives the JSON of what it answers."""

    def __init__(self, session: aiohttp.ClientSession, world: World) -> None:
        self._session = session
        self.world = world

    async def get(self, source, path, *, status=200, **query):
        url = path if path.startswith("http") else self.world.sources[source] + path
        async with self._session.get(url, params=query) as response:
            assert response.status == status
            assert response.content_type == "application/fhir+json"
            return await response.json(content_type=None)

    async def post(self, source, path, *, status=200, **form):
        async with self._session.post(self.world.sources[source] + path, **form) as response:
            assert response.status == status
            return await response.json(content_type=None)

    async def control(self, action, named, *, status=200):
        async with self._session.post(f"{self.world.control}/{action}/{named}") as response:
            assert response.status == status
            return await response.text()

    async def local_id(self, source, number):
        """The id of the one Patient with this NHS number there."""
        query = {"identifier": f"https://fhir.nhs.uk/Id/nhs-number|{number}"}
        if source in {"F84016-gp", "710-mosaic"}:
            bundle = await self.post(source, "/Patient/_search", data=query)
        else:
            bundle = await self.get(source, "/Patient", **query)
        (found,) = matches(bundle)
        return found["id"]

    async def pages(self, source, bundle):
        """A search and all its further pages."""
        pages = [bundle]
        while following := [link["url"] for link in pages[-1]["link"] if link["relation"] == "next"]:
            pages.append(await self.get(source, following[0]))
        return pages


def matches(bundle):
    return [entry["resource"] for entry in bundle.get("entry", []) if entry["search"]["mode"] == "match"]


@pytest.fixture
async def client():
    async with open_world(hurry=True) as world, aiohttp.ClientSession() as session:
        yield Client(session, world)
