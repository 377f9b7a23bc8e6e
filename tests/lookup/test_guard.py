"""How do we know that it is the right patient? Each sentence of the guard, and every way a source may lie."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract import Arrival, Identity, Resource
from broker.lookup.judging.compartment import PARTICIPANTS, SUBJECT
from broker.lookup.judging.guard import guard
from broker.lookup.judging.whose import NoBirthDate, WrongPatient
from policies import Policies

STRANGER = "9990000026"
NHS = "https://fhir.nhs.uk/Id/nhs-number"
OURS = {"reference": "Patient/ours"}
THEIRS = {"reference": "Patient/other"}


def _observation(id_="1", **more):
    return {"resourceType": "Observation", "id": id_, "subject": OURS, **more}


def _came(resource, arrival=Arrival.RECORD, full_url=None):
    return Resource(json.dumps(resource).encode(), arrival, full_url)


@pytest.fixture
def stranger(passage):
    return passage.patient("other", STRANGER, "1951-01-01", name=[{"family": "MARKED"}])


def _ids(guarded):
    return [item.id for item in guarded.items]


# --- the source's Patient


@pytest.mark.parametrize("number", ["9990000018", "999 000 0018", "999-000-0018", " 9990000018\u00a0"])
def test_the_patient_is_known_by_the_number_however_it_is_spaced(passage, number):
    guarded = passage.guard(_came(passage.patient(number=number), Arrival.PATIENT), _observation(), patient=False)
    assert _ids(guarded) == ["1"]


@pytest.mark.parametrize("system", [NHS, "http://fhir.nhs.net/Id/nhs-number", "urn:oid:2.16.840.1.113883.2.1.4.1"])
def test_the_number_is_known_under_each_of_its_systems(passage, system):
    patient = passage.patient(identifier=[{"system": system, "value": passage.number}])
    assert _ids(passage.guard(_came(patient, Arrival.PATIENT), _observation(), patient=False)) == ["1"]


def test_the_number_under_another_system_is_not_the_number(passage):
    patient = passage.patient(identifier=[{"system": "urn:local:mrn", "value": passage.number}])
    with pytest.raises(WrongPatient):
        passage.guard(_came(patient, Arrival.PATIENT), patient=False)


def test_a_superseded_number_that_the_identity_service_confirms_is_the_patient(passage):
    patient = passage.patient(number=passage.superseded)
    assert _ids(passage.guard(_came(patient, Arrival.PATIENT), _observation(), patient=False)) == ["1"]


def test_a_number_that_only_the_source_calls_superseded_is_not_the_patient(passage):
    patient = passage.patient(number=STRANGER)
    with pytest.raises(WrongPatient):
        passage.guard(_came(patient, Arrival.PATIENT), patient=False)


@pytest.mark.parametrize(
    ("more", "wrong"),
    [({}, True), ({"use": "official"}, True), ({"use": "old"}, False), ({"period": {"end": "2001"}}, False)],
)
def test_a_second_current_number_is_another_patient(passage, more, wrong):
    patient = passage.patient()
    patient["identifier"].append(passage.number_of(STRANGER, **more))
    if wrong:
        with pytest.raises(WrongPatient) as raised:
            passage.guard(_came(patient, Arrival.PATIENT), patient=False)
        assert not raised.value.birth_date
    else:
        assert passage.guard(_came(patient, Arrival.PATIENT), patient=False).patients


def test_an_identifier_without_a_value_is_no_second_number(passage):
    patient = passage.patient()
    patient["identifier"].append({"system": NHS, "_value": {"extension": [{"url": "x", "valueCode": "masked"}]}})
    assert passage.guard(_came(patient, Arrival.PATIENT), patient=False).patients


def test_both_numbers_of_the_set_may_be_current(passage):
    patient = passage.patient()
    patient["identifier"].append(passage.number_of(passage.superseded))
    assert passage.guard(_came(patient, Arrival.PATIENT), patient=False).patients


@pytest.mark.parametrize("born", ["1980", "1980-02"])
def test_a_partial_birth_date_that_agrees_passes_with_a_note(passage, born):
    guarded = passage.guard(_came(passage.patient(born=born), Arrival.PATIENT), patient=False)
    assert guarded.patients
    assert guarded.notes == ["its date of birth is partial, and agrees"]


@pytest.mark.parametrize(
    "born", ["1981", "1980-03", "1980-02-28", "198", "1980-0", "1980-02-", "1980-02-29T00:00:00Z", "x"]
)
def test_another_birth_date_is_another_patient_and_says_why(passage, born):
    with pytest.raises(WrongPatient) as raised:
        passage.guard(_came(passage.patient(born=born), Arrival.PATIENT), patient=False)
    assert raised.value.birth_date


@pytest.mark.parametrize("born", [None, "", 1980])
def test_no_birth_date_is_malformed(passage, born):
    with pytest.raises(NoBirthDate):
        passage.guard(_came(passage.patient(born=born), Arrival.PATIENT), patient=False)


@pytest.mark.parametrize("order", [1, -1])
def test_another_patient_is_worse_than_one_without_a_birth_date(passage, stranger, order):
    two = [_came(passage.patient(born=None), Arrival.PATIENT), _came(stranger, Arrival.PATIENT)]
    with pytest.raises(WrongPatient):
        passage.guard(*two[::order], patient=False)


def test_one_of_several_local_records_with_another_birth_date_costs_the_source(passage):
    with pytest.raises(WrongPatient) as raised:
        passage.guard(_observation(), passage.patient("second", born="1980-02-28"))
    assert raised.value.birth_date


def test_several_local_records_of_one_number_are_all_the_patient(passage):
    guarded = passage.guard(
        passage.patient("second"), _observation("1"), _observation("2", subject={"reference": "Patient/second"})
    )
    assert _ids(guarded) == ["1", "2"]


def test_names_sex_and_gender_are_never_used_to_match(passage):
    patient = passage.patient(name=[{"family": "Another"}], gender="male")
    again = passage.patient("second", name=[{"family": "Name"}], gender="female")
    assert len(passage.guard(_came(patient, Arrival.PATIENT), again, patient=False).patients) == 2


def test_a_search_that_returns_another_patient_costs_the_source(passage, stranger):
    with pytest.raises(WrongPatient):
        passage.guard(_observation(), _came(stranger, Arrival.PATIENT))


@pytest.mark.parametrize("arrival", [Arrival.INCLUDED, Arrival.RECORD])
def test_another_patient_who_merely_came_along_is_dropped_alone(passage, stranger, arrival):
    guarded = passage.guard(_came(stranger, arrival), _observation())
    assert [item.id for item in guarded.patients] == ["ours"]
    assert _ids(guarded) == ["1"]


@pytest.mark.parametrize("first", [True, False])
def test_one_id_for_two_people_costs_the_source(passage, first):
    two = [_came(passage.patient()), _came(passage.patient("ours", STRANGER, "1951-01-01"), Arrival.INCLUDED)]
    with pytest.raises(WrongPatient):
        passage.guard(*(two if first else reversed(two)), _observation(), patient=False)


# --- the element that says whose it is

WAYS_TO_NAME_ANOTHER = {
    "relative": {"reference": "Patient/other"},
    "versioned": {"reference": "Patient/other/_history/2"},
    "absolute": {"reference": "https://epr.example/fhir/Patient/other"},
    "below a link base": {"reference": "https://proxy.example/r4/Patient/other"},
    "somewhere else": {"reference": "https://elsewhere.example/Patient/ours"},
    "a base that only looks like ours": {"reference": "https://epr.example/fhir2/Patient/ours"},
    "by address of an entry": {"reference": "urn:uuid:11111111-1111-1111-1111-111111111111"},
    "conditional": {"reference": f"Patient?identifier={NHS}|{STRANGER}"},
    "conditional on ours": {"reference": f"Patient?identifier={NHS}|9990000018"},
    "by number": {"identifier": {"system": NHS, "value": STRANGER}},
    "by number, spaced": {"identifier": {"system": NHS, "value": "999 000 0026"}},
    "by number, beside ours": {**OURS, "identifier": {"system": NHS, "value": STRANGER}},
    "not ours, beside our number": {**THEIRS, "identifier": {"system": NHS, "value": "9990000018"}},
    "contained": {"reference": "#p"},
    "encoded": {"reference": "Patient/%6Furs"},
    "with a fragment": {"reference": "Patient/ours#other"},
    "of unknown form, typed": {"reference": "urn:oid:1.2.3", "type": "Patient"},
    "a list": [OURS, THEIRS],
}


@pytest.mark.parametrize("named", WAYS_TO_NAME_ANOTHER.values(), ids=WAYS_TO_NAME_ANOTHER)
@pytest.mark.parametrize("type_", ["Observation", "AllergyIntolerance", "Encounter"])
def test_another_patient_named_as_the_subject_costs_the_source(passage, stranger, named, type_):
    resource = {
        "resourceType": type_,
        "id": "1",
        SUBJECT[type_]: named,
        "contained": [passage.patient("p", STRANGER, "1951-01-01")],
    }
    with pytest.raises(WrongPatient):
        passage.guard(
            _observation("0"),
            _came(stranger, Arrival.INCLUDED, "urn:uuid:11111111-1111-1111-1111-111111111111"),
            resource,
        )


WAYS_TO_NAME_OURS = {
    "relative": {"reference": "Patient/ours"},
    "versioned": {"reference": "Patient/ours/_history/7"},
    "absolute": {"reference": "https://epr.example/fhir/Patient/ours"},
    "absolute and versioned": {"reference": "https://epr.example/fhir/Patient/ours/_history/7"},
    "below a link base": {"reference": "https://proxy.example/r4/Patient/ours"},
    "by address of an entry": {"reference": "urn:uuid:22222222-2222-2222-2222-222222222222"},
    "by number": {"identifier": {"system": NHS, "value": "999 000 0018"}},
    "by superseded number": {"identifier": {"system": NHS, "value": "9990000034"}},
    "both": {"reference": "Patient/ours", "identifier": {"system": NHS, "value": "9990000034"}},
    "both, the number a local one": {"reference": "Patient/ours", "identifier": {"system": "urn:mrn", "value": "7"}},
    "contained": {"reference": "#p"},
}


@pytest.mark.parametrize("named", WAYS_TO_NAME_OURS.values(), ids=WAYS_TO_NAME_OURS)
def test_every_way_to_name_our_patient_is_understood_and_leaves_as_one(passage, named):
    ours = _came(passage.patient(), Arrival.PATIENT, "urn:uuid:22222222-2222-2222-2222-222222222222")
    contained = passage.patient("p", passage.superseded, None, name=[{"use": "old", "family": "MARKED"}])
    released = passage.whole(ours, _observation(subject=named, contained=[contained]), patient=False)
    assert released.guarded.unusable == []
    assert released.content["Observation/1"]["subject"] == {"reference": f"Patient/{passage.patient_id}"}
    assert b"MARKED" not in released.bytes
    assert passage.superseded.encode() not in released.bytes


NOTHING_USABLE = {
    "missing": None,
    "empty": {},
    "an empty list": [],
    "a list with something else": [OURS, {"display": "x"}],
    "words": "Patient/ours",
    "a group": {"reference": "Group/1"},
    "a display": {"display": "Mrs Okafor"},
    "a local number": {"identifier": {"system": "urn:mrn", "value": "1"}},
    "an address of nothing": {"reference": "urn:uuid:33333333-3333-3333-3333-333333333333"},
    "a contained nothing": {"reference": "#nothing"},
    "a contained person without a number": {"reference": "#n"},
    "a reference that is a list": {"reference": ["Patient/ours"]},
    "a reference that is an object": {"reference": {"x": 1}},
}


@pytest.mark.parametrize("named", NOTHING_USABLE.values(), ids=NOTHING_USABLE)
def test_a_type_that_must_say_whose_it_is_and_does_not_is_unusable(passage, named):
    resource = _observation(subject=named, contained=[{"resourceType": "Patient", "id": "n", "name": [{"text": "x"}]}])
    if named is None:
        del resource["subject"]
    guarded = passage.guard(resource, _observation("2"))
    assert [one.type for one in guarded.unusable] == ["Observation"]
    assert _ids(guarded) == ["2"]


def test_every_type_that_is_released_must_say_whose_it_is_or_belongs_to_nobody():
    tables = Policies.load(None).tables
    assert set(tables.home) <= {*SUBJECT, *PARTICIPANTS, "Patient"}
    for type_ in tables.supporting & {*SUBJECT}:
        assert type_ in {"Device", "Specimen"}


def test_a_thing_may_belong_to_nobody_but_not_to_another(passage, stranger):
    for type_ in ("Device", "Specimen", "Medication", "Practitioner"):
        assert _ids(passage.guard({"resourceType": type_, "id": "1"})) == ["1"]
    with pytest.raises(WrongPatient):
        passage.guard(stranger, {"resourceType": "Device", "id": "1", "patient": THEIRS})


def test_our_patient_without_a_birth_date_inside_a_resource_is_enough_there(passage):
    guarded = passage.guard(_observation(subject={"reference": "#p"}, contained=[passage.patient("p", born=None)]))
    assert _ids(guarded) == ["1"]


def test_our_number_with_another_birth_date_inside_a_resource_costs_the_source(passage):
    with pytest.raises(WrongPatient):
        passage.guard(_observation(subject={"reference": "#p"}, contained=[passage.patient("p", born="1951-01-01")]))


# --- addresses of entries


def test_one_address_for_two_entries_is_no_address(passage, stranger):
    address = "urn:uuid:44444444-4444-4444-4444-444444444444"
    guarded = passage.guard(
        _came(passage.patient(), Arrival.PATIENT, address),
        _came(stranger, Arrival.INCLUDED, address),
        _observation(subject={"reference": address}),
        patient=False,
    )
    assert guarded.items == []
    assert [one.type for one in guarded.unusable] == ["Observation"]


@pytest.mark.parametrize(
    "address", ["Patient/other", "https://epr.example/fhir/Patient/other", "https://x.example/Patient/other"]
)
def test_an_entry_cannot_call_our_patient_by_the_address_of_another(passage, address):
    with pytest.raises(WrongPatient):
        passage.guard(
            _came(passage.patient(), Arrival.PATIENT, address),
            _observation(subject={"reference": address}),
            patient=False,
        )


# --- elsewhere


@pytest.mark.parametrize("way", [way for way in WAYS_TO_NAME_ANOTHER if "beside our number" not in way])
@pytest.mark.parametrize("where", ["asserter", "author", "performer"])
def test_a_mother_named_elsewhere_costs_the_reference(passage, stranger, way, where):
    named = WAYS_TO_NAME_ANOTHER[way]
    named = [{**one, "display": "MARKED"} for one in (named if isinstance(named, list) else [named])]
    released = passage.whole(
        _came(stranger, Arrival.INCLUDED, "urn:uuid:11111111-1111-1111-1111-111111111111"),
        _observation(
            **{where: named}, contained=[passage.patient("p", STRANGER, "1951-01-01", name="MARKED")], status="final"
        ),
    )
    assert released.content["Observation/1"]["status"] == "final"
    assert STRANGER.encode() not in released.bytes
    if len(named) == 1:
        assert where not in released.content["Observation/1"]
        assert b"MARKED" not in released.bytes


def test_a_mother_named_by_a_local_number_costs_the_reference(passage):
    asserter = {"type": "Patient", "identifier": {"system": "urn:mrn", "value": "7"}, "display": "MARKED"}
    released = passage.whole(_observation(asserter=asserter, note=[{"authorReference": asserter, "text": "kept"}]))
    assert b"MARKED" not in released.bytes
    assert released.content["Observation/1"]["note"] == [{"text": "kept"}]


def test_a_patient_linked_to_another_is_still_ours(passage, stranger):
    ours = passage.patient(link=[{"other": THEIRS, "type": "seealso"}])
    assert _ids(passage.guard(_came(ours, Arrival.PATIENT), stranger, _observation(), patient=False)) == ["1"]


@pytest.mark.parametrize(
    "named", [THEIRS, {"identifier": {"system": NHS, "value": STRANGER}}, {"reference": "#p"}], ids=str
)
@pytest.mark.parametrize("listed", [True, False])
def test_a_finding_about_another_patient_goes(passage, stranger, named, listed):
    about = _observation(
        focus=[named] if listed else named,
        contained=[passage.patient("p", STRANGER, "1951-01-01")],
        valueString="MARKED",
    )
    report = {
        "resourceType": "DiagnosticReport",
        "id": "2",
        "subject": OURS,
        "result": [{"reference": "Observation/1", "display": "MARKED"}, {"reference": "Observation/3"}],
    }
    released = passage.whole(stranger, about, report, {**about, "id": "3", "donor": named, "focus": []})
    assert set(released.content) == {"DiagnosticReport/2"}
    assert b"MARKED" not in released.bytes
    assert "result" not in released.content["DiagnosticReport/2"]


def test_a_finding_about_something_of_ours_stays(passage):
    for focus in (OURS, {"reference": "Device/1"}, {"identifier": {"system": NHS, "value": "9990000034"}}):
        assert passage.one(_observation(focus=[focus])) is not None


def test_a_contained_finding_about_another_patient_takes_its_container(passage, stranger):
    inner = {"resourceType": "Observation", "id": "i", "focus": [THEIRS], "valueString": "MARKED"}
    assert passage.whole(stranger, _observation(contained=[inner], hasMember=[{"reference": "#i"}])).entries == []


@pytest.mark.parametrize("inner", [
    {"resourceType": "Condition", "id": "i", "subject": THEIRS},
    {"resourceType": "Appointment", "id": "i", "participant": [{"actor": THEIRS}]},
    {"resourceType": "AllergyIntolerance", "id": "i", "patient": {"identifier": {"system": NHS, "value": STRANGER}}},
], ids=lambda inner: inner["resourceType"])  # fmt: skip
def test_contained_resources_are_guarded_by_the_same_table(passage, stranger, inner):
    with pytest.raises(WrongPatient):
        passage.guard(stranger, _observation(contained=[inner]))


def test_another_person_contained_never_leaves_even_if_nothing_refers_to_them(passage):
    inner = {"resourceType": "Patient", "id": "i", "name": [{"family": "MARKED"}]}
    medication = {"resourceType": "Medication", "id": "m"}
    released = passage.whole(_observation(contained=[inner, medication]))
    assert released.content["Observation/1"]["contained"] == [medication]


@pytest.mark.parametrize("type_", ["Basic", "Coverage", "AdverseEvent", "BodyStructure", "GuidanceResponse"])
def test_contained_resources_of_rare_types_are_guarded_by_the_table_too(passage, stranger, type_):
    inner = {"resourceType": type_, "id": "i", SUBJECT[type_]: THEIRS}
    with pytest.raises(WrongPatient):
        passage.guard(stranger, _observation(contained=[inner]))


@pytest.mark.parametrize("named", [
    THEIRS,
    {"identifier": {"system": NHS, "value": STRANGER}},
    {"type": "Patient", "identifier": {"system": "urn:mrn", "value": "7"}},
], ids=str)  # fmt: skip
def test_a_contained_resource_of_a_type_in_no_table_that_names_another_patient_goes_whole(passage, stranger, named):
    inner = {"resourceType": "Account", "id": "i", "subject": [OURS, named], "name": "MARKED"}
    released = passage.one(_observation(contained=[inner], performer=[{"reference": "#i"}], status="final"), stranger)
    assert released["status"] == "final"
    assert released.keys().isdisjoint({"contained", "performer"})


def test_a_contained_resource_of_a_type_in_no_table_that_names_nobody_else_stays(passage):
    inner = {"resourceType": "Account", "id": "i", "subject": [OURS], "name": "kept"}
    released = passage.one(_observation(contained=[inner], performer=[{"reference": "#i"}]))
    assert released["contained"][0]["name"] == "kept"
    assert released["performer"] == [{"reference": "#i"}]


ONESELF = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-RoleCode", "code": "ONESELF"}]}


@pytest.mark.parametrize("inner", [
    {"resourceType": "Person", "id": "i", "link": [{"target": OURS}]},
    {"resourceType": "RelatedPerson", "id": "i", "patient": OURS, "relationship": [ONESELF]},
], ids=lambda inner: inner["resourceType"])  # fmt: skip
def test_what_our_patient_was_called_never_leaves_as_another_person(passage, inner):
    person = {**inner, "name": [{"use": "old", "family": "MARKED"}], "gender": "male"}
    released = passage.whole(
        _observation(contained=[person], performer=[{"reference": "#i", "display": "MARKED"}], status="final"),
        {**person, "id": "2"} if inner["resourceType"] == "RelatedPerson" else _observation("2"),
    )
    assert "RelatedPerson/2" not in released.content
    assert b"MARKED" not in released.bytes
    assert released.content["Observation/1"].keys().isdisjoint({"contained", "performer"})


def test_a_mother_contained_in_a_childs_record_stays(passage):
    mother = {"resourceType": "RelatedPerson", "id": "i", "patient": OURS, "name": [{"family": "kept"}]}
    released = passage.one(_observation(contained=[mother], performer=[{"reference": "#i"}]))
    assert released["contained"][0]["name"] == [{"family": "kept"}]


def test_appointments_belong_to_the_patient_among_their_participants(passage, stranger):
    mother = {"actor": {**THEIRS, "display": "MARKED"}, "status": "accepted"}
    midwife = {"actor": {"reference": "Practitioner/1"}}

    def appointment(*participants):
        return {"resourceType": "Appointment", "id": "1", "participant": list(participants)}

    released = passage.one(appointment({"actor": OURS}, mother, midwife), stranger)
    assert [entry.get("actor", {}).get("reference", "gone")[:8] for entry in released["participant"]] == [
        "Patient/",
        "gone",
        "Practiti",
    ]
    assert "MARKED" not in json.dumps(released)
    with pytest.raises(WrongPatient):
        passage.guard(stranger, appointment(mother, midwife))
    for nobodys in (appointment(midwife), appointment(), {"resourceType": "Appointment", "id": "1", "participant": 5}):
        assert [one.type for one in passage.guard(nobodys).unusable] == ["Appointment"]


# --- the same twice


@pytest.mark.parametrize("order", [1, -1])
def test_what_comes_twice_stands_once_and_both_are_judged(passage, stranger, order):
    assert _ids(passage.guard(_observation(), _observation())) == ["1"]
    two = [_observation(), _observation(subject=THEIRS)]
    with pytest.raises(WrongPatient):
        passage.guard(stranger, *two[::order])


@pytest.mark.parametrize("order", [1, -1])
def test_one_that_is_unusable_does_not_take_its_double_along(passage, order):
    two = [_observation(status="final"), _observation(subject={})]
    released = passage.whole(*two[::order], {**_observation("2"), "hasMember": [{"reference": "Observation/1"}]})
    assert released.content["Observation/1"]["status"] == "final"
    assert "hasMember" in released.content["Observation/2"]


def test_guarding_again_changes_nothing(passage, stranger):
    resources = [
        _observation("1", subject={"identifier": {"system": NHS, "value": passage.superseded}}),
        _observation("2", subject={"reference": "#p"}, contained=[passage.patient("p", passage.superseded, None)]),
        _observation("3", focus=[{"identifier": {"system": NHS, "value": passage.superseded}}]),
        _observation("4", asserter=THEIRS),
        {
            "resourceType": "Appointment",
            "id": "5",
            "participant": [{"actor": {"identifier": {"system": NHS, "value": passage.superseded}}}],
        },
    ]
    items, _ = passage.read(passage.patient(), stranger, *resources)
    once = passage.run(guard(items, passage.identity, (passage.base,)))
    before = json.dumps([item.data for item in once.items])
    twice = passage.run(guard(items, passage.identity, (passage.base,)))
    assert _ids(twice) == _ids(once) == ["1", "2", "3", "4", "5"]
    assert json.dumps([item.data for item in twice.items]) == before
    assert twice.unusable == once.unusable == []


# --- numbers

PLACES_OF_A_NUMBER = {
    "an identifier": lambda n: {"identifier": [n]},
    "an identifier alone": lambda n: {"identifier": n},
    "a reference": lambda n: {"asserter": {"identifier": n, "display": "x"}},
    "a list of references": lambda n: {"performer": [{"reference": "Practitioner/1"}, {"identifier": n}]},
    "an extension": lambda n: {"extension": [{"url": "x", "valueIdentifier": n}]},
    "an extension of an extension": lambda n: {"extension": [{"url": "x", "extension": [{"valueIdentifier": n}]}]},
    "an assigner": lambda n: {"identifier": [{"system": "s", "value": "1", "assigner": {"identifier": n}}]},
    "something contained": lambda n: {"contained": [{"resourceType": "Practitioner", "id": "c", "identifier": [n]}]},
    "something contained, alone": lambda n: {"contained": [{"resourceType": "List", "id": "c", "identifier": n}]},
    "beside another identifier": lambda n: {"asserter": {**n, "identifier": {"system": "s", "value": "1"}}},
    "beside a reference": lambda n: {"asserter": {**n, "reference": "Practitioner/1"}},
    "beside a code": lambda n: {"asserter": {**n, "code": "x"}},
}  # fmt: skip


@pytest.mark.parametrize("value", [STRANGER, "999 000 0026", "9990000034", "999-000-0034", 9990000026], ids=str)
@pytest.mark.parametrize("place", PLACES_OF_A_NUMBER.values(), ids=PLACES_OF_A_NUMBER)
def test_no_number_but_the_one_asked_for_leaves(passage, place, value):
    released = passage.whole(_observation(status="final", **place({"system": NHS, "value": value, "use": "old"})))
    assert released.content["Observation/1"]["status"] == "final"
    for number in (STRANGER, passage.superseded):
        assert number.encode() not in released.bytes.replace(b" ", b"").replace(b"-", b"")


def test_nothing_tells_that_there_was_another_number(passage):
    kept = passage.one(
        _observation(identifier=[passage.number_of(passage.superseded, use="old", period={"end": "2001"})])
    )
    assert kept is not None
    assert "old" not in json.dumps(kept)
    assert "2001" not in json.dumps(kept)


# --- in general

_markers = st.sampled_from(["MARKED", STRANGER, "stranger-thing"])
_ways = st.sampled_from([*WAYS_TO_NAME_ANOTHER.values(), *WAYS_TO_NAME_OURS.values()])
_elements = st.sampled_from([
    "subject",
    "patient",
    "asserter",
    "focus",
    "performer",
    "participant",
    "link",
    "contained",
    "extension",
    "for",
])


@st.composite
def _stranger_things(draw):
    """A resource that a lying source sends: the stranger's words, and references of every form anywhere."""
    type_ = draw(
        st.sampled_from(["Observation", "Condition", "Appointment", "RelatedPerson", "Device", "Practitioner"])
    )
    thing = {"resourceType": type_, "id": draw(st.sampled_from(["1", "2", "ours", "other"])), "note": "kept"}
    for element in draw(st.lists(_elements, max_size=4)):
        way = draw(_ways)
        display = {"display": "MARKED"} if way in WAYS_TO_NAME_ANOTHER.values() else {}
        way = [{**one, **display} for one in (way if isinstance(way, list) else [way])]
        way = way if draw(st.booleans()) or len(way) > 1 else way[0]
        thing[element] = {
            "participant": [{"actor": way}],
            "extension": [{"url": "x", "valueReference": way}],
            "contained": [
                draw(
                    st.sampled_from([
                        {"resourceType": "Patient", "id": "p", "name": [{"family": "MARKED"}]},
                        {"resourceType": "Patient", "id": "p", "identifier": [{"system": NHS, "value": STRANGER}]},
                        {"resourceType": "Condition", "id": "q", "subject": way},
                        {"resourceType": "Observation", "id": "q", "asserter": way},
                    ])
                )
            ],
        }.get(element, way)
    element = SUBJECT.get(type_)
    if draw(st.booleans()):
        if element:
            thing[element] = OURS
        if type_ == "Appointment":
            thing["participant"] = [{"actor": OURS}]
    else:
        thing["note"] = "MARKED" if type_ in SUBJECT and thing.get(element) in WAYS_TO_NAME_ANOTHER.values() else "kept"
    return thing


