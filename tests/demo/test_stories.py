"""The stories hold together: valid numbers, references that resolve, codes that are there, and what they promise."""

import json
import re
from collections import Counter, defaultdict

import pytest

from broker import nhs_number
from broker.demo.world import OBJECTIONS, ORGANISATIONS, STORIES
from broker.demo.world.expected import EXPECTED
from broker.demo.world.records import fill

SERVERS = {
    organisation.source(site): fill(organisation, site, STORIES)
    for organisation in ORGANISATIONS
    for site in organisation.sites
}
NUMBERS = [number for story in STORIES for number in (story.person.nhs_number, story.person.superseded) if number]


def walk(node):
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from walk(value)
    elif isinstance(node, list):
        for value in node:
            yield from walk(value)


@pytest.mark.parametrize("number", NUMBERS)
def test_every_number_is_a_valid_test_number(number):
    assert nhs_number.is_valid(number)
    assert number.startswith("999")


def test_there_are_enough_of_everything():
    assert len(STORIES) >= 12
    assert len(set(NUMBERS)) == len(NUMBERS)
    assert len(ORGANISATIONS) >= 9
    kinds = Counter(organisation.service_type for organisation in ORGANISATIONS)
    assert kinds["acute"] >= 3
    assert kinds["gp-practice"] >= 2
    assert {"community", "urgent-care", "social-care", "mental-health"} <= set(kinds)
    assert len({organisation.region for organisation in ORGANISATIONS}) >= 3
    assert max(len(organisation.sites) for organisation in ORGANISATIONS) == 2


@pytest.mark.parametrize("source", SERVERS)
def test_every_reference_resolves_at_its_own_server(source):
    resources = SERVERS[source].resources
    for resource in resources.values():
        for node in walk(resource):
            if "reference" in node:
                assert node["reference"] in resources


@pytest.mark.parametrize("source", SERVERS)
def test_every_type_held_can_be_asked_for(source):
    sites = {organisation.source(site): site for organisation in ORGANISATIONS for site in organisation.sites}
    alone = {"Patient", "Organization", "Practitioner", "HealthcareService"}
    held = {resource["resourceType"] for resource in SERVERS[source].resources.values()}
    assert held <= alone | set(sites[source].types)


def test_codes_are_national_ones_with_local_ones_beside_them():
    systems = defaultdict(set)
    for source, server in SERVERS.items():
        for resource in server.resources.values():
            for node in walk(resource):
                if "system" in node and "code" in node and "display" in node:
                    systems[node["system"]].add((node["code"], source))
                    assert node["code"]
    assert {"http://snomed.info/sct", "https://dmd.nhs.uk", "http://loinc.org"} <= set(systems)
    assert "https://lab.rj1.example/tests" in systems
    assert all(re.fullmatch(r"\d{6,18}", code) for code, _ in systems["http://snomed.info/sct"])
    assert all(re.fullmatch(r"\d{1,5}-\d", code) for code, _ in systems["http://loinc.org"])


@pytest.mark.parametrize("system", ["http://snomed.info/sct", "https://dmd.nhs.uk"])
def test_snomed_codes_pass_their_check_digit(system):
    for server in SERVERS.values():
        for resource in server.resources.values():
            for node in walk(resource):
                if node.get("system") == system:
                    assert verhoeff(node["code"]), node


def test_two_servers_give_the_same_id_to_different_people():
    numbers = defaultdict(set)
    for server in SERVERS.values():
        for patient in server.members:
            resource = server.resources[f"Patient/{patient}"]
            numbers[patient].add(resource["identifier"][0]["value"])
    assert any(len(people) > 1 for people in numbers.values())


def test_the_mother_is_named_in_the_childs_record_and_not_part_of_it():
    server = SERVERS["RJZ-epr"]
    (mother,) = server.patients("https://fhir.nhs.uk/Id/nhs-number", "9990000085")
    (child,) = server.patients("https://fhir.nhs.uk/Id/nhs-number", "9990000093")
    record = server.members[child.split("/")[1]]
    assert mother not in record
    assert any(mother == node.get("reference") for name in record for node in walk(server.resources[name]))


def test_one_birth_date_and_one_number_differ_at_one_source():
    for source, number, element, other in (
        ("RJZ-epr", "9990000077", "birthDate", "1961-12-04"),
        ("RJZ-epr", "9990000050", "birthDate", "1955-09-09"),
    ):
        (name,) = SERVERS[source].patients("", number)
        assert SERVERS[source].resources[name][element] == other
    assert not SERVERS["RJZ-epr"].patients("", "9990000069")


def test_what_is_expected_speaks_of_what_there_is():
    asked = {story.person.superseded or story.person.nhs_number: story for story in STORIES}
    assert set(EXPECTED) == set(asked)
    assert {objection.nhs_number for objection in OBJECTIONS} <= set(asked)
    for number, expected in EXPECTED.items():
        story = asked[number]
        assert set(expected.rows) <= set(SERVERS)
        for kind, code, source in expected.shows:
            held = [story.at[source]] if source else story.at.values()
            assert any(
                resource["resourceType"] == kind and code.code in json.dumps(resource)
                for resources in held
                for resource in resources
            )
        for kind, code, sources in expected.links:
            for source in sources:
                assert any(
                    resource["resourceType"] == kind and code.code in json.dumps(resource)
                    for resource in story.at[source]
                )


def verhoeff(code):
    """SNOMED CT identifiers end in a Verhoeff check digit."""
    d = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 2, 3, 4, 0, 6, 7, 8, 9, 5],
        [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
        [3, 4, 0, 1, 2, 8, 9, 5, 6, 7],
        [4, 0, 1, 2, 3, 9, 5, 6, 7, 8],
        [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
        [6, 5, 9, 8, 7, 1, 0, 4, 3, 2],
        [7, 6, 5, 9, 8, 2, 1, 0, 4, 3],
        [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
        [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
    ]
    p = [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]]
    for _ in range(6):
        p.append([p[-1][p[1][n]] for n in range(10)])
    check = 0
    for place, digit in enumerate(reversed(code)):
        check = d[check][p[place % 8][int(digit)]]
    return check == 0
