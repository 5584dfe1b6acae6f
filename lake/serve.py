"""A temporary server on restored files, held against what its snapshot said.

Belongs here: what keeps restored data alive, the questions asked first.
Does not: restoring files (lake.restore), how servers run (lake.servers).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pymongo

from lake.base.datasets import Dataset
from lake.base.day import Day
from lake.base.errors import Incomplete, PermanentError
from lake.base.settings import LokiSource, PrometheusSource
from lake.servers import Stack, find, start
from lake.servers.installing import how_installed
from lake.servers.progress import Progress
from lake.snapshots.loki import ALL_STREAMS, CONFIG
from lake.snapshots.loki_config import is_multi_tenant, restored_config
from lake.snapshots.manifest import SnapshotManifest
from lake.snapshots.mongo_load import load_dump
from lake.snapshots.prometheus import day_samples
from lake.sources import Source
from lake.sources.http import Http
from lake.sources.loki import LokiReader

# Where a system's files lie below the directory, so that its server finds them.
BELOW = {"prometheus": "prometheus/data", "loki": "loki", "mongo": "dump"}
_LOADED = "loaded.json"
_PROGRAMS = {"mongo": "mongod", "prometheus": "prometheus", "loki": "loki"}


@dataclass(frozen=True)
class Served:
    """A running server; `checked` is what was compared with the snapshot's manifest."""

    stack: Stack
    endpoint: dict[str, str]
    checked: dict[str, Any]
    remarks: list[str] = field(default_factory=list)


def serve(
    manifest: SnapshotManifest, into: Path, tenant: str = "", progress: Progress | None = None
) -> Served:
    """Starts the server on what was restored and asks it what the snapshot counted.

    `tenant`: whose lines are counted, where Loki has tenants. Raises PermanentError where
    its program is missing or it does not start (with its log), Incomplete where it does
    not hold what the manifest says. On an error nothing is left running.
    """
    _require_program(manifest.system, into)
    options = _options(manifest, into)
    stack = start([manifest.system], into, progress, **options)
    try:
        endpoint = stack.endpoints[manifest.system]
        checked, remarks = _checked(manifest, into, endpoint, tenant)
    except BaseException:
        stack.stop()
        raise
    return Served(stack, endpoint, checked, remarks)


def _require_program(system: str, into: Path) -> None:
    if find(system) is None:
        raise PermanentError(
            f"no usable {_PROGRAMS[system]} on this machine",
            expected=f"{_PROGRAMS[system]} on PATH, or installed by `lake services`",
            remedy=f"`lake services install {system}` gets {how_installed(system)}; or put "
            f"{_PROGRAMS[system]} on PATH; or `docker compose up` in {into}",
        )


def _options(manifest: SnapshotManifest, into: Path) -> dict[str, Any]:
    if manifest.system == "mongo":
        return {"mongo_ttl": False}
    if manifest.system == "loki":
        file = into / BELOW["loki"] / CONFIG
        source_dir = str(manifest.details["data_dir"])
        config = restored_config(file, source_dir, into / BELOW["loki"] / "data")
        return {"loki_config": config, "loki_multi_tenant": is_multi_tenant(file)}
    return {}


def _checked(
    manifest: SnapshotManifest, into: Path, endpoint: dict[str, str], tenant: str
) -> tuple[dict[str, Any], list[str]]:
    if manifest.system == "mongo":
        return _loaded(manifest, into, endpoint["uri"])
    if manifest.system == "loki":
        # Whose lines the snapshot counted, not whose are read today.
        counted = str(manifest.details.get("tenant", tenant))
        reader: Source = LokiReader(LokiSource(url=endpoint["url"], tenant=counted))
        return _same(manifest, "day_lines", _counted(reader, ALL_STREAMS)), []
    http = Http(PrometheusSource(url=endpoint["url"]), "prometheus")
    try:
        return _samples(manifest, partial(day_samples, http))
    finally:
        http.close()


