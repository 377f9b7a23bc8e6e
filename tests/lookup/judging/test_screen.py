"""What is never shared goes, with all that would show it, and nothing else."""

import json

import pytest

from adapters.contract import Resource

SNOMED = "http://snomed.info/sct"
LOINC = "http://loinc.org"
FUNCTION = "https://fhir.nhs.uk/CodeSystem/NHSDataModelAndDictionary-treatment-function"
CLINIC = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"
SENSITIVITY = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"

OWNER = {"AllergyIntolerance": "patient", "EpisodeOfCare": "patient", "Immunization": "patient"}
GUM = {"coding": [{"system": FUNCTION, "code": "360", "display": "Clinic of secrets"}]}
CARDIOLOGY = {"coding": [{"system": FUNCTION, "code": "320", "display": "Cardiology"}]}
CHLAMYDIA = {"coding": [{"system": SNOMED, "code": "240589008"}], "text": "secret infection"}
RESPELLED = {
    "coding": [{"system": "urn:oid:2.16.840.1.113883.6.96", "code": " 240589008 "}],
    "text": "secret infection",
}
ASTHMA = {"coding": [{"system": SNOMED, "code": "195967001", "display": "Asthma"}]}
DEPRESSION = {"coding": [{"system": SNOMED, "code": "35489007"}]}


def ref(to, **more):
    return {"reference": to} | more


def make(kind, local_id, **more):
    """A resource of this patient."""
    if kind == "Appointment":
        mine = {"participant": [{"actor": ref("Patient/p1"), "status": "accepted"}, *more.pop("participant", [])]}
    elif kind in ("Practitioner", "Organization", "Location", "HealthcareService", "PractitionerRole", "Medication"):
        mine = {}
    else:
        mine = {OWNER.get(kind, "subject"): ref("Patient/p1")}
    return {"resourceType": kind, "id": local_id} | mine | more


def labelled(system, code):
    return {"security": [{"system": system, "code": code}]}


def clinic(local_id="gum", **more):
    return make("Encounter", local_id, serviceType=GUM, **more)


def visit(local_id="visit", **more):
    return make("Encounter", local_id, serviceType=CARDIOLOGY, **more)


@pytest.mark.parametrize(
    "out",
    [
        make("Condition", "out", code=CHLAMYDIA),
        make("Observation", "out", code={"coding": [{"system": LOINC, "code": "21613-5"}]}),
        make("Observation", "out", code=ASTHMA, component=[{"code": CHLAMYDIA, "valueString": "secret"}]),
        make("Encounter", "out", serviceType=GUM),
        make("Appointment", "out", specialty=[GUM]),
        make("Condition", "out", code=ASTHMA, meta=labelled(SENSITIVITY, "STD")),
        make("DocumentReference", "out", securityLabel=[{"coding": [{"system": SENSITIVITY, "code": "SEX"}]}]),
        make("ServiceRequest", "out", contained=[{"resourceType": "Condition", "id": "c", "code": CHLAMYDIA}]),
        make("Condition", "out", code=ASTHMA, extension=[{"url": "urn:x", "valueCodeableConcept": GUM}]),
        make("EpisodeOfCare", "out", type=[GUM]),
    ],
    ids=lambda one: one["resourceType"],
)
async def test_an_excluded_code_service_specialty_or_label_takes_the_resource(judging, out):
    seen = await judging.judge([out, make("Condition", "in", code=ASTHMA)])
    assert seen.ids == {("Condition", "in")}
    assert b"secret" not in seen.bytes


