"""Reads the safety case of a policy set, and refuses one that does not hold together."""

from importlib.resources import files
from pathlib import Path

from policies.reading import Document, Place, Row

__all__ = ["RATINGS", "SEVERITIES", "load_hazards"]

SEVERITIES = ("minor", "significant", "considerable", "major", "catastrophic")
RATINGS = {
    "very-high": (3, 4, 4, 5, 5),
    "high": (2, 3, 3, 4, 5),
    "medium": (2, 2, 3, 3, 4),
    "low": (1, 2, 2, 3, 4),
    "very-low": (1, 1, 2, 2, 3),
}
"""The matrix of README.md: likelihood, then a rating for each severity."""


def load_hazards(directory: Path | None) -> dict[str, tuple[str, ...]]:
    """Each hazard with the tests that show its control. Raises PolicyError with file and line."""
    place: Place = directory if directory is not None else files("policies")
    document = Document.open(place.joinpath("hazards.toml"))
    document.only(["hazard"])
    document.top.done()
    found: dict[str, tuple[str, ...]] = {}
    for row in document.rows("hazard"):
        name = row.text("id")
        if name in found:
            raise row.fault(f"hazard `{name}` stands twice: one id for each", "id")
        for key in ("hazard", "cause", "effect", "control"):
            row.text(key)
        if _rating(row, "after") >= _rating(row, "before"):
            raise row.fault("the control must lower the rating: write what it does, or another control", "after")
        found[name] = row.texts("tests")
        if not found[name]:
            raise row.fault("name a test that shows the control", "tests")
        row.done()
    if not found:
        raise document.fault("no [[hazard]] in it: a safety case that names none is none")
    return found


def _rating(row: Row, key: str) -> int:
    risk = row.table(key)
    severity = risk.word("severity", SEVERITIES, what="a severity")
    likelihood = risk.word("likelihood", RATINGS, what="a likelihood")
    rating = RATINGS[likelihood][SEVERITIES.index(severity)]
    if risk.number("rating") != rating:
        raise risk.fault(f"{severity} and {likelihood} are rated {rating} by the matrix of README.md: write it")
    risk.done()
    return rating
