"""Plugins that run in a browser: whose pages may call, and what a browser is told."""

import json

import pytest

from broker.errors import ConfigurationError
from broker.settings import load

HERE = "https://ehr.example"
LOCAL = "http://127.0.0.1:9000"
ALLOWED = "Access-Control-Allow-"


@pytest.fixture
def origins():
    return [HERE, LOCAL]


@pytest.fixture
def config(config, origins):
    config.write_text(config.read_text().replace("[server]\n", f"[server]\norigins = {json.dumps(origins)}\n", 1))
    return config


@pytest.fixture
def preflight(client):
    async def send(path="/lookups", origin=HERE, method="POST", headers="authorization, content-type"):
        asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
        return await client.options(path, headers=asked | ({"Origin": origin} if origin else {}))

    return send


def allows(response):
    return {name for name in response.headers if name.startswith("Access-Control-")}


@pytest.mark.parametrize(
    "path", ["/lookups", "/about", "/health/live", "/health/ready", "/openapi.json", "/fhir/Patient"]
)
@pytest.mark.parametrize("origin", [HERE, LOCAL])
async def test_a_browser_is_told_that_a_page_of_a_named_origin_may_ask(preflight, path, origin):
    response = await preflight(path, origin)
    assert response.status == 204
    assert await response.read() == b""
    assert response.headers[ALLOWED + "Origin"] == origin
    assert response.headers["Vary"] == "Origin"
    assert response.headers[ALLOWED + "Methods"] == "GET, POST"
    sent = {"authorization", "content-type", "accept", "prefer", "override-id", "x-request-id"}
    assert sent <= set(response.headers[ALLOWED + "Headers"].lower().split(", "))
    assert int(response.headers["Access-Control-Max-Age"]) > 0
    assert ALLOWED + "Credentials" not in response.headers


OTHERS = {
    "another": "https://evil.example",
    "opaque": "null",
    "every": "*",
    "another scheme": "http://ehr.example",
    "another port": "https://ehr.example:8443",
    "one below": "https://x.ehr.example",
    "one that begins alike": "https://ehr.example.evil.example",
    "with a path": "https://ehr.example/",
    "two in one": f"{HERE} {LOCAL}",
    "none": "",
}


@pytest.mark.parametrize("origin", OTHERS.values(), ids=OTHERS)
async def test_any_other_origin_is_told_nothing(preflight, ask, origin):
    if origin:
        answer = await preflight(origin=origin)
        assert (answer.status, allows(answer)) == (204, set())
    reply = await ask(headers={"Origin": origin} if origin else {})
    assert (reply.status, allows(reply)) == (200, set())
    assert reply.headers["Vary"] == "Origin", "a cache must not give this to a page that may"


async def test_two_origins_are_no_origin(client):
    headers = [("Origin", HERE), ("Origin", "https://evil.example"), ("Access-Control-Request-Method", "POST")]
    assert allows(await client.options("/lookups", headers=headers)) == set()


async def test_a_preflight_needs_no_token_and_leaves_no_record(preflight, records, lookups):
    for origin in (HERE, "https://evil.example"):
        await preflight(origin=origin)
    assert records("authentication.refused") == records("request.refused") == []
    assert lookups.begun == []


async def test_options_without_a_preflight_is_a_method_that_there_is_not(client, preflight):
    for response in (await client.options("/lookups"), await preflight(origin=None)):
        assert (response.status, response.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize("accept", ["application/json", "application/x-ndjson", "text/event-stream"])
async def test_a_named_origin_may_read_the_answer_in_every_form(ask, accept):
    response = await ask(headers={"Origin": HERE, "Accept": accept})
    assert response.headers[ALLOWED + "Origin"] == HERE
    assert ALLOWED + "Credentials" not in response.headers
    exposed = set(response.headers["Access-Control-Expose-Headers"].split(", "))
    assert {"X-Request-ID", "Retry-After", "Preference-Applied", "Location"} <= exposed


async def test_a_named_origin_may_read_errors_too(client, ask):
    headers = {"Origin": HERE}
    for response, status in (
        (await ask(headers=headers, token="wrong"), 401),
        (await ask(headers=headers, data=b"{"), 400),
        (await client.get("/nowhere", headers=headers), 404),
        (await client.get("/lookups", headers=headers), 405),
        (await client.get("/about", headers=headers), 200),
    ):
        assert (response.status, response.headers[ALLOWED + "Origin"]) == (status, HERE)


async def test_a_fault_may_be_read_too(ask, lookups):
    async def broken():
        raise KeyError
        yield

    lookups.events = broken
    response = await ask(headers={"Origin": HERE})
    assert (response.status, response.headers[ALLOWED + "Origin"]) == (500, HERE)


@pytest.mark.parametrize("origins", [[]], ids=["none"])
async def test_where_no_origin_is_named_answers_say_nothing_of_it(preflight, ask):
    answer, reply = await preflight(), await ask(headers={"Origin": HERE})
    assert allows(answer) == allows(reply) == set()
    assert "Vary" not in reply.headers


@pytest.mark.parametrize("origins", [["https://EHR.example"], ["https://ehr.example:443"], ["HTTPS://ehr.example"]])
async def test_an_origin_is_known_however_the_settings_write_it(preflight):
    response = await preflight()
    assert response.headers[ALLOWED + "Origin"] == HERE


@pytest.mark.parametrize(
    "written", ["*", "null", "ehr.example", "https://ehr.example/", "https://ehr.example/app", "https://*.example", ""]
)
def test_what_is_no_origin_stops_the_start(config, written):
    config.write_text(config.read_text().replace(HERE, written))
    with pytest.raises(ConfigurationError) as caught:
        load(config, {})
    assert "origins" in str(caught.value)
