import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker import nhs_number

SERIALS = st.integers(1, 900_000)


@given(SERIALS)
def test_every_serial_gives_a_valid_number_of_the_test_range(serial):
    number = nhs_number.make(serial)
    assert nhs_number.is_valid(number)
    assert number.startswith("999")


@given(SERIALS, SERIALS)
def test_no_two_serials_give_the_same_number(one, other):
    assert (nhs_number.make(one) == nhs_number.make(other)) == (one == other)


@given(SERIALS, st.integers(0, 9), st.integers(1, 9))
def test_one_wrong_digit_never_passes(serial, place, shift):
    number = nhs_number.make(serial)
    wrong = str((int(number[place]) + shift) % 10)
    assert not nhs_number.is_valid(number[:place] + wrong + number[place + 1 :])


@given(SERIALS, st.integers(0, 8))
def test_two_neighbours_exchanged_never_pass(serial, place):
    number = nhs_number.make(serial)
    exchanged = number[:place] + number[place + 1] + number[place] + number[place + 2 :]
    assert exchanged == number or not nhs_number.is_valid(exchanged)


def test_published_numbers_are_valid():
    """NHS Data Dictionary and the demographics sandbox give these."""
    assert all(map(nhs_number.is_valid, ["9434765919", "9000000009", "9990000018"]))


def test_the_first_serial_is_the_first_number():
    assert nhs_number.make(1) == "9990000018"


@pytest.mark.parametrize(
    "number",
    [
        "",
        "999000001",
        "99900000188",
        "999 000 0018",
        "999000001X",
        "".join(chr(0xFF10 + int(digit)) for digit in "9990000018"),
        "-990000018",
    ],
)
def test_what_is_not_ten_digits_is_not_valid(number):
    assert not nhs_number.is_valid(number)


def test_a_body_whose_check_digit_would_be_ten_has_no_number():
    assert not any(nhs_number.is_valid(f"999000000{digit}") for digit in range(10))


@pytest.mark.parametrize("serial", [0, -1, 900_001])
def test_a_serial_out_of_range_is_refused(serial):
    with pytest.raises(ValueError, match="from 1 to 900000"):
        nhs_number.make(serial)
