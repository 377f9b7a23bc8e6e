"""What the shares of the benchmark are shares of."""

from policies import Policies
from tests.bench.withheld import record_of, shares

PATIENT = {"reference": "urn:uuid:p"}


def entry(kind, id_, **more):
    return {"fullUrl": f"urn:uuid:{id_}", "resource": {"resourceType": kind, "id": id_, "subject": PATIENT} | more}


RECORD = {
    "resourceType": "Bundle",
    "entry": [
        entry("Condition", "c"),
        {"fullUrl": "urn:uuid:p", "resource": {"resourceType": "Patient", "id": "p", "birthDate": "1990"}},
        entry("MedicationRequest", "m", reasonReference=[{"reference": "urn:uuid:c"}]),
        entry("Encounter", "e", reasonReference=[{"reference": "urn:uuid:c"}]),
        entry("Claim", "bill"),
    ],
}


def test_a_share_is_of_all_that_the_record_holds_the_item_itself_among_what_goes():
    found = shares(Policies.load(None), iter([record_of(RECORD)]), "Condition", 3)
    assert found.records == 1
    assert found.of_items == [2 / 5]


def test_the_elements_that_decide_are_called_as_r4_calls_them():
    older = {
        "resourceType": "Bundle",
        "entry": [
            *RECORD["entry"],
            entry(
                "Observation",
                "o",
                context={"reference": "urn:uuid:e"},
                related=[
                    {"type": "has-member", "target": {"reference": "urn:uuid:x"}},
                    {"type": "derived-from", "target": {"reference": "urn:uuid:y"}},
                ],
            ),
            entry("ReferralRequest", "r"),
        ],
    }
    record = {one["id"]: one for one in record_of(older)}
    assert record["o"]["encounter"] == {"reference": "Encounter/e"}
    assert record["o"]["hasMember"] == [{"reference": "urn:uuid:x"}]
    assert record["r"]["resourceType"] == "ServiceRequest"
