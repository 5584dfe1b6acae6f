"""Prometheus: its snapshot API's blocks.

Belongs here: the API call, which blocks are new, tidying up on the server's disk.
Does not: how files travel (collecting).

A block never changes and has a ULID of its own, so a block that an earlier snapshot holds
is not even read. The head becomes a new block in every snapshot.
"""

from __future__ import annotations

import json
import logging
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lake.base.datasets import PrometheusDataset
from lake.base.day import Day
from lake.base.errors import BadData, Incomplete, PermanentError, Refused
from lake.base.settings import PrometheusSource, Settings
from lake.snapshots.collecting import Collector
from lake.snapshots.face import Taken
from lake.sources import open_source
from lake.sources.http import Http, NoSuchPath, Overloaded, Rejected

_LOG = logging.getLogger(__name__)
ALL_SERIES = PrometheusDataset(
    name="all", source="prometheus", query='{__name__=~".+"}', mode="raw"
)


class PrometheusSnapshotter:
    """See Snapshotter. The server's data directory has to be on a disk that is seen from here."""

    def __init__(self, settings: Settings) -> None:
        section = settings.sources.prometheus
        assert isinstance(section, PrometheusSource)  # noqa: S101  open_snapshotter looked
        self._http = Http(section, "prometheus")
        self._settings = settings
        self._data_dir = Path(settings.snapshots.prometheus.data_dir)

    def take(self, day: Day, into: Collector) -> Taken:
        """See Snapshotter."""
        version = self._version()
        self._require_disk()
        directory = self._data_dir / "snapshots" / self._snapshot()
        into.note("server_directory", str(directory))
        try:
            if not directory.is_dir():
                raise self._unseen(directory)
            blocks = [self._block(path, into) for path in sorted(directory.iterdir())]
            into.wait()
        finally:
            # Its hard links would pin blocks on the server's disk for ever.
            shutil.rmtree(directory, ignore_errors=True)
        if directory.exists():
            _LOG.warning("%s could not be removed: it keeps old blocks on the disk", directory)
        return Taken(
            {"name": "Prometheus", "version": version},
            _window(blocks),
            {"blocks": len(blocks), **_sums(blocks), "day_samples": self._samples(day)},
        )

    def close(self) -> None:
        """See Snapshotter."""
        self._http.close()

    def _version(self) -> str:
        return str(self._http.get("/api/v1/status/buildinfo").json()["data"]["version"])

    def _samples(self, day: Day) -> int:
        """Of the day, as the server counts them: to be asked of a restored server again."""
        source = open_source("prometheus", self._settings)
        try:
            return source.count(ALL_SERIES, day).rows
        finally:
            source.close()

    def _require_disk(self) -> None:
        if not self._data_dir.is_dir():
            raise self._unseen(self._data_dir)

    def _unseen(self, path: Path) -> PermanentError:
        return PermanentError(
            "Prometheus' data directory is not on this machine's disks",
            where=path,
            expected="the directory of --storage.tsdb.path, mounted or local",
            found="no such directory",
            remedy="set [snapshots.prometheus] data_dir; for a remote server run this command "
            "on its host (scripts/aws/backup_monitoring_to_s3.sh), or mount its volume",
        )

    def _snapshot(self) -> str:
        """Its directory's name. Raises Refused where the admin API is off."""
        try:
            answer = self._http.post("/api/v1/admin/tsdb/snapshot", attempts=1).json()
        except (NoSuchPath, Rejected, Overloaded) as error:
            text = getattr(error, "text", "")
            if "admin APIs disabled" not in text and not isinstance(error, NoSuchPath):
                raise
            raise Refused(
                "Prometheus' admin API is off",
                where=self._http.url("/api/v1/admin/tsdb/snapshot"),
                found=error.parts.get("found"),
                remedy="start Prometheus with --web.enable-admin-api",
            ) from error
        try:
            name = answer["data"]["name"]
        except (KeyError, TypeError) as error:
            raise BadData("no snapshot in the answer", found=answer) from error
        return str(name)

    def _block(self, path: Path, into: Collector) -> dict[str, Any]:
        """Its meta.json; its files are on their way, or known."""
        try:
            meta: dict[str, Any] = json.loads((path / "meta.json").read_bytes())
        except (OSError, ValueError) as error:
            raise Incomplete("a block without a meta.json", where=path, found=error) from error
        files = sorted(file for file in path.rglob("*") if file.is_file())
        names = {file: f"{path.name}/{file.relative_to(path).as_posix()}" for file in files}
        known = into.known.files
        stored = {file: known.get(name) for file, name in names.items()}
        same = all(one and one.bytes == file.stat().st_size for file, one in stored.items())
        for file, name in names.items():
            one = stored[file]
            if same and one:
                into.adopt(name, one)
            else:
                into.file(file, name)
        return meta


def _window(blocks: list[dict[str, Any]]) -> dict[str, str | None]:
    if not blocks:
        return {"start": None, "end": None}
    start, end = min(b["minTime"] for b in blocks), max(b["maxTime"] for b in blocks)
    return {"start": _iso(start), "end": _iso(end)}


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")


def _sums(blocks: list[dict[str, Any]]) -> dict[str, int]:
    stats = [block.get("stats", {}) for block in blocks]
    return {"samples": sum(int(one.get("numSamples", 0)) for one in stats)}
