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
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from lake.base.clock import utc_now
from lake.base.day import Day
from lake.base.errors import BadData, Incomplete, LakeError, PermanentError, Refused
from lake.config.datasets import duration_ms
from lake.config.settings import Settings
from lake.http.client import Http, NoSuchPath
from lake.snapshots.collecting import Collector
from lake.snapshots.disk_state import STATE, Counting, disk_state
from lake.snapshots.journal import Journal
from lake.snapshots.manifest import KEPT_FROM
from lake.snapshots.server_files import files_below
from lake.snapshots.taken import Taken
from lake.snapshots.whole_days import days_of_blocks, kept_from_ms
from lake.systems.prometheus.config import PrometheusDataset, PrometheusSource
from lake.systems.prometheus.reading.plan import whole_day
from lake.systems.prometheus.reading.questions import DayQuestions

_LOG = logging.getLogger(__name__)
_NOTE, _BEFORE = "server_directory", "snapshots_before"
_REQUESTED_WITHIN = timedelta(minutes=1)  # of the journal's last word: the clocks may differ
_NOT_DATA = ("snapshots", "lock", "queries.active")
_REWRITTEN = ("meta.json", "tombstones")
ALL_SERIES = PrometheusDataset(
    name="all", source="prometheus", query='{__name__=~".+"}', mode="raw"
)


