"""Pages: followed completely, never off the source, and never believed."""

import msgspec
import pytest

from adapters.contract import Limits

BOTH = pytest.mark.parametrize("everything", [True, False], ids=["everything", "searches"])


@pytest.fixture
def many(fhir):
    return [fhir.patient(), *(fhir.record("Condition", str(number)) for number in range(1, 24))]


def page(server, *resources, next_url=None, **more):
    entry = [{"resource": resource, "search": {"mode": "match"}} for resource in resources]
    link = [{"relation": "next", "url": next_url}] if next_url else []
    return {"resourceType": "Bundle", "type": "searchset", "entry": entry, "link": link} | more


@BOTH
@pytest.mark.parametrize("totals", [True, False])
async def test_every_page_of_an_opaque_link_at_the_base_is_followed(start, connect, fhir, many, everything, totals):
    server = await start(*many, everything=everything, page_size=5, totals=totals)
    got = await fhir.gather(connect(server).fetch(fhir.ask()))
    assert len({name for name in got.names if name.startswith("Condition")}) == 23
    assert got.findings["Condition"] == "answered"
    assert len(server.asked("_getpages")) == 4


@BOTH
async def test_links_that_name_a_declared_address_are_asked_at_the_base_url(start, connect, fhir, many, everything):
    server = await start(*many, everything=everything, page_size=10, link_base="https://proxy.nhs.example/r4")
    got = await fhir.gather(connect(server, link_bases=("https://proxy.nhs.example/r4",)).fetch(fhir.ask()))
    assert len({name for name in got.names if name.startswith("Condition")}) == 23
    assert got.findings["Condition"] == "answered"


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/?x={base}",
        "{base}.evil.example/fhir?page=2",
        "{origin}/other?page=2",
        "{base}/../admin",
        "{base}/%2e%2e/admin",
        "//evil.example/fhir",
        "http://user@{host}/fhir?page=2",
        "file:///etc/passwd",
        "{base}",
    ],
)
async def test_a_link_that_leads_elsewhere_is_never_asked_and_the_answer_is_not_whole(start, connect, fhir, many, link):
    server = await start(*many)
    origin = server.base_url.removesuffix("/fhir")
    url = link.format(base=server.base_url, origin=origin, host=origin.removeprefix("http://"))
    server.overrides["POST /Condition/_search"] = fhir.answering(page(server, many[1], next_url=url))
    got = await fhir.gather(connect(server).fetch(fhir.ask()))
    assert got.findings["Condition"] == "truncated"
    assert "a paging link leads away from it" in got.notes
    assert "Condition/1" in got.names
    assert [seen for seen in server.seen if seen.method == "GET" and seen.path != "/metadata"] == []


@pytest.mark.parametrize("link", ["?_page=2", "/fhir?_page=2", "Condition?_page=2"])
async def test_a_relative_link_is_relative_to_the_base(start, connect, fhir, many, link):
    server = await start(*many)
    first = page(server, many[1], next_url=link)
    server.overrides["POST /Condition/_search"] = fhir.answering(first)
    for path in ("GET ", "GET /Condition"):
        server.overrides[path] = fhir.answering(page(server, many[2]))
    got = await fhir.gather(connect(server).fetch(fhir.ask()))
    assert got.findings["Condition"] == "answered"
    assert {"Condition/1", "Condition/2"} <= set(got.names)


async def test_a_link_is_asked_as_it_was_written(start, connect, fhir, many):
    server = await start(*many)
    url = server.base_url + "?token=a%2Fb%7Cc|d e+f%20é&x=[1]"
    server.overrides["POST /Condition/_search"] = fhir.answering(page(server, many[1], next_url=url))
    server.overrides["GET "] = fhir.answering(page(server, many[2]))
    await fhir.gather(connect(server).fetch(fhir.ask()))
    assert server.asked("token=")[0].query == "token=a%2Fb%7Cc%7Cd%20e+f%20%C3%A9&x=[1]"


async def test_links_that_go_round_end(start, connect, fhir, many):
    server = await start(*many)
    looping = page(server, many[1], next_url=f"{server.base_url}?page=2")
    server.overrides["POST /Condition/_search"] = fhir.answering(looping)
    server.overrides["GET "] = fhir.answering(looping)
    got = await fhir.gather(connect(server).fetch(fhir.ask()))
    assert got.findings["Condition"] == "truncated"
    assert "its paging links go round" in got.notes
    assert len(server.asked("page=2")) == 1


