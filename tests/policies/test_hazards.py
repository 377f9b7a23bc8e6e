"""The safety case holds: every hazard has a control that lowers its risk, and tests that exist."""

import re
from importlib.resources import files

import pytest

from policies.hazards import RATINGS, SEVERITIES, load_hazards

HAZARDS = load_hazards(None)


def test_hazards_are_rated_by_the_matrix_that_the_readme_shows():
    readme = files("policies").joinpath("README.md").read_text(encoding="utf-8")
    head, _, *rows = re.findall(r"^\|(.*)\|$", readme.partition("## How risks are rated")[2], re.MULTILINE)
    assert tuple(word.strip() for word in head.split("|")[1:]) == SEVERITIES
    shown = ([cell.strip() for cell in row.split("|")] for row in rows)
    assert {name.replace(" ", "-"): tuple(map(int, cells)) for name, *cells in shown} == RATINGS


@pytest.mark.parametrize("hazard", HAZARDS)
def test_a_control_is_shown_by_tests_that_exist(hazard, existing_tests):
    assert set(HAZARDS[hazard]) <= existing_tests
