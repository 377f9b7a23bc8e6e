"""Who must be told now?"""

from broker.alerts.values import Alert, Alerts, Kind

__all__ = ["Alert", "Alerts", "Kind"]
