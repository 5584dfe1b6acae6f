"""Partitions that changed outside of Dagster: exported or dropped by the command line.

Belongs here: comparing manifests with Dagster's events. Does not: events of Dagster's own runs
(exports).

Dagster shows its events, the lake is what its manifests describe. An event is missing
after `lake export`, stale after a rewrite, and wrong after `lake drop`: a partition's events
can't be removed, so an observation reports that it is gone. Checks can't be reported from
here: Dagster 1.13 refuses a second result of a check and partition outside of a run.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import dagster as dg

from assets.exports import manifest_metadata, partitions_of
from assets.names import asset_name
from assets.resources import LakeResource
from lake.base.clock import utc_now
from lake.base.day import Day
from lake.base.errors import BadData
from lake.config.datasets import Dataset
from lake.config.settings import Settings
from lake.partition.layout import manifest_prefix, partition_of_manifest
from lake.partition.ledger import read_manifest
from lake.partition.manifest import Manifest
from lake.retired import read_retired
from lake.store import Store

NAME = "report_manifests"
_INTERVAL_S = 60
_MOST = 500  # a tick has a time limit
_ETAG_CHARACTERS = 12  # enough to distinguish two manifests of a day
_YOUNG = timedelta(minutes=1)  # a run of Dagster's own records such a manifest itself

Event = dg.AssetMaterialization | dg.AssetObservation


@dataclass
class _Cursor:
    """What earlier ticks have seen: by dataset and day the manifest's etag, and what is gone."""

    seen: dict[str, dict[str, str]] = field(default_factory=dict)
    dropped: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str | None) -> _Cursor:
        """Of a cursor of another version, only the parts that both versions have."""
        kept = json.loads(text) if text else {}
        return cls(**{name: kept[name] for name in cls.__dataclass_fields__ if name in kept})

    def to_json(self) -> str:
        return json.dumps({"seen": self.seen, "dropped": self.dropped}, separators=(",", ":"))


def manifest_sensor(settings: Settings) -> dg.SensorDefinition:
    """Reports manifests that Dagster has no event for; running by default."""

    @dg.sensor(
        name=NAME,
        minimum_interval_seconds=_INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Reports partitions that were exported, rewritten or dropped outside of "
        "Dagster.",
    )
    def report(context: dg.SensorEvaluationContext, lake: LakeResource) -> dg.SensorResult:
        cursor = _Cursor.parse(context.cursor)
        store = lake.store(settings)
        events: list[Event] = []
        for dataset in settings.dataset:
            partitions = _Partitions(settings, store, context.instance, dataset)
            events += partitions.report(cursor, _MOST - len(events))
        return dg.SensorResult(asset_events=events, cursor=cursor.to_json())

    return report


class _Partitions:
    """One dataset's manifests beside Dagster's events."""

    def __init__(
        self, settings: Settings, store: Store, instance: dg.DagsterInstance, dataset: Dataset
    ) -> None:
        self._settings = settings
        self._store = store
        self._instance = instance
        self._dataset = dataset
        self._key = dg.AssetKey(asset_name(dataset.name))
        self._first = Day.parse(partitions_of(settings).start.date().isoformat())

    def report(self, cursor: _Cursor, most: int) -> list[Event]:
        """At most `most` changed manifests; the others wait for the next tick."""
        name = self._dataset.name
        seen = cursor.seen.setdefault(name, {})
        today = Day.today()
        listed = self._listed(today)
        changed = [day for day, etag in sorted(listed.items()) if seen.get(str(day)) != etag]
        known = {Day.parse(key) for key in self._instance.get_materialized_partitions(self._key)}
        gone = {str(day) for day in known - listed.keys() if self._first <= day < today}
        before = set(cursor.dropped.get(name, ()))
        events: list[Event] = self._dropped(sorted(gone - before))
        for day in changed[: max(most, 0)]:
            changes = self._changed(day, known, back=str(day) in before)
            if changes is not None:
                events += changes
                seen[str(day)] = listed[day]
        for old in [key for key in seen if Day.parse(key) not in listed]:
            del seen[old]
        waiting = {str(day) for day in changed if str(day) not in seen}
        cursor.dropped[name] = sorted(gone | (before & waiting))
        return events

    def _listed(self, today: Day) -> dict[Day, str]:
        """The closed days that have a manifest, with the head of its etag."""
        listed = {}
        for stat in self._store.list(manifest_prefix(self._dataset.name)):
            partition = partition_of_manifest(stat.key)
            if partition and self._first <= partition[1] < today:
                listed[partition[1]] = stat.etag[-_ETAG_CHARACTERS:]
        return listed

    def _changed(self, day: Day, known: set[Day], *, back: bool) -> list[Event] | None:
        """The events of one manifest, None where it is too early to record them."""
        try:
            manifest = read_manifest(self._store, self._dataset.name, day)
        except BadData:
            return []  # `lake status` and the checks report it
        if manifest is None:
            return None
        if day in known and not back and self._recorded(day) == manifest.sha256:
            return []
        # One from the future is of a clock that was set back since: no reason to wait for it.
        if abs(utc_now() - datetime.fromisoformat(manifest.created_at)) < _YOUNG:
            return None
        return [self._materialized(day, manifest)]

    def _recorded(self, day: Day) -> str:
        """The SHA-256 that the partition's newest event names."""
        records = self._instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=self._key, asset_partitions=[str(day)]), limit=1
        ).records
        for record in records:
            event = record.asset_materialization
            if event and (value := event.metadata.get("sha256")):
                return str(value.value)
        return ""

    def _materialized(self, day: Day, manifest: Manifest) -> dg.AssetMaterialization:
        return dg.AssetMaterialization(
            self._key,
            partition=str(day),
            description="Exported outside of Dagster; reported from its manifest.",
            metadata=manifest_metadata(self._settings, self._store, manifest),
        )

    def _dropped(self, days: list[str]) -> list[Event]:
        retired = read_retired(self._store).days(self._dataset.name) if days else frozenset()
        gone = "The partition is no longer in the lake: it has no manifest."
        over = "Retired: [retention] has deleted the partition."
        return [
            dg.AssetObservation(
                self._key,
                partition=day,
                description=over if Day.parse(day) in retired else gone,
            )
            for day in days
        ]
