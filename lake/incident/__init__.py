"""Metrics, log lines and documents around an instant, on one time axis.

window      the time around an instant, and the time before
statements  log lines and documents as one SQL statement
changes     the series that changed most
gathering   reads the lake
entries     stack traces below their lines
page        HTML

Belongs here: incidents. Does not: options, text on a terminal (lake.cli.incident).
"""

from lake.incident.gathering import Event, Incident, Inquiry, events_statement, gather, to_json
from lake.incident.page import page

__all__ = ["Event", "Incident", "Inquiry", "events_statement", "gather", "page", "to_json"]
