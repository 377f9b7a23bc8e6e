"""What is written of `/fhir`, for programs and for people, is what it does."""

import re
from typing import get_args

import pytest

from broker.auth.authenticator import LONGEST_LIFE
from broker.auth.claims import Claims
from broker.auth.values import Basis
from broker.errors import (
    BrokerError,
    NotAuthenticated,
    PatientMismatch,
    PurposeNotPermitted,
    RelationshipNeeded,
    RoleNotPermitted,
)
from broker.surfaces.openapi import document
from policies import Policies


def leaves(kind):
    return [leaf for each in kind.__subclasses__() for leaf in (leaves(each) or [each])]


NATIVE = {"unknown-category", "unknown-organisation", "timeout-too-long", "invalid-birth-date"}
"""What only the body of `POST /lookups` can get wrong."""


@pytest.mark.parametrize("error", [leaf for leaf in leaves(BrokerError) if leaf.__module__ == "broker.errors"])
def test_every_error_stands_under_its_status(error):
    written = document("http://x")
    assert (
        error.code in NATIVE or error.code in written["components"]["responses"][f"Fhir{error.status}"]["description"]
    )
    responses = written["paths"]["/fhir/{type}"]["get"]["responses"]
    assert str(error.status) in {*responses, "405", "501"}


def test_the_token_that_is_written_as_an_example_is_one():
    words = document("http://x")["components"]["securitySchemes"]["token"]["description"]
    (example,) = re.findall(r"```json\n(.*?)\n```", words, re.DOTALL)
    claims = Claims.parse(example.encode())
    caller = claims.caller(operator=False, demo=False)
    assert (caller.requester.organisation, caller.requester.purpose) == ("RJ1", "TREAT")
    assert caller.patient.nhs_number == "9990000018"
    assert caller.relationship.basis == "encounter"
    assert claims.exp - claims.iat == LONGEST_LIFE
    assert all(word in words for word in get_args(Basis))
    for error in (NotAuthenticated, PatientMismatch, RelationshipNeeded, RoleNotPermitted, PurposeNotPermitted):
        assert f"{error.status} {error.code}" in words


async def test_the_statement_names_every_type_and_how_to_search_it(world, plugin):
    answer = await plugin.ask("metadata", headers={"Authorization": ""})
    assert answer.status == 200
    statement = answer.json
    assert (statement["resourceType"], statement["fhirVersion"], statement["kind"]) == (
        "CapabilityStatement",
        "4.0.1",
        "instance",
    )
    assert statement["implementation"]["url"] == plugin.base
    (rest,) = statement["rest"]
    assert [one["code"] for one in rest["interaction"]] == ["batch"]
    assert "`_count`" in rest["documentation"]
    assert rest["security"]["cors"] is False
    tables = Policies.load(None).tables
    types = {one for name in tables.categories for one in tables.types_of(name)}
    by_type = {one["type"]: one for one in rest["resource"]}
    assert by_type.keys() == types | tables.supporting
    for name in types:
        assert [one["code"] for one in by_type[name]["interaction"]] == ["read", "search-type"]
        parameters = [one["name"] for one in by_type[name]["searchParam"]]
        assert parameters == ["patient", "identifier" if name == "Patient" else "patient.identifier", "_count"]
    for name in tables.supporting:
        assert [one["code"] for one in by_type[name]["interaction"]] == ["read"]
    assert world.nobody_was_asked()


async def test_each_type_that_it_names_can_be_searched_so(plugin):
    statement = (await plugin.ask("metadata")).json
    patient = await plugin.patient_id()
    for one in statement["rest"][0]["resource"]:
        if "searchParam" in one:
            answer = await plugin.ask(one["type"], params={"patient": patient})
            assert answer.status == 200, one["type"]
            assert answer.json["total"] == len(answer.entries())
