"""What came is read one resource at a time; what can't be judged is not read at all."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract import Resource
from broker.lookup.judging.reading import read
from broker.lookup.judging.release import encode


def _nested(depth):
    value = {"end": 1}
    for _ in range(depth):
        value = {"x": value}
    return value


def _observation(**more):
    return {"resourceType": "Observation", "id": "1", "subject": {"reference": "Patient/ours"}, **more}


UNREADABLE = {
    "cut short": b'{"resourceType":"Observation","id":"1"',
    "bad UTF-8": b'{"resourceType":"Observation","id":"1","note":"\xff"}',
    "a surrogate in UTF-8": b'{"resourceType":"Observation","id":"1","note":"\xed\xa0\x80"}',
    "half a surrogate pair, escaped": b'{"resourceType":"Observation","id":"1","note":"\\ud800"}',
    "a number beyond numbers": b'{"resourceType":"Observation","id":"1","x":1e9999999999999999999}',
    "not a number": b'{"resourceType":"Observation","id":"1","x":NaN}',
    "a list": b"[]",
    "nothing": b"",
    "null": b"null",
    "no type": b'{"id":"1"}',
    "a type that is no text": b'{"resourceType":["Observation"],"id":"1"}',
    "no id": b'{"resourceType":"Observation"}',
    "an empty id": b'{"resourceType":"Observation","id":""}',
    "an id that is no text": b'{"resourceType":"Observation","id":5}',
    "deep objects": json.dumps(_observation(x=_nested(80))).encode(),
    "deeper than a parser goes": b'{"resourceType":"Observation","id":"1","x":' + b'{"a":' * 100_000,
    "deep lists": b'{"resourceType":"Observation","id":"1","x":' + b"[" * 500 + b"]" * 500 + b"}",
    "a list in a list": json.dumps(_observation(note=[[{"reference": "Patient/other"}]])).encode(),
    "a list in a list below": json.dumps(_observation(a={"b": [[{"reference": "Patient/other"}]]})).encode(),
    "contained that is no list": json.dumps(_observation(contained={"resourceType": "Patient"})).encode(),
    "contained in contained": json.dumps(_observation(contained=[{"resourceType": "List", "contained": []}])).encode(),
    "contained text": json.dumps(_observation(contained=["Patient"])).encode(),
    "a system that is an object": json.dumps(_observation(identifier=[{"system": {}}])).encode(),
}


@pytest.mark.parametrize("content", UNREADABLE.values(), ids=UNREADABLE)
def test_one_resource_that_cannot_be_read_costs_itself_alone(passage, content):
    items, unreadable = passage.read(_observation(id="before"), content, _observation(id="after"))
    assert [item.id for item in items] == ["before", "after"]
    assert len(unreadable) == 1


def test_the_type_of_what_cannot_be_read_is_told_where_it_can_be(passage):
    contents = ["a list in a list", "no id", "a number beyond numbers", "no type", "cut short"]
    _, unreadable = passage.read(*(UNREADABLE[name] for name in contents))
    assert unreadable == ["Observation", "Observation", "Observation", "", ""]


OBJECTS = {
    "a surrogate": _observation(note="\ud800"),
    "something that is no JSON": _observation(x=object()),
    "a key that is an object": {**_observation(), (1, 2): 3},
    "no id": {"resourceType": "Observation"},
    "deep objects": _observation(x=_nested(80)),
    "deeper than an encoder goes": _observation(x=_nested(50_000)),
}


@pytest.mark.parametrize("content", OBJECTS.values(), ids=OBJECTS)
def test_what_an_adapter_made_itself_goes_the_same_way(passage, content):
    items, unreadable = passage.read(Resource(content), _observation(id="after"))
    assert [item.id for item in items] == ["after"]
    assert unreadable == ["Observation"]


def test_what_an_adapter_made_is_not_changed(passage):
    content = _observation(text={"div": "said"}, a=[{"b": 1}])
    before = json.dumps(content)
    (item,), _ = passage.read(Resource(content))
    item.data["a"][0]["b"] = 2
    assert json.dumps(content) == before


@pytest.mark.parametrize("number", ["0.010", "1.0", "-0.0", "123456789012345678901234567890", "0", "100.00", "5"])
def test_a_number_leaves_as_it_was_written(passage, number):
    (item,), _ = passage.read(b'{"resourceType":"Observation","id":"1","valueQuantity":{"value":%s}}' % number.encode())
    assert encode(item.data["valueQuantity"]) == b'{"value":%s}' % number.encode()


@pytest.mark.parametrize("number", ["1e400", "1E5", "1.50e-7"])
def test_a_number_with_an_exponent_keeps_its_worth_and_its_precision(passage, number):
    (item,), _ = passage.read(b'{"resourceType":"Observation","id":"1","x":{"value":%s}}' % number.encode())
    again = json.loads(encode(item.data["x"]), parse_float=str, parse_int=str)["value"]
    from decimal import Decimal

    assert Decimal(again).as_tuple() == Decimal(number).as_tuple()


def test_a_key_said_twice_leaves_once_and_as_it_was_judged(passage):
    content = b'{"resourceType":"Observation","id":"1","subject":{"reference":"Patient/other"},"subject":{"reference":"Patient/ours"}}'
    released = passage.whole(content)
    assert b"other" not in released.bytes
    assert released.bytes.count(b'"subject"') == 1


def test_an_entry_without_an_id_takes_it_from_its_address(passage):
    (item,), _ = passage.read(
        Resource(b'{"resourceType":"Observation"}', full_url="urn:uuid:0b0e6c5e-37bd-4d2a-9d0d-7a2b1f0c3a11")
    )
    assert item.id == "0b0e6c5e-37bd-4d2a-9d0d-7a2b1f0c3a11"


def test_narrative_never_leaves(passage):
    said = {"status": "generated", "div": "<div>MARKED</div>"}
    released = passage.whole(
        _observation(
            id="1",
            text=said,
            contained=[
                {"resourceType": "Observation", "id": "c", "text": said},
                {"resourceType": "Composition", "id": "d", "section": [{"text": said, "section": [{"text": said}]}]},
            ],
        ),
        {
            "resourceType": "Composition",
            "id": "2",
            "subject": {"reference": "Patient/ours"},
            "section": [{"title": "kept", "text": said, "section": [{"text": said, "section": [{"text": said}]}]}],
        },
        {"resourceType": "Location", "id": "3", "text": said},
    )
    assert len(released.entries) == 3
    assert b"MARKED" not in released.bytes
    assert b"kept" in released.bytes


def test_the_text_of_a_concept_is_no_narrative(passage):
    released = passage.one(_observation(code={"text": "Serum sodium"}))
    assert released["code"] == {"text": "Serum sodium"}


@given(st.recursive(st.none() | st.booleans() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_whatever_json_stands_in_a_resource_is_read_or_costs_itself(passage, value):
    for content in (_observation(x=value), value, {"resourceType": value, "id": value}, _observation(meta=value)):
        items, unreadable = passage.read(json.dumps(content).encode())
        assert len(items) + len(unreadable) == 1


@given(st.binary())
def test_whatever_bytes_come_they_are_read_or_cost_themselves(passage, content):
    items, unreadable = passage.run(read([Resource(content)]))
    assert len(items) + len(unreadable) == 1


def test_everything_that_judging_needs_is_found_wherever_it_stands(passage):
    nhs = passage.number_of("9990000026")
    content = _observation(
        a={"b": [{"c": {"reference": "Encounter/1", "display": "x", "identifier": nhs}}]},
        code={
            "coding": [
                {"system": "s", "code": "c", "display": "d"},
                {"system": "s", "code": "c2", "extension": [{"valueReference": {"reference": "Encounter/2"}}]},
            ]
        },
        both={"reference": "Encounter/3", "system": nhs["system"], "value": nhs["value"]},
        coded={"system": nhs["system"], "code": "x", "value": nhs["value"]},
        person={"type": "Patient", "display": "somebody"},
        _status={"extension": [{"valueReference": {"reference": "Encounter/4"}}]},
    )
    (item,), _ = passage.read(content)
    literals = {reference.get("reference") for _, reference in item.references}
    assert literals == {"Patient/ours", "Encounter/1", "Encounter/2", "Encounter/3", "Encounter/4", None}
    assert {("s", "c"), ("s", "c2")} <= set(item.codes)
    assert sorted(element for element, _ in item.numbers) == ["a", "both", "coded"]


@pytest.mark.parametrize("security", [5, "R", {"code": "R"}, [5], None], ids=str)
def test_labels_in_no_known_shape_cost_the_resource(passage, security):
    assert passage.read(_observation(meta={"security": security})) == ([], ["Observation"])


ANOTHER = {"resourceType": "Patient", "id": "p", "name": [{"family": "MARKED"}]}


@pytest.mark.parametrize("more", [
    {"contained": [{"resourceType": "Bundle", "entry": [{"resource": ANOTHER}]}]},
    {"contained": [{"resourceType": "Parameters", "parameter": [{"resource": ANOTHER}]}]},
    {"foo": ANOTHER},
    {"foo": [ANOTHER]},
    {"extension": [{"url": "x", "valueReference": {"reference": "#p", "resolved": ANOTHER}}]},
    {"contained": [{"id": "p", "name": [{"family": "MARKED"}]}]},
    {"contained": [{"resourceType": "List", "id": "p"}, ANOTHER]},
], ids=lambda more: str(more)[:60])  # fmt: skip
def test_a_resource_inside_a_resource_where_none_is_judged_costs_it(passage, more):
    assert passage.read(_observation(**more)) == ([], ["Observation"])


def test_more_than_any_real_resource_holds_costs_it(passage):
    thing = {"resourceType": "Basic"}
    link = {"reference": "Encounter/1"}
    for more, most in (("contained", 500), ("performer", 4_999)):
        value = [thing if more == "contained" else link]
        assert len(passage.read(_observation(**{more: value * most}))[0]) == 1
        assert passage.read(_observation(**{more: value * (most + 1)})) == ([], ["Observation"])


SNOMED = "http://snomed.info/sct"
V3 = "http://terminology.hl7.org/CodeSystem/v3-"


@pytest.mark.parametrize("coding", [
    {"system": "urn:oid:2.16.840.1.113883.6.96", "code": "8098009"},
    {"system": "URN:OID:2.16.840.1.113883.6.96", "code": "8098009"},
    {"system": f"{SNOMED}/", "code": "8098009"},
    {"system": f"{SNOMED}/999000041000000102", "code": "8098009"},
    {"system": f"{SNOMED}/999000041000000102/version/20260401", "code": "8098009"},
    {"system": f"{SNOMED}|20260401", "code": "8098009"},
    {"system": "https://snomed.info/sct", "code": "8098009"},
    {"system": "HTTP://SNOMED.info/SCT", "code": "8098009"},
    {"system": f" {SNOMED} ", "code": "8098009"},
    {"system": SNOMED, "code": "8098009 "},
    {"system": SNOMED, "code": "8098009\u200b"},
    {"system": SNOMED, "code": 8098009},
    {"system": SNOMED, "code": "8098009:246112005=24484000"},
    {"system": SNOMED, "code": "8098009 |Sexually transmitted infectious disease|"},
    {"system": SNOMED, "code": "=== 413350009 : 246090004 = 8098009"},
    {"system": None, "code": "8098009"},
    {"code": "8098009"},
    {"code": 8098009, "display": "x"},
], ids=str)  # fmt: skip
def test_a_code_is_known_however_it_is_spelled_and_leaves_as_it_was_spelled(passage, coding):
    content = _observation(code={"coding": [coding]})
    (item,), _ = passage.read(content)
    assert (SNOMED, "8098009") in item.codes
    assert item.elements_with({(SNOMED, "8098009")}) == ["code"]
    released = passage.one(content)
    assert released["code"] == {"coding": [coding]}


@pytest.mark.parametrize("label", [
    {"system": "urn:oid:2.16.840.1.113883.5.4", "code": "STD"},
    {"system": f"{V3}ActCode", "code": "std"},
    {"system": f"{V3}ActCode/", "code": "Std "},
], ids=str)  # fmt: skip
def test_a_label_is_known_however_it_is_spelled(passage, label):
    (item,), _ = passage.read(_observation(meta={"security": [label]}))
    assert item.security == item.codes == [(f"{V3}ActCode", "STD")]


def test_a_short_code_without_a_system_is_a_code_of_nothing_known(passage):
    (item,), _ = passage.read(_observation(code={"coding": [{"code": "360"}]}))
    assert item.codes == [("", "360")]


def test_a_code_stands_where_it_stands_however_it_is_spelled(passage):
    for system in (SNOMED, f"{SNOMED}/"):
        reason = {"coding": [{"system": system, "code": "8098009"}]}
        (item,), _ = passage.read({"resourceType": "Encounter", "id": "1", "reasonCode": [reason]})
        assert item.elements_with({(SNOMED, "8098009")}) == ["reasonCode"]
