"""Is a policy set whole, and does it decide as its board expects?"""

from pathlib import Path

from policies.engine import Policies
from policies.hazards import load_hazards
from policies.scenarios import unmet
from policies.values import PolicyError

__all__ = ["check_set"]


def check_set(directory: Path | None) -> tuple[Policies | None, list[PolicyError]]:
    """A policy set (None: the one that comes with the package), and every fault of it that can be told.

    With a fault in what decides there is no set to run the scenarios on, and no more is told; else the safety case is
    read, and every scenario is run.
    """
    try:
        policies = Policies.load(directory)
    except PolicyError as fault:
        return None, [fault]
    faults = []
    try:
        load_hazards(directory)
    except PolicyError as fault:
        faults.append(fault)
    try:
        faults += unmet(policies, directory / "cases" if directory else None)
    except PolicyError as fault:
        faults.append(fault)
    return policies, faults
