"""What several places say of the same thing is linked; what contradicts is shown; nothing is dropped."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.lookup.facts import fact_of
from broker.lookup.ids import Ids
from broker.lookup.merging.merge import merge

SNOMED = "http://snomed.info/sct"
IDS = Ids(b"k" * 32, "9990000018")


def _concept(code, *, display=None, system=SNOMED, more=()):
    coding = {"system": system, "code": code} | ({"display": display} if display else {})
    return {"coding": [coding, *more]}


def _status(code):
    return {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/any", "code": code}]}


def _allergy(code="91936005", **more):
    return {"resourceType": "AllergyIntolerance", "code": _concept(code, display=f"allergy {code}"), **more}


def _vaccine(day="2021-03-04", dose=None, site=None, **more):
    protocol = {"protocolApplied": [{"doseNumberPositiveInt": dose}]} if dose else {}
    place = {"site": _concept(site)} if site else {}
    return {
        "resourceType": "Immunization",
        "vaccineCode": _concept("39114911000001105"),
        "occurrenceDateTime": day,
        **protocol,
        **place,
        **more,
    }


def _procedure(day="2020-01-01", sites=(), **more):
    sites = {"bodySite": [_concept(site) for site in sites]} if sites else {}
    return {"resourceType": "Procedure", "code": _concept("80146002"), "performedDateTime": day, **sites, **more}


def _medicine(*, strength=None, form=None, route=None, **more):
    medication = {"resourceType": "Medication", "id": "m", "code": _concept("27658006")}
    if strength is not None:
        medication["ingredient"] = [
            {"strength": one} for one in (strength if isinstance(strength, list) else [strength])
        ]
    if form:
        medication["form"] = _concept(form)
    dosage = {"dosage": [{"route": _concept(route)}]} if route else {}
    return {
        "resourceType": "MedicationStatement",
        "contained": [medication],
        "medicationReference": {"reference": "#m"},
        **dosage,
        **more,
    }


def _milligrams(value):
    return {"numerator": {"value": value, "code": "mg"}, "denominator": {"value": 1, "code": "{tablet}"}}


def _run(facts):
    """Merging, without its pauses."""
    work = merge(facts, IDS, "sealed")
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def _facts(*said):
    """Facts of (source, resource) pairs."""
    facts = []
    for n, (source, data) in enumerate(said):
        type_ = data["resourceType"]
        fact = fact_of(type_, data, f"{type_}/{source}.{n}.check", (source, f"The {source}"), lambda _: None)
        if fact is not None:
            facts.append(fact)
    return facts


def _merged(*said):
    return [json.loads(entry.content) for entry in _run(_facts(*said))]


def _linked(*said, active=True):
    """The positions of what is surely linked, for each link."""
    return [
        [int(item["resource"]["reference"].split(".")[1]) for item in one["item"]]
        for one in _merged(*said)
        if one["resourceType"] == "Linkage" and one["active"] is active
    ]


def _issues(*said):
    return [one for one in _merged(*said) if one["resourceType"] == "DetectedIssue"]


# --- the same thing


@pytest.mark.parametrize(
    "resource",
    [
        _allergy(),
        _medicine(),
        {"resourceType": "MedicationRequest", "medicationCodeableConcept": _concept("27658006")},
        {"resourceType": "Condition", "code": _concept("195967001")},
        _vaccine(),
        _procedure(),
    ],
    ids=lambda one: one["resourceType"],
)
def test_the_same_thing_in_two_places_is_linked_and_in_one_is_not(resource):
    assert _linked(("A", resource), ("B", resource)) == [[0, 1]]
    assert _linked(("A", resource), ("A", resource)) == []
    assert _linked(("A", resource)) == []


def test_a_link_chooses_no_winner():
    (link,) = _merged(("A", _allergy()), ("B", _allergy()))
    assert [item["type"] for item in link["item"]] == ["alternate", "alternate"]
    assert len(link["id"]) <= 64


def test_two_doses_of_one_vaccine_are_not_one():
    assert _linked(("A", _vaccine("2021-03-04")), ("B", _vaccine("2021-05-20"))) == []
    assert _linked(("A", _vaccine(dose=1)), ("B", _vaccine(dose=2))) == []
    assert _linked(("A", _vaccine(dose=1)), ("B", _vaccine(dose=2)), ("C", _vaccine())) == []
    assert _linked(("A", _vaccine(dose=1)), ("B", _vaccine(dose=1)), ("C", _vaccine(dose=2))) == [[0, 1]]
    assert _linked(("A", _vaccine(dose=1)), ("B", _vaccine())) == [[0, 1]]
    assert _linked(("A", _vaccine(site="368208006")), ("B", _vaccine(site="368209003"))) == []


def test_a_vaccine_or_procedure_without_a_day_is_never_the_same_as_another():
    for resource in (_vaccine("2021"), _vaccine(None), _procedure("2020-01"), _procedure(None)):
        assert _linked(("A", resource), ("B", resource)) == []


def test_a_time_of_day_does_not_make_another_day():
    assert _linked(("A", _vaccine("2021-03-04T09:30:00Z")), ("B", _vaccine("2021-03-04"))) == [[0, 1]]


def test_the_other_side_is_another_procedure():
    knee, left, right = "72696002", "7771000", "24028007"
    assert _linked(("A", _procedure(sites=[knee, left])), ("B", _procedure(sites=[left, knee]))) == [[0, 1]]
    assert _linked(("A", _procedure(sites=[knee, left])), ("B", _procedure(sites=[knee, right]))) == []
    assert _linked(("A", _procedure(sites=[left])), ("B", _procedure(sites=[right]))) == []
    assert _linked(("A", _procedure(sites=[left])), ("B", _procedure())) == [[0, 1]]


def test_what_was_not_done_is_not_what_was():
    assert _linked(("A", _vaccine(status="completed")), ("B", _vaccine(status="not-done"))) == []
    assert _linked(("A", _medicine()), ("B", _medicine(status="not-taken"))) == []


def test_medicines_need_the_same_strength_form_and_route():
    two = _milligrams(2), _milligrams(5)
    assert _linked(("A", _medicine(strength=two[0])), ("B", _medicine(strength=two[1]))) == []
    assert _linked(("A", _medicine(strength=two[0])), ("B", _medicine(strength=_milligrams(Decimal("2.0"))))) == [
        [0, 1]
    ]
    assert _linked(("A", _medicine(strength=[*two])), ("B", _medicine(strength=[*reversed(two)]))) == [[0, 1]]
    assert _linked(("A", _medicine(strength=[two[0], two[0]])), ("B", _medicine(strength=[*two]))) == []
    assert _linked(("A", _medicine(form="385055001")), ("B", _medicine(form="385049006"))) == []
    assert _linked(("A", _medicine(route="26643006")), ("B", _medicine(route="78421000"))) == []
    assert _linked(("A", _medicine(route="26643006")), ("B", _medicine(route="26643006"))) == [[0, 1]]


def test_one_of_two_systems_is_enough_to_be_the_same():
    local = {"system": "urn:local", "code": "PEN"}
    assert _linked(("A", _allergy()), ("B", {**_allergy(), "code": _concept("91936005", more=[local])})) == [[0, 1]]


def _possible(*said):
    """The positions of what is possibly the same, for each such link."""
    return _linked(*said, active=False)


def test_the_same_words_are_not_surely_the_same_thing():
    words = {"resourceType": "Condition", "code": {"text": "asthma"}}
    assert _linked(("A", words), ("B", words)) == []
    assert _possible(("A", words), ("B", words)) == [[0, 1]]


def test_a_link_that_is_only_possible_is_not_in_effect_and_says_so():
    words = {"resourceType": "Condition", "code": {"text": "asthma"}}
    possible, sure = sorted(_merged(("A", words), ("B", words), ("A", _vaccine()), ("B", _vaccine())), key=_active)
    assert possible["active"] is False
    (tag,) = possible["meta"]["tag"]
    assert (tag["system"], tag["code"]) == ("http://terminology.hl7.org/CodeSystem/match-grade", "possible")
    assert {item["type"] for item in possible["item"]} == {"alternate"}
    assert sure["active"] is True
    assert "tag" not in sure["meta"]


def _active(linkage):
    return linkage["active"]


def test_words_are_compared_whole_whatever_their_case_and_blanks():
    coded = {"resourceType": "Condition", "code": _concept("195967001", display="Asthma")}
    for text, possibly in (
        (" ASTHMA ", True),
        ("a\u00adsthma", False),
        ("asthma, severe", False),
        ("no asthma", False),
        ("", False),
        ("asthma " * 100, False),
    ):
        in_words = {"resourceType": "Condition", "code": {"text": text}}
        assert _possible(("A", coded), ("B", in_words)) == ([[0, 1]] if possibly else [])
        assert _linked(("A", coded), ("B", in_words)) == []


def test_two_codes_with_the_same_words_are_two_things():
    one, other = (
        {"resourceType": "Condition", "code": _concept(code, display="Asthma", system=system)}
        for code, system in (("195967001", SNOMED), ("H33", "urn:local"))
    )
    assert _possible(("A", one), ("B", other)) == []


def test_what_might_be_either_of_two_is_linked_to_neither():
    words = {"resourceType": "Condition", "code": {"text": "Asthma"}}
    one, other = ({"resourceType": "Condition", "code": _concept(code, display="Asthma")} for code in ("1", "2"))
    assert _possible(("A", one), ("B", words), ("C", other)) == []
    assert _possible(("A", one), ("B", words)) == [[0, 1]]


def test_what_contradicts_is_not_even_possibly_the_same():
    def by_mouth(route, **code):
        return {
            "resourceType": "MedicationRequest",
            "medicationCodeableConcept": code or {"text": "Morphine"},
            "dosageInstruction": [{"route": _concept(route)}] if route else [],
        }

    coded = by_mouth("26643006", **_concept("27658006", display="morphine"))
    assert _possible(("A", coded), ("B", by_mouth("26643006"))) == [[0, 1]]
    assert _possible(("A", coded), ("B", by_mouth(None))) == [[0, 1]]
    assert _possible(("A", coded), ("B", by_mouth("78421000"))) == []
    assert _possible(("A", by_mouth("26643006")), ("B", by_mouth("78421000")), ("C", by_mouth(None))) == []


def test_a_vaccine_in_words_is_possibly_the_same_only_on_the_same_day():
    coded, in_words = _vaccine(), _vaccine()
    coded["vaccineCode"]["text"] = "Pfizer"
    in_words["vaccineCode"] = {"text": "pfizer"}
    assert _possible(("A", coded), ("B", in_words)) == [[0, 1]]
    for day in ("2021-05-20", "2021", None):
        assert _possible(("A", coded), ("B", {**in_words, "occurrenceDateTime": day})) == []


def test_what_is_surely_the_same_stays_so_beside_what_is_possibly():
    coded = {"resourceType": "Condition", "code": _concept("195967001", display="Asthma")}
    words = {"resourceType": "Condition", "code": {"text": "asthma"}}
    said = ("A", coded), ("B", coded), ("C", words)
    assert _linked(*said) == [[0, 1]]
    assert _possible(*said) == [[0, 1, 2]]


@pytest.mark.parametrize(
    "system",
    [
        "urn:oid:2.16.840.1.113883.6.96",
        "2.16.840.1.113883.6.96",
        "http://snomed.info/sct/999000041000000102",
        "http://snomed.info/sct/999000041000000102/version/20230412",
        "http://snomed.info/sct|20230412",
        "https://snomed.info/sct",
    ],
)
def test_a_code_is_the_same_however_its_system_is_written(system):
    written = {"resourceType": "Condition", "code": _concept("195967001", system=system)}
    assert _linked(("A", written), ("B", {**written, "code": _concept("195967001")})) == [[0, 1]]


def test_an_expression_is_the_same_as_itself_and_not_as_each_of_its_parts():
    expression = {"resourceType": "Condition", "code": _concept("64572001 : 246075003 = 8098009")}
    part = {"resourceType": "Condition", "code": _concept("64572001")}
    assert _linked(("A", expression), ("B", part)) == []
    assert _linked(("A", expression), ("B", {**part, "code": _concept("64572001:246075003=8098009")})) == [[0, 1]]


@pytest.mark.parametrize(
    "code", [("196461000000101", SNOMED), ("419199007", SNOMED), ("UNK", "http://hl7.org/fhir/v3/NullFlavor")]
)
def test_a_code_that_does_not_name_the_thing_links_nothing(code):
    """A transfer between practices writes one code for every drug that it could not take over."""

    def degraded(text, **more):
        return _allergy(**more) | {"code": {**_concept(code[0], system=code[1]), "text": text}}

    one, other = degraded("Septrin"), degraded("Latex")
    assert _linked(("A", one), ("B", other)) == []
    assert _possible(("A", one), ("B", other)) == []
    assert _possible(("A", one), ("B", degraded("SEPTRIN"))) == [[0, 1]]
    substance = {"reaction": [{"substance": _concept("387517004")}]}
    assert _linked(("A", degraded(None, **substance)), ("B", _allergy("387517004"))) == [[0, 1]]


@pytest.mark.parametrize("meaning", [{"modifierExtension": [{"url": "urn:x"}]}, {"doNotPerform": True}])
def test_what_means_something_else_is_linked_to_nothing(meaning):
    medicine = {"resourceType": "MedicationRequest", "medicationCodeableConcept": _concept("27658006")}
    assert _linked(("A", medicine), ("B", medicine)) == [[0, 1]]
    assert _linked(("A", medicine), ("B", {**medicine, **meaning})) == []


def test_the_same_code_of_another_kind_is_another_thing():
    assert _linked(("A", _allergy("1")), ("B", {"resourceType": "Condition", "code": _concept("1")})) == []


# --- contradictions

NONE_KNOWN, NO_DRUG, NO_FOOD = "716186003", "409137002", "429625007"


def test_none_known_against_an_allergen_is_shown_with_both_sides():
    (issue,) = _issues(("A", _allergy(NONE_KNOWN)), ("B", _allergy()), ("C", _allergy()))
    assert len(issue["implicated"]) == 3
    assert "The A" in issue["detail"]
    assert "The B" in issue["detail"]
    assert issue["patient"] == {"reference": "Patient/sealed"}
    assert issue["status"] == "final"


def test_nobody_who_says_none_known_is_linked_to_another():
    assert _linked(("A", _allergy(NONE_KNOWN)), ("B", _allergy(NONE_KNOWN))) == []


@pytest.mark.parametrize(
    ("negative", "nature", "contradicts"),
    [
        (NO_DRUG, ["medication"], True),
        (NO_DRUG, ["food"], False),
        (NO_DRUG, ["food", "medication"], True),
        (NO_DRUG, None, True),
        (NO_FOOD, ["food"], True),
        (NO_FOOD, ["medication"], False),
        (NONE_KNOWN, ["food"], True),
        (NONE_KNOWN, None, True),
        ("160244002", ["biologic"], True),
    ],
)
def test_a_contradiction_is_within_its_scope(negative, nature, contradicts):
    allergen = _allergy(**({"category": nature} if nature else {}))
    assert bool(_issues(("A", _allergy(negative)), ("B", allergen))) == contradicts


def test_an_allergen_without_a_code_contradicts_too():
    for allergen in (
        {"resourceType": "AllergyIntolerance"},
        {"resourceType": "AllergyIntolerance", "code": {"text": "nuts"}},
        {"resourceType": "AllergyIntolerance", "reaction": [{"substance": {"text": "nuts"}}]},
    ):
        assert len(_issues(("A", _allergy(NONE_KNOWN)), ("B", allergen))) == 1


@pytest.mark.parametrize(
    "past",
    [
        {"verificationStatus": _status("entered-in-error")},
        {"verificationStatus": _status("refuted")},
        {"clinicalStatus": _status("resolved")},
        {"clinicalStatus": _status("inactive")},
        {"verificationStatus": {"coding": [{"system": "urn:local", "code": "X"}, {"code": "entered-in-error"}]}},
    ],
)
def test_what_is_past_or_wrong_contradicts_nothing(past):
    assert _issues(("A", _allergy(NONE_KNOWN)), ("B", _allergy(**past))) == []
    assert _issues(("A", _allergy(NONE_KNOWN, **past)), ("B", _allergy())) == []


def test_what_was_entered_in_error_is_never_linked():
    wrong = {"verificationStatus": _status("entered-in-error")}
    assert _linked(("A", _allergy()), ("B", _allergy(**wrong))) == []
    assert _linked(("A", _vaccine()), ("B", _vaccine(status="entered-in-error"))) == []


def test_an_issue_comes_before_all_that_sources_gave():
    entries = _run(_facts(("A", _allergy(NONE_KNOWN)), ("B", _allergy()), ("C", _allergy())))
    assert [(entry.type, entry.order[0] < 0) for entry in entries] == [("DetectedIssue", True), ("Linkage", False)]


# --- order


def _asthma(**more):
    return {"resourceType": "Condition", "code": {"text": "Asthma"}, **more}


_said = st.tuples(
    st.sampled_from("ABC"),
    st.sampled_from([
        _allergy(),
        _allergy("2", criticality="high"),
        _allergy("2", criticality="low", clinicalStatus=_status("active")),
        _allergy("2", clinicalStatus=_status("resolved")),
        {**_allergy("2"), "code": _concept("2", more=[{"system": SNOMED, "code": "91936005"}])},
        _allergy(NONE_KNOWN),
        _allergy(NO_DRUG),
        {**_allergy(), "code": {"text": "No known allergies"}},
        {**_allergy(), "code": {"text": "allergy 2"}},
        _vaccine(),
        _vaccine(dose=1),
        _vaccine(dose=2),
        _vaccine(dose=2, site="368208006"),
        _procedure(sites=["1"]),
        _procedure(),
        _medicine(status="active"),
        _medicine(strength=_milligrams(2), status="stopped"),
        _medicine(strength=_milligrams(5), route="26643006"),
        _medicine(status="entered-in-error"),
        _asthma(clinicalStatus=_status("active")),
        _asthma(bodySite=[_concept("1")]),
        {**_asthma(), "code": _concept("195967001", display="asthma")},
        {**_asthma(), "code": _concept("3", display="asthma"), "bodySite": [_concept("1")]},
    ]),
)
_records = st.lists(_said, max_size=9)


@given(_records.flatmap(lambda said: st.tuples(st.just(_facts(*said)), st.permutations(_facts(*said)))))
def test_whatever_came_first_the_same_is_said(both):
    first, again = both
    assert [entry.content for entry in _run(first)] == [entry.content for entry in _run(again)]


@given(_records)
def test_a_link_never_joins_what_disagrees(said):
    facts = {fact.reference: fact for fact in _facts(*said)}
    merged = [one for one in _merged(*said) if one["resourceType"] == "Linkage"]
    groups = [[facts[item["resource"]["reference"]] for item in one["item"]] for one in merged]
    for one, group in zip(merged, groups, strict=True):
        assert len({fact.source for fact in group}) > 1
        assert len({fact.kind for fact in group}) == 1
        assert len({fact.reference for fact in group}) == len(group)
        for stated in zip(*(fact.qualifiers for fact in group), strict=True):
            assert len({*stated} - {None}) <= 1
        coded = [fact for fact in group if fact.codes]
        assert len(coded) == len(group) if one["active"] else len(coded) < len(group)
    sure = [fact.reference for one, group in zip(merged, groups, strict=True) if one["active"] for fact in group]
    assert len(sure) == len(set(sure)), "a record is surely the same as those of one link at most"


@given(_records)
def test_whatever_is_said_speaks_of_what_was_released_and_of_nothing_in_error(said):
    known = {fact.reference for fact in _facts(*said)}
    merged = _merged(*said)
    for one in merged:
        spoken = [item["resource"]["reference"] for item in one.get("item", ())]
        spoken += [reference["reference"] for reference in one.get("implicated", ())]
        assert set(spoken) <= known
        assert len(spoken) > 1
    assert len({one["id"] for one in merged}) == len(merged)
    assert all(len(one["id"]) <= 64 for one in merged)


_UNRELATED = [
    _allergy("999", clinicalStatus=_status("active")),
    {"resourceType": "Condition", "code": _concept("999", display="Gout")},
    {"resourceType": "Condition", "code": {"text": "Gout"}},
    _vaccine("1999-01-01"),
    {"resourceType": "MedicationRequest", "status": "stopped", "medicationCodeableConcept": _concept("999")},
]


@given(_records, st.lists(st.tuples(st.sampled_from("ABD"), st.sampled_from(_UNRELATED)), max_size=4))
def test_what_is_unrelated_changes_no_link(said, unrelated):
    before, after = _merged(*said), _merged(*said, *unrelated)
    for one in before:
        if one["resourceType"] == "Linkage" or one["code"]["coding"][0]["code"] != "none-known-against-allergen":
            assert one in after


def test_many_of_one_code_are_grouped_without_comparing_all_of_them():
    said = [
        (source, _procedure(f"{1000 + n // 28 // 12:04}-{n // 28 % 12 + 1:02}-{n % 28 + 1:02}"))
        for source in ("A", "B")
        for n in range(8_000)
    ]
    assert len(_run(_facts(*said))) == 8_000


def test_what_says_less_joins_the_only_one_that_it_agrees_with():
    day = "2020-01-01"
    left, right, unsaid = _procedure(day, ["7771000"]), _procedure(day, ["24028007"]), _procedure(day)
    assert _linked(("A", left), ("B", unsaid)) == [[0, 1]]
    assert _linked(("A", left), ("B", right), ("C", unsaid)) == []
    partly = _medicine(strength=_milligrams(5)), _medicine(form="385055001"), _medicine(form="385057009")
    assert _linked(("A", partly[0]), ("B", partly[1])) == [[0, 1]]
    assert len(_linked(*zip("ABC", partly, strict=True))[0]) == 2
