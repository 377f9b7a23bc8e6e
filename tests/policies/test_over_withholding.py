"""Keeping back too much is a hazard as real as leaking: measured on records that others wrote."""

import json
from collections import Counter
from datetime import date
from pathlib import Path

import pytest

DATA = Path(__file__).parents[3] / "shared" / "data"
TODAY = date(2026, 11, 22)


def codings(value):
    """Every (system, code) of a resource, labels included."""
    if isinstance(value, dict):
        if isinstance(value.get("system"), str) and isinstance(value.get("code"), str):
            yield value["system"], value["code"]
        for inner in value.values():
            yield from codings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from codings(inner)


def resources(folder):
    if not (DATA / folder).is_dir():
        pytest.skip(f"{folder}: no test data beside this checkout")
    for file in sorted((DATA / folder).rglob("*.json")):
        try:
            bundle = json.loads(file.read_text(encoding="utf-8"))
        except ValueError:
            continue
        yield from (entry["resource"] for entry in bundle.get("entry", []) if "resource" in entry)


@pytest.mark.parametrize("folder", ["synthea-r4", "gpconnect-stu3/uat"])
def test_ordinary_records_lose_nothing_to_the_exclusions(policies, folder):
    excluded = policies.tables.excluded_codings(TODAY)
    hit, seen = Counter(), 0
    for resource in resources(folder):
        seen += 1
        if found := excluded.intersection(codings(resource)):
            hit[resource["resourceType"], *sorted(found)] += 1
    assert seen > 1_000
    assert hit == Counter(), f"of {seen} resources"
