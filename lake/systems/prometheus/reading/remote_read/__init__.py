"""Prometheus' remote read: the stored samples themselves, as the chunks they lie in.

`day` has the steps. `asking` requests a selector's series (`request` is the body), `stream` takes
the answer apart and keeps it on disk, `reading` gives it back series by series, with the labels of
`label_sets`. `message_loops` has the compiled loops over messages, `sample_loops` those over
samples, `histograms` and `histogram_loops` what native histograms add.

Belongs here: POST /api/v1/read. Does not: PromQL, what a table looks like.

Source of the messages, their field numbers and the stream's framing:
https://github.com/prometheus/prometheus/tree/main/prompb (remote.proto, types.proto) and
https://prometheus.io/docs/prometheus/latest/querying/remote_read_api/
"""

from lake.systems.prometheus.reading.remote_read.day import stale_markers, table_stream
from lake.systems.prometheus.reading.remote_read.stream import Unavailable

__all__ = ["Unavailable", "stale_markers", "table_stream"]