@given(
    st.lists(_stranger_things(), max_size=6),
    st.booleans(),
    st.sampled_from([None, "urn:uuid:11111111-1111-1111-1111-111111111111", "https://epr.example/fhir/Patient/ours"]),
)
def test_nothing_of_a_stranger_gets_through_however_the_source_lies(passage, things, comes, address):
    stranger = passage.patient("other", STRANGER, "1951-01-01", name=[{"family": "MARKED"}])
    along = [_came(stranger, Arrival.INCLUDED, address)] if comes else []
    ours = _came(passage.patient(), Arrival.PATIENT, "urn:uuid:22222222-2222-2222-2222-222222222222")
    try:
        released = passage.whole(ours, *along, _observation("sound"), *things, patient=False)
    except WrongPatient:
        return
    assert "Observation/sound" in released.content
    said = released.bytes.replace(b" ", b"")
    assert STRANGER.encode() not in said
    assert b"Patient/other" not in said
    for content in released.content.values():
        assert "MARKED" not in json.dumps(_without_unresolved(content))


def _without_unresolved(node):
    """Without what can't be told to be of a patient: an address that nobody in the answer has."""
    if isinstance(node, list):
        return [_without_unresolved(one) for one in node]
    if isinstance(node, dict):
        return {
            k: _without_unresolved(v) for k, v in node.items() if not (k == "display" and node.keys() == {"display"})
        }
    return node


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["Patient/ours", "#p", "Patient", NHS, "x", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([
                "reference",
                "identifier",
                "system",
                "value",
                "type",
                "display",
                "coding",
                "code",
                "id",
                "resourceType",
                "period",
                "actor",
                "url",
            ]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
_names = [
    "subject",
    "patient",
    "participant",
    "focus",
    "contained",
    "identifier",
    "meta",
    "birthDate",
    "extension",
    "code",
    "clinicalStatus",
    "verificationStatus",
    "category",
    "reaction",
    "section",
    "class",
    "location",
    "content",
    "context",
    "ingredient",
    "medicationReference",
    "medicationCodeableConcept",
    "status",
    "occurrenceDateTime",
    "protocolApplied",
    "site",
    "bodySite",
    "dosage",
    "type",
    "physicalType",
    "system",
    "value",
    "photo",
    "text",
]


@given(
    st.sampled_from([
        "Observation",
        "AllergyIntolerance",
        "Immunization",
        "MedicationStatement",
        "Appointment",
        "Encounter",
        "Location",
        "DocumentReference",
        "Composition",
        "Condition",
        "Patient",
    ]),
    st.dictionaries(st.sampled_from(_names), _json, max_size=6),
    st.sampled_from(["nothing", "home", "places"]),
)
def test_no_shape_of_a_resource_brings_more_down_than_its_source(passage, type_, more, hiding):
    from broker.lookup.judging.hiding import Hiding

    subject = {SUBJECT[type_]: OURS} if type_ in SUBJECT else {"participant": [{"actor": OURS}]}
    for resource in ({"resourceType": type_, "id": "1", **more}, {"resourceType": type_, "id": "1", **more, **subject}):
        try:
            passage.whole(resource, hiding=Hiding(hiding))
        except (WrongPatient, NoBirthDate):
            continue


def test_the_number_asked_for_is_the_first_of_the_set(passage):
    identity = Identity(numbers=(passage.superseded, passage.number), birth_date=passage.born)
    items, _ = passage.read(passage.patient(), _observation(identifier=[passage.number_of(passage.number)]))
    guarded = passage.run(guard(items, identity, (passage.base,)))
    assert guarded.items[0].data["identifier"] == [passage.number_of(passage.superseded)]
