"""Pages: stateless, sealed, and never a part that looks like the whole."""

import pytest


@pytest.fixture
def many(world, house):
    """Seven illnesses at the hospital, beside the one that each organisation has."""
    world.hospital.holds(*(house.record("Condition", f"20{n}", code=f"4420{n}") for n in range(6)))


async def test_pages_together_are_the_whole_in_its_order(plugin, many):
    whole = await plugin.search("Condition")
    pages = await plugin.every_page(f"Condition?patient={await plugin.patient_id()}&_count=4")
    assert [len(page.entries()) for page in pages] == [4, 4, 1]
    assert [one for page in pages for one in page.ids()] == whole.ids()
    assert {page.json["total"] for page in pages} == {9}
    assert pages[1].link("self") == pages[0].link("next")
    assert pages[2].link("next") is None
    assert "9990000018" not in "".join(page.text for page in pages)


async def test_the_journal_says_how_many_of_what_was_released_were_on_the_page(plugin, world, house):
    await plugin.search("AllergyIntolerance", _count=2)
    await house.eventually(lambda: world.journal("lookup.delivered"))
    (delivered,) = world.journal("lookup.delivered")
    assert (delivered["code"], delivered["shown"]) == (None, 3), "two matches, and the link between them"


async def test_an_error_in_place_of_what_was_released_is_said_and_shows_nothing(plugin, world, house):
    await world.practice.stop()
    assert (await plugin.search("Goal")).status == 503
    await house.eventually(lambda: world.journal("lookup.delivered"))
    (delivered,) = world.journal("lookup.delivered")
    assert (delivered["code"], delivered["shown"]) == ("sources-unavailable", 0)


async def test_each_page_is_a_lookup_of_its_own(plugin, many, world):
    pages = await plugin.every_page(f"Condition?patient={await plugin.patient_id()}&_count=5")
    assert len(pages) == 2
    assert len(world.lookups()) == 3
    assert [page.headers["X-Request-ID"] for page in pages] == world.lookups()[1:]


@pytest.mark.parametrize("change", ["another resource", "the same resource, changed", "a source that is down"])
async def test_a_page_of_an_answer_that_has_changed_is_gone(plugin, many, world, house, change):
    first = await plugin.search("Condition", _count="4")
    match change:
        case "another resource":
            world.practice.holds(house.record("Condition", "3001", code="195967001"))
        case "the same resource, changed":
            world.hospital.holds(house.record("Condition", "200", code="44200", recordedDate="2020-01-01"))
        case _:
            await world.practice.stop()
    answer = await plugin.ask(first.link("next"))
    assert (answer.status, answer.code) == (410, "page-expired")


async def test_who_follows_next_to_the_end_never_takes_a_part_for_the_whole(plugin, world):
    await world.practice.stop()
    patient = await plugin.patient_id()
    for count, ended in (("", [2, None]), ("&_count=1", [1, 1, None]), ("&_count=2", [2, None])):
        pages = await plugin.every_page(f"AllergyIntolerance?patient={patient}{count}")
        *given, last = pages
        assert [len(page.entries()) for page in given] == ended[:-1]
        assert (last.status, last.code) == (503, "sources-unavailable")
        assert last.open.keys() == {"G85001"}
        said = last.issues[0]["details"]["text"]
        assert said.startswith("This is the end of what was heard")
        assert "Nothing was found" not in said


async def test_a_source_that_is_back_makes_the_last_link_say_search_again(plugin, world):
    await world.practice.stop()
    answer = await plugin.search("AllergyIntolerance")
    await world.practice.revive()
    last = await plugin.ask(answer.link("next"))
    assert (last.status, last.code) == (410, "page-expired")


async def test_who_copes_with_a_part_comes_to_an_end(plugin, world):
    await world.practice.stop()
    patient = await plugin.patient_id()
    pages = await plugin.every_page(
        f"AllergyIntolerance?patient={patient}&_count=1", headers={"Prefer": "partial-results"}
    )
    assert [page.status for page in pages] == [200, 200]
    assert [page.open.keys() for page in pages] == [{"G85001"}] * 2


async def test_a_page_is_for_the_same_patient_type_and_broker_alone(plugin, many, world, plugin_of, house, refusals):
    first = await plugin.search("Condition", _count="4")
    url = first.link("next")
    world.forget()
    begun = len(world.lookups())
    other = await plugin_of(world, house.mr_reyes).ask(url)
    assert (other.status, other.code) == (403, "patient-mismatch")
    token = url.partition("_page=")[2]
    swapped = token[:9] + ("a" if token[9] != "a" else "b") + token[10:]
    for wrong in (url.replace("Condition", "Encounter"), url.replace(token, swapped), f"{url}&_count=2", url + "a"):
        answer = await plugin.ask(wrong)
        assert (answer.status, answer.code) == (400, "invalid-request"), wrong
    assert world.nobody_was_asked()
    assert len(world.lookups()) == begun
    await house.eventually(lambda: refusals(world) == {"patient-mismatch": 1, "invalid-request": 4})