async def test_an_attendance_at_an_excluded_clinic_takes_all_that_hangs_on_it(judging):
    seen = await judging.judge([
        clinic("gum", appointment=[ref("Appointment/app")], basedOn=[ref("ServiceRequest/sr")]),
        make("Appointment", "app", description="secret"),
        make("ServiceRequest", "sr", code=ASTHMA),
        make("DiagnosticReport", "rep", encounter=ref("Encounter/gum"), result=[ref("Observation/obs")]),
        make("Observation", "obs", code=ASTHMA),
        make("DocumentReference", "letter", type=ASTHMA, context={"encounter": [ref("Encounter/gum")]}),
        make("MedicationRequest", "med", encounter=ref("Encounter/gum"), medicationCodeableConcept=ASTHMA),
        make("Condition", "met", code=ASTHMA, encounter=ref("Encounter/gum")),
        make("Flag", "flag", encounter=ref("Encounter/gum")),
        make("Encounter", "child", partOf=ref("Encounter/gum")),
        make(
            "AllergyIntolerance",
            "allergy",
            meta={"security": [{"system": SENSITIVITY, "code": "STD"}], "lastUpdated": "2024-02-03T09:00:00Z"},
            code={"coding": [{"system": SNOMED, "code": "91936005"}], "text": "Penicillin"},
            criticality="high",
            clinicalStatus={"coding": [{"code": "active"}]},
            verificationStatus={"coding": [{"code": "confirmed"}]},
            encounter=ref("Encounter/gum"),
            recorder=ref("Practitioner/dr", display="Dr Secret"),
            asserter=ref("PractitionerRole/role"),
            recordedDate="2024-02-03",
            note=[{"text": "told the clinic of secrets"}],
            extension=[{"url": "urn:x", "valueReference": ref("Location/room", display="Secret room")}],
            reaction=[
                {
                    "manifestation": [{"text": "rash"}],
                    "severity": "severe",
                    "description": "seen by Dr Secret",
                    "_description": {"extension": [{"url": "urn:y", "valueString": "secret"}]},
                    "note": [{"text": "secret"}],
                    "extension": [{"url": "urn:z", "valueReference": ref("Location/room")}],
                }
            ],
        ),
        make("Practitioner", "dr", name=[{"text": "Secret"}]),
        make("Location", "room", name="Secret"),
        make("PractitionerRole", "role", practitioner=ref("Practitioner/dr")),
        visit(),
    ])
    assert seen.ids == {("AllergyIntolerance", "allergy"), ("Encounter", "visit")}
    allergy = seen.by_id["allergy"]
    assert allergy.keys() == {
        "resourceType",
        "id",
        "meta",
        "patient",
        "code",
        "criticality",
        "clinicalStatus",
        "verificationStatus",
        "reaction",
    }
    assert allergy["meta"].keys() == {"source", "tag"}
    assert allergy["reaction"] == [{"manifestation": [{"text": "rash"}], "severity": "severe"}]
    assert b"ecret" not in seen.bytes
    assert b"gum" not in seen.bytes
    assert set(seen.statuses.values()) == {"answered", "no-record-found"}
    assert seen.statuses["documents"] == "no-record-found"
    assert seen.row.resources == 2
    assert seen.row.notes == ()


async def test_an_allergy_to_what_is_excluded_itself_goes(judging):
    seen = await judging.judge([make("AllergyIntolerance", "a", code=CHLAMYDIA)])
    assert not seen.ids


async def test_the_broken_pieces_of_a_malformed_allergy_are_severed_too(judging):
    for reaction in ("secret", {"description": "secret"}, [["secret"], "x"], 5):
        allergy = make("AllergyIntolerance", "a", code=ASTHMA, encounter=ref("Encounter/gum"), reaction=reaction)
        seen = await judging.judge([clinic(), allergy])
        assert ("Encounter", "gum") not in seen.ids


@pytest.mark.parametrize(
    ("container", "left"),
    [
        (
            visit("c", diagnosis=[{"condition": ref("Condition/bad")}, {"condition": ref("Condition/good")}]),
            {"diagnosis": [{"condition": {"reference": "good"}}]},
        ),
        (visit("c", reasonReference=[ref("Condition/bad"), ref("Condition/good")]), {"reasonReference": ["good"]}),
        (visit("c", reasonCode=[CHLAMYDIA, ASTHMA]), {"reasonCode": [ASTHMA]}),
        (visit("c", reasonCode=[RESPELLED, ASTHMA]), {"reasonCode": [ASTHMA]}),
        (visit("c", reasonReference=[ref("Condition/bad")]), {}),
        (
            make(
                "CarePlan",
                "c",
                activity=[
                    {"detail": {"description": "secret"}, "outcomeReference": [ref("Condition/bad")]},
                    {"detail": {"description": "walk"}, "outcomeReference": [ref("Condition/good")]},
                    {"detail": {"description": "secret", "code": CHLAMYDIA}},
                    {"reference": ref("Condition/bad", display="secret")},
                ],
            ),
            {"activity": [{"detail": {"description": "walk"}, "outcomeReference": ["good"]}]},
        ),
        (
            make("Condition", "c", code=ASTHMA, evidence=[{"code": [ASTHMA], "detail": [ref("Condition/bad")]}]),
            {},
        ),
        (
            make("Procedure", "c", code=ASTHMA, note=[{"text": "secret", "authorReference": ref("Condition/bad")}]),
            {},
        ),
    ],
)
async def test_a_container_loses_the_entry_and_stays(judging, container, left):
    bad = make("Condition", "bad", code=CHLAMYDIA)
    seen = await judging.judge([bad, make("Condition", "good", code=ASTHMA), container])
    assert seen.ids == {("Condition", "good"), (container["resourceType"], "c")}
    got = seen.by_id["c"]
    bare = {"resourceType", "id", "meta", "subject", "serviceType", "code"}
    assert {key: shorter(value) for key, value in got.items() if key not in bare} == {
        key: shorter(value) for key, value in left.items()
    }
    assert b"secret" not in seen.bytes


def shorter(value):
    """References by what they name."""
    if isinstance(value, dict):
        if "reference" in value and isinstance(value["reference"], str):
            return value["reference"].removeprefix("Condition/RJ1-epr.").split(".")[0]
        return {
            key: shorter(inner) if key != "condition" else {"reference": shorter(inner)} for key, inner in value.items()
        }
    return [shorter(inner) for inner in value] if isinstance(value, list) else value


