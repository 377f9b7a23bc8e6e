"""What is left when something has been taken out."""

from typing import Any

__all__ = ["prune"]


def prune(node: Any) -> bool:
    """Remove what is empty, all the way up: FHIR has no empty objects or lists. True where nothing is left."""
    if isinstance(node, dict):
        for key in [key for key, value in node.items() if value.__class__ in (dict, list) and prune(value)]:
            del node[key]
        return not node
    if isinstance(node, list):
        node[:] = [value for value in node if not (value.__class__ in (dict, list) and prune(value))]
        return not node
    return False
