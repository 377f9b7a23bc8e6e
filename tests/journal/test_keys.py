import re
import stat
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import ConfigurationError
from broker.keys import Keys

KEYS = Keys(bytes(range(32)))
NUMBERS = st.integers(0, 10**10 - 1).map("{:010d}".format)


@given(NUMBERS)
def test_a_sealed_number_opens_to_itself_and_is_the_same_each_time(number):
    sealed = KEYS.seal_patient(number)
    assert KEYS.open_patient(sealed) == number
    assert KEYS.seal_patient(number) == sealed
    assert number not in sealed


@given(NUMBERS)
def test_a_patient_id_is_a_fhir_id_and_opens_to_its_number(number):
    patient_id = KEYS.patient_id(number)
    assert re.fullmatch(r"[a-z2-7]{1,64}", patient_id)
    assert KEYS.open_patient_id(patient_id) == number


@given(NUMBERS)
def test_an_id_and_a_sealed_number_of_one_patient_do_not_match(number):
    """Whoever sees FHIR ids and journal can't tell which belong together."""
    assert KEYS.patient_id(number) != KEYS.seal_patient(number)
    with pytest.raises(ValueError, match="not sealed"):
        KEYS.open_patient(KEYS.patient_id(number))


@given(NUMBERS, st.data())
def test_a_changed_character_never_opens(number, data):
    sealed = KEYS.patient_id(number)
    place = data.draw(st.integers(0, len(sealed) - 1))
    other = data.draw(st.sampled_from("abcdefghijklmnopqrstuvwxyz234567=-.A0").filter(lambda c: c != sealed[place]))
    with pytest.raises(ValueError, match="not sealed"):
        KEYS.open_patient_id(sealed[:place] + other + sealed[place + 1 :])


@given(st.text())
def test_no_made_up_text_opens(text):
    for opening in (KEYS.open_patient, KEYS.open_patient_id, KEYS.open_words):
        with pytest.raises(ValueError, match="not sealed"):
            opening(text)


def test_upper_case_is_another_id():
    with pytest.raises(ValueError, match="not sealed"):
        KEYS.open_patient_id(KEYS.patient_id("9990000018").upper())


@given(st.text())
def test_words_open_to_themselves_and_under_no_other_key(text):
    sealed = KEYS.seal_words(text)
    assert KEYS.open_words(sealed) == text
    with pytest.raises(ValueError, match="not sealed"):
        Keys(bytes(32)).open_words(sealed)


@pytest.mark.parametrize(
    "number",
    ["", "999000001", "99900000188", "999000001X", "".join(chr(0xFF10 + int(digit)) for digit in "9990000018")],
)
def test_only_ten_digits_are_sealed_and_the_refusal_does_not_repeat_them(number):
    with pytest.raises(ValueError, match="ten digits") as refused:
        KEYS.seal_patient(number)
    assert not number or number not in str(refused.value)


def test_keys_are_made_once_for_their_owner_alone(tmp_path):
    directory = tmp_path / "state" / "keys"
    first = Keys.open(directory)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((directory / "master.key").stat().st_mode) == 0o600
    again = Keys.open(directory)
    assert again.seal_patient("9990000018") == first.seal_patient("9990000018")
    assert again.id_check_key == first.id_check_key
    assert sorted(path.name for path in directory.iterdir()) == ["journal.pub", "master.key"]


def test_the_published_key_verifies_what_the_signing_key_signs(tmp_path):
    keys = Keys.open(tmp_path / "keys")
    public = load_pem_public_key((tmp_path / "keys" / "journal.pub").read_bytes())
    public.verify(keys.signing_key.sign(b"a checkpoint"), b"a checkpoint")


def test_two_installations_share_no_key(tmp_path):
    one, other = Keys.open(tmp_path / "one"), Keys.open(tmp_path / "other")
    assert one.seal_patient("9990000018") != other.seal_patient("9990000018")


@pytest.mark.parametrize(("file", "mode", "advice"), [("", 0o750, "chmod 700"), ("master.key", 0o640, "chmod 600")])
def test_keys_that_others_can_reach_are_refused_with_what_to_do(tmp_path, file, mode, advice):
    directory = tmp_path / "keys"
    Keys.open(directory)
    (directory / file).chmod(mode)
    with pytest.raises(ConfigurationError, match=advice):
        Keys.open(directory)


def test_a_lost_master_key_is_not_silently_replaced(tmp_path):
    Keys.open(tmp_path / "keys")
    (tmp_path / "keys" / "master.key").unlink()
    with pytest.raises(ConfigurationError, match="restore it from backup"):
        Keys.open(tmp_path / "keys")


def test_a_damaged_master_key_is_refused(tmp_path):
    Keys.open(tmp_path / "keys")
    (tmp_path / "keys" / "master.key").write_bytes(b"short")
    with pytest.raises(ConfigurationError, match="32 bytes"):
        Keys.open(tmp_path / "keys")


def test_a_public_key_of_another_pair_is_refused(tmp_path):
    Keys.open(tmp_path / "one")
    Keys.open(tmp_path / "other")
    (tmp_path / "one" / "journal.pub").write_bytes((tmp_path / "other" / "journal.pub").read_bytes())
    with pytest.raises(ConfigurationError, match="belongs together"):
        Keys.open(tmp_path / "one")


def test_a_place_where_no_directory_can_be_is_refused(tmp_path):
    (tmp_path / "keys").write_text("a file")
    with pytest.raises(ConfigurationError, match="must own this directory"):
        Keys.open(tmp_path / "keys")


@pytest.mark.blocking
def test_processes_that_start_at_once_agree_on_the_keys(tmp_path):
    code = "import sys; from pathlib import Path; from broker.keys import Keys; sys.stdin.read(1); print(Keys.open(Path(sys.argv[1])).seal_patient('9990000018'))"
    command = [sys.executable, "-c", code, str(tmp_path / "keys")]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for process in processes:
        process.stdin.write("g")
        process.stdin.flush()
    assert len({process.communicate()[0] for process in processes}) == 1
    assert all(process.returncode == 0 for process in processes)