async def test_what_ranked_below_an_entry_that_goes_moves_up(judging):
    use = {"coding": [{"code": "DD"}]}
    diagnosis = [
        {"condition": ref("Condition/bad"), "use": use, "rank": 1},
        {"condition": ref("Condition/good"), "use": use, "rank": 2},
        {"condition": ref("Condition/good"), "rank": 3},
    ]
    bad = make("Condition", "bad", code=CHLAMYDIA)
    seen = await judging.judge([bad, make("Condition", "good", code=ASTHMA), visit(diagnosis=diagnosis)])
    assert [entry["rank"] for entry in seen.by_id["visit"]["diagnosis"]] == [1, 3]


async def test_two_reasons_for_leaving_out_take_each_its_own_entry(judging):
    """The law takes one entry and a label another: what is neither stays."""
    activity = [
        {"detail": {"description": "unlawful"}, "outcomeReference": [ref("Condition/bad")]},
        {"detail": {"description": "unseen"}, "outcomeReference": [ref("Condition/very")]},
        {"detail": {"description": "plain"}},
    ]
    seen = await judging.judge(
        [
            make("Condition", "bad", code=CHLAMYDIA),
            make("Condition", "very", code=ASTHMA, meta=labelled(CONFIDENTIALITY, "V")),
            make("CarePlan", "plan", activity=activity),
        ],
        role="nurse",
    )
    assert seen.by_id["plan"]["activity"] == [{"detail": {"description": "plain"}}]


async def test_entries_are_found_though_the_guard_took_one_before(judging):
    activity = [
        {"reference": ref("Patient/mother")},
        {"detail": {"description": "secret"}, "outcomeReference": [ref("Condition/bad")]},
        {"detail": {"description": "plain"}},
    ]
    bad = make("Condition", "bad", code=CHLAMYDIA)
    seen = await judging.judge([bad, make("CarePlan", "plan", activity=activity)])
    assert seen.by_id["plan"]["activity"] == [{"detail": {"description": "plain"}}]


async def test_an_excluded_reason_takes_only_what_depends_on_it(judging):
    seen = await judging.judge([
        make("Condition", "bad", code=CHLAMYDIA),
        visit(diagnosis=[{"condition": ref("Condition/bad")}], appointment=[ref("Appointment/app")]),
        make("Appointment", "app", reasonReference=[ref("Condition/bad")]),
        make("Observation", "obs", code=ASTHMA, encounter=ref("Encounter/visit")),
        make("MedicationRequest", "cure", reasonReference=[ref("Condition/bad")], medicationCodeableConcept=ASTHMA),
        make("MedicationDispense", "box", authorizingPrescription=[ref("MedicationRequest/cure")]),
        make("MedicationRequest", "other", encounter=ref("Encounter/visit"), medicationCodeableConcept=ASTHMA),
    ])
    assert seen.ids == {
        ("Encounter", "visit"),
        ("Appointment", "app"),
        ("Observation", "obs"),
        ("MedicationRequest", "other"),
    }


async def test_a_chain_is_followed_to_its_end_and_a_circle_ends(judging):
    circle = [make("Procedure", str(n), partOf=[ref(f"Procedure/{(n + 1) % 4}")], code=ASTHMA) for n in range(4)]
    circle[2]["encounter"] = ref("Encounter/gum")
    seen = await judging.judge([clinic(), *circle, make("Procedure", "free", code=ASTHMA)])
    assert seen.ids == {("Procedure", "free")}


@pytest.mark.parametrize(
    "literal",
    ["Encounter/gum", "Encounter/gum/_history/2", "http://127.0.0.1:1/fhir/Encounter/gum", "urn:uuid:1"],
)
async def test_a_reference_of_any_form_is_followed(judging, literal):

    gum = Resource(json.dumps(clinic()).encode(), full_url="urn:uuid:1")
    seen = await judging.judge([gum, make("Condition", "met", code=ASTHMA, encounter=ref(literal))])
    assert not seen.ids


async def test_a_reference_by_identifier_is_followed(judging):
    identifier = {"system": "urn:visits", "value": "secret-7"}
    seen = await judging.judge([
        clinic(identifier=[identifier]),
        make("Condition", "met", code=ASTHMA, encounter={"identifier": identifier, "display": "secret"}),
        make("Condition", "in", code=ASTHMA, extension=[{"url": "u", "valueReference": {"identifier": identifier}}]),
    ])
    assert seen.ids == {("Condition", "in")}
    assert "extension" not in seen.by_id["in"]
    assert b"secret" not in seen.bytes


