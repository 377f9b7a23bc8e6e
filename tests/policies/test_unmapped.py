"""What sample records leave to their type alone: named with its count, and nothing of the record itself."""

import json
from pathlib import Path

import pytest

from policies import Policies
from policies.unmapped import unmapped
from policies.values import PolicyError

DATA = Path(__file__).parents[3] / "shared" / "data"
SNOMED = "http://snomed.info/sct"


@pytest.fixture(scope="module")
def tables(policies):
    return policies.tables


def condition(system, **more):
    return {
        "resourceType": "Condition",
        "code": {"coding": [{"system": system, "code": "38341003", "display": "x"}]},
        **more,
    }


@pytest.mark.parametrize("folder", ["synthea-r4", "gpconnect-stu3", "immunisation-r4", "ips-r4", "pds-r4"])
def test_the_tables_speak_of_every_type_system_and_profile_of_records_that_others_wrote(tables, folder):
    if not (DATA / folder).is_dir():
        pytest.skip(f"{folder}: no test data beside this checkout")

    def samples():
        for file in sorted((DATA / folder).rglob("*.json")):
            try:
                yield json.loads(file.read_bytes())
            except ValueError:
                continue  # malformed on purpose

    found = unmapped(tables, samples())
    assert (found.types, found.systems, found.profiles) == ({}, {}, {})
    assert found.nothing
    assert found.unasked.keys() <= tables.unasked.keys()
    assert found.resources > 10


def test_every_type_that_is_never_asked_for_has_a_reason_and_no_home(tables):
    assert all(why for why in tables.unasked.values())
    assert not tables.unasked.keys() & (tables.home.keys() | tables.supporting | tables.by_reference)


def test_a_type_a_system_and_a_profile_that_nobody_decided_about_are_counted(tables):
    entries = [
        {"resource": {"resourceType": "Contract"}},
        {"resource": condition("http://example.org/codes", meta={"profile": ["http://example.org/profile|1.0"]})},
        {"resource": condition("http://example.org/codes")},
        {"resource": condition(SNOMED)},
    ]
    found = unmapped(tables, [{"resourceType": "Bundle", "entry": entries}])
    assert found.types == {"Contract": 1}
    assert found.systems == {"Condition": {"http://example.org/codes": 2}}
    assert found.profiles == {"Condition": {"http://example.org/profile": 1}}
    assert found.unasked == {"Bundle": 1}
    assert not found.nothing


def test_what_is_contained_counts_under_its_own_type(tables):
    holder = {"resourceType": "Encounter", "contained": [condition("http://example.org/codes")]}
    assert unmapped(tables, [holder]).systems == {"Condition": {"http://example.org/codes": 1}}


def test_a_type_of_stu3_counts_as_what_r4_calls_it(tables):
    found = unmapped(
        tables, [{"resourceType": "ReferralRequest", "type": {"coding": [{"system": "urn:x", "code": "1"}]}}]
    )
    assert (found.types, found.systems) == ({}, {"ServiceRequest": {"urn:x": 1}})


@pytest.mark.parametrize(
    "system", ["urn:oid:2.16.840.1.113883.6.96", "http://snomed.info/sct/83821000000107", "https://www.snomed.info/sct"]
)
def test_a_system_is_known_however_it_is_spelled(tables, system):
    assert unmapped(tables, [condition(system)]).nothing


def test_neither_codes_nor_words_of_a_record_are_told(tables):
    told = repr(unmapped(tables, [condition("http://example.org/codes", note=[{"text": "canary"}])]))
    assert "38341003" not in told
    assert "canary" not in told


@pytest.mark.parametrize("sample", [None, [], "text", 3, {"resourceType": 5}, {"resourceType": "Patient", "meta": []}])
def test_what_is_no_record_is_nothing(tables, sample):
    assert unmapped(tables, [sample]).nothing


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('types = ["Claim",', 'types = ["Condition",', "Condition has its home in problems"),
        ('[[unasked]]\ntypes = ["Claim"', '[[unused]]\ntypes = ["Claim"', "unknown table [unused]"),
        ('why = "Marks of made-up records."', 'reason = "x"', "lacks `why`"),
        (
            'systems = ["https://smarthealthit.org/tags"]',
            'system = ["https://smarthealthit.org/tags"]',
            "unknown key `system`",
        ),
        (
            'systems = ["https://smarthealthit.org/tags"]',
            'profiles = ["https://fhir.interweavedigital.nhs.uk/R4/StructureDefinition/Interweave-SocialCareService"]',
            "adds a category under [[added]]",
        ),
    ],
)
def test_a_fault_in_what_is_left_to_the_type_names_file_and_line(board, edit, old, new, message):
    edit("categories.toml", old, new)
    with pytest.raises(PolicyError) as caught:
        Policies.load(board)
    assert caught.value.file == "categories.toml"
    assert message in caught.value.message
    assert caught.value.line is not None
