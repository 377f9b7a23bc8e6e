"""Seed question 4: medicines you are taking, reactions, allergies. What one place stopped or withdrew is not hidden by another."""

import pytest

ENTERED_IN_ERROR = {"coding": [{"code": "entered-in-error"}]}


def by_source(resources):
    return {one["meta"]["source"].rpartition(":")[2]: one for one in resources}


async def test_a_medicine_that_a_hospital_stopped_stands_beside_the_practices_list_with_how_current_each_is(
    open_world, house, edit, medicine
):
    """Hazard medicine-stopped-yet-listed: both, linked, with status and currency, and none chosen."""
    hospital, _, practice = organisations = house.usual()
    hospital.holds(medicine("m", "stopped", statusReason={"text": "Hyponatraemia"}))
    edit(practice.holds(medicine("m", "active")), 'kind = "fhir-r4"', 'kind = "fhir-r4"\ncurrency = "24h"')
    reply = await (await open_world(*organisations)).doctor().look_up(house.mrs_okafor)
    assert reply.complete
    medicines = by_source(reply.resources("MedicationRequest"))
    assert {source: one["status"] for source, one in medicines.items()} == {
        "RJ1-epr": "stopped",
        "G85001-epr": "active",
    }
    assert medicines["RJ1-epr"]["statusReason"] == {"text": "Hyponatraemia"}
    assert reply.row("RJ1-epr")["currency"] == "live"
    assert reply.row("G85001-epr")["currency"] == "up to 24 h old"
    (link,) = [one for one in reply.resources("Linkage") if "MedicationRequest" in str(one)]
    assert {item["resource"]["reference"] for item in link["item"]} == {
        f"MedicationRequest/{one['id']}" for one in medicines.values()
    }
    assert {item["type"] for item in link["item"]} == {"alternate"}
    (issue,) = [one for one in reply.resources("DetectedIssue") if "MedicationRequest" in str(one)]
    assert issue["code"]["coding"][0]["code"] == "medication-active-and-stopped"
    names = {source: reply.row(source)["name"] for source in medicines}
    assert f"as active at {names['G85001-epr']}, and as stopped at {names['RJ1-epr']}" in issue["detail"]


@pytest.mark.parametrize("withdrawn", [False, True], ids=["as it stands", "entered in error"])
async def test_what_was_entered_in_error_is_shown_as_that_and_neither_links_nor_contradicts(
    open_world, house, medicine, withdrawn
):
    """Hazards entered-in-error-taken-as-current and contradiction-hidden."""
    hospital, other, practice = organisations = house.usual()
    other.loses("AllergyIntolerance/1001")
    practice.loses("AllergyIntolerance/1001")
    other.holds(house.record("AllergyIntolerance", "1001", code="716186003", text="No known allergy"))
    practice.holds(medicine("m", "active"))
    hospital.holds(medicine("m", "entered-in-error" if withdrawn else "active"))
    if withdrawn:
        hospital.resources["AllergyIntolerance/1001"]["verificationStatus"] = ENTERED_IN_ERROR
    reply = await (await open_world(*organisations)).doctor().look_up(house.mrs_okafor)
    allergy = by_source(reply.resources("AllergyIntolerance"))["RJ1-epr"]
    request = by_source(reply.resources("MedicationRequest"))["RJ1-epr"]
    said = [one for kind in ("Linkage", "DetectedIssue") for one in reply.resources(kind)]
    if withdrawn:
        assert allergy["verificationStatus"] == ENTERED_IN_ERROR
        assert request["status"] == "entered-in-error"
        assert said == []
    else:
        assert sorted(one["resourceType"] for one in said) == ["DetectedIssue", "Linkage"]
        (issue,) = reply.resources("DetectedIssue")
        assert {"reference": f"AllergyIntolerance/{allergy['id']}"} in issue["implicated"]
        assert reply.resources()[1] == issue, "a contradiction stands before all that sources gave"