async def test_pages_without_end_stop_at_the_limit_of_the_source_over_all_searches(start, connect, fhir, many):
    server = await start(*many)
    serial = iter(range(1000))

    async def endless(_request):
        return fhir.json_answer(page(server, next_url=f"{server.base_url}?page={next(serial)}"))

    for path in ("POST /Condition/_search", "POST /Encounter/_search", "GET "):
        server.overrides[path] = endless
    got = await fhir.gather(connect(server, limits=Limits(pages=7)).fetch(fhir.ask()))
    assert got.findings["Condition"] == got.findings["Encounter"] == "truncated"
    assert got.findings["AllergyIntolerance"] == "answered"
    assert len(server.asked("page=")) == 7


@BOTH
async def test_a_total_that_is_not_given_is_said(start, connect, fhir, many, everything):
    server = await start(*many, everything=everything)
    lie = page(server, *many[1:4], total=38)
    server.overrides["POST /Condition/_search"] = fhir.answering(lie)
    server.overrides["GET /Patient/1000/$everything"] = fhir.answering(lie)
    got = await fhir.gather(connect(server).fetch(fhir.ask()))
    assert got.findings["Condition"] == "truncated"
    assert "says 38, gave 3" in got.notes
    assert len([name for name in got.names if name.startswith("Condition")]) == 3


async def test_the_same_page_given_twice_does_not_make_up_the_total(start, connect, fhir, many):
    server = await start(*many)
    first = page(server, *many[1:4], total=6, next_url=f"{server.base_url}?page=2")
    for entry in first["entry"]:
        entry["fullUrl"] = f"{server.base_url}/Condition/{entry['resource']['id']}"
    server.overrides["POST /Condition/_search"] = fhir.answering(first)
    server.overrides["GET "] = fhir.answering(first | {"link": []})
    got = await fhir.gather(connect(server).fetch(fhir.ask()))
    assert "says 6, gave 3" in got.notes


@BOTH
@pytest.mark.parametrize("named", [True, False], ids=["fullUrl", "no fullUrl"])
async def test_an_entry_that_is_repeated_in_its_page_counts_once(start, connect, fhir, many, everything, named):
    server = await start(*many, everything=everything)
    lie = page(server, *(many[1 + n % 3] for n in range(38)), total=38)
    if named:
        for entry in lie["entry"]:
            entry["fullUrl"] = f"{server.base_url}/Condition/{entry['resource']['id']}"
    server.overrides["POST /Condition/_search"] = fhir.answering(lie)
    server.overrides["GET /Patient/1000/$everything"] = fhir.answering(lie)
    got = await fhir.gather(connect(server).fetch(fhir.ask()))
    assert got.findings["Condition"] == "truncated"
    assert "says 38, gave 3" in got.notes


async def test_entries_without_a_full_url_that_every_page_repeats_count_once(start, connect, fhir, many):
    server = await start(*many)
    serial = iter(range(1, 13))

    async def again(_request):
        number = next(serial, None)
        url = f"{server.base_url}?page={number}" if number else None
        return fhir.json_answer(page(server, *many[1:4], total=38, next_url=url))

    for path in ("POST /Condition/_search", "GET "):
        server.overrides[path] = again
    got = await fhir.gather(connect(server).fetch(fhir.ask()))
    assert len(server.asked("page=")) == 12
    assert got.findings["Condition"] == "truncated"
    assert "says 38, gave 3" in got.notes


async def test_entries_that_carry_no_name_at_all_are_each_counted(start, connect, fhir, many):
    server = await start(*many)
    nameless = {"resourceType": "Condition"}
    server.overrides["POST /Condition/_search"] = fhir.answering(page(server, nameless, nameless, total=2))
    got = await fhir.gather(connect(server).fetch(fhir.ask()))
    assert got.findings["Condition"] == "answered"


