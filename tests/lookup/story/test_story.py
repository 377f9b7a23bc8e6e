"""What happens to one request, and in what order."""


async def test_a_lookup_gives_its_parts_and_then_its_summary(world, give):
    world.add("RJ1", give.whole(give.allergy()))
    heard = await world.look_up()
    assert heard.statuses == {"RJ1-epr": "answered"}
    assert heard.summary.complete
    assert world.events(heard) == ["intent", "plan", "outcome"]
