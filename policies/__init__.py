"""What may be shown, to whom, and why: Cedar policies, the tables beside them, and the engine that decides."""

from policies.checking import check_set
from policies.engine import Policies
from policies.scenarios import run_scenarios
from policies.tables import Tables

__all__ = ["Policies", "Tables", "check_set", "run_scenarios"]