async def test_a_total_that_shrinks_from_page_to_page_does_not_take_back_what_there_was(start, connect, fhir, many):
    server = await start(*many)
    first = page(server, *many[1:3], total=38, next_url=f"{server.base_url}?page=2")
    server.overrides["POST /Condition/_search"] = fhir.answering(first)
    server.overrides["GET "] = fhir.answering(page(server, *many[3:5], total=4))
    got = await fhir.gather(connect(server).fetch(fhir.ask()))
    assert got.findings["Condition"] == "truncated"
    assert "says 38, gave 4" in got.notes


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (b'"entry":[ENTRY],', b'"entry":[],'),
        (b'"entry":[ENTRY],', b'"entry":[ENTRY],'),
        (b'"entry":[ENTRY],', b'"entry":null,'),
        (b'"total":38,', b'"total":0,'),
        (b'"total":38,', b'"total":1,"entry":[ENTRY],'),
        (b'"entry":[ENTRY],"link":[{"relation":"next","url":"?page=2"}],', b'"link":[],'),
        (b'"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"exception"}],', b""),
    ],
)
@pytest.mark.parametrize("batch", [True, False], ids=["batch", "searches"])
async def test_a_bundle_that_says_something_of_itself_twice_is_malformed(
    start, connect, fhir, many, first, then, batch
):
    server = await start(*many, batch=batch)
    body = b'{%s"resourceType":"Bundle",%s"type":"searchset"}' % (first, then)
    body = body.replace(b"ENTRY", msgspec.json.encode({"resource": many[1]}))
    if batch:
        parts = [{"resource": msgspec.Raw(body), "response": {"status": "200"}} for _ in range(3)]
        inside = {"resourceType": "Bundle", "type": "batch-response", "entry": parts}
        server.overrides["POST "] = fhir.answering(inside)
    server.overrides["POST /Condition/_search"] = fhir.answering(msgspec.Raw(body))
    got = await fhir.gather(connect(server).fetch(fhir.ask()))
    assert got.findings["Condition"] == "malformed"
    assert "its Bundle says something of itself twice" in got.notes


async def test_what_entries_say_with_the_same_words_is_no_repetition_of_the_envelope(start, connect, fhir, many):
    server = await start(*many)
    ward_list = fhir.record("Condition", "l", entry=[{"entry": [], "total": 1, "link": []}], total=4, link=[])
    server.overrides["POST /Condition/_search"] = fhir.answering(page(server, ward_list, many[1], total=2))
    got = await fhir.gather(connect(server).fetch(fhir.ask()))
    assert got.findings["Condition"] == "answered"
    assert {"Condition/l", "Condition/1"} <= set(got.names)


async def test_included_resources_and_outcomes_do_not_count_towards_the_total(start, connect, fhir, many):
    server = await start(*many)
    bundle = page(server, many[1], total=2)
    bundle["entry"].append({"resource": {"resourceType": "Practitioner", "id": "9"}, "search": {"mode": "include"}})
    bundle["entry"].append({"resource": fhir.outcome("warning", "processing"), "search": {"mode": "outcome"}})
    server.overrides["POST /Condition/_search"] = fhir.answering(bundle)
    got = await fhir.gather(connect(server).fetch(fhir.ask()))
    assert "says 2, gave 1" in got.notes


async def test_a_page_without_entries_but_with_a_link_is_followed(start, connect, fhir, many):
    server = await start(*many)
    server.overrides["POST /Condition/_search"] = fhir.answering(page(server, next_url=f"{server.base_url}?page=2"))
    server.overrides["GET "] = fhir.answering(page(server, many[2]))
    got = await fhir.gather(connect(server).fetch(fhir.ask()))
    assert "Condition/2" in got.names
    assert got.findings["Condition"] == "answered"


@pytest.mark.parametrize(("status", "finding"), [(410, "failed"), (500, "failed"), (429, "busy"), (403, "refused")])
async def test_a_page_that_fails_costs_its_types_and_keeps_what_had_come(start, connect, fhir, many, status, finding):
    server = await start(*many, page_size=5)
    server.overrides["GET "] = fhir.answering(fhir.outcome("error", "expired"), status)
    got = await fhir.gather(connect(server).fetch(fhir.ask()))
    assert got.findings["Condition"] == finding
    assert len([name for name in got.names if name.startswith("Condition")]) == 5


async def test_when_the_search_for_the_patient_is_not_whole_nothing_is(start, connect, fhir, many):
    server = await start(*many)
    server.overrides["POST /Patient/_search"] = fhir.answering(page(server, many[0], total=2))
    got = await fhir.gather(connect(server).fetch(fhir.ask()))
    assert set(got.findings.values()) == {"truncated"}
    assert "Condition/1" in got.names


async def test_a_patient_that_is_counted_and_not_given_is_not_unknown(start, connect, fhir, many):
    server = await start(*many)
    server.overrides["POST /Patient/_search"] = fhir.answering(page(server, total=1))
    got = await fhir.gather(connect(server).fetch(fhir.ask()))
    assert got.error is None
    assert set(got.findings.values()) == {"truncated"}


