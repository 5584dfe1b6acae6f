"""Whether a snapshot reaches back as far as a day's queries look.

Belongs here: how far back a query looks, against the oldest block. Does not: whole days
(lake.snapshots.whole_days).

The value at 00:00 is that of a sample before it. So of the oldest whole day the first steps would
be missing, unless the server had no sample before, for retention had removed none.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from lake.base.day import Day
from lake.config.datasets import duration_ms
from lake.snapshots.manifest import KEPT_FROM, SnapshotManifest
from lake.systems.prometheus.config import PrometheusDataset

_LOOKBACK = timedelta(minutes=5)
# Ranges, subqueries and offsets, in text within quotes too: then it looks further than needed.
_DURATIONS = re.compile(r"(?:\[|:|\boffset\s+)\s*((?:\d+(?:ms|[smhdwy]))+)")


def looks_back(dataset: PrometheusDataset) -> timedelta:
    """At most so far before an instant are the samples that its value depends on."""
    if dataset.mode == "raw":
        return timedelta(0)
    durations = (duration_ms(text) for text in _DURATIONS.findall(dataset.query))
    return _LOOKBACK + timedelta(milliseconds=sum(durations))


def covers(manifest: SnapshotManifest, dataset: PrometheusDataset, day: Day) -> bool:
    """See System."""
    start = manifest.window.get("start")
    if start is None:
        return True  # no sample at all
    needed = day.start - looks_back(dataset)
    kept_from = manifest.details.get(KEPT_FROM)
    return datetime.fromisoformat(start) <= needed or (
        kept_from is not None and datetime.fromisoformat(kept_from) <= needed
    )
