"""What happens to one request? Plan, fan-out, guard, screen, merge. This room knows no HTTP and no database."""

from broker.lookup.identity import SparedIdentity
from broker.lookup.quotas import Quota, Quotas
from broker.lookup.service import Limits, Lookup, LookupService

__all__ = ["Limits", "Lookup", "LookupService", "Quota", "Quotas", "SparedIdentity"]
