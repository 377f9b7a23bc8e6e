"""A lookup of some FHIR types, or at some sources only: what `/fhir` asks for."""

import pytest

from adapters.errors import SourceUnreachable
from adapters.findings import Finding
from broker.journal import records_of
from broker.lookup.rows import of_type
from broker.lookup.values import Status

TYPES = frozenset({"Observation", "AllergyIntolerance"})


@pytest.fixture
def trust(world, give):
    world.add("RJ1", give.whole(give.allergy(), give.observation()))
    return world


def of(heard, source):
    return {name: of_type(heard.rows[source], name).status.value for name in sorted(TYPES)}


async def test_only_the_types_named_are_asked_beside_what_decides(trust):
    heard = await trust.look_up("results", "allergies", types=frozenset({"Observation"}))
    (request,) = trust.sources["RJ1-epr"].asked
    assert request.categories == {"allergies": frozenset(), "results": frozenset({"Observation"})}
    assert request.context == trust.policies.tables.context
    assert [one["resourceType"] for one in heard.released if one["resourceType"] != "Patient"] == ["Observation"]


async def test_each_type_has_a_status_of_its_own(world, give):
    types = frozenset({"Observation"})
    rest = give.answered(*(give.every_type - types))
    world.add(
        "RJ1", give.these(give.patient(), give.allergy(), rest, give.answered("Observation", finding=Finding.FAILED))
    )
    heard = await world.look_up("results", "allergies", types=TYPES)
    assert of(heard, "RJ1-epr") == {"AllergyIntolerance": "answered", "Observation": "failed"}
    assert of_type(heard.rows["RJ1-epr"], "AllergyIntolerance").resources == 1


async def test_a_source_that_fails_has_failed_in_each_type_that_it_offers(world, give):
    world.add("RJ1", give.these(SourceUnreachable("no connection")), categories=("allergies",))
    world.add("RJZ", give.whole())
    heard = await world.look_up("results", "allergies", types=TYPES)
    assert of(heard, "RJ1-epr") == {"AllergyIntolerance": "unreachable", "Observation": "not-provided"}
    assert of(heard, "RJZ-epr") == {"AllergyIntolerance": "no-record-found", "Observation": "no-record-found"}


async def test_a_source_that_is_not_asked_says_the_same_of_every_type(trust, give):
    trust.add("RJZ", give.whole(), agreement=give.lapsed)
    heard = await trust.look_up("results", "allergies", types=TYPES)
    assert set(of(heard, "RJZ-epr").values()) == {"agreement-lapsed"}


async def test_the_patient_is_a_type_too(trust):
    heard = await trust.look_up("demographics", "gp-registration", types=frozenset({"Patient"}))
    assert of_type(heard.rows["RJ1-epr"], "Patient").status is Status.ANSWERED


async def test_without_types_named_rows_say_nothing_of_them(trust):
    heard = await trust.look_up("results")
    assert not heard.rows["RJ1-epr"].types


async def test_only_the_sources_named_are_asked(trust, give):
    trust.add("RJZ", give.whole(give.allergy()))
    trust.add("G9", kind="gp-practice", state="suspended")
    heard = await trust.look_up("allergies", only=frozenset({"RJZ-epr"}))
    assert heard.statuses == {"RJZ-epr": "answered"}
    assert not trust.sources["RJ1-epr"].asked


async def test_a_source_that_is_not_in_scope_is_not_asked_by_being_named(trust, give):
    trust.add("RJZ", give.whole(give.allergy()), agreement=give.lapsed)
    trust.add("RXX", give.whole(give.allergy()), state="suspended")
    heard = await trust.look_up("allergies", only=frozenset({"RJZ-epr", "RXX-epr"}))
    assert heard.statuses == {"RJZ-epr": "agreement-lapsed"}
    assert not trust.sources["RJZ-epr"].asked
    assert not trust.sources["RXX-epr"].asked


async def test_the_journal_says_which_types_were_asked(trust):
    heard = await trust.look_up("allergies", types=TYPES)
    intent = records_of(trust.directory, heard.lookup.lookup_id)[0]
    assert intent["types"] == sorted(TYPES)
