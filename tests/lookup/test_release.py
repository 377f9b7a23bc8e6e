"""How a resource leaves: ids and references rewritten, origin marked, and where the patient is taken out."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.lookup.ids import Home, Ids
from broker.lookup.judging.hiding import Hiding

OURS = {"reference": "Patient/ours"}


def _observation(id_="1", **more):
    return {"resourceType": "Observation", "id": id_, "subject": OURS, **more}


def _home_of(passage, reference):
    type_, _, id_ = reference.partition("/")
    return type_, Ids(b"k" * 32, passage.number).home(id_)


def test_every_id_is_rewritten_and_says_where_it_came_from(passage):
    released = passage.one(_observation("1000", meta={"versionId": "3", "source": "http://a", "tag": [{"code": "x"}]}))
    assert _home_of(passage, f"Observation/{released['id']}") == ("Observation", Home("S-epr", "1000"))
    assert released["meta"] == {
        "versionId": "3",
        "source": "urn:care-record-broker:source:acute",
        "tag": [{"system": "https://fhir.nhs.uk/Id/ods-organization-code", "code": "S"}],
    }


@pytest.mark.parametrize(
    "reference",
    [
        "Encounter/7",
        "Encounter/7/_history/2",
        "https://epr.example/fhir/Encounter/7",
        "https://proxy.example/r4/Encounter/7/_history/1",
    ],
)
def test_references_of_every_form_follow(passage, reference):
    released = passage.one(_observation(encounter={"reference": reference, "display": "Clinic"}))
    assert _home_of(passage, released["encounter"]["reference"]) == ("Encounter", Home("S-epr", "7"))
    assert released["encounter"]["display"] == "Clinic"


def test_a_reference_by_address_of_an_entry_follows(passage):
    from adapters.contract import Resource

    address = "urn:uuid:22222222-2222-2222-2222-222222222222"
    encounter = {"resourceType": "Encounter", "id": "7", "subject": OURS}
    came = Resource(json.dumps(encounter).encode(), full_url=address)
    released = passage.one(_observation(encounter={"reference": address}), came)
    assert _home_of(passage, released["encounter"]["reference"]) == ("Encounter", Home("S-epr", "7"))


def test_what_is_contained_stays_referred_to_as_contained(passage):
    medication = {"resourceType": "Medication", "id": "m", "manufacturer": {"reference": "Organization/1"}}
    released = passage.one(_observation(contained=[medication], device={"reference": "#m"}))
    assert released["device"] == {"reference": "#m"}
    assert released["contained"][0]["id"] == "m"
    assert _home_of(passage, released["contained"][0]["manufacturer"]["reference"])[1] == Home("S-epr", "1")


@pytest.mark.parametrize(
    "reference",
    [
        "https://elsewhere.example/Encounter/7",
        "Encounter?identifier=x",
    ],
)
def test_a_reference_that_nothing_here_could_follow_loses_its_address(passage, reference):
    released = passage.one(_observation(encounter={"reference": reference, "display": "Clinic"}))
    assert released["encounter"] == {"display": "Clinic"}


@pytest.mark.parametrize(
    "reference",
    ["urn:uuid:33333333-3333-3333-3333-333333333333", "patient/9", "encounter/7", "", "urn:oid:1.2", "ftp://x/y"],
)
def test_a_reference_that_may_be_to_a_patient_does_not_say_what_they_are_called(passage, reference):
    released = passage.one(_observation(performer=[{"reference": reference, "display": "MARKED"}]))
    assert "performer" not in released


def test_a_reference_to_nothing_contained_is_gone(passage):
    released = passage.one(_observation(performer=[{"reference": "#nobody", "display": "x"}]))
    assert "performer" not in released


def test_no_reference_to_what_is_kept_out_survives(passage):
    passed = passage.whole(
        _observation(
            encounter={"reference": "Encounter/7", "display": "MARKED"}, hasMember=[{"reference": "Observation/2"}]
        ),
        out={("Encounter", "7")},
    )
    released = passed.content["Observation/1"]
    assert "encounter" not in released
    assert "hasMember" in released
    assert b"MARKED" not in passed.bytes


@given(st.lists(st.sampled_from(["1", "2", "3"]), max_size=6))
def test_the_address_of_the_source_never_leaves_in_a_reference(passage, targets):
    forms = [
        "Observation/{}",
        "https://epr.example/fhir/Observation/{}",
        "https://proxy.example/r4/Observation/{}/_history/1",
    ]
    members = [{"reference": form.format(target)} for target in targets for form in forms]
    passed = passage.whole(_observation(hasMember=members, partOf={"reference": "https://epr.example/fhir"}))
    assert b"example" not in passed.bytes


def test_what_a_source_calls_the_patient_never_leaves(passage):
    named = {**OURS, "display": "MARKED"}
    contained = passage.patient("p", name=[{"use": "old", "family": "MARKED"}], gender="male")
    passed = passage.whole(
        _observation(
            subject=named,
            performer=[named, {"reference": "#p", "display": "MARKED"}],
            derivedFrom={"identifier": passage.number_of(passage.number), "display": "MARKED"},
            note=[
                {
                    "authorReference": {
                        "type": "Patient",
                        "identifier": passage.number_of(passage.number),
                        "display": "MARKED",
                    }
                }
            ],
            contained=[contained],
        ),
        {"resourceType": "Appointment", "id": "2", "participant": [{"actor": named}]},
    )
    patient = {"reference": f"Patient/{passage.patient_id}"}
    released = passed.content["Observation/1"]
    assert released["subject"] == patient
    assert released["performer"] == [patient, patient]
    assert released["derivedFrom"] == patient
    assert released["note"] == [{"authorReference": patient}]
    assert passed.content["Appointment/2"]["participant"] == [{"actor": patient}]
    assert b"MARKED" not in passed.bytes
    assert "contained" not in released


def test_a_device_of_nobody_is_not_given_to_the_patient(passage):
    assert "patient" not in passage.one({"resourceType": "Device", "id": "1"})


@pytest.mark.parametrize(
    ("resource", "where"),
    [
        ({"resourceType": "DocumentReference", "content": [{"attachment": {"url": "URL", "title": "t"}}]}, ("content", 0, "attachment")),
        ({"resourceType": "DiagnosticReport", "presentedForm": [{"url": "URL", "title": "t"}]}, ("presentedForm", 0)),
        ({"resourceType": "Practitioner", "photo": [{"url": "URL", "title": "t"}]}, ("photo", 0)),
        ({"resourceType": "Observation", "contained": [{"resourceType": "DiagnosticReport", "id": "c", "presentedForm": [{"url": "URL", "title": "t"}]}]}, ("contained", 0, "presentedForm", 0)),
    ],
)  # fmt: skip
def test_attachments_are_fetched_through_the_broker_or_not_at_all(passage, resource, where):
    def attachment_for(url):
        sent = json.loads(json.dumps({**resource, "id": "1", "subject": OURS}).replace("URL", url))
        node = passage.one(sent)
        for step in where:
            node = node[step]
        return node

    for url in ("Binary/5", "https://epr.example/fhir/Binary/5"):
        assert _home_of(passage, attachment_for(url)["url"]) == ("Binary", Home("S-epr", "5"))
    for url in ("https://elsewhere.example/letter.pdf", "file:///etc/passwd", "urn:uuid:1"):
        assert attachment_for(url) == {"title": "t"}


# --- where they are


HOME = {"resourceType": "Location", "id": "home", "physicalType": {"coding": [{"code": "ho"}]}, "name": "MARKED"}
HOME_BY_TYPE = {"resourceType": "Location", "id": "home", "type": [{"coding": [{"code": "PTRES"}]}], "name": "MARKED"}
WARD = {"resourceType": "Location", "id": "ward", "name": "Ward 7"}


def _encounter(class_, **more):
    return {
        "resourceType": "Encounter",
        "id": "1",
        "subject": OURS,
        "class": {"code": class_},
        "status": "finished",
        **more,
    }


@pytest.mark.parametrize("hiding", [Hiding.HOME, Hiding.PLACES])
def test_where_the_patient_lives_does_not_show(passage, hiding):
    at_home = {"reference": "Location/home", "display": "MARKED"}
    passed = passage.whole(
        HOME,
        _encounter("AMB", location=[{"location": at_home, "status": "completed"}]),
        {**_encounter("HH", location=[{"location": {"display": "MARKED"}}]), "id": "2"},
        {
            **_encounter("HH", contained=[{**WARD, "name": "MARKED"}], location=[{"location": {"reference": "#ward"}}]),
            "id": "3",
        },
        _observation("4", contained=[HOME_BY_TYPE], device={"reference": "#home", "display": "MARKED"}, status="final"),
        {"resourceType": "Procedure", "id": "5", "subject": OURS, "location": at_home, "status": "completed"},
        {
            "resourceType": "RelatedPerson",
            "id": "6",
            "patient": OURS,
            "address": [{"text": "MARKED"}],
            "telecom": [{"value": "MARKED"}],
        },
        _observation("7", contained=[{"resourceType": "RelatedPerson", "id": "r", "telecom": [{"value": "MARKED"}]}]),
        hiding=hiding,
    )
    assert set(passed.content) == {f"Encounter/{n}" for n in "123"} | {
        "Observation/4",
        "Procedure/5",
        "RelatedPerson/6",
        "Observation/7",
    }
    assert b"MARKED" not in passed.bytes
    assert b"#home" not in passed.bytes
    assert passed.content["Procedure/5"]["status"] == "completed"


def test_home_shows_where_nothing_is_hidden_and_a_ward_where_only_the_home_is(passage):
    visit = _encounter("AMB", location=[{"location": {"reference": "Location/ward", "display": "Ward 7"}}])
    assert b"MARKED" in passage.whole(HOME).bytes
    passed = passage.whole(WARD, visit, hiding=Hiding.HOME)
    assert passed.bytes.count(b"Ward 7") == 2


def test_where_and_by_whom_the_patient_is_seen_does_not_show(passage):
    doctor = {"reference": "Practitioner/d", "display": "MARKED"}
    clinic = {"reference": "Organization/o", "display": "MARKED", "_display": {"id": "x"}}
    passed = passage.whole(
        {"resourceType": "Practitioner", "id": "d", "name": [{"text": "MARKED"}]},
        {"resourceType": "Organization", "id": "o", "name": "MARKED"},
        {"resourceType": "CareTeam", "id": "t", "subject": OURS, "name": "MARKED"},
        WARD | {"name": "MARKED"},
        _encounter(
            "IMP",
            serviceProvider=clinic,
            participant=[{"individual": doctor, "type": [{"text": "kept"}]}],
            location=[{"location": {"reference": "Location/ward", "display": "MARKED"}}],
            identifier=[{"system": "MARKED", "value": "MARKED"}],
        ),
        _observation(
            "2",
            performer=[{"display": "MARKED"}, {"display": "MARKED", "_display": {"id": "x"}}, {"reference": "#d", "display": "MARKED"}, {"type": "Organization", "display": "MARKED"}],
            encounter={"reference": "Encounter/1", "display": "MARKED"},
            note=[{"authorString": "MARKED", "text": "kept"}],
            contained=[{"resourceType": "Practitioner", "id": "d", "name": [{"text": "MARKED"}]}, {"resourceType": "Medication", "id": "m"}],
        ),
        hiding=Hiding.PLACES,
    )  # fmt: skip
    assert set(passed.content) == {"Encounter/1", "Observation/2"}
    assert b"MARKED" not in passed.bytes
    assert b"S-epr" not in passed.bytes
    released = passed.content["Observation/2"]
    assert released["contained"] == [{"resourceType": "Medication", "id": "m"}]
    assert released["note"] == [{"text": "kept"}]
    assert released["encounter"]["reference"].startswith("Encounter/")
    assert "performer" not in released
    assert "tag" not in released["meta"]


DMD = {"system": "https://dmd.nhs.uk", "value": "376689003"}
LOCAL = {"system": "https://king.example/MARKED", "value": "MARKED", "assigner": {"display": "MARKED"}}
ORDER = {"resourceType": "MedicationRequest", "id": "1", "subject": OURS, "status": "active", "intent": "order"}


def test_a_restricted_patients_prescription_keeps_its_medicine_and_not_who_makes_or_numbers_it(passage):
    medicine = {
        "resourceType": "Medication",
        "id": "m",
        "identifier": [LOCAL],
        "code": {"coding": [{"system": "https://king.example/MARKED", "code": "MARKED", "display": "Amlodipine"}]},
        "manufacturer": {"reference": "Organization/king", "display": "MARKED"},
        "extension": [{"url": "https://king.example/MARKED", "valueString": "MARKED"}],
        "ingredient": [{"itemReference": {"reference": "Substance/s", "display": "Amlodipine besilate"}}],
        "batch": {"lotNumber": "7"},
    }
    passed = passage.whole(
        ORDER | {"medicationReference": {"reference": "Medication/m", "display": "Amlodipine"}},
        medicine,
        hiding=Hiding.PLACES,
    )
    order, kept = passed.content["MedicationRequest/1"], passed.content["Medication/m"]
    assert order["medicationReference"] == {"reference": f"Medication/{kept['id']}", "display": "Amlodipine"}
    assert kept["code"] == {"text": "Amlodipine"}
    assert kept["ingredient"][0]["itemReference"]["display"] == "Amlodipine besilate"
    assert kept["batch"] == {"lotNumber": "7"}
    assert not {"identifier", "manufacturer", "extension"} & kept.keys()
    assert b"MARKED" not in passed.bytes
    assert b"king" not in passed.bytes
    assert [(fact.kind, fact.names) for fact in passed.facts] == [("medication", ("Amlodipine",))]


@pytest.mark.parametrize(
    ("reference", "left"),
    [
        ({"display": "Methotrexate"}, {"display": "Methotrexate"}),
        ({"identifier": DMD | {"assigner": {"display": "MARKED"}}}, {"identifier": DMD}),
        ({"identifier": LOCAL, "display": "Methotrexate"}, {"display": "Methotrexate"}),
        ({"identifier": {"value": "MARKED"}, "display": "Methotrexate"}, {"display": "Methotrexate"}),
        (
            {"reference": "https://elsewhere.example/MARKED/Medication/1", "display": "Methotrexate"},
            {"display": "Methotrexate"},
        ),
        ({"type": "Medication", "display": "Methotrexate"}, {"type": "Medication", "display": "Methotrexate"}),
        (
            {"display": "Methotrexate", "_display": {"extension": [{"url": "x", "valueString": "MARKED"}]}},
            {"display": "Methotrexate"},
        ),
        (
            {"reference": {"x": "MARKED"}, "type": {"x": "MARKED"}, "display": "Methotrexate"},
            {"display": "Methotrexate"},
        ),
        ({"display": ["MARKED"], "type": ["MARKED"]}, None),
        ({"type": "Organization", "display": "MARKED"}, None),
        ({"reference": "Practitioner/MARKED", "display": "MARKED"}, None),
        ({"reference": "Ward/MARKED", "display": "MARKED"}, None),
    ],
)
@pytest.mark.parametrize("element", ["medicationReference", "reasonReference", "specimen"])
def test_where_only_words_or_a_shared_number_say_what_was_given_or_found_they_stay(passage, element, reference, left):
    passed = passage.whole(ORDER | {element: reference}, hiding=Hiding.PLACES)
    assert passed.content["MedicationRequest/1"].get(element) == left
    assert b"MARKED" not in passed.bytes


@pytest.mark.parametrize("type_", ["Endpoint", "CareTeam", "HealthcareService", "OrganizationAffiliation"])
def test_of_a_restricted_patient_no_reference_to_a_place_or_a_person_stays(passage, type_):
    told = {"reference": f"{type_}/MARKED", "display": "MARKED"}
    inner = {"resourceType": type_, "id": "inside", "name": "MARKED"}
    released = passage.one(
        _observation(performer=[told, {"reference": "#inside"}], device=told, contained=[inner], status="final"),
        hiding=Hiding.PLACES,
    )
    assert released.keys() == {"resourceType", "id", "meta", "subject", "status"}


def test_where_places_are_hidden_the_kind_of_service_and_the_number_of_its_row_say_which(passage):
    medicine = ORDER | {"medicationCodeableConcept": {"text": "Amlodipine"}}
    assert [fact.where for fact in passage.whole(medicine).facts] == ["St Elsewhere"]
    hidden = passage.whole(medicine, hiding=Hiding.PLACES, source="acute-1")
    assert [fact.where for fact in hidden.facts] == ["st Elsewhere (acute-1)"]


def test_entries_leave_in_an_order_that_does_not_depend_on_arrival(passage):
    resources = [_observation(str(n)) for n in range(6)] + [_encounter("AMB")]
    one = passage.whole(*resources)
    other = passage.whole(*reversed(resources))
    assert [entry.id for entry in one.entries] == [entry.id for entry in other.entries]
    assert one.bytes == other.bytes


def test_numbers_leave_as_they_came(passage):
    passed = passage.whole(
        b'{"resourceType":"Observation","id":"1","subject":{"reference":"Patient/ours"},"valueQuantity":{"value":0.010}}'
    )
    assert b'"value":0.010}' in passed.bytes


def test_an_emptied_element_leaves_no_trace(passage):
    passed = passage.one(
        _observation(performer=[{"reference": "Patient/other"}], related=[{"target": {"reference": "Patient/other"}}])
    )
    assert "performer" not in passed
    assert "related" not in passed


@pytest.mark.parametrize("hiding", [Hiding.HOME, Hiding.PLACES])
def test_where_a_home_visit_was_is_the_home_whatever_it_is_typed(passage, hiding):
    visited = {"reference": "Location/flat", "display": "MARKED"}
    inner = {**_encounter("HH", location=[{"location": {"reference": "Location/room"}}]), "id": "inner"}
    passed = passage.whole(
        {"resourceType": "Location", "id": "flat", "address": {"line": ["MARKED"]}},
        {"resourceType": "Location", "id": "room", "address": {"line": ["MARKED"]}},
        _encounter("HH", location=[{"location": visited}]),
        {"resourceType": "Procedure", "id": "2", "subject": OURS, "location": visited, "status": "completed"},
        _observation("3", contained=[inner], status="final"),
        hiding=hiding,
    )
    assert set(passed.content) == {"Encounter/1", "Procedure/2", "Observation/3"}
    assert b"MARKED" not in passed.bytes


@pytest.mark.parametrize("hiding", [Hiding.HOME, Hiding.PLACES])
def test_an_extension_does_not_say_where_they_live_or_can_be_reached(passage, hiding):
    def says(**value):
        return {"url": "https://fhir.hl7.org.uk/x", **value}

    parts = [says(valueAddress={"text": "MARKED"}), says(valueContactPoint={"value": "MARKED"})]
    released = passage.one(
        _observation(
            status="final",
            extension=[says(extension=parts)],
            _status={"extension": parts},
            component=[{"valueInteger": 5, "extension": parts}],
        ),
        hiding=hiding,
    )
    assert "MARKED" not in json.dumps(released)
    assert released["component"] == [{"valueInteger": 5}]
    assert released["status"] == "final"


TRUST = "https://king.example/fhir"
MARK = {"system": f"{TRUST}/MARKED", "value": "MARKED"}
MARKED_CODE = {"system": f"{TRUST}/MARKED", "code": "MARKED"}
SNOMED = {"system": "http://snomed.info/sct", "code": "44054006", "display": "Type 2 diabetes"}


@pytest.mark.parametrize(
    "more",
    [
        {"masterIdentifier": MARK},
        {"groupIdentifier": {"value": "MARKED"}},
        {"requisition": MARK},
        {"hospitalization": {"preAdmissionIdentifier": MARK}},
        {"contained": [{"resourceType": "Medication", "id": "m", "identifier": [MARK], "meta": {"source": "MARKED"}}]},
        {"extension": [{"url": f"{TRUST}/MARKED", "valueString": "MARKED"}]},
        {"_status": {"extension": [{"url": "http://hl7.org/x", "valueIdentifier": MARK}]}},
        {"meta": {"profile": [f"{TRUST}/MARKED"], "security": [MARKED_CODE]}},
        {"context": {"facilityType": {"text": "MARKED"}}},
        {"class": MARKED_CODE},
        {"category": [{"coding": [MARKED_CODE]}]},
        {"category": [{"coding": [{"system": "https://fhir.nhs.uk/Id/ods-organization-code", "code": "MARKED"}]}]},
        {"category": [{"coding": [{"system": "http://snomed.info.king.example", "code": "MARKED"}]}]},
        {"questionnaire": f"{TRUST}/MARKED", "instantiatesUri": [f"{TRUST}/MARKED"]},
        {"contact": [{"system": "phone", "value": "MARKED"}]},
        {"modifierExtension": [{"url": f"{TRUST}/MARKED", "valueString": "MARKED"}]},
    ],
)  # fmt: skip
def test_nothing_of_an_organisations_own_tells_where_a_restricted_patient_is_seen(passage, more):
    passed = passage.whole(_observation(status="final", code={"coding": [SNOMED]}, **more), hiding=Hiding.PLACES)
    assert passed.content["Observation/1"]["status"] == "final"
    assert passed.content["Observation/1"]["code"] == {"coding": [SNOMED]}
    assert b"MARKED" not in passed.bytes
    assert b"king" not in passed.bytes


def test_what_is_clinical_stays_where_places_are_hidden(passage):
    clinical = {
        "code": {"coding": [SNOMED], "text": "Diabetes"},
        "method": {"text": "by hand"},
        "valueQuantity": {"value": 5, "unit": "mmol/L", "system": "http://unitsofmeasure.org", "code": "mmol/L"},
        "bodySite": {"coding": [{"system": "urn:oid:2.16.840.1.113883.2.1.6.2", "code": "X1"}]},
        "note": [{"text": "says so"}],
    }
    released = passage.one(_observation(**clinical), hiding=Hiding.PLACES)
    assert {name: released[name] for name in clinical} == clinical


def test_the_words_of_an_organisations_own_code_stay_where_nothing_else_says_it(passage):
    own = {"system": TRUST, "code": "HB", "display": "Haemoglobin"}
    units = {"value": 5, "unit": "g/L", "system": TRUST, "code": "x"}
    released = passage.one(_observation(code={"coding": [own]}, valueQuantity=units), hiding=Hiding.PLACES)
    assert released["code"] == {"text": "Haemoglobin"}
    assert released["valueQuantity"] == {"value": 5, "unit": "g/L"}


def test_that_a_modifier_was_there_shows_though_not_what_it_said(passage):
    said = [{"url": TRUST, "valueString": "x"}]
    released = passage.one(_observation(modifierExtension=said), hiding=Hiding.PLACES)
    assert released["modifierExtension"] == [{"url": "urn:care-record-broker:hidden", "valueBoolean": True}]


def test_whose_it_is_stays_where_places_are_hidden_though_only_a_number_says_so(passage):
    subject = {"identifier": passage.number_of(passage.number)}
    released = passage.one(_observation(subject=subject), hiding=Hiding.PLACES)
    assert released["subject"] == {"reference": f"Patient/{passage.patient_id}"}
