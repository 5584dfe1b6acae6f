"""A lake.toml with a dataset of each kind, whose sources nothing listens for.

Belongs here: its text. Does not: lakes that are made from it.
"""

from __future__ import annotations

FILE = """
[lake]
root = "lake"
first_day = "2026-07-01"
[sources.mongo]
uri = "mongodb://127.0.0.1:1"
database = "d"
[sources.prometheus]
url = "http://127.0.0.1:1"
[sources.loki]
url = "http://127.0.0.1:1"
[[dataset]]
name = "events"
source = "mongo"
collection = "raw-events"
time_field = "at"
[[dataset]]
name = "requests"
source = "prometheus"
query = '{__name__=~"http_.*"}'
step = "30s"
[[dataset]]
name = "samples"
source = "prometheus"
query = 'up'
mode = "raw"
[[dataset]]
name = "lines"
source = "loki"
selector = '{container=~".+"}'
"""
