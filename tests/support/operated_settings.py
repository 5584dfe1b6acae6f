"""lake.toml of a site in operation (operated_site), and its values.

Belongs here: what is kept for how long, and where. Does not: operating it.
"""

from __future__ import annotations

HOT = {"mongo": 12, "prometheus": 10, "loki": 9}
TABLES = {"events": 24, "requests": 20, "lines": 18}
ROLLUPS = {"requests": 30, "lines": 30}
SNAPSHOTS = {"daily": 3, "weekly": 2, "monthly": 3}
MARGIN = 3
LATE = {"mongo": 2, "prometheus": 1, "loki": 2}
COUNTED = {name: days + 3 for name, days in LATE.items()}  # the greatest age of a count
SOURCE = {"events": "mongo", "requests": "prometheus", "lines": "loki"}
FILE = """
[lake]
root = "lake"
first_day = "{first}"
[sources.mongo]
uri = "{uri}"
database = "{database}"
lateness_days = {late[mongo]}
timeout_s = 20
[sources.prometheus]
url = "http://127.0.0.1:1"
lateness_days = {late[prometheus]}
[sources.loki]
url = "http://127.0.0.1:1"
lateness_days = {late[loki]}
[hot]
mongo = {hot[mongo]}
prometheus = {hot[prometheus]}
loki = {hot[loki]}
[snapshots.mongo]
tool = "native"
[ttl]
enabled = true
days = {hot[mongo]}
margin_days = {margin}
max_silence_hours = 36
[retention]
enabled = true
rollups = 30
tables = {tables[events]}
[retention.snapshots]
daily = {snapshots[daily]}
weekly = {snapshots[weekly]}
monthly = {snapshots[monthly]}
[retention.dataset.requests]
tables = {tables[requests]}
[retention.dataset.lines]
tables = {tables[lines]}
[alerts]
webhook_url = "{receiver}/hook"
heartbeat_url = "{receiver}/heartbeat"
report = "never"
[[dataset]]
name = "events"
source = "mongo"
collection = "events"
[[dataset]]
name = "requests"
source = "prometheus"
query = "up"
[[dataset]]
name = "lines"
source = "loki"
selector = '{{job="a"}}'
"""
