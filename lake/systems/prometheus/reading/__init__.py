"""Prometheus and what speaks its HTTP API (Thanos Query, Mimir): a day of one query.

reader      the steps                      remote_read  stored samples as chunks
promql_day  a day by PromQL, in shards     plan         a day cut into requests
questions   counts, names; in parts        narrowing    a selector in pieces, by label
api         a request, its envelope        stores       the stores behind Thanos Query
answer      JSON → arrays                  scan         its compiled loops
runs        answers that wait, in order    blocks       series → the table's batches
promql      its text: selectors, names     ruled        column rules
server      which server, which version

Belongs here: PromQL's HTTP API, remote read. Does not: snapshots, or where the rows go.
"""

from lake.systems.prometheus.reading.reader import PrometheusReader

__all__ = ["PrometheusReader"]
