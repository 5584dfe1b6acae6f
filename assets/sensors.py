"""Partitions that changed outside of Dagster: exported or dropped by the command line.

Belongs here: comparing manifests with Dagster's events. Does not: events of Dagster's own runs
(exports).

Dagster shows what its events say, the lake is what its manifests say. An event is missing
after `lake export`, stale after a rewrite, and wrong after `lake drop`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import dagster as dg

from assets.checks import OBJECT_MATCHES_MANIFEST
from assets.exports import manifest_metadata, partitions_of
from assets.names import asset_name
from assets.resources import LakeResource
from lake.base.datasets import Dataset
from lake.base.day import Day
from lake.base.layout import manifest_prefix
from lake.base.manifest import Manifest, read_ledger
from lake.base.settings import Settings
from lake.base.store import Store

NAME = "report_manifests"
_INTERVAL_S = 60
_MOST = 500  # events a tick: a sensor's tick has a time limit
_YOUNG = timedelta(minutes=1)  # a run of Dagster's own records such a manifest itself

Event = dg.AssetMaterialization | dg.AssetCheckEvaluation


@dataclass
class _Cursor:
    """What earlier ticks have seen: by dataset the listing's digest, and reported removals."""

    digests: dict[str, str] = field(default_factory=dict)
    dropped: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str | None) -> _Cursor:
        return cls(**json.loads(text)) if text else cls()

    def to_json(self) -> str:
        return json.dumps({"digests": self.digests, "dropped": self.dropped})


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
            events += _Partitions(settings, store, context.instance, dataset).report(
                cursor, _MOST - len(events)
            )
        return dg.SensorResult(asset_events=events, cursor=cursor.to_json())

    return report


class _Partitions:
    """One dataset's manifests beside Dagster's events."""

    def __init__(
        self, settings: Settings, store: Store, instance: dg.DagsterInstance, dataset: Dataset
    ) -> None:
        self._store = store
        self._instance = instance
        self._dataset = dataset
        self._key = dg.AssetKey(asset_name(dataset.name))
        self._first = Day.parse(partitions_of(settings).start.date().isoformat())

    def report(self, cursor: _Cursor, most: int) -> list[Event]:
        """At most so many events; the cursor moves on where nothing is left to report."""
        name, digest = self._dataset.name, self._digest()
        if most <= 0 or cursor.digests.get(name) == digest:
            return []
        now = datetime.now(UTC)
        ledger = read_ledger(self._store, name, self._first, Day.today())
        held = {day: one for day, one in ledger.items() if isinstance(one, Manifest)}
        known = {Day.parse(one) for one in self._instance.get_materialized_partitions(self._key)}
        events: list[Event] = []
        waiting = False
        for day, manifest in sorted(held.items()):
            if day in known and self._recorded(day) == manifest.sha256:
                continue
            if now - datetime.fromisoformat(manifest.created_at) < _YOUNG:
                waiting = True
            elif len(events) < most:
                events.append(self._materialized(day, manifest))
            else:
                waiting = True
        gone = sorted(str(day) for day in known - ledger.keys())
        reported = set(cursor.dropped.get(name, ()))
        events += [self._dropped(day) for day in gone if day not in reported]
        cursor.dropped[name] = gone
        if not waiting:
            cursor.digests[name] = digest
        return events

    def _digest(self) -> str:
        """Changes whenever a manifest is written or removed."""
        digest = hashlib.sha256()
        for stat in self._store.list(manifest_prefix(self._dataset.name)):
            digest.update(f"{stat.key} {stat.etag}\n".encode())
        return digest.hexdigest()

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
            metadata=manifest_metadata(self._store, manifest),
        )

    def _dropped(self, day: str) -> dg.AssetCheckEvaluation:
        return dg.AssetCheckEvaluation(
            asset_key=self._key,
            check_name=OBJECT_MATCHES_MANIFEST,
            passed=False,
            description="The partition is no longer in the lake: it has no manifest.",
            partition=day,
        )