@pytest.mark.parametrize(
    "inner",
    [
        {"resourceType": "Observation", "id": "i", "encounter": {"reference": "Encounter/gum"}},
        {"resourceType": "Encounter", "id": "i", "diagnosis": [{"condition": {"reference": "Condition/bad"}}]},
        {"resourceType": "MedicationRequest", "id": "i", "reasonReference": [{"reference": "Condition/bad"}]},
    ],
)
async def test_what_contains_what_depends_on_it_goes(judging, inner):
    report = make("DiagnosticReport", "rep", contained=[inner], result=[ref("#i")])
    seen = await judging.judge([clinic(), make("Condition", "bad", code=CHLAMYDIA), report])
    assert not seen.ids


async def test_an_extension_goes_with_what_it_leads_to(judging):
    nested = {
        "url": "urn:visit",
        "extension": [
            {"url": "where", "valueReference": ref("Encounter/gum", display="secret")},
            {"url": "when", "valueDate": "2024-02-03"},
        ],
    }
    component = {"code": ASTHMA, "extension": [{"url": "urn:x", "valueReference": ref("Encounter/gum")}]}
    plain = {"url": "urn:plain", "valueString": "stays"}
    seen = await judging.judge([
        clinic(),
        make("Observation", "obs", code=ASTHMA, extension=[nested, plain], component=[component]),
    ])
    assert seen.by_id["obs"]["extension"] == [plain]
    assert seen.by_id["obs"]["component"] == [{"code": ASTHMA}]


@pytest.mark.parametrize(
    "behind",
    [
        make("HealthcareService", "h", type=[GUM], name="secret"),
        make("HealthcareService", "h", specialty=[GUM], name="secret"),
    ],
)
async def test_a_department_that_decides_is_read_once_and_takes_what_leads_to_it(judging, behind):
    app = make("Appointment", "app", participant=[{"actor": ref("HealthcareService/h"), "status": "accepted"}])
    seen = await judging.judge([app, visit("v", appointment=[ref("Appointment/app")])], behind=[behind])
    assert seen.reads == [["HealthcareService/h"]]
    assert not seen.ids


async def test_rooms_and_roles_of_an_excluded_place_count_as_it_does(judging):
    infertility = make("Location", "clinic", type=[{"coding": [{"system": CLINIC, "code": "INV"}]}])
    service = make("HealthcareService", "h", type=[GUM])
    seen = await judging.judge([
        infertility,
        make("Location", "room", partOf=ref("Location/clinic")),
        service,
        make("PractitionerRole", "role", healthcareService=[ref("HealthcareService/h")]),
        make("Encounter", "e", location=[{"location": ref("Location/room")}]),
        make("Observation", "o", code=ASTHMA, performer=[ref("PractitionerRole/role")]),
    ])
    assert not seen.ids


async def test_a_medicine_that_is_excluded_takes_its_prescription(judging):
    seen = await judging.judge([
        make("Medication", "m", code=CHLAMYDIA),
        make("MedicationRequest", "r", medicationReference=ref("Medication/m")),
        make("MedicationStatement", "s", medicationReference=ref("Medication/m")),
    ])
    assert not seen.ids


PRESCRIPTION = make("MedicationRequest", "r", medicationReference=ref("Medication/m"))
AMLODIPINE = {"coding": [{"system": SNOMED, "code": "386864001", "display": "Amlodipine"}]}


async def test_a_medicine_that_did_not_come_along_is_read_with_all_else_that_lacks(judging):
    record = [
        PRESCRIPTION | {"encounter": ref("Encounter/lost")},
        make("MedicationStatement", "s", medicationReference=ref("Medication/m")),
    ]
    medicine = make("Medication", "m", code=AMLODIPINE)
    seen = await judging.judge(record, behind=[medicine, visit("lost")], asked=["medications"])
    assert seen.reads == [["Encounter/lost", "Medication/m"]]
    assert seen.ids == {("MedicationRequest", "r"), ("MedicationStatement", "s"), ("Medication", "m")}
    assert seen.by_id["r"]["medicationReference"]["reference"] == f"Medication/{seen.by_id['m']['id']}"
    assert seen.by_id["m"]["code"] == AMLODIPINE
    assert (seen.statuses, seen.row.notes) == ({"medications": "answered"}, ())


async def test_a_medicine_that_had_to_be_read_takes_its_prescription_where_it_is_excluded(judging):
    seen = await judging.judge([PRESCRIPTION], behind=[make("Medication", "m", code=CHLAMYDIA)], asked=["medications"])
    bare = await judging.judge([], asked=["medications"])
    assert (seen.bytes, seen.row) == (bare.bytes, bare.row)


@pytest.mark.parametrize(
    "medicine",
    [
        {"medicationCodeableConcept": AMLODIPINE},
        {"medicationReference": {"display": "Amlodipine"}},
        {"medicationReference": {"identifier": {"system": "urn:x", "value": "1"}, "display": "Amlodipine"}},
        {
            "medicationReference": ref("#m"),
            "contained": [{"resourceType": "Medication", "id": "m", "code": AMLODIPINE}],
        },
        {"medicationReference": ref("Medication/here")},
    ],
    ids=["coded", "named", "identified", "contained", "come along"],
)
async def test_nothing_is_read_for_a_medicine_that_is_said(judging, medicine):
    seen = await judging.judge([make("MedicationRequest", "r", **medicine), make("Medication", "here")])
    assert seen.reads == []
    assert seen.statuses["medications"] == "answered"
    assert seen.row.notes == ()


