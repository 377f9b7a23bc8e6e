"""An override stays open for five minutes, to one person, for one patient, in one program."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract import Requester
from broker.errors import InvalidRequest
from broker.keys import Keys
from broker.lookup.override import LIFE, broken
from broker.lookup.values import Override, Query

NOW = 1_800_000_000.0
KEYS = Keys(b"k" * 32)


def requester(**more):
    said = {
        "issuer": "https://ehr.example",
        "subject": "555254240100",
        "name": "Dr A",
        "organisation": "RJ1",
        "organisation_name": "x",
        "role_system": "x",
        "role_code": "R8000",
        "purpose": "TREAT",
        "client": "ward-plugin",
        "token_id": "1",
    }
    return Requester(**(said | more))


def query(number="9990000018", **more):
    return Query(nhs_number=number, birth_date="1948-03-02", **more)


OPENED = broken(query(override=Override("04", "words")), requester(), KEYS, NOW)
ID = OPENED.sealed(KEYS, {"RJ1"})


def test_where_the_glass_is_whole_there_is_none():
    assert broken(query(), requester(), KEYS, NOW) is None


def test_it_comes_back_with_its_reason_and_without_its_words():
    again = broken(query(override_id=ID), requester(), KEYS, NOW + LIFE - 1)
    assert (again.reason, again.text, again.again, again.sealed(KEYS, ())) == ("04", None, True, ID)
    assert (OPENED.text, OPENED.again) == ("words", False)


def test_it_says_who_was_told_of_it():
    again = broken(query(override_id=ID), requester(), KEYS, NOW)
    assert (OPENED.told, again.told) == (frozenset(), {"RJ1"})
    later = broken(query(override_id=again.sealed(KEYS, {"G85001"})), requester(), KEYS, NOW)
    assert later.told == {"RJ1", "G85001"}


def test_it_has_ended_after_five_minutes():
    with pytest.raises(InvalidRequest, match="Override-Id"):
        broken(query(override_id=ID), requester(), KEYS, NOW + LIFE)


@pytest.mark.parametrize(
    "who",
    [
        {"issuer": "https://other.example"},
        {"subject": "555254240199"},
        {"client": "another"},
        {"organisation": "RJZ"},
    ],
)
def test_it_is_nobody_elses(who):
    with pytest.raises(InvalidRequest):
        broken(query(override_id=ID), requester(**who), KEYS, NOW)


def test_it_is_for_no_other_patient_and_no_other_broker():
    with pytest.raises(InvalidRequest):
        broken(query("9990000026", override_id=ID), requester(), KEYS, NOW)
    with pytest.raises(InvalidRequest):
        broken(query(override_id=ID), requester(), Keys(b"o" * 32), NOW)


def test_one_request_opens_or_comes_back_and_not_both():
    with pytest.raises(InvalidRequest, match="not both"):
        broken(query(override=Override("04", "x"), override_id=ID), requester(), KEYS, NOW)


@given(st.one_of(st.text(max_size=200), st.binary(max_size=60).map(KEYS.seal_override)))
def test_whatever_else_is_sent_is_refused_in_words(sent):
    with pytest.raises(InvalidRequest, match="Override-Id"):
        broken(query(override_id=sent), requester(), KEYS, NOW)
