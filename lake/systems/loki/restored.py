"""Restored chunks and index in a running Loki: its lines counted.

Belongs here: what a server needs to find old chunks. Does not: starting it (lake.restore), where
the files of each version lie (snapshot.restored).
"""

from __future__ import annotations

import json
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from lake.base.day import Day
from lake.servers import Binary
from lake.servers.recipe import ask
from lake.snapshots.manifest import SnapshotManifest
from lake.systems.loki.config import LokiSource
from lake.systems.loki.reading import LokiReader
from lake.systems.loki.snapshot.restored import (
    LOKI_PORT,
    require_readable,
    restored_config,
    restored_places,
    standalone_config,
    version_of,
)
from lake.systems.loki.snapshot.taking import ALL_STREAMS
from lake.systems.loki.system import SYSTEM
from lake.systems.restored import between, differs

BELOW = SYSTEM.restored_below
_INDEX_READ_WITHIN_S = 90.0  # old versions read it once a minute
_WAIT_S = 0.5
# What people mostly select by, Loki's own last.
_LABELS = ("container", "app", "job", "service_name")
_PLACEHOLDER = "LABEL"


def server_options(manifest: SnapshotManifest, into: Path, program: Binary) -> dict[str, Any]:
    """The configuration by which this version finds the files."""
    places = restored_places(manifest, into / BELOW)
    version = version_of(program.version)
    require_readable(places, version, str(program.path))
    config = restored_config(places, into / BELOW / "data", version)
    return {"loki_config": config, "loki_multi_tenant": places.multi_tenant}


def lines(manifest: SnapshotManifest, url: str, tenant: str) -> dict[str, int]:
    """Waits for an index that is not in use at once.

    More than were counted are right where the copied chunks hold them: the source may have
    counted while chunks that were just flushed were in no answer.
    """
    # Whose lines the snapshot counted, not whose are read today.
    section = LokiSource(url=url, tenant=str(manifest.details.get("tenant", tenant)))
    expected, day = manifest.counts["day_lines"], manifest.counted_day()
    after = manifest.counts.get("day_lines_after", expected)
    low = min(expected, after)
    high = max(expected, after, manifest.details.get("lines_in_chunks", 0))
    deadline = time.monotonic() + _INDEX_READ_WITHIN_S
    with closing(LokiReader(section)) as reader:
        while not low <= (lines_ := reader.count(ALL_STREAMS, day).rows) <= high:
            if lines_ > high or time.monotonic() > deadline:
                counted = f"day_lines = {between(expected, after)}"
                raise differs(manifest, counted, f"day_lines = {lines_}")
            time.sleep(_WAIT_S)
    return {"day_lines": lines_}


def compose_service(manifest: SnapshotManifest, into: Path) -> dict[str, Any]:
    """A server on the restored files; writes the configuration that it mounts."""
    places = restored_places(manifest, into / BELOW)
    config = standalone_config(places, Path("/loki"), version_of(str(manifest.server["version"])))
    (into / BELOW / "restored.yml").write_text(json.dumps(config, indent=1), encoding="utf-8")
    return {
        "ports": [f"127.0.0.1:{LOKI_PORT}:{LOKI_PORT}"],
        "command": ["-config.file=/etc/loki/restored.yml"],
        "volumes": ["./loki/data:/loki", "./loki/restored.yml:/etc/loki/restored.yml:ro"],
    }


def next_steps(url: str, day: Day) -> list[str]:
    """Commands for a person; `--to` is exclusive."""
    selector = f'{{{_label(url, day)}=~".+"}}'
    query = f"query --from={day}T00:00:00Z --to={day.plus(1)}T00:00:00Z '{selector}'"
    return [f"query it: logcli --addr={url} {query}", f"in Grafana: Loki at {url}"]


def _label(url: str, day: Day) -> str:
    """A label that streams of that day have."""
    answer = ask(f"{url}/loki/api/v1/labels?start={day.start_ns}&end={day.end_ns}")
    names = answer.json().get("data") or [] if answer is not None and answer.ok else []
    known = [name for name in _LABELS if name in names]
    return next(iter([*known, *(name for name in names if name[:2] != "__")]), _PLACEHOLDER)
