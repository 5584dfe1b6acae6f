"""Loki: the lines of all streams that a selector matches, day by day, none lost.

Belongs here: Loki's HTTP API, LogQL, paging, and the Arrow form of streams and lines.
Does not: retries and credentials (lake.sources.http), the columns of labels (lake.sources.labels).

selector   LogQL text             api       one request, its answer, its refusals
answer     JSON → Arrow rows      paging    a stretch of time, page by page
crowd      one very full instant  missing   lines that Loki counts and does not give
spool      rows on disk, sorted   table     the columns of the partition
reader     the order of the steps
"""

from lake.sources.loki.reader import LokiReader

__all__ = ["LokiReader"]
