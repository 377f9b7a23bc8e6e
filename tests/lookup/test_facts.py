"""What merging takes of records that others wrote: nothing breaks, and every "none known" is known for one."""

import json
from collections import Counter

import pytest

from broker.lookup.facts import RECORDED, fact_of

NONE_KNOWN = {"716186003": "", "no-known-food-allergies": "food"}
"""The negatives that are in the records."""


def _resources(node):
    """Every resource below a node, contained ones too."""
    if isinstance(node, dict):
        if "resourceType" in node:
            yield node
        for value in node.values():
            yield from _resources(value)
    elif isinstance(node, list):
        for value in node:
            yield from _resources(value)


def _records(folder):
    for path in sorted(folder.rglob("*.json")):
        try:
            text = path.read_text(encoding="utf-8-sig")
            yield from (one for one in _resources(json.loads(text)) if one["resourceType"] in RECORDED)
        except ValueError:
            continue  # broken on purpose


@pytest.mark.parametrize("kind", ["synthea-r4", "ips-r4", "immunisation-r4", "gpconnect-stu3"])
def test_every_record_that_others_wrote_is_read(shared_data, kind):
    negatives, read = Counter(), 0
    for data in _records(shared_data / kind):
        fact = fact_of(data["resourceType"], data, "Any/1", ("S", "The S"), lambda _: None)
        coded = {coding.get("code") for coding in (data.get("code") or {}).get("coding", ())}
        for code in coded & NONE_KNOWN.keys():
            assert fact.none_known == NONE_KNOWN[code]
            negatives[code] += 1
        if fact is not None:
            read += 1
            assert fact.none_known is None or coded & NONE_KNOWN.keys()
    assert read
    assert bool(negatives) == (kind in {"ips-r4", "gpconnect-stu3"})
