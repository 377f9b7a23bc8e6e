"""Every decision can be explained in words, on states."""

from policies.explaining import explain, explain_act
from policies.values import Act, Objection, Officer, Reader, SourceState

DOCTOR = Reader("clinician", "TREAT", "encounter", True)
DOCTOR_IN_WORDS = 'somebody in the role "Doctor or dentist"'
ANOTHER = SourceState(agreement=True, own=False, objection=Objection.NONE)


def test_what_is_permitted_names_each_question_its_answer_and_the_policies_with_their_reasons(policies):
    told = explain(policies, DOCTOR, "allergies", source=ANOTHER)
    assert told.permitted
    assert [step.question for step in told.steps] == [
        f"May {DOCTOR_IN_WORDS}, for treatment, with an encounter with the patient, look a patient up?",
        "May another organisation, its agreement in date, while the patient does not object, answer them?",
        "May they see an item of allergies with the label N?",
        "May they know where a patient who is not restricted lives?",
        "May they know where a patient who is not restricted is seen?",
        f"May {DOCTOR_IN_WORDS} break the glass?",
    ]
    assert [step.answer for step in told.steps] == ["yes"] * 6
    assert [name for step in told.steps for name, _ in step.because] == [
        "role-may-ask",
        "organisation-may-answer",
        "category-of-the-role",
        "whereabouts-shown",
        "whereabouts-shown",
        "override-may-be-opened",
    ]
    assert all(why == policies.rules.why(name) for step in told.steps for name, why in step.because)


def test_what_is_forbidden_says_which_question_failed_and_why(policies):
    told = explain(policies, DOCTOR, "problems", source=ANOTHER, labels=frozenset({"R"}), objection=Objection.UPHELD)
    assert not told.permitted
    assert (told.ask.answer, told.answer.answer, told.see.answer) == ("yes", "yes", "no: objection")
    [(name, why)] = told.see.because
    assert name == "objection-to-the-category-honoured"
    assert why.startswith("A patient's objection to sharing one kind of information keeps that kind from everybody")
    own = SourceState(agreement=True, own=True, objection=Objection.UPHELD)
    marked = explain(policies, DOCTOR, "problems", source=own, labels=frozenset({"R"}), objection=Objection.UPHELD)
    assert marked.permitted, "the records of the reader's own organisation are not sharing between services"
    assert marked.see.answer == "yes, marked as sensitive"


def test_what_nobody_permits_is_told_as_such(policies):
    told = explain(policies, Reader("pharmacist", "TREAT", "encounter", True), "documents", source=ANOTHER)
    assert (told.see.answer, told.see.because) == ("no: category-not-permitted", ())


def test_words_that_no_table_knows_are_told_as_they_are(policies):
    told = explain(policies, Reader(None, "HRESCH", "neighbour", False), "allergies", source=ANOTHER, restricted="yes")
    assert told.ask.question == (
        'May somebody without a role, for the purpose "HRESCH", with the relationship "neighbour", from an organisation '
        "that takes no part, look a patient up?"
    )
    assert not any(step.decision.permitted for step in told.steps)


def test_an_override_that_is_open_is_not_asked_about_again(policies):
    broken = Reader("clinician", "BTG", None, True, override=True)
    told = explain(policies, broken, "allergies", source=ANOTHER, restricted="yes")
    assert told.permitted
    assert "having broken the glass" in told.ask.question
    assert len(told.steps) == 5


def test_what_an_officer_may_do_is_told_in_words(policies):
    officer = Officer("privacy-officer", operator=True, lead=True, general=True, recorder=True)
    step = explain_act(policies, officer, Act.DECIDE_OBJECTION)
    assert step.answer == "no: role-not-permitted"
    assert step.because == (
        ("recorder-does-not-decide", "Whoever recorded an objection does not decide it: somebody else must."),
    )
    assert step.question.startswith('May somebody in the role "Privacy officer", signed in with the operator, ')


def test_every_policy_says_why_in_one_line(policies):
    for name, why in policies.rules.whys.items():
        assert why.endswith("."), name
        assert "\n" not in why, name
        assert 20 < len(why) < 160, name
