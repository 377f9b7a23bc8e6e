"""What would hold the loop to be read counts as unreadable; what is only long does not."""

import json

import msgspec
import pytest

from adapters.contract import Resource
from broker.lookup.judging.reading import read

OBSERVATION = '{"resourceType":"Observation","id":"1","status":"final",%s}'


def run(content):
    work = read([Resource(content)])
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


@pytest.mark.parametrize(
    "inside",
    [
        ",".join(f'"f{n}":1' for n in range(60_000)),
        '"x":[' + ",".join(["[]"] * 20_000) + "]",
        '"x":[' + ",".join(["{}"] * 20_000) + "]",
        '"x":[' + ",".join(['{"a":1}'] * 20_000) + "]",
        '"x":[' + ",".join(["1.5"] * 40_000) + "]",
        '"x":[' + ",".join(["true"] * 40_000) + "]",
        '"x":1.' + "7" * 200_000,
        '"x":' + " " * 100_000 + "1." + "7" * 200_000,
        '"extension":[' + ",".join(['{"url":"u","valueCode":"c"}'] * 20_000) + "]",
    ],
    ids=["fields", "lists", "objects", "small", "numbers", "truths", "digits", "spaces", "extensions"],
)
@pytest.mark.parametrize("form", [bytes, msgspec.Raw])
def test_more_than_any_real_resource_holds_is_not_read(inside, form):
    assert run(form((OBSERVATION % inside).encode())) == ([], ["Observation"])


@pytest.mark.parametrize(
    "inside",
    [
        '"data":"' + "QUJD" * 1_000_000 + '"',
        '"data":"' + "7" * 4_000 + '"',
        '"note":[{"text":"' + "One, two, three [or] four {five} " * 200 + '"}]',
        '"text":{"div":"' + r"<p class=\"a\">Seen, again.</p>" * 10_000 + '"}',
        '"component":[' + ",".join(['{"code":{"text":"a"},"valueQuantity":{"value":1.5}}'] * 2_000) + "]",
    ],
    ids=["letter", "digits", "words", "narrative", "components"],
)
def test_what_is_only_long_is_read(inside):
    (item,), unreadable = run((OBSERVATION % inside).encode())
    assert (item.type, unreadable) == ("Observation", [])


def test_one_that_does_not_say_first_what_it_is_may_be_anything():
    many = ",".join(["[]"] * 20_000)
    assert run(f'{{"x":[{many}],"resourceType":"Observation","id":"1"}}'.encode()) == ([], [""])


def test_the_largest_resource_of_the_synthetic_records_is_far_from_too_much(shared_data):
    def values(one):
        inner = one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
        return 1 + sum(map(values, inner))

    found = [
        entry["resource"]
        for path in sorted((shared_data / "synthea-r4").glob("*.json"))[:20]
        for entry in json.loads(path.read_bytes()).get("entry", ())
    ]
    largest = max(found, key=values)
    three = {"resourceType": "Observation", "id": "1", "x": [{"y": largest["resourceType"]}]}
    three["x"] += [{key: value for key, value in largest.items() if key != "resourceType"}] * 4
    text = json.dumps(three).replace("resourceType", "type").replace('"type"', '"resourceType"', 1)
    (item,), _ = run(text.encode())
    assert item.type == "Observation"
