"""Where the rows of an erasure may be besides the days that it rewrites.

Belongs here: snapshots, earlier versions of objects, what killed runs left, other datasets.
Does not: which rows match (planning).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC
from typing import Any

from lake.base.day import Day
from lake.base.errors import BadData, LakeError, Missing, PermanentError
from lake.base.sizes import counted, size
from lake.config.datasets import Dataset
from lake.config.settings import Settings
from lake.holds import Hold, Holds
from lake.holds.hold import ALL
from lake.partition.layout import (
    MANIFESTS,
    partition_of_manifest,
    partition_of_table,
    rollup_of_object,
    rollup_prefix,
    table_prefix,
)
from lake.partition.ledger import read_manifest_in_place
from lake.retention.rules import kept_until
from lake.snapshot import unneeded, unneeded_uploads
from lake.snapshots.journal import JOURNAL
from lake.snapshots.manifest import SnapshotManifest, read_snapshot, snapshot_days
from lake.store import Store, Unfinished
from lake.systems.registry import system


@dataclass(frozen=True)
class SnapshotPlan:
    """A snapshot that still holds some of the days. `until`: when the keep rules give it up, None
    where they never do; `why` is that reason, or names the hold. `days` are those that it holds
    whole.
    """

    system: str
    day: str
    days: tuple[str, ...]
    until: str | None
    why: str

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {**asdict(self), "days": list(self.days)}


@dataclass(frozen=True)
class Copies:
    """What else may have rows of the dataset. Its methods raise what the store raises."""

    settings: Settings
    store: Store
    dataset: Dataset

    def elsewhere(self, start: Day | None, end: Day | None) -> Iterator[str]:
        """As sentences: datasets of the same collection, selector or query, and those that
        lake.toml no longer has, after a rename, say: their tables stay as they are.
        """
        days: dict[str, list[Day]] = {}
        for stat in self.store.list(MANIFESTS):
            known = partition_of_manifest(stat.key)
            if known and known[0] != self.dataset.name and within(known[1], start, end):
                days.setdefault(known[0], []).append(known[1])
        configured = {dataset.name: dataset for dataset in self.settings.dataset}
        for name, of_name in sorted(days.items()):
            if other := configured.get(name):
                if self.dataset.shares_rows(other.model_dump()):
                    yield f"dataset {name}, of the same {other.read_by}: erase there, too"
                continue
            manifest = read_manifest_in_place(self.store, name, max(of_name))
            if not manifest or self.dataset.shares_rows(manifest.definition) is not False:
                yield (
                    f"dataset {name}, perhaps, which lake.toml does not have: add it again as it "
                    "was, then erase there, too"
                )

    def unfinished(self, start: Day | None, end: Day | None) -> Iterator[str]:
        """As sentences: what runs have sent of a day and not finished, such as killed exports."""
        name = self.dataset.name
        for prefix in (table_prefix(name), rollup_prefix(name)):
            try:
                uploads = self.store.unfinished(prefix)
            except PermanentError as error:
                yield _unlisted(prefix, error)
                continue
            for upload in uploads:
                known = partition_of_table(upload.key) or rollup_of_object(upload.key)
                if upload.alive or not known or known[0] != name:
                    continue
                if within(known[1], start, end):
                    yield _unfinished(upload, known[1])

    def unused(self) -> Iterator[str]:
        """As a sentence: what killed and replaced snapshots left."""
        name = self.dataset.source
        if not system(name).has_snapshots:
            return
        try:
            objects = unneeded(self.store, name)
        except (BadData, Missing):  # the plan lists that snapshot
            return
        uploads: list[Unfinished] = []
        try:
            uploads = unneeded_uploads(self.store, name)
        except PermanentError as error:
            yield _unlisted(f"{name}/", error)
        objects = [stat for stat in objects if not stat.key.endswith(f"/{JOURNAL}")]
        uploads = [upload for upload in uploads if not upload.key.endswith(f"/{JOURNAL}")]
        parts = [
            f"{counted(len(objects), 'object')} ({size(sum(stat.bytes for stat in objects))})"
            if objects
            else "",
            counted(len(uploads), "unfinished upload") if uploads else "",
        ]
        if any(parts):
            yield (
                f"{' and '.join(filter(None, parts))} below {name}/ that no snapshot needs, from "
                "killed or replaced ones; `lake snapshots clean` removes what is older than a day"
            )

    def snapshots(self, days: Sequence[Day], held: Holds, today: Day) -> Iterator[SnapshotPlan]:
        """The snapshots that have rows of these days, and until when."""
        name = self.dataset.source
        if not system(name).has_snapshots:
            return
        taken = snapshot_days(self.store, name)
        for day in taken:
            try:
                snapshot = read_snapshot(self.store, name, day)
            except (BadData, Missing) as error:
                why = f"its days are unknown: {error.what}"
                yield SnapshotPlan(name, str(day), (), None, why)
                continue
            whole = set(snapshot.held_days())
            if not any(_has(snapshot, of_data) for of_data in days):
                continue
            until, why = self._kept(snapshot, taken, held, today)
            inside = tuple(str(of_data) for of_data in days if of_data in whole)
            yield SnapshotPlan(name, str(day), inside, until, why)

    def _kept(
        self, snapshot: SnapshotManifest, taken: Sequence[Day], held: Holds, today: Day
    ) -> tuple[str | None, str]:
        if hold := held.blocking_snapshot(snapshot):
            return None, str(hold)
        retention = self.settings.retention
        rules = retention.rules(snapshot.system)
        if not rules.any:
            return None, "no keep rules: kept until `lake snapshots remove`"
        if not retention.enabled:
            return None, "[retention] is not enabled: kept until `lake snapshots remove`"
        until = kept_until(rules, taken, Day.parse(snapshot.day), today)
        if until is None:
            return None, "the keep rules never give it up"
        return str(until), "by the keep rules, with a snapshot every day"

    def versions(self) -> str:
        """A sentence about earlier versions of objects; "" of a directory, which has none."""
        if not self.settings.lake.root.startswith("s3://"):
            return ""
        bucket = self.settings.bucket
        text = (
            f"earlier versions of the objects stay {bucket.noncurrent_days} days where the bucket "
            "has versioning and the lake's lifecycle ([bucket] noncurrent_days)"
        )
        if system(self.dataset.source).has_snapshots:
            days = bucket.snapshots_noncurrent_days
            kept = f"{days} days after it was removed" if days else "for ever, also once removed"
            text += f"; those of a snapshot {kept} (snapshots_noncurrent_days)"
        if bucket.lock_days:
            text += f", and at least {bucket.lock_days} days under Object Lock (lock_days)"
        return text


def within(day: Day, start: Day | None, end: Day | None) -> bool:
    """Whether the day is in [start, end); None: open."""
    return (start is None or day >= start) and (end is None or day < end)


def _unfinished(upload: Unfinished, day: Day) -> str:
    if upload.begun is None:
        return (
            f"an unfinished upload of {day}, perhaps; the store does not say when it began: if "
            "nothing is being exported, abort it by hand"
        )
    begun = f"{upload.begun.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return (
        f"an unfinished upload of {day}, perhaps, begun {begun}; `lake status --repair` removes "
        "that of a killed run, on S3 an hour after it began"
    )


def _unlisted(prefix: str, error: LakeError) -> str:
    """Not every server lists them, and not every role may."""
    return f"unfinished uploads below {prefix}, perhaps, which are not listed: {error.what}"


def _has(snapshot: SnapshotManifest, day: Day) -> bool:
    """Whether the snapshot has anything of the day, whole or not: by the rule of holds."""
    of_day = Hold("", (ALL,), (ALL,), day, day.plus(1), "", "", "")
    return Holds((of_day,), {}).blocking_snapshot(snapshot) is not None
