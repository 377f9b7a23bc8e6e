"""The safety case holds: every hazard has a control, and tests that exist."""

import tomllib
from importlib.resources import files

import pytest

SEVERITIES = ["minor", "significant", "considerable", "major", "catastrophic"]
RATINGS = {  # the matrix of policies/README.md, by likelihood, in the order of severity
    "very-high": [3, 4, 4, 5, 5],
    "high": [2, 3, 3, 4, 5],
    "medium": [2, 2, 3, 3, 4],
    "low": [1, 2, 2, 3, 4],
    "very-low": [1, 1, 2, 2, 3],
}
HAZARDS = tomllib.loads(files("policies").joinpath("hazards.toml").read_text(encoding="utf-8"))["hazard"]
IDS = [hazard["id"] for hazard in HAZARDS]


def test_every_hazard_stands_once():
    assert len(set(IDS)) == len(IDS)


@pytest.mark.parametrize("hazard", HAZARDS, ids=IDS)
def test_a_hazard_says_what_it_is_what_it_does_and_what_holds_it_back(hazard):
    assert hazard.keys() == {"id", "hazard", "cause", "effect", "before", "after", "control", "tests"}
    assert all(hazard[key].strip() for key in ("hazard", "cause", "effect", "control"))


@pytest.mark.parametrize("hazard", HAZARDS, ids=IDS)
def test_a_hazard_is_rated_by_the_matrix_and_its_control_lowers_the_risk(hazard):
    for risk in (hazard["before"], hazard["after"]):
        assert risk["rating"] == RATINGS[risk["likelihood"]][SEVERITIES.index(risk["severity"])]
    assert hazard["after"]["rating"] < hazard["before"]["rating"]


@pytest.mark.parametrize("hazard", HAZARDS, ids=IDS)
def test_a_control_is_shown_by_tests_that_exist(hazard, existing_tests):
    assert hazard["tests"], "no test shows this control"
    assert set(hazard["tests"]) <= existing_tests