async def test_no_medicine_is_read_for_prescriptions_that_nobody_asked_for(judging):
    record = [PRESCRIPTION, make("Condition", "c", code=ASTHMA)]
    seen = await judging.judge(record, asked=["problems"])
    assert (seen.reads, seen.statuses) == ([], {"problems": "answered"})


@pytest.mark.parametrize("literal", ["Medication/m", "https://elsewhere.example/fhir/Medication/9", "urn:uuid:9"])
async def test_a_prescription_whose_medicine_cannot_be_read_stays_and_says_so(judging, literal):
    record = [
        make("MedicationRequest", "r", medicationReference=ref(literal, display="X 50 mg")),
        make("MedicationRequest", "other", medicationReference=ref(literal)),
        make("Condition", "c", code=ASTHMA),
    ]
    types = ["MedicationRequest", "MedicationStatement"]
    seen = await judging.judge(record, asked=["medications", "problems"])
    assert ("MedicationRequest", "r") in seen.ids
    assert seen.statuses == {"medications": "truncated", "problems": "answered"}
    assert seen.row.notes == ("1 medicine that prescriptions refer to could not be read",)
    seen = await judging.judge(record, asked=["medications"], types=types)
    assert seen.types == {"MedicationRequest": "truncated", "MedicationStatement": "no-record-found"}
    seen = await judging.judge(record, asked=["medications"], runs_excluded=True)
    assert not seen.ids, "as for whatever else decides and can't be told apart"


async def test_a_medicine_without_its_ingredient_is_not_whole_either(judging):
    mixture = make("Medication", "m", ingredient=[{"itemReference": ref("Medication/part")}])
    seen = await judging.judge([PRESCRIPTION, make("MedicationDispense", "d")], behind=[mixture], asked=["medications"])
    assert ("Medication", "m") in seen.ids
    assert seen.statuses == {"medications": "truncated"}
    assert seen.row.notes == ("1 medicine that prescriptions refer to could not be read",)


async def test_medicines_are_the_last_to_be_read_for_they_are_many(judging):
    many = [make("MedicationRequest", f"r{n:04}", medicationReference=ref(f"Medication/m{n:04}")) for n in range(1_000)]
    role = make("Observation", "o", code=ASTHMA, performer=[ref("PractitionerRole/role")])
    behind = [make("Medication", f"m{n:04}") for n in range(1_000)]
    seen = await judging.judge([*many, role], behind=[make("PractitionerRole", "role"), *behind])
    assert seen.reads[0][:2] == ["PractitionerRole/role", "Medication/m0000"]
    assert len(seen.reads[0]) == 1_000
    assert ("Observation", "o") in seen.ids
    assert ("MedicationRequest", "r0998") in seen.ids
    assert ("MedicationRequest", "r0999") in seen.ids, "without its medicine, and the row says so"
    assert ("Medication", "m0999") not in seen.ids
    assert seen.statuses["medications"] == "truncated"


@pytest.mark.parametrize("runs_excluded", [False, True])
async def test_what_lacks_and_cannot_be_read_is_judged_as_the_organisation_is_known(judging, runs_excluded):
    seen = await judging.judge(
        [
            make("Condition", "met", code=ASTHMA, encounter=ref("Encounter/lost")),
            make("AllergyIntolerance", "a", code=ASTHMA, encounter=ref("Encounter/lost"), recordedDate="2024-02-03"),
            make("Observation", "o", code=ASTHMA, performer=[ref("Practitioner/unknown")]),
        ],
        runs_excluded=runs_excluded,
    )
    assert seen.reads == [["Encounter/lost"]]
    assert (("Condition", "met") in seen.ids) is not runs_excluded
    assert ("recordedDate" in seen.by_id["a"]) is not runs_excluded
    assert ("Observation", "o") in seen.ids
    assert (seen.row.notes != ()) is runs_excluded


@pytest.mark.parametrize("runs_excluded", [False, True])
@pytest.mark.parametrize("literal", ["https://elsewhere.example/fhir/Encounter/9", "urn:uuid:9"])
async def test_what_decides_elsewhere_is_judged_as_the_organisation_is_known(judging, literal, runs_excluded):
    met = make("Condition", "met", code=ASTHMA, encounter=ref(literal))
    theirs = make("Condition", "other", code=ASTHMA, asserter=ref("https://elsewhere.example/fhir/Practitioner/9"))
    seen = await judging.judge([met, theirs], runs_excluded=runs_excluded)
    assert seen.reads == []
    assert (("Condition", "met") in seen.ids) is not runs_excluded
    assert ("Condition", "other") in seen.ids