@pytest.mark.parametrize(
    ("severity", "code", "finding", "note"),
    [
        ("warning", "processing", "answered", "warning: processing"),
        ("warning", "incomplete", "truncated", "warning: incomplete"),
        ("warning", "too-long", "truncated", "warning: too-long"),
        ("information", "suppressed", "withheld-by-source", "information: suppressed"),
        ("warning", "forbidden", "withheld-by-source", "warning: forbidden"),
        ("warning", "security", "withheld-by-source", "warning: security"),
        ("error", "exception", "failed", "error: exception"),
        ("fatal", "my own word", "failed", "fatal: unknown code"),
    ],
)
@pytest.mark.parametrize("mode", ["outcome", "match", None])
@BOTH
async def test_what_a_source_says_of_its_answer_is_kept_as_severity_and_code(
    start, connect, fhir, many, severity, code, finding, note, mode, everything
):
    server = await start(*many, everything=everything)
    bundle = page(server, many[1])
    entry = {"resource": fhir.outcome(severity, code, "SECRET WORDS")}
    bundle["entry"].append(entry | ({"search": {"mode": mode}} if mode else {}))
    server.overrides["POST /Condition/_search"] = fhir.answering(bundle)
    server.overrides["GET /Patient/1000/$everything"] = fhir.answering(bundle)
    got = await fhir.gather(connect(server).fetch(fhir.ask()))
    assert got.findings["Condition"] == finding
    assert note in got.notes
    assert "SECRET" not in repr(got)
    assert got.names == ["Patient/1000", "Condition/1"], "an outcome is not part of the record"


@pytest.mark.parametrize("issues", [{}, {"issue": []}, {"issue": None}], ids=str)
async def test_an_outcome_that_does_not_say_what_is_wrong_is_no_whole_answer(start, connect, fhir, many, issues):
    server = await start(*many)
    bundle = page(server, many[1], {"resourceType": "OperationOutcome"} | issues)
    server.overrides["POST /Condition/_search"] = fhir.answering(bundle)
    got = await fhir.gather(connect(server).fetch(fhir.ask()))
    assert got.findings["Condition"] == "truncated"
    assert "an OperationOutcome without an issue" in got.notes


async def test_an_outcome_in_place_of_the_bundle_is_an_error_and_never_an_empty_answer(start, connect, fhir, many):
    server = await start(*many)
    server.overrides["POST /Condition/_search"] = fhir.answering(fhir.outcome("error", "exception"))
    server.overrides["POST /Encounter/_search"] = fhir.answering(fhir.outcome("information", "informational"))
    got = await fhir.gather(connect(server).fetch(fhir.ask()))
    assert got.findings["Condition"] == "failed"
    assert got.findings["Encounter"] == "malformed"


@pytest.mark.parametrize(
    "body",
    [
        b"<html>Please log in</html>",
        b"",
        b"[]",
        b"{}",
        b'{"resourceType": "Patient"}',
        b'{"resourceType": "Bundle", "entry": {}}',
        b'{"resourceType": "Bundle", "entry": [',
        b'{"resourceType": "Bundle", "total": "many"}',
        b"\xff\xfe",
        b'{"resourceType": "Bundle", "x": ' + b"[" * 100_000,
    ],
    ids=lambda body: body[:20].decode(errors="replace"),
)
async def test_what_is_not_a_bundle_is_malformed(start, connect, fhir, many, body):
    server = await start(*many)
    server.overrides["POST /Condition/_search"] = fhir.answering(msgspec.Raw(body))
    got = await fhir.gather(connect(server).fetch(fhir.ask()))
    assert got.findings["Condition"] == "malformed"
    assert got.findings["Encounter"] == "answered"


@pytest.mark.parametrize("bad", [b'{"a":1,"a":2}', b'"a"', b"null", b'{"a":"\xff"}'], ids=repr)
async def test_a_bad_resource_costs_only_itself_and_is_handed_on_to_be_counted(start, connect, fhir, many, bad):
    server = await start(*many)
    body = msgspec.json.encode(page(server, many[1], {"bad": 1}, many[2])).replace(b'{"bad":1}', bad)
    server.overrides["POST /Condition/_search"] = fhir.answering(msgspec.Raw(body))
    got = await fhir.gather(connect(server).fetch(fhir.ask()))
    assert len(got.resources) == 4
    assert bytes(got.resources[2].content) == bad


