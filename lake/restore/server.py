"""A temporary server on restored files, held against what its snapshot said.

Belongs here: what keeps restored data alive, the questions asked first.
Does not: restoring files (lake.restore.files), how servers run (lake.servers).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pymongo

from lake.base.day import Day
from lake.base.errors import Incomplete, PermanentError
from lake.base.settings import LokiSource, PrometheusSource
from lake.servers import Binary, Stack, closest, find, other_version, start
from lake.servers.installing import how_installed
from lake.servers.progress import Progress
from lake.systems.loki.snapshot.taking import ALL_STREAMS
from lake.systems.loki.snapshot.restored import (
    require_readable,
    restored_config,
    restored_places,
    version_of,
)
from lake.snapshots.manifest import SnapshotManifest
from lake.systems.mongo.snapshot.load import load_dump
from lake.systems.mongo.snapshot.loading import Loaded
from lake.systems.prometheus.snapshot.taking import day_samples
from lake.http.client import Http
from lake.systems.loki.reading import LokiReader

# Where a system's files lie below the directory, so that its server finds them.
BELOW = {"prometheus": "prometheus/data", "loki": "loki", "mongo": "dump"}
_LOADED = "loaded.json"
_PROGRAMS = {"mongo": "mongod", "prometheus": "prometheus", "loki": "loki"}
_INDEX_READ_WITHIN_S = 90.0  # old versions read it once a minute
_LOOK_S = 0.5


@dataclass(frozen=True)
class Served:
    """A running server; `checked` is what was compared with the snapshot's manifest.

    `version` is the running program's, which may be another one than the data came from.
    """

    stack: Stack
    endpoint: dict[str, str]
    version: str
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
    system, version = manifest.system, str(manifest.server["version"])
    program = _program(system, version, into)
    options = _options(manifest, into, program)
    stack = start([system], into, progress, programs={system: program}, **options)
    try:
        endpoint = stack.endpoints[system]
        checked, remarks = _checked(manifest, into, endpoint, tenant)
    except BaseException:
        stack.stop()
        raise
    # MongoDB's documents are loaded anew, by any version.
    other = "" if system == "mongo" else other_version(system, version, program)
    return Served(
        stack, endpoint, program.version, checked, [*([other] if other else []), *remarks]
    )


def serving_remark(manifest: SnapshotManifest) -> str:
    """The remark for a restore that starts no server: whether one of the data's version is here.

    '' where it is, and for MongoDB, whose documents any version loads.
    """
    system, version = manifest.system, str(manifest.server["version"])
    program = find(system) if system == "mongo" else closest(system, version)
    if program is None:
        return (
            f"no usable {_PROGRAMS[system]} on this machine: `lake services install {system}` "
            f"installs {how_installed(system)}"
        )
    return "" if system == "mongo" else other_version(system, version, program)


def _program(system: str, version: str, into: Path) -> Binary:
    """That of the version that the data came from, where it is on this machine."""
    program = find(system) if system == "mongo" else closest(system, version)
    if program is None:
        raise PermanentError(
            f"no usable {_PROGRAMS[system]} on this machine",
            expected=f"{_PROGRAMS[system]} on PATH, or installed by `lake services`",
            remedy=f"`lake services install {system}` gets {how_installed(system)}; or put "
            f"{_PROGRAMS[system]} on PATH; or `docker compose up` in {into}",
        )
    return program


def _options(manifest: SnapshotManifest, into: Path, program: Binary) -> dict[str, Any]:
    if manifest.system == "mongo":
        return {"mongo_ttl": False}
    if manifest.system == "loki":
        places = restored_places(manifest, into / BELOW["loki"])
        version = version_of(program.version)
        require_readable(places, version, str(program.path))
        config = restored_config(places, into / BELOW["loki"] / "data", version)
        return {"loki_config": config, "loki_multi_tenant": places.multi_tenant}
    return {}


def _checked(
    manifest: SnapshotManifest, into: Path, endpoint: dict[str, str], tenant: str
) -> tuple[dict[str, Any], list[str]]:
    if manifest.system == "mongo":
        return _loaded(manifest, into, endpoint["uri"])
    if manifest.system == "loki":
        # Whose lines the snapshot counted, not whose are read today.
        counted = str(manifest.details.get("tenant", tenant))
        return _lines(manifest, LokiSource(url=endpoint["url"], tenant=counted)), []
    http = Http(PrometheusSource(url=endpoint["url"]), "prometheus")
    try:
        return _samples(manifest, partial(day_samples, http))
    finally:
        http.close()


def _lines(manifest: SnapshotManifest, section: LokiSource) -> dict[str, int]:
    """Waits for an index that is not in use at once.

    More than were counted are right where the copied chunks hold them: the source may have
    counted while chunks that were just flushed were in no answer.
    """
    expected, day = manifest.counts["day_lines"], manifest.counted_day()
    after = manifest.counts.get("day_lines_after", expected)
    low = min(expected, after)
    high = max(expected, after, manifest.details.get("lines_in_chunks", 0))
    deadline = time.monotonic() + _INDEX_READ_WITHIN_S
    with closing(LokiReader(section)) as reader:
        while not low <= (found := reader.count(ALL_STREAMS, day).rows) <= high:
            if found > high or time.monotonic() > deadline:
                told = f"day_lines = {_between(expected, after)}"
                raise _differs(manifest, told, f"day_lines = {found}")
            time.sleep(_LOOK_S)
    return {"day_lines": found}


def _same(manifest: SnapshotManifest, name: str, count: Callable[[Day], int]) -> dict[str, Any]:
    """Exactly as many, or between both counts where writes went on during the snapshot."""
    expected = manifest.counts[name]
    after = manifest.counts.get(f"{name}_after", expected)
    found = count(manifest.counted_day())
    if not min(expected, after) <= found <= max(expected, after):
        raise _differs(manifest, f"{name} = {_between(expected, after)}", f"{name} = {found}")
    return {name: found}


def _samples(
    manifest: SnapshotManifest, count: Callable[[Day], int]
) -> tuple[dict[str, Any], list[str]]:
    """Fewer are right only where the snapshot itself said that the server left some out."""
    if "out_of_order_log_bytes" not in manifest.details:
        return _same(manifest, "day_samples", count), []
    found, expected = count(manifest.counted_day()), manifest.counts["day_samples"]
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
        loaded, problem = Loaded(), "nothing was loaded"
        if mark.exists():
            loaded = _marked(mark)
            # A server that was killed may have lost some of it.
            problem = _difference(manifest, client[database], loaded)[0]
        if problem:
            client.drop_database(database)  # half of it, where a start was interrupted
            loaded = load_dump(uri, into / BELOW["mongo"], hold_ttl=True)
            mark.write_text(json.dumps(asdict(loaded)), encoding="utf-8")
        expected, found = _difference(manifest, client[database], loaded)
        if expected:
            raise _differs(manifest, expected, found)
        names = [one for one in manifest.counts["documents"] if one not in loaded.left_out]
        counted = {n: client[database][n].count_documents({}) for n in names}
        return {"documents": counted}, loaded.remarks


def _marked(mark: Path) -> Loaded:
    told = json.loads(mark.read_text("utf-8"))
    # An earlier version wrote the remarks alone.
    return Loaded(remarks=told) if isinstance(told, list) else Loaded(**told)


def _difference(manifest: SnapshotManifest, database: Any, loaded: Loaded) -> tuple[str, str]:
    """What is expected and found of the collections that have other counts; both '' if none."""
    before: dict[str, int] = manifest.counts["documents"]
    after: dict[str, int] = manifest.counts.get("documents_after", before)
    expected, wrong = [], []
    for name, count in before.items():
        if name in loaded.left_out:
            continue
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