async def test_an_entry_that_leads_to_what_was_not_asked_for_is_judged_as_well(judging):
    secret = make("Observation", "pcr", code={"coding": [{"system": LOINC, "code": "21613-5"}]})
    listed = visit(reasonReference=[ref("Observation/pcr", display="secret")])
    extended = make(
        "Encounter", "e", extension=[{"url": "u", "valueReference": ref("Observation/pcr", display="secret")}]
    )
    seen = await judging.judge([listed, extended], behind=[secret], asked=["encounters"])
    assert seen.reads == [["Observation/pcr"]]
    assert seen.ids == {("Encounter", "visit"), ("Encounter", "e")}
    assert b"secret" not in seen.bytes
    assert b"pcr" not in seen.bytes


async def test_only_what_may_decide_on_something_asked_for_is_read(judging):
    record = [
        make("DiagnosticReport", "rep", result=[ref("Observation/far")], encounter=ref("Encounter/lost")),
        make("Procedure", "op", report=[ref("DiagnosticReport/rep")], code=ASTHMA),
        make("AllergyIntolerance", "a", code=ASTHMA, encounter=ref("Encounter/e")),
        visit("e", location=[{"location": ref("Location/ward")}]),
        make("Appointment", "app", participant=[{"actor": ref("HealthcareService/h"), "status": "accepted"}]),
        visit("f", appointment=[ref("Appointment/app")]),
    ]
    assert (await judging.judge(record, asked=["allergies"])).reads == [["Location/ward"]]
    assert (await judging.judge(record, asked=["alerts"])).reads == []
    assert (await judging.judge(record, asked=["appointments"])).reads == [["HealthcareService/h"]]
    assert (await judging.judge(record, asked=["results"])).reads == [["Encounter/lost", "Observation/far"]]


CODED = {"type": ASTHMA, "context": {"practiceSetting": CARDIOLOGY}}


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (CODED, True),
        ({"type": ASTHMA}, False),
        ({"type": {"text": "letter"}, "context": {"practiceSetting": CARDIOLOGY}}, False),
        ({"type": {"coding": [{"display": "letter"}]}, "context": {"practiceSetting": CARDIOLOGY}}, False),
        ({"type": ASTHMA, "context": {"practiceSetting": {"coding": "x"}}}, False),
    ],
)
async def test_a_letter_without_a_coded_type_and_service_stays_out_where_it_cannot_be_told_apart(
    judging, document, told
):
    letter = make("DocumentReference", "letter", **document)
    there = await judging.judge([letter], runs_excluded=True)
    elsewhere = await judging.judge([letter], runs_excluded=False)
    assert (("DocumentReference", "letter") in there.ids) is told
    assert ("DocumentReference", "letter") in elsewhere.ids
    assert there.statuses["documents"] == ("answered" if told else "no-record-found")


async def test_a_label_keeps_out_with_all_that_hangs_on_it_and_says_so(judging):
    record = [
        visit("very", meta=labelled(CONFIDENTIALITY, "V")),
        make("Condition", "met", code=ASTHMA, encounter=ref("Encounter/very")),
        make("AllergyIntolerance", "a", code=ASTHMA, encounter=ref("Encounter/very")),
        make("Procedure", "p", code=ASTHMA),
    ]
    nurse = await judging.judge(record, role="nurse")
    assert nurse.ids == {("AllergyIntolerance", "a"), ("Procedure", "p")}
    assert "encounter" not in nurse.by_id["a"]
    assert nurse.statuses["encounters"] == nurse.statuses["problems"] == "withheld"
    assert nurse.statuses["procedures"] == nurse.statuses["allergies"] == "answered"
    doctor = await judging.judge(record)
    assert len(doctor.ids) == 4
    assert doctor.by_id["very"]["meta"]["security"] == [{"system": CONFIDENTIALITY, "code": "V"}]


async def test_a_document_says_its_label_in_an_element_of_its_own(judging):
    letter = make(
        "DocumentReference", "letter", **CODED, securityLabel=[{"coding": [{"system": CONFIDENTIALITY, "code": "V"}]}]
    )
    nurse = await judging.judge([letter], role="nurse")
    assert not nurse.ids
    assert nurse.statuses["documents"] == "withheld"


async def test_what_belongs_to_nobody_is_labelled_too(judging):
    record = [
        make("Medication", "m", code=ASTHMA, meta=labelled(SENSITIVITY, "HIV")),
        make("MedicationRequest", "r", medicationReference=ref("Medication/m")),
        make("MedicationRequest", "plain", medicationCodeableConcept=ASTHMA),
        make("Condition", "c", code=ASTHMA),
    ]
    worker = await judging.judge(record, role="paramedic")
    assert worker.ids == {("MedicationRequest", "plain"), ("Condition", "c")}
    assert worker.statuses["medications"] == "withheld"
    assert worker.statuses["problems"] == "answered"
    doctor = await judging.judge(record)
    assert ("Medication", "m") in doctor.ids
    assert doctor.row.resources == 3
    assert {name: one.resources for name, one in doctor.row.categories.items() if one.resources} == {
        "demographics": 1,
        "medications": 2,
        "problems": 1,
    }


