"""The world of the end-to-end tests, for promises too; what is in it stands in `tests/end_to_end/conftest.py`."""

import importlib.util
import sys
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("stories", Path(__file__).parents[1] / "end_to_end" / "conftest.py")
stories = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = stories  # dataclasses look their module up
_spec.loader.exec_module(stories)

open_world, house = stories.open_world, stories.house


@pytest.fixture
def edit():
    """Change a text that stands once in an organisation's manifest."""

    def change(organisation, old, new):
        before = organisation.manifest()
        assert before.count(old) == 1, old
        organisation.manifest = lambda: before.replace(old, new)
        return organisation

    return change


@pytest.fixture
def coded():
    """A concept with one code."""

    def make(code, text="", system="http://snomed.info/sct"):
        return {"coding": [{"system": system, "code": code} | ({"display": text} if text else {})]}

    return make


@pytest.fixture
def medicine(coded):
    """Bendroflumethiazide for the patient with the id 1000, at whichever organisation holds it."""

    def make(local_id, status, **more):
        return {
            "resourceType": "MedicationRequest",
            "id": local_id,
            "status": status,
            "intent": "order",
            "subject": {"reference": "Patient/1000"},
            "medicationCodeableConcept": coded("317919004", "Bendroflumethiazide 2.5mg tablets", "https://dmd.nhs.uk"),
            **more,
        }

    return make
