"""Restored blocks in a running Prometheus: its samples counted.

Belongs here: what a server needs to keep old blocks. Does not: starting it (lake.restore).
"""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import Any

from lake.base.day import Day
from lake.http.client import Http
from lake.snapshots.manifest import SnapshotManifest
from lake.systems.prometheus.config import PrometheusSource
from lake.systems.prometheus.snapshot.taking import day_samples
from lake.systems.prometheus.system import SYSTEM
from lake.systems.restored import differs, require_same

BELOW = SYSTEM.restored_below
_PORT = 9090


def samples(manifest: SnapshotManifest, url: str) -> tuple[dict[str, Any], list[str]]:
    """Fewer are right only where the snapshot itself recorded that the server left some out."""
    with closing(Http(PrometheusSource(url=url), "prometheus")) as http:
        count = partial(day_samples, http)
        if "out_of_order_log_bytes" not in manifest.details:
            return require_same(manifest, "day_samples", count), []
        samples_, expected = count(manifest.counted_day()), manifest.counts["day_samples"]
    after = manifest.counts.get("day_samples_after", expected)
    left_out = manifest.details.get("out_of_order_left_out", expected)
    if not expected - left_out <= samples_ <= max(expected, after):
        low = f"{expected - left_out} … {max(expected, after)}"
        raise differs(manifest, f"day_samples = {low}", f"day_samples = {samples_}")
    missing = max(0, expected - samples_)
    remark = f"{missing} of {expected} samples are not there: out-of-order samples in the server's "
    remark += "head, which Prometheus' snapshots leave out"
    return {"day_samples": samples_}, [remark] if missing else []


def compose_service() -> dict[str, Any]:
    """A server on the restored blocks."""
    # The default retention of 15 days would remove the blocks at once.
    flags = ["--storage.tsdb.path=/prometheus", "--storage.tsdb.retention.time=100y"]
    return {
        "ports": [f"127.0.0.1:{_PORT}:{_PORT}"],
        "command": ["--config.file=/etc/prometheus/prometheus.yml", *flags],
        "volumes": [f"./{BELOW}:/prometheus"],
    }


def next_steps(url: str, day: Day) -> list[str]:
    """Commands for a person."""
    query = f"curl -G {url}/api/v1/query --data-urlencode 'query=count({{__name__=~\".+\"}})'"
    return [f"query it: {query} -d time={day}T12:00:00Z", f"in Grafana: Prometheus at {url}"]