async def test_what_a_label_would_say_is_judged_on_what_exclusions_leave(judging):
    record = [
        clinic(),
        visit(diagnosis=[{"condition": ref("Condition/very")}]),
        make("Condition", "very", code=ASTHMA, encounter=ref("Encounter/gum"), meta=labelled(CONFIDENTIALITY, "V")),
    ]
    nurse = await judging.judge(record, role="nurse")
    assert nurse.statuses["problems"] == "no-record-found"
    assert nurse.statuses["encounters"] == "answered"


async def test_a_code_that_went_with_its_entry_bars_nothing(judging):
    """The reason is excluded, and also of mental health: without it the visit is no mental health record."""
    both = {"coding": [{"system": SNOMED, "code": "93461009"}, {"system": SNOMED, "code": "74732009"}]}
    seen = await judging.judge([visit(reasonCode=[both])], role="health-professional")
    assert seen.ids == {("Encounter", "visit")}
    assert seen.statuses["encounters"] == "answered"


async def test_what_the_role_may_not_see_is_left_out_by_itself(judging):
    record = [
        make("Condition", "low", code=DEPRESSION),
        make("MedicationRequest", "m", reasonReference=[ref("Condition/low")], medicationCodeableConcept=ASTHMA),
    ]
    seen = await judging.judge(record, role="health-professional", asked=["problems", "medications"])
    assert seen.ids == {("MedicationRequest", "m")}
    assert "reasonReference" not in seen.by_id["m"]
    assert seen.statuses == {"problems": "withheld", "medications": "answered"}


async def test_an_added_category_may_be_asked_for_alone(judging):
    record = [make("Condition", "low", code=DEPRESSION), make("Condition", "other", code=ASTHMA), visit()]
    seen = await judging.judge(record, asked=["mental-health"])
    assert seen.ids == {("Condition", "low")}
    assert seen.statuses == {"mental-health": "answered"}
    assert seen.row.resources == 1
    both = await judging.judge(record, asked=["mental-health", "problems"])
    assert {name: row.resources for name, row in both.row.categories.items()} == {"problems": 2, "mental-health": 1}
    assert both.row.resources == 2
    unoffered = await judging.judge(record, offered=["problems"])
    assert unoffered.statuses == {"problems": "answered"}


async def test_a_category_counts_only_what_asking_for_it_alone_would_fetch(judging):
    record = [
        make("Condition", "low", code=DEPRESSION),
        make("MedicationRequest", "m", medicationCodeableConcept=DEPRESSION),
    ]
    seen = await judging.judge(record)
    assert len(seen.ids) == len(record)
    assert seen.row.categories["mental-health"].resources == 1


async def test_what_supports_is_kept_only_if_something_released_leads_to_it(judging):
    seen = await judging.judge([
        make("Observation", "o", code=ASTHMA, performer=[ref("PractitionerRole/role")]),
        make("PractitionerRole", "role", practitioner=ref("Practitioner/dr"), organization=ref("Organization/org")),
        make("Practitioner", "dr"),
        make("Organization", "org"),
        make("Organization", "alone"),
        clinic("gum", serviceProvider=ref("Organization/theirs"), participant=[{"individual": ref("Practitioner/gp")}]),
        make("Organization", "theirs"),
        make("Practitioner", "gp"),
        make("Condition", "out", code=CHLAMYDIA, recorder=ref("Practitioner/gp")),
    ])
    assert seen.ids == {
        ("Observation", "o"),
        ("PractitionerRole", "role"),
        ("Practitioner", "dr"),
        ("Organization", "org"),
    }
    assert seen.row.resources == 1
    assert [entry.mode for entry in seen.judged.entries] == ["match", "include", "include", "include"]


async def test_types_that_no_category_has_are_ignored(judging):
    seen = await judging.judge([
        make("List", "list", entry=[{"item": ref("Condition/bad")}]),
        make("Composition", "doc", section=[{"title": "secret"}]),
        {"resourceType": "Provenance", "id": "pv", "target": [ref("Condition/in")]},
        make("Condition", "in", code=ASTHMA),
    ])
    assert seen.ids == {("Condition", "in")}


async def test_an_unrelated_record_loses_nothing(judging):
    record = [
        visit(location=[{"location": ref("Location/ward")}], participant=[{"individual": ref("Practitioner/dr")}]),
        make("Location", "ward", name="Ward 5"),
        make("Practitioner", "dr"),
        make("Condition", "c", code=ASTHMA, encounter=ref("Encounter/visit"), recorder=ref("Practitioner/dr")),
        make("AllergyIntolerance", "a", code=ASTHMA, encounter=ref("Encounter/visit"), note=[{"text": "kept"}]),
    ]
    alone = await judging.judge(record)
    beside = await judging.judge([*record, clinic(location=[{"location": ref("Location/ward")}])])
    assert alone.bytes == beside.bytes
    assert len(beside.ids) == len(record)


