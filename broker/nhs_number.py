"""NHS numbers: ten digits, the last a Modulus 11 check digit (NHS Data Dictionary, "NHS Number")."""

__all__ = ["is_valid", "make"]

_DIGITS = 10
_SERIALS = 900_000


def is_valid(number: str) -> bool:
    """Whether these are ten ASCII digits of which the last is the check digit. Says nothing about who bears it."""
    if len(number) != _DIGITS or not (number.isascii() and number.isdigit()):
        return False
    return _check_digit(number[:-1]) == int(number[-1])


def make(serial: int) -> str:
    """The test number with this serial, 1 to 900,000: valid, in the 999 range that is never issued, no two alike.

    Nine digits whose check digit would be 10 have no number. Among any ten that differ only in the last there is at
    most one such, so each ten gives nine numbers, and no serial is without one.

    Raises:
        ValueError: a serial out of range.
    """
    if not 1 <= serial <= _SERIALS:
        raise ValueError(f"a serial is from 1 to {_SERIALS}")
    ten, place = divmod(serial - 1, 9)
    bodies = (f"999{ten * 10 + last:06d}" for last in range(10))
    body = [body for body in bodies if _check_digit(body) != _DIGITS][place]
    return f"{body}{_check_digit(body)}"


def _check_digit(body: str) -> int:
    """0 to 9, or 10 for nine digits that have none."""
    weighted = sum(weight * int(digit) for weight, digit in zip(range(10, 1, -1), body, strict=True))
    return -weighted % 11
