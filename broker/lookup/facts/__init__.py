"""What merging needs of a released resource, taken before its dicts are freed."""

from broker.lookup.facts.fact import RECORDED, Fact, fact_of

__all__ = ["RECORDED", "Fact", "fact_of"]
