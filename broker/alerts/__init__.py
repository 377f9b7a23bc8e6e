"""Who must be told now?"""

from broker.alerts.alerting import Alerting, Pace
from broker.alerts.outbox import STORE_ERRORS
from broker.alerts.sending import Receiver, read_secrets
from broker.alerts.undecided import Undecided
from broker.alerts.values import Alert, Alerts, Kind

__all__ = ["STORE_ERRORS", "Alert", "Alerting", "Alerts", "Kind", "Pace", "Receiver", "Undecided", "read_secrets"]
