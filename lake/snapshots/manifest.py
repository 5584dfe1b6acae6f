"""The JSON claim about a snapshot. Written last, removed first.

Belongs here: its fields and where it lies. Does not: taking or restoring a snapshot.

`<system>/YYYY/MM/DD/manifest.json` lists files, large ones in pieces; a piece's object may lie
under an earlier day's folder, for each content is stored once. The objects of one run lie in a
folder of their own, so that two runs of one day never write the same key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from lake.base.day import Day
from lake.base.errors import BadData, Missing, UsageError
from lake.base.members import of_members
from lake.snapshots.whole_days import BEGINS_WITHIN
from lake.store import Store

# In `details`: the day that `counts` is about; lines of it that Loki counted and that are in no
# copied chunk; chunks of it that can't be read.
COUNTED_DAY, UNACCOUNTED, UNREADABLE = "counted_day", "unaccounted_lines", "unreadable_chunks"
# From when on Prometheus' retention had removed nothing, null where that is unknown.
KEPT_FROM = "kept_from"
_MANIFEST = re.compile(r"(\w+)/(\d{4})/(\d\d)/(\d\d)/manifest\.json")


@dataclass(frozen=True)
class StoredFile:
    """A file, or a piece of one: `bytes` of `path` from `at` on.

    They are those of the object `key` from `offset` on, and `sha256` is theirs. `holds` is the
    SHA-256 of what a gzip member unpacks to, empty for everything else.
    """

    path: str
    bytes: int
    sha256: str
    key: str
    offset: int = 0
    at: int = 0
    holds: str = ""


@dataclass(frozen=True)
class StoredObject:
    """An object that the snapshot needs."""

    key: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class SnapshotManifest:
    """What a snapshot holds. `window` is half-open, ISO 8601 UTC; `start` NULL: all that the
    system kept; both NULL: see span.

    `server` is its name and version; `counts` are the server's own, to be compared with a
    restored one; `restore` is the command that brings it back. `whole_days`: the days of which
    it holds everything that the server had, oldest first; None in manifests of earlier versions.

    Further fields, of a later version, are ignored; `objects` has to stay all that it needs, as
    removals go by it.
    """

    system: str
    day: str
    created_at: str
    version: str
    server: dict[str, str]
    window: dict[str, str | None]
    counts: dict[str, Any]
    objects: list[StoredObject]
    files: list[StoredFile]
    restore: str
    details: dict[str, Any] = field(default_factory=dict)
    whole_days: list[str] | None = None

    def to_bytes(self) -> bytes:
        """Human-readable UTF-8 JSON."""
        return (json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n").encode()

    @property
    def bytes(self) -> int:
        """Of all files, restored."""
        return sum(file.bytes for file in self.files)

    def held_days(self) -> list[Day]:
        """The days that it holds whole, oldest first.

        An earlier version's snapshot was filed under the day that it was wanted for: it holds
        that day if the day was over, else the day before.
        """
        if self.whole_days is not None:
            days = [Day.parse(day) for day in self.whole_days]
            return [day for day in days if not self._may_be_cut(day)]
        own, taken = Day.parse(self.day), datetime.fromisoformat(self.created_at)
        day = own if own.end <= taken else own.plus(-1)
        if (span := self.span()) is None:
            return []
        start, end = span
        starts_later = start is not None and start >= day.end
        ends_before = end is not None and end <= day.start
        return [] if starts_later or ends_before else [day]

    def _may_be_cut(self, day: Day) -> bool:
        """Earlier versions listed the day in which Prometheus' oldest block begins, though
        retention may have removed those before it.
        """
        start = self.window.get("start")
        if self.system != "prometheus" or KEPT_FROM in self.details or start is None:
            return False
        return datetime.fromisoformat(start) > day.start + BEGINS_WITHIN

    def span(self) -> tuple[datetime | None, datetime | None] | None:
        """The window: from (None: the system's oldest row), to (exclusive). None: it holds nothing.

        Earlier versions left both ends out for a dump of a whole database and for Loki's files,
        too.
        """
        start, end = (
            datetime.fromisoformat(text) if (text := self.window.get(name)) else None
            for name in ("start", "end")
        )
        if start is None and end is None:
            if self.whole_days is not None or not _any_counted(self.counts):
                return None
            end = datetime.fromisoformat(self.created_at)
        return start, end

    def counted_day(self) -> Day:
        """The day of data that `counts` is about, where it counts one."""
        return Day.parse(str(self.details.get(COUNTED_DAY, self.day)))

    def warnings(self) -> list[str]:
        """What the snapshot does not prove to hold."""
        day, messages = self.counted_day(), []
        if lines := self.details.get(UNACCOUNTED):
            where = (
                "readable chunk" if self.details.get(UNREADABLE) else "chunk, perhaps in the WAL"
            )
            messages.append(f"{lines} lines of {day} are in no {where}")
        if chunks := self.details.get(UNREADABLE):
            messages.append(f"chunks of {day} that can't be read: {chunks}")
        return messages

    @property
    def paths(self) -> int:
        """How many files there are, each counted once."""
        return len({file.path for file in self.files})


def _any_counted(counts: Any) -> bool:
    """Whether one of the numbers is not 0; those of MongoDB are by collection."""
    if isinstance(counts, dict):
        return any(map(_any_counted, counts.values()))
    return bool(counts)


def snapshot_prefix(system: str, day: Day) -> str:
    """The folder of a day's snapshot."""
    year, month, number = str(day).split("-")
    return f"{system}/{year}/{month}/{number}/"


def snapshot_manifest_key(system: str, day: Day) -> str:
    """Where its manifest lies."""
    return snapshot_prefix(system, day) + "manifest.json"


def read_snapshot(store: Store, system: str, day: Day) -> SnapshotManifest:
    """The manifest. Raises Missing, naming the days that there are; BadData."""
    key = snapshot_manifest_key(system, day)
    if store.stat(key) is None:
        days = [str(snapshot_day) for snapshot_day in snapshot_days(store, system)]
        raise Missing(
            f"no snapshot of {system} for {day}",
            where=store.url(key),
            expected="one of " + ", ".join(days[-10:]) if days else None,
            found=None if days else f"no snapshot of {system}",
            remedy=f"`lake snapshots` lists them; `lake snapshot {system}` takes one",
        )
    return _parsed(store.read(key), store.url(key), system, day)


def snapshot_days(store: Store, system: str) -> list[Day]:
    """The days that have a manifest, oldest first."""
    return days_among(stat.key for stat in store.list(f"{system}/"))


def days_among(keys: Iterable[str]) -> list[Day]:
    """The days whose manifests are among the keys, oldest first."""
    return sorted(_days(keys))


def _days(keys: Iterable[str]) -> Iterator[Day]:
    for key in keys:
        match = _MANIFEST.fullmatch(key)
        if match:
            try:
                yield Day.parse("-".join(match.groups()[1:]))
            except UsageError:
                continue  # a folder that is not a day


def _parsed(text: bytes, where: str, system: str, day: Day) -> SnapshotManifest:
    version = ""
    try:
        fields = json.loads(text)
        version = str(fields.get("version", ""))
        objects = [of_members(StoredObject, stored) for stored in fields.pop("objects")]
        files = [of_members(StoredFile, stored) for stored in fields.pop("files")]
        manifest = of_members(SnapshotManifest, fields | {"objects": objects, "files": files})
        if not isinstance(manifest.whole_days, list | None):
            raise TypeError(f"whole_days is not a list: {manifest.whole_days}")
        manifest.held_days()
        if (manifest.system, manifest.day) != (system, str(day)):
            raise ValueError(f"that of {manifest.system} {manifest.day}")
    except (ValueError, TypeError, KeyError, AttributeError, UsageError) as error:
        problem = f"no field {error}" if isinstance(error, KeyError) else str(error)
        if version:
            problem += f"; written by version {version} of monitoring-lake"
        raise BadData(
            "invalid snapshot manifest",
            where=where,
            found=problem,
            remedy="put a copy of the manifest there, such as an earlier version of the object; or "
            f"use another snapshot; `lake snapshots remove {system} --day {day}` removes this one",
        ) from error
    return manifest