def _counted(reader: Source, dataset: Dataset) -> Callable[[Day], int]:
    def count(day: Day) -> int:
        try:
            return reader.count(dataset, day).rows
        finally:
            reader.close()

    return count


def _same(manifest: SnapshotManifest, name: str, count: Callable[[Day], int]) -> dict[str, Any]:
    """Exactly as many, or between both counts where writes went on during the snapshot."""
    expected = manifest.counts[name]
    after = manifest.counts.get(f"{name}_after", expected)
    found = count(Day.parse(manifest.day))
    if not min(expected, after) <= found <= max(expected, after):
        raise _differs(manifest, f"{name} = {_between(expected, after)}", f"{name} = {found}")
    return {name: found}


def _samples(
    manifest: SnapshotManifest, count: Callable[[Day], int]
) -> tuple[dict[str, Any], list[str]]:
    """Fewer are right only where the snapshot itself said that the server left some out."""
    if "out_of_order_log_bytes" not in manifest.details:
        return _same(manifest, "day_samples", count), []
    found, expected = count(Day.parse(manifest.day)), manifest.counts["day_samples"]
    after = manifest.counts.get("day_samples_after", expected)
    left_out = manifest.details.get("out_of_order_left_out", expected)
    if not expected - left_out <= found <= max(expected, after):
        low = f"{expected - left_out} … {max(expected, after)}"
        raise _differs(manifest, f"day_samples = {low}", f"day_samples = {found}")
    missing = max(0, expected - found)
    remark = f"{missing} of {expected} samples are not there: out-of-order samples in the server's "
    remark += "head, which Prometheus' snapshots leave out"
    return {"day_samples": found}, [remark] if missing else []


def _between(one: int, other: int) -> str:
    low, high = sorted((one, other))
    return str(low) if low == high else f"{low} … {high}"


def _loaded(manifest: SnapshotManifest, into: Path, uri: str) -> tuple[dict[str, Any], list[str]]:
    """Loads the dump, unless an earlier start has; then counts each collection."""
    mark, database = into / "mongo" / _LOADED, str(manifest.details["database"])
    with pymongo.MongoClient[dict[str, Any]](uri) as client:
        remarks, problem = [], "nothing was loaded"
        if mark.exists():
            remarks = json.loads(mark.read_text("utf-8"))
            # A server that was killed may have lost some of it.
            problem = _difference(manifest, client[database])[0]
        if problem:
            client.drop_database(database)  # half of it, where a start was interrupted
            remarks = load_dump(uri, into / BELOW["mongo"], hold_ttl=True).remarks
            mark.write_text(json.dumps(remarks), encoding="utf-8")
        expected, found = _difference(manifest, client[database])
        if expected:
            raise _differs(manifest, expected, found)
        names = manifest.counts["documents"]
        return {"documents": {n: client[database][n].count_documents({}) for n in names}}, remarks


def _difference(manifest: SnapshotManifest, database: Any) -> tuple[str, str]:
    """What is expected and found of the collections that have other counts; both '' if none."""
    before: dict[str, int] = manifest.counts["documents"]
    after: dict[str, int] = manifest.counts.get("documents_after", before)
    expected, wrong = [], []
    for name, count in before.items():
        low, high = sorted((count, after.get(name, 0)))
        found = database[name].count_documents({})
        if not low <= found <= high:
            expected.append(f"{name} = {_between(low, high)}")
            wrong.append(f"{name} = {found}")
    return ", ".join(expected), ", ".join(wrong)


def _differs(manifest: SnapshotManifest, expected: str, found: str) -> Incomplete:
    return Incomplete(
        "the restored server does not hold what the snapshot's manifest says",
        where=f"{manifest.system} {manifest.day}",
        expected=expected,
        found=found,
        remedy="`lake snapshots verify` tells whether objects were altered",
    )
