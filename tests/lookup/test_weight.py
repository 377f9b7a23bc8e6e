"""What would hold the loop to be read counts as unreadable; what is only long does not."""

import json

import msgspec
import pytest

from adapters.contract import Resource
from broker.lookup.judging.reading import read

OBSERVATION = '{"resourceType":"Observation","id":"1","status":"final",%s}'
COMPONENT = (
    '{"code":{"coding":[{"system":"http://loinc.org","code":"8480-6","display":"Systolic"}]},'
    '"valueQuantity":{"value":1.5,"unit":"mg","system":"http://unitsofmeasure.org","code":"mg"}}'
)
ENTRY = '{"item":{"reference":"Condition/1000","display":"Something"},"date":"2020-01-01"}'
ANSWER = (
    '{"linkId":"1000","text":"How are you?",'
    '"answer":[{"valueCoding":{"system":"http://snomed.info/sct","code":"1234","display":"Well"}}]}'
)


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
        '"x":[' + ",".join(["1.5"] * 60_000) + "]",
        '"x":[' + ",".join(["true"] * 90_000) + "]",
        '"x":1.' + "7" * 300_000,
        '"x":' + " " * 100_000 + "1." + "7" * 300_000,
        '"x":[' + ",".join(['{"v":1.' + "7" * 4_900 + "}"] * 60) + "]",
        '"x":[' + ",".join(["7" * 4_000] * 60) + "]",
        '"extension":[' + ",".join(['{"url":"u","valueCode":"c"}'] * 20_000) + "]",
        '"x":["' + '\\\\","'.join(["a"] * 100_000) + '"]',
        '"x":"' + r"\n" * 1_000_000 + '"',
        '"x":"' + r"\"" * 1_000_000 + '"',
        '"x":"' + "\u6f22" * 1_700_000 + '"',
    ],
    ids=[
        *("fields", "lists", "objects", "small", "numbers", "truths", "digits", "spaces", "decimals", "integers"),
        *("extensions", "backslashes", "newlines", "quotes", "beyond ASCII"),
    ],
)
@pytest.mark.parametrize("form", [bytes, msgspec.Raw])
def test_more_than_any_real_resource_holds_is_not_read(inside, form):
    assert run(form((OBSERVATION % inside).encode())) == ([], ["Observation"])


@pytest.mark.parametrize(
    "inside",
    [
        '"data":"' + "QUJD" * 1_000_000 + '"',
        '"valueSampledData":{"data":"' + "2048 1990 " * 100_000 + '"}',
        '"note":[{"text":"' + "One, two, three [or] four {five} " * 50_000 + '"}]',
        '"note":[{"text":"' + r"2020-01-01,5.5,\"x\",\\y\n" * 20_000 + '"}]',
        '"text":{"div":"' + r"<p class=\"a\">Seen, again.</p>" * 10_000 + '"}',
        '"note":[{"text":"' + "\u6f22\u5b57" * 500_000 + '"}]',
        '"component":[' + ",".join([COMPONENT] * 2_000) + "]",
        '"entry":[' + ",".join([ENTRY] * 3_000) + "]",
        '"item":[' + ",".join([ANSWER] * 1_500) + "]",
    ],
    ids=["letter", "samples", "words", "table", "narrative", "Chinese", "components", "entries", "answers"],
)
def test_what_is_only_long_is_read(inside):
    (item,), unreadable = run((OBSERVATION % inside).encode())
    assert (item.type, unreadable) == ("Observation", [])


def test_one_that_does_not_say_first_what_it_is_may_be_anything():
    many = ",".join(["[]"] * 20_000)
    assert run(f'{{"x":[{many}],"resourceType":"Observation","id":"1"}}'.encode()) == ([], [""])


@pytest.mark.parametrize("shift", range(4))
def test_what_stands_in_strings_is_told_wherever_the_text_is_parted(shift):
    """Escapes of two bytes and strings of seven, over several windows."""
    text = ",".join([r'"a\\",' + r'"\"["'] * 6_000)
    commas = "," * (70_000 + shift)
    (item,), _ = run((OBSERVATION % f'"x":["{commas}",{text}]').encode())
    assert len(item.data["x"]) == 12_001


def test_blanks_before_the_type_of_what_is_not_read_are_not_gone_through():
    blanks, many = " " * 100_000, ",".join(["{}"] * 20_000)
    assert run(f'{{{blanks}"resourceType":"Observation","id":"1","x":[{many}]}}'.encode()) == ([], [""])


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
