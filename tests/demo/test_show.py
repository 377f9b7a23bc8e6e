"""What a person reads: what is missing stands out, disagreement stands first, nothing is dropped."""

import pytest

from broker.demo.show import WIDTH, show_audit, show_lookup


def row(source, status, *, kinds=("allergies", "medications"), name="A hospital", **more):
    return {
        "source": source,
        "organisation": "RJ1",
        "name": name,
        "service_type": "acute",
        "status": status,
        "elapsed_ms": 20,
        "resources": 0,
        "currency": "live",
        "retry_after_s": None,
        "notes": [],
        "categories": {kind: {"status": status, "resources": 0} for kind in kinds},
        **more,
    }


def resource(kind, key, source="RJ1-epr", **elements):
    meta = {"source": f"urn:care-record-broker:source:{source}"}
    return {"resourceType": kind, "id": key, "meta": meta, **elements}


def reply(*resources, rows=(), complete=False, **restrictions):
    return {
        "complete": complete,
        "patient": {"id": "x", "nhs_number": "9990000018", "birth_date": "1948-03-02"},
        "sources": list(rows),
        "restrictions": {
            "categories_not_permitted": [],
            "objection": False,
            "override_available": False,
            "location_hidden": False,
            **restrictions,
        },
        "statement": "Some kinds of information are never shared here. Ask the patient.",
        "bundle": {"entry": [{"resource": one} for one in resources]},
    }


def allergy(key, words, **elements):
    return resource("AllergyIntolerance", key, code={"text": words}, **elements)


def test_what_is_missing_is_said_for_each_kind_and_kinds_with_the_same_gap_stand_together():
    rows = [
        row("RJ1-epr", "answered"),
        row("RD8-epr", "timed-out"),
        row("RV5-epr", "busy", kinds=("allergies",), retry_after_s=3),
    ]
    shown = show_lookup(reply(rows=rows))
    assert "NOT COMPLETE" in shown
    assert "  allergies:\n      RD8-epr timed-out; RV5-epr busy" in shown
    assert "  medications:\n      RD8-epr timed-out" in shown
    assert "asked again in 3 s" in shown


def test_a_row_without_a_source_or_a_kind_is_still_told():
    nobody = row(None, "practice-not-asked", kinds=(), name="GP practice", organisation=None, elapsed_ms=None)
    shown = show_lookup(reply(rows=[nobody]))
    assert "PRACTICE-NOT-ASKED" in shown
    assert "of no one kind:\n      GP practice practice-not-asked" in shown
    assert "No full answer: GP practice (not asked: it takes no part, or nobody says which one it is)." in " ".join(
        shown.split()
    )


def test_who_gave_no_full_answer_is_named_once_with_the_reason_and_many_are_counted():
    rows = [row("RJ1-epr", "busy"), row("RJ1-lab", "timed-out"), row("RJ1-old", "busy"), row("RV5-epjs", "answered")]
    assert "NOT COMPLETE. No full answer: A hospital (busy, timed-out)." in show_lookup(reply(rows=rows))
    many = [row(f"RJ{n}-epr", "busy", name=f"Hospital {n}") for n in range(4)]
    assert "No full answer: 4 of those in scope" in show_lookup(reply(rows=many))


def test_when_all_answered_it_says_so_and_lists_nothing_missing():
    shown = show_lookup(reply(rows=[row("RJ1-epr", "no-record-found"), row("RV5-epr", "not-provided")], complete=True))
    assert "COMPLETE: everybody in scope answered." in shown
    assert "NOT COMPLETE" not in shown
    assert "WHAT IS MISSING" not in shown


def test_a_contradiction_stands_before_the_record():
    issue = resource("DetectedIssue", "d", "broker", detail="No known allergies: here. But recorded: there.")
    shown = show_lookup(reply(issue, allergy("a", "Allergy to penicillin"), rows=[row("RJ1-epr", "answered")]))
    assert shown.index("CONTRADICT") < shown.index("But recorded: there.") < shown.index("WHO IS IN SCOPE")
    assert shown.index("CONTRADICT") < shown.index("But recorded: there.") < shown.index("Allergy to penicillin")