# What must not be got round


@pytest.mark.parametrize("clean_first", [True, False])
@pytest.mark.parametrize(
    ("more", "role", "status"),
    [
        ({"code": CHLAMYDIA}, "clinician", "no-record-found"),
        ({"code": ASTHMA, "encounter": ref("Encounter/gum")}, "clinician", "no-record-found"),
        ({"code": ASTHMA, "meta": labelled(CONFIDENTIALITY, "V")}, "nurse", "withheld"),
    ],
)
async def test_of_two_copies_each_decides_whichever_came_first(judging, clean_first, more, role, status):
    copies = [make("Condition", "c", code=ASTHMA), make("Condition", "c", **more)]
    seen = await judging.judge([clinic(), *copies[:: 1 if clean_first else -1]], role=role, asked=["problems"])
    assert seen.ids == set()
    assert seen.statuses == {"problems": status}


async def test_the_same_twice_is_one_and_nothing_is_said(judging):
    seen = await judging.judge([make("Condition", "c", code=ASTHMA)] * 2, asked=["problems"])
    assert seen.statuses == {"problems": "answered"}
    assert seen.row.resources == 1
    assert seen.row.notes == ()


@pytest.mark.parametrize(("role", "status"), [("nurse", "withheld"), ("clinician", "answered")])
async def test_a_severed_allergy_keeps_its_label_until_the_role_is_judged(judging, role, status):
    labels = {"security": [*labelled(CONFIDENTIALITY, "V")["security"], *labelled(SENSITIVITY, "STD")["security"]]}
    allergy = make("AllergyIntolerance", "a", code=ASTHMA, encounter=ref("Encounter/gum"), meta=labels)
    seen = await judging.judge([clinic(), allergy], role=role, asked=["allergies"])
    assert seen.statuses == {"allergies": status}
    if role == "clinician":
        assert seen.by_id["a"]["meta"].keys() == {"source", "tag"}
    else:
        assert seen.ids == set()


async def test_what_was_not_read_because_too_much_lacks_costs_what_depends_on_it(judging):
    results = [make("Observation", f"o{n:05}", code=ASTHMA, encounter=ref(f"Encounter/e{n:05}")) for n in range(1_003)]
    behind = [visit(f"e{n:05}") for n in range(1_003)]
    seen = await judging.judge([*results, make("Condition", "c", code=ASTHMA)], behind=behind, asked=["results"])
    assert [len(read) for read in seen.reads] == [1_000]
    assert seen.row.resources == 1_000
    assert ("Observation", "o00999") in seen.ids
    assert ("Observation", "o01000") not in seen.ids
    assert seen.statuses == {"results": "truncated"}
    assert seen.row.notes == ("3 references that decide were not read: what depends on them is left out",)


async def test_many_that_share_an_identifier_are_followed_without_a_product(judging):
    shared = {"system": "urn:x", "value": "1"}
    count = 3_000
    visits = [visit(f"e{n}", identifier=[shared]) for n in range(count)]
    met = [make("Condition", f"c{n}", code=ASTHMA, encounter={"identifier": shared}) for n in range(count)]
    seen = await judging.judge([*visits, clinic(identifier=[shared]), *met], asked=["problems", "encounters"])
    assert seen.row.resources == count
    assert {kind for kind, _ in seen.ids} == {"Encounter"}


async def test_ranks_close_in_one_pass_however_many_entries_go(judging):
    gone = [{"condition": ref(f"Condition/x{n}"), "rank": 2 * n + 1} for n in range(1_500)]
    left = [{"condition": ref("Condition/c"), "rank": 2 * n + 2} for n in range(1_500)]
    out = [make("Condition", f"x{n}", code=CHLAMYDIA) for n in range(1_500)]
    record = [visit(diagnosis=[*gone, *left]), make("Condition", "c", code=ASTHMA), *out]
    seen = await judging.judge(record, asked=["encounters", "problems"])
    assert [one["rank"] for one in seen.by_id["visit"]["diagnosis"]] == list(range(1, 1_501))


async def test_extensions_in_extensions_go_with_what_they_lead_to_and_no_further(judging):
    def nested(depth, innermost):
        return {"url": "urn:x", "extension": [nested(depth - 1, innermost)]} if depth else innermost

    leads, stays = {"url": "urn:y", "valueReference": ref("Encounter/gum")}, {"url": "urn:y", "valueString": "kept"}
    record = [clinic(), visit(extension=[nested(20, leads), nested(20, stays)])]
    seen = await judging.judge(record, asked=["encounters"])
    assert seen.by_id["visit"]["extension"] == [nested(20, stays)]