class PrometheusSnapshotter:
    """See Snapshotter. The server's data directory has to be on a disk that is seen from here."""

    def __init__(self, settings: Settings) -> None:
        section = settings.sources.prometheus
        assert isinstance(section, PrometheusSource)  # noqa: S101  open_snapshotter looked
        self._http = Http(section, "prometheus")
        self._data_dir = Path(settings.snapshots.prometheus.data_dir)
        self._hot_days = settings.hot.prometheus

    def take(self, day: Day, into: Collector) -> Taken:
        """See Snapshotter."""
        version = self._version()
        self._require_disk()
        self._tidy_up_after(into.known.dead)
        counting = Counting(
            "day_samples",
            day,
            into.known.newest,
            lambda: disk_state(self._files()),
            lambda: day_samples(self._http, day),
        )
        counting.begin()
        taken = utc_now()  # what is written later may be in it or not
        directory = self._snapshots / self._snapshot(into)
        into.note(_NOTE, str(directory))
        try:
            if not directory.is_dir():
                raise self._unseen(directory)
            blocks = [self._block(path, into) for path in sorted(directory.iterdir())]
            into.wait()
        finally:
            self._remove(directory)
        counts = {"blocks": len(blocks), **_sums(blocks), **counting.counts()}
        left_out = self._left_out(day, blocks, counts["day_samples"])
        settled = self._settled_until(taken) if left_out else None
        kept = self._kept()
        return Taken(
            {"name": "Prometheus", "version": version},
            _window(blocks),
            counts,
            {STATE: counting.state, KEPT_FROM: _kept_from(blocks, kept), **left_out},
            days_of_blocks(blocks, taken, settled, kept),
        )

    @property
    def _snapshots(self) -> Path:
        return self._data_dir / "snapshots"

    def _remove(self, directory: Path) -> None:
        """Its hard links would pin blocks on the server's disk for ever."""
        shutil.rmtree(directory, ignore_errors=True)
        if directory.exists():
            _LOG.warning("%s could not be removed: it keeps old blocks on the disk", directory)

    def _tidy_up_after(self, dead: list[Journal]) -> None:
        """What runs that were killed have left on the server's disk."""
        for journal in dead:
            directory = Path(journal.notes.get(_NOTE, ""))
            if directory.parent == self._snapshots and directory.is_dir():
                _LOG.warning("removing %s, which an interrupted snapshot left", directory)
                self._remove(directory)
            elif _NOTE not in journal.notes and _BEFORE in journal.notes:
                at = datetime.fromisoformat(journal.at)
                self._warn_of_nameless(journal.notes[_BEFORE], at)

    def _left_out(self, day: Day, blocks: list[dict[str, Any]], counted: int) -> dict[str, Any]:
        """Out-of-order samples in the head: the snapshot API takes its blocks without them.

        The server keeps a log of them, whose size shows that there are some. How many of the
        day's samples are missing is known where no block reaches over the day's ends.
        """
        log = self._data_dir / "wbl"
        size = sum(file.stat().st_size for file in log.glob("*")) if log.is_dir() else 0
        if not size:
            return {}
        counts: dict[str, Any] = {"out_of_order_log_bytes": size}
        of_day = [b for b in blocks if b["minTime"] < day.end_ms and b["maxTime"] > day.start_ms]
        if all(day.start_ms <= b["minTime"] and b["maxTime"] <= day.end_ms for b in of_day):
            counts["out_of_order_left_out"] = max(0, counted - _sums(of_day)["samples"])
        _LOG.warning(
            "Prometheus' head holds out-of-order samples, which its snapshots leave out: take "
            "the snapshot again when the head has become a block, at the next even hour"
        )
        return counts

    def _settled_until(self, taken: datetime) -> datetime:
        """Until when out-of-order samples were too old to be accepted."""
        try:
            text = self._http.get("/api/v1/status/config").json()["data"]["yaml"]
            window = yaml.safe_load(text)["storage"]["tsdb"]["out_of_order_time_window"]
            window_ms = duration_ms(str(window))
        except (LakeError, yaml.YAMLError, LookupError, TypeError, ValueError) as error:
            _LOG.warning("Prometheus' out_of_order_time_window can't be read: %s", error)
            return datetime.fromtimestamp(0, UTC)
        return taken - timedelta(milliseconds=window_ms)

    def _kept(self) -> timedelta | None:
        """How far back from the newest sample retention removes nothing, by the server and by
        `[hot]`: it may have been raised since. None where a size limits it, or it is unknown.
        """
        try:
            status = self._http.get("/api/v1/status/runtimeinfo").json()["data"]
            kept_ms = duration_ms(str(status["storageRetention"]))
        except (LakeError, LookupError, TypeError, ValueError) as error:
            _LOG.info("Prometheus' retention by time is unknown, or not the only one: %s", error)
            return None
        return min(timedelta(milliseconds=kept_ms), timedelta(days=self._hot_days))

    def close(self) -> None:
        """See Snapshotter."""
        self._http.close()

    def _version(self) -> str:
        return str(self._http.get("/api/v1/status/buildinfo").json()["data"]["version"])

    def _files(self) -> Iterator[tuple[Path, tuple[int, int]]]:
        """All that the server writes: every sample goes to its log at once."""
        for path in files_below(self._data_dir):
            own = path.relative_to(self._data_dir).parts[0]
            if own not in _NOT_DATA:
                try:
                    stat = path.stat()
                except FileNotFoundError:
                    continue
                yield path, (stat.st_size, stat.st_mtime_ns)

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

    def _snapshot(self, into: Collector) -> str:
        """Its directory's name. Raises Refused where the admin API is off."""
        before = " ".join(self._made())
        into.note(_BEFORE, before)
        try:
            answer = self._http.post("/api/v1/admin/tsdb/snapshot", attempts=1).json()
        except LakeError as error:
            text = getattr(error, "text", "")
            if "admin APIs disabled" not in text and not isinstance(error, NoSuchPath):
                self._warn_of_nameless(before, utc_now())
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
            raise BadData("no snapshot in the response", found=answer) from error
        return str(name)

    def _made(self) -> list[str]:
        """The names of all snapshots on the server's disk: the time at which each was requested."""
        return sorted(path.name for path in self._snapshots.glob("*"))

    def _warn_of_nameless(self, before: str, until: datetime) -> None:
        """A snapshot whose response did not come. Nothing shows that it is not someone else's."""
        last = f"{until + _REQUESTED_WITHIN:%Y%m%dT%H%M%SZ}"
        for name in set(self._made()) - set(before.split(" ")):
            if name < last:
                _LOG.warning(
                    "%s is probably of an interrupted snapshot: remove it unless it is someone "
                    "else's, for it keeps old blocks on the disk",
                    self._snapshots / name,
                )

    def _block(self, path: Path, into: Collector) -> dict[str, Any]:
        """Its meta.json; its files are on their way, or known."""
        try:
            meta: dict[str, Any] = json.loads((path / "meta.json").read_bytes())
        except (OSError, ValueError) as error:
            raise Incomplete("a block without a meta.json", where=path, found=error) from error
        files = sorted(files_below(path))
        names = {file: f"{path.name}/{file.relative_to(path).as_posix()}" for file in files}
        sizes = {file: file.stat().st_size for file in files}
        stored = {file: into.known.files.get(name, []) for file, name in names.items()}
        same = all(sizes[file] == sum(piece.bytes for piece in stored[file]) for file in files)
        for file, name in names.items():
            # Deletions rewrite the small ones, perhaps without changing their size.
            if same and stored[file] and file.name not in _REWRITTEN:
                into.adopt(name, stored[file])
            else:
                into.file(file, name, pack=True)
        return meta


def day_samples(http: Http, day: Day) -> int:
    """The day's samples without stale markers, as the server counts them.

    Repeated on a restored server, and cheap: it needs no compiled code.
    """
    return DayQuestions(http, ALL_SERIES).stored(whole_day(day, 1))


def _window(blocks: list[dict[str, Any]]) -> dict[str, str | None]:
    if not blocks:
        return {"start": None, "end": None}
    start, end = min(b["minTime"] for b in blocks), max(b["maxTime"] for b in blocks)
    return {"start": _iso(start), "end": _iso(end)}


def _kept_from(blocks: list[dict[str, Any]], kept: timedelta | None) -> str | None:
    spans = [(int(block["minTime"]), int(block["maxTime"])) for block in blocks]
    from_ms = kept_from_ms(spans, kept)
    return None if from_ms is None else _iso(from_ms)


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")


def _sums(blocks: list[dict[str, Any]]) -> dict[str, int]:
    stats = [block.get("stats", {}) for block in blocks]
    return {"samples": sum(int(stat.get("numSamples", 0)) for stat in stats)}