async def test_a_resource_with_half_a_character_costs_only_itself(start, connect, fhir, many):
    """Half of an emoji, cut by a system that counts in UTF-16, makes the whole page unreadable to a strict decoder."""
    server = await start(*many)
    body = msgspec.json.encode(page(server, many[1], {"bad": 1}, fhir.record("Condition", "2", n=0.125)))
    body = body.replace(b'{"bad":1}', b'{"a":"\\ud83d"}').replace(b"0.125", b"0.1250")
    server.overrides["POST /Condition/_search"] = fhir.answering(msgspec.Raw(body))
    got = await fhir.gather(connect(server).fetch(fhir.ask()))
    assert got.names == ["Patient/1000", "Condition/1", "Condition/2"]
    assert b"0.1250" in bytes(got.resources[2].content)
    assert got.findings["Condition"] == "truncated"
    assert "1 entries without a readable resource" in got.notes


async def test_a_resource_nested_too_deep_costs_itself_when_it_is_read_and_not_its_page(start, connect, fhir, many):
    server = await start(*many)
    deep = {"resourceType": "Condition", "id": "deep"}
    for _ in range(80):
        deep = {"resourceType": "Condition", "id": "deep", "x": deep}
    server.overrides["POST /Condition/_search"] = fhir.answering(page(server, many[1], deep))
    got = await fhir.gather(connect(server).fetch(fhir.ask()))
    assert got.names == ["Patient/1000", "Condition/1", "Condition/deep"]


async def test_a_page_nested_beyond_reason_is_malformed(start, connect, fhir, many):
    server = await start(*many)
    bomb = b'{"resourceType":"Bundle","entry":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    server.overrides["POST /Condition/_search"] = fhir.answering(msgspec.Raw(bomb))
    got = await fhir.gather(connect(server).fetch(fhir.ask()))
    assert got.findings["Condition"] == "malformed"


async def test_the_bytes_of_all_searches_are_counted_together(start, connect, fhir, many):
    big = [fhir.record("Encounter", str(n), text="x" * 20_000) for n in range(10)]
    server = await start(*many, *big)
    got = await fhir.gather(connect(server, limits=Limits(bytes=100_000)).fetch(fhir.ask()))
    assert got.findings["Encounter"] == "truncated"
    assert got.findings["Condition"] == "answered"
    assert "more than 100,000 bytes" in got.notes


async def test_hits_of_another_type_are_not_an_answer_to_what_was_searched_for(start, connect, fhir, many):
    server = await start(*many)
    stranger = fhir.record("Encounter", "strange")
    server.overrides["POST /Condition/_search"] = fhir.answering(page(server, stranger))
    got = await fhir.gather(connect(server).fetch(fhir.ask()))
    assert got.findings["Condition"] == "truncated"
    assert "1 hits that are not what was searched for" in got.notes


async def test_a_history_is_not_an_answer_to_a_search(start, connect, fhir, many):
    server = await start(*many)
    server.overrides["POST /Condition/_search"] = fhir.answering({"resourceType": "Bundle", "type": "history"})
    got = await fhir.gather(connect(server).fetch(fhir.ask()))
    assert got.findings["Condition"] == "malformed"


@pytest.mark.parametrize(
    ("severity", "code", "finding"),
    [
        ("warning", "not-supported", "truncated"),
        ("warning", "processing", "truncated"),
        ("warning", "informational", "answered"),
        ("information", "informational", "answered"),
    ],
)
@pytest.mark.parametrize("after", [True, False], ids=["last page", "first page"])
async def test_nothing_found_by_a_search_that_is_warned_of_is_not_nothing(
    start, connect, fhir, many, severity, code, finding, after
):
    server = await start(*many)
    warned = page(server, fhir.outcome(severity, code), total=0)
    first = page(server, next_url=f"{server.base_url}?page=2") if after else warned
    server.overrides["POST /Condition/_search"] = fhir.answering(first)
    server.overrides["GET "] = fhir.answering(warned)
    got = await fhir.gather(connect(server).fetch(fhir.ask()))
    assert got.findings["Condition"] == finding
    assert f"{severity}: {code}" in got.notes


async def test_a_search_for_the_patient_that_is_warned_of_does_not_make_them_unknown(start, connect, fhir, many):
    server = await start(*many)
    warned = page(server, fhir.outcome("warning", "not-supported"), total=0)
    server.overrides["POST /Patient/_search"] = fhir.answering(warned)
    got = await fhir.gather(connect(server).fetch(fhir.ask()))
    assert got.error is None
    assert set(got.findings.values()) == {"truncated"}
