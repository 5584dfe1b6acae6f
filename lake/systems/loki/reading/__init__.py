"""Loki: the lines of all streams that a selector matches, day by day, none lost.

Belongs here: Loki's HTTP API, LogQL, paging, and the Arrow form of streams and lines.
Does not: retries and credentials (lake.http.client), the columns of labels (lake.systems.labels).

reader      the steps              reading             one day, hour by hour in parallel
paging      an hour, page by page  oversized_instant   an instant with more lines than a page
counting    Loki's own count       missing             lines that are counted and not returned
api         a request, an answer   answer              JSON → Arrow rows
spool       rows on disk, sorted   table               the columns of the partition
logql       LogQL text             cover               selectors that together take all streams
narrowing   halves of a question   split               where Loki cuts queries in parts
scan        compiled loops         ruled               column rules
version     what it can do         config, limit       its settings
remedies    for refused queries    originals           lines that a pipeline makes equal

Loki before 3.0, stream by stream: by_stream, stream_set, counting_by_labels, ends, unlisted.
"""

from lake.systems.loki.reading.reader import LokiReader

__all__ = ["LokiReader"]