def test_linked_records_stand_together_with_each_source_and_whether_they_disagree():
    medicine = {"medicationCodeableConcept": {"text": "Ramipril"}, "authoredOn": "2020-01-01"}
    items = [{"type": "alternate", "resource": {"reference": f"MedicationRequest/{key}"}} for key in "ab"]
    shown = show_lookup(
        reply(
            resource("MedicationRequest", "a", "G85001-gp", status="active", **medicine),
            resource("MedicationRequest", "b", "RJZ-epr", status="stopped", statusReason={"text": "Cough"}, **medicine),
            resource("Linkage", "l", "broker", active=True, item=items),
        )
    )
    assert "Ramipril  (the same, recorded 2 times, which DISAGREE)" in shown
    assert "- active  [G85001-gp]" in shown
    assert "- STOPPED; Cough  [RJZ-epr]" in shown


def test_what_is_only_possibly_the_same_stays_apart():
    items = [{"type": "alternate", "resource": {"reference": f"AllergyIntolerance/{key}"}} for key in "ab"]
    shown = show_lookup(
        reply(
            allergy("a", "Penicillin"),
            allergy("b", "Penicillin"),
            resource("Linkage", "l", "broker", active=False, item=items),
        )
    )
    assert "recorded 2 times" not in shown
    assert shown.count("Penicillin") == 2


def test_three_numbers_of_one_kind_are_a_line_over_time_and_two_are_not():
    def result(words, year, value):
        quantity = {"value": value, "unit": "mmol/mol"}
        key = f"{words}-{year}"
        return resource("Observation", key, code={"text": words}, effectiveDateTime=year, valueQuantity=quantity)

    three = [result("HbA1c", str(year), year - 1970) for year in (2021, 2019, 2020)]
    shown = show_lookup(reply(*three, result("Sodium", "2020", 140), result("Sodium", "2021", 136)))
    assert "2021        HbA1c: 49 → 50 → 51 mmol/mol (newest last; since 2019)" in shown
    assert "Sodium: 140 mmol/mol" in shown
    assert "Sodium: 136 mmol/mol" in shown


def test_a_severed_allergy_and_one_entered_in_error_are_shown_for_what_they_are():
    wrong = {"coding": [{"code": "entered-in-error"}]}
    shown = show_lookup(
        reply(allergy("a", "Allergy to latex"), allergy("b", "Allergy to egg", verificationStatus=wrong))
    )
    assert "Allergy to latex  [RJ1-epr]" in shown
    assert "Allergy to egg: ENTERED IN ERROR" in shown


def test_restrictions_are_said():
    shown = show_lookup(reply(objection=True, location_hidden=True, categories_not_permitted=["documents"]))
    assert "objected to sharing" in shown
    assert "is hidden" in shown
    assert "Not for this role: documents." in shown


def test_it_fits_a_terminal():
    long = "A problem with very many words in its name, " * 8
    shown = show_lookup(
        reply(resource("Condition", "c", code={"text": long}), rows=[row("RJ1-epr", "answered", name=long)])
    )
    assert max(map(len, shown.splitlines())) <= WIDTH


@pytest.mark.parametrize(
    ("identity", "words"),
    [
        ("answered", "2 of 4 rows are still to be asked; the identity service has answered already; not asked:"),
        ("timed-out", "2 of 4 rows are still to be asked; identity service timed-out; not asked:"),
        (None, "2 of 4 rows are still to be asked; not asked:"),
    ],
)
def test_the_plan_says_who_is_still_to_be_asked_and_what_of_the_others(identity, words):
    rows = [
        row("identity", identity or "answered", organisation=None),
        row("RJ1-epr", "waiting"),
        row("RJZ-epr", "waiting"),
        row("RV5-epjs", "agreement-lapsed"),
    ]
    plan = {"seq": 4, "time": "2026-01-05T10:00:00.000000Z", "event": "lookup.plan", "sources": rows}
    shown = " ".join(show_audit([plan | {"identity": identity}]).split())
    assert f"{words} RV5-epjs agreement-lapsed" in shown
