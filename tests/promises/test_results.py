"""Seed question 4: test results, as the laboratory wrote them."""

import json

from aiohttp import web


def answering(resources):
    """A search that gives these, each as JSON text."""
    entries = ",".join(f'{{"resource":{one},"search":{{"mode":"match"}}}}' for one in resources)
    body = f'{{"resourceType":"Bundle","type":"searchset","total":{len(resources)},"entry":[{entries}]}}'

    async def answer(_):
        return web.Response(body=body.encode(), content_type="application/fhir+json")

    return answer


def result(house, local_id, value):
    written = json.dumps(house.record("Observation", local_id, status="final", valueQuantity={"value": "here"}))
    return written.replace('"here"', value)


async def test_a_number_comes_out_with_every_digit_that_went_in(open_world, house):
    """Hazard number-changed-on-the-way: 0.010 is no 0.01, and seventeen digits are not sixteen."""
    world = await open_world(*house.usual())
    numbers = ["0.010", "1.0", "100.00", "0.1", "12345678901234567.89", "7"]
    results = [result(house, f"n{n}", number) for n, number in enumerate(numbers)]
    world.hospital.moods["POST /Observation/_search"] = answering(results)
    for ask in (world.doctor().look_up, world.doctor().stream):
        reply = await ask(house.mrs_okafor)
        for number in numbers:
            assert f'"valueQuantity":{{"value":{number}}}' in reply.text.replace(" ", "")


async def test_what_two_readers_could_read_differently_comes_out_as_it_was_judged(open_world, house):
    """Hazard judged-is-not-released: a key that stands twice, once as another patient's."""
    world = await open_world(*house.usual())
    twice = result(house, "twice", "5").replace(
        '"subject"', '"subject": {"reference": "Patient/9999"}, "valueQuantity": {"value": 9}, "subject"'
    )
    assert twice.count('"subject"') == twice.count('"valueQuantity"') == 2
    world.hospital.moods["POST /Observation/_search"] = answering([twice, result(house, "plain", "6")])
    reply = await world.doctor().look_up(house.mrs_okafor)
    found = {one["valueQuantity"]["value"] for one in reply.resources("Observation")}
    assert found <= {5, 6}
    assert 6 in found
    assert "9999" not in reply.text
    assert reply.text.count('"valueQuantity"') == len(found)
