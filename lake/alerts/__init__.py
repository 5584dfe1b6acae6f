"""Alerts: what is wrong, to the channels of `[alerts]`, once a cause.

alert         the value: cause, severity, text
channels      those that are configured
webhook, mail, alertmanager, heartbeat   one each
posting       HTTP requests whose errors show no secret
secrets       secrets from their files
notifications  which alerts are open, and which channel has been notified
failures      failed partitions, one alert per cause
causes        one alert per cause, of failures and of what the ledger shows together
conditions    what the ledger alone shows: lag against `[hot]`, damaged days, guards that are silent
testing       a test message to each channel
cycle         whether the day's work is done

Belongs here: from a failure to a message. Does not: watching Dagster's runs (assets), Prometheus
(lake.metrics).
"""

from lake.alerts.alert import Alert
from lake.alerts.causes import explained_by, firing
from lake.alerts.channels import Channel, Delivery, open_channels
from lake.alerts.conditions import conditions, unreadable
from lake.alerts.failures import Failure, alerts_of, place_of
from lake.alerts.notifications import Notifications

__all__ = [
    "Alert",
    "Channel",
    "Delivery",
    "Failure",
    "Notifications",
    "alerts_of",
    "conditions",
    "explained_by",
    "firing",
    "open_channels",
    "place_of",
    "unreadable",
]
