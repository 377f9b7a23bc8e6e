"""Each of the 26 questions is kept by tests that exist, or it is said why it is not the broker's to keep."""

import tomllib
from pathlib import Path

import pytest

PROMISES = tomllib.loads(Path(__file__).with_name("promises.toml").read_text(encoding="utf-8"))["promise"]
QUESTIONS = [promise["question"] for promise in PROMISES]


def test_every_question_of_the_seed_stands_once():
    assert list(range(1, 27)) == QUESTIONS


@pytest.mark.parametrize("promise", PROMISES, ids=QUESTIONS)
def test_a_promise_is_shown_by_tests_or_says_why_not(promise, existing_tests):
    assert promise.keys() <= {"question", "says", "tests", "reason"}
    assert promise["says"].strip()
    assert promise.get("tests") or promise.get("reason", "").strip(), "no test, and no reason why not"
    assert set(promise.get("tests", [])) <= existing_tests
