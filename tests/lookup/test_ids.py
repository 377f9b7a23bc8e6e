"""Ids lead home, for this patient alone."""

import re

from hypothesis import example, given
from hypothesis import strategies as st

from broker.lookup.ids import Home, Ids

FHIR_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
KEY = b"k" * 32
ours = Ids(KEY, "9990000018")
hidden = Ids(KEY, "9990000018", hidden=True)
another = Ids(KEY, "9990000026")

sources = st.from_regex(r"[A-Z0-9]{3,6}-[a-z]{2,12}", fullmatch=True)
own_ids = st.from_regex(r"[A-Za-z0-9\-.]{1,64}", fullmatch=True) | st.text(min_size=1, max_size=80).filter(
    lambda text: max(text) < "\ud800" or max(text) > "\udfff"
)


@given(sources, own_ids)
@example("RJ1-epr", "x" * 46)
@example("RJ1-epr", "x" * 47)
@example("RJ1-epr", "x" * 48)
@example("RJ1-epr", "a/b")
@example("RJ1-epr", "a\n")
@example("RJ1-epr", "..")
def test_every_id_is_a_fhir_id_and_leads_home(source, own):
    made = ours.make(source, own)
    assert FHIR_ID.fullmatch(made)
    home = ours.home(made)
    assert home in {Home(source, own), Home(None, ours.digest(source, own))}
    if FHIR_ID.fullmatch(own) and len(source) + len(own) + 10 <= 64:
        assert home == Home(source, own)


@given(sources, own_ids)
def test_another_patients_id_is_the_id_of_nothing(source, own):
    assert another.home(ours.make(source, own)) is None
    assert another.home(hidden.make(source, own)) is None
    assert Ids(b"j" * 32, "9990000018").home(ours.make(source, own)) is None


@given(sources, own_ids, st.integers(0, 63), st.sampled_from("aA0.-z"))
def test_no_id_can_be_bent_into_another(source, own, position, letter):
    made = ours.make(source, own)
    position %= len(made)
    bent = made[:position] + letter + made[position + 1 :]
    assert bent == made or ours.home(bent) is None


@given(st.text(max_size=80) | st.text(st.characters(codec=None), max_size=80))
@example("")
@example(".")
@example("a.b.c")
@example("\ud800.12345678")
@example("RJ1-epr.1000.\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668")
def test_what_nobody_made_is_the_id_of_nothing(text):
    assert ours.home(text) is None


@given(sources, own_ids)
def test_an_id_that_hides_says_neither_source_nor_id_and_still_leads_home(source, own):
    made = hidden.make(source, own)
    assert FHIR_ID.fullmatch(made)
    assert source not in made
    digest = ours.digest(source, own)
    assert len(digest) == 32
    assert ours.home(made) == hidden.home(made) == Home(None, digest)


def test_what_two_patients_share_is_not_recognised_in_the_ids_that_hide():
    """A medicine of a formulary, in another patient's reply, says where it is: the digest must not lead there."""
    shared = ("RJ1-epr", "formulary-amlodipine-5mg-tablets-guys-pharmacy-00000001")
    for one in (ours, hidden):
        assert one.digest(*shared) != another.digest(*shared)
        assert one.make(*shared).partition(".")[0] not in another.make(*shared)


def test_two_servers_patient_1000_never_meet():
    for ids in (ours, hidden):
        assert len({ids.make(source, "1000") for source in ("RJ1-epr", "RJ1-lab", "RJZ-epr")}) == 3


@given(st.sets(st.tuples(sources, own_ids), min_size=2, max_size=8))
def test_different_things_have_different_ids(things):
    for ids in (ours, hidden):
        assert len({ids.make(*thing) for thing in things}) == len(things)


def test_the_same_always_has_the_same_id():
    assert ours.make("RJ1-epr", "1000") == Ids(KEY, "9990000018").make("RJ1-epr", "1000")
    assert ours.of_set("linkage", ["a", "b"]) == Ids(KEY, "9990000018").of_set("linkage", ["a", "b"])
    assert ours.of_set("linkage", ["a", "b"]) != ours.of_set("linkage", ["a", "c"])
    assert FHIR_ID.fullmatch(ours.of_set("detected-issue", ["x" * 500]))
