"""Prometheus and what speaks its HTTP API (Thanos Query, Mimir): a day of one query.

`reader` is the face, `plan` cuts a day into requests, `api` asks them, `answer` turns
JSON into Arrow, `spool` keeps answers on disk and gives them back in order.
Belongs here: PromQL's HTTP API. Does not: snapshots, or where the rows go.
"""

from lake.sources.prometheus.reader import PrometheusReader

__all__ = ["PrometheusReader"]
