"""What a site's operation has to be, computed without the lake's code: each row and where it is.

Belongs here: what was written and when it left its source, what the lake's files hold (read by
Arrow), which days, rollups and snapshots the policy keeps. Does not: operating (operated_site).
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from support.bounded_source import id_of
from support.operated_settings import ROLLUPS, SNAPSHOTS, SOURCE, TABLES
from support.operated_site import Operated

_PERIODS = {
    "daily": lambda day: day,
    "weekly": lambda day: day.isocalendar()[:2],
    "monthly": lambda day: (day.year, day.month),
}
Partition = tuple[str, dt.date]


def number_of(dataset: str, row: Any) -> int:
    """A stored row's."""
    return row["_id"] if dataset == "events" else id_of(SOURCE[dataset], row)


def numbers_in(file: Path, dataset: str) -> set[int]:
    """The rows of a Parquet file."""
    return {number_of(dataset, row) for row in pq.read_table(file).to_pylist()}


@dataclass
class Record:
    """`written`: by dataset and number the day. `gone`: those that have left their source.

    `holds`: by id the datasets and days, both included, that are held. `lake`: rows of each
    partition that is there; `damaged`: when a fault has damaged files; `over`: partitions that were
    deleted, and how often; `erased`: rows that an operator has erased from the lake.
    """

    site: Operated
    written: dict[str, dict[int, dt.date]] = field(
        default_factory=lambda: {name: {} for name in SOURCE}
    )
    gone: dict[str, set[int]] = field(default_factory=lambda: {name: set() for name in SOURCE})
    holds: dict[str, tuple[tuple[str, ...], dt.date, dt.date]] = field(default_factory=dict)
    lake: dict[Partition, set[int]] = field(default_factory=dict)
    over: Counter[Partition] = field(default_factory=Counter)
    limits: list[int] = field(default_factory=list)
    damaged: dict[Path, dt.datetime] = field(default_factory=dict)
    erased: set[int] = field(default_factory=set)
    _read: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def write(self, dataset: str, when: dt.datetime) -> None:
        self.written[dataset][self.site.write(dataset, when)] = when.date()

    def is_held(self, dataset: str, day: dt.date) -> bool:
        return any(
            dataset in names and first <= day <= last for names, first, last in self.holds.values()
        )

    def age(self, day: dt.date) -> int:
        return (self.site.today.date - day).days

    def look(self) -> None:
        """Reads what has changed in the lake's tables."""
        present = set()
        for dataset in SOURCE:
            for file in (self.site.folder / "tables" / dataset).glob("day=*/data.parquet"):
                day = dt.date.fromisoformat(file.parent.name.removeprefix("day="))
                present.add((dataset, day))
                stat = file.stat()
                if file not in self.damaged and self._read.get(file) != (
                    stat.st_mtime_ns,
                    stat.st_size,
                ):
                    self._read[file] = (stat.st_mtime_ns, stat.st_size)
                    numbers = numbers_in(file, dataset)
                    before = self.lake.get((dataset, day), set()) - self.erased
                    assert numbers >= before, (dataset, day)
                    assert not numbers & self.erased, (dataset, day)
                    self.lake[dataset, day] = numbers
        for partition in [known for known in self.lake if known not in present]:
            self._deleted(*partition)
        assert present == set(self.lake)

    def _deleted(self, dataset: str, day: dt.date) -> None:
        """Only what is over and not held may go."""
        assert self.age(day) > TABLES[dataset], f"{dataset} {day} was deleted too early"
        assert not self.is_held(dataset, day), f"{dataset} {day} was deleted under a hold"
        self.over[dataset, day] += 1
        del self.lake[dataset, day]

    def expire(self) -> None:
        """What the sources forget has to be in the lake at that moment."""
        for dataset, numbers in self.site.expire().items():
            for number in numbers:
                day = self.written[dataset][number]
                held = self.lake.get((dataset, day), set()) | self.erased
                assert number in held, f"{dataset} {day}: row {number} is lost at {self.site.now}"
                if dataset == "events":
                    assert not self.is_held(dataset, day), f"{day} expired under a hold"
                    assert not self._is_known_to_be_damaged(day), f"{day} expired while damaged"
            self.gone[dataset] |= numbers
        limit_s = self.site.limit_s
        if limit_s is not None and self.limits[-1:] != [limit_s]:
            self.limits.append(limit_s)

    def _is_known_to_be_damaged(self, day: dt.date) -> bool:
        """Whether the guard has run since the day's object was damaged: no earlier one knows."""
        file = self.site.folder / f"tables/events/day={day}/data.parquet"
        since, guarded = self.damaged.get(file), self.site.guarded_at
        return since is not None and guarded is not None and guarded > since

    def nothing_else_stays(self) -> None:
        """After retention: tables, rollups and snapshots are those that the policy keeps."""
        for dataset, day in self.lake:
            over = self.age(day) > TABLES[dataset]
            assert not over or self.is_held(dataset, day), f"{dataset} {day} is still there"
        for dataset, keep in ROLLUPS.items():
            for file in (self.site.folder / "rollups" / dataset).glob("day=*/data.parquet"):
                day = dt.date.fromisoformat(file.parent.name.removeprefix("day="))
                held = self.is_held(dataset, day)
                assert self.age(day) <= keep or held, f"rollup {dataset} {day} is still there"
        manifests = {
            dt.date.fromisoformat("-".join(file.parts[-4:-1])): file
            for file in (self.site.folder / "mongo").glob("*/*/*/manifest.json")
        }
        kept = self._kept_snapshots(set(manifests))
        held = {day for day in manifests if self._holds_snapshot(manifests[day])}
        assert set(manifests) == kept | held, (sorted(manifests), sorted(kept), sorted(held))
        needed = set()
        for file in manifests.values():
            needed |= {entry["key"] for entry in json.loads(file.read_bytes())["objects"]}
        stored = {
            str(file.relative_to(self.site.folder))
            for file in (self.site.folder / "mongo").rglob("*")
            if file.is_file() and file.name not in ("manifest.json", "restore.py")
        }
        assert needed <= stored, "an object of a snapshot is gone"
        # What failed runs leave, `lake snapshots clean` removes once a month.
        month = self.site.today.date.strftime("mongo/%Y/%m/")
        before = self.site.today.date.replace(day=1) - dt.timedelta(days=1)
        months = (month, before.strftime("mongo/%Y/%m/"))
        left = [key for key in sorted(stored - needed) if not key.startswith(months)]
        assert left == []

    def _kept_snapshots(self, days: set[dt.date]) -> set[dt.date]:
        kept = {max(days)} if days else set()
        for rule, number in SNAPSHOTS.items():
            newest: dict[object, dt.date] = {}
            for day in sorted(days):
                newest[_PERIODS[rule](day)] = day
            kept |= set(sorted(newest.values())[-number:])
            if len(newest) < number and days:
                kept.add(min(days))
        return kept

    def _holds_snapshot(self, file: Path) -> bool:
        """A snapshot has all that was not expired: every day up to its own."""
        taken = dt.datetime.fromisoformat(json.loads(file.read_bytes())["created_at"]).date()
        return any("events" in names and first <= taken for names, first, _ in self.holds.values())

    def expected(self, dataset: str) -> set[tuple[dt.date, int]]:
        """Every row that SQL has to return: those of closed days that the policy keeps."""
        there = {day for name, day in self.lake if name == dataset}
        rows = {(day, n) for n, day in self.written[dataset].items() if day in there}
        return {(day, n) for day, n in rows if n not in self.erased}
