"""Runs that make a rollup with its table, or alone."""

from __future__ import annotations

from contextlib import closing, contextmanager

import dagster as dg
import pytest
from dagster_aws.s3 import S3Resource
from support.fake_source import FakeSource
from support.plain_rollup import SCHEMA, Sample, table

from assets.definitions import build
from assets.resources import LakeResource
from lake.base.day import Day
from lake.export import Exporter
from lake.partition.rollups import RollupManifest, read_rollup
from lake.partition.table import TableStream
from lake.store import open_store
from lake.systems.prometheus.rollup.rolling import SeriesRolling
from lake.systems.source import Count

DAYS = ["2026-07-01", "2026-07-02"]
TABLE, ROLLUP = dg.AssetKey("samples"), dg.AssetKey(["rollups", "samples"])


class Samples(FakeSource):
    """Three samples a day, as Prometheus' tables have them."""

    @contextmanager
    def read(self, dataset, day, scratch):
        self.calls.append(("read", str(day)))
        rows = table([Sample(1, day.start_ms + n * 1000, float(n)) for n in range(3)])
        yield TableStream(SCHEMA, iter(rows.to_batches()), sorted_by=("series_id", "ts"))

    def count(self, dataset, day):
        return Count(3, "known")


class Runs:
    def __init__(self, settings, instance) -> None:
        self.store = open_store(settings)
        self.source = source = Samples(lateness_days=0)
        store = self.store

        class FakeLake(LakeResource):
            @contextmanager
            def exporter(self, settings):
                with closing(Exporter(settings, store, {"prometheus": source})) as exporter:
                    yield exporter

        self._instance = instance
        self._definitions = build(settings, FakeLake(s3=S3Resource()))

    def run(self, *keys: dg.AssetKey) -> dg.ExecuteInProcessResult:
        job = self._definitions.resolve_implicit_global_asset_job_def()
        return job.execute_in_process(
            instance=self._instance,
            asset_selection=list(keys),
            tags={
                "dagster/asset_partition_range_start": DAYS[0],
                "dagster/asset_partition_range_end": DAYS[-1],
            },
            raise_on_error=False,
        )

    def recorded(self, key: dg.AssetKey) -> list[str]:
        return sorted(self._instance.get_materialized_partitions(key))

    def rollup(self, day: str) -> RollupManifest:
        manifest = read_rollup(self.store, "samples", Day.parse(day))
        assert isinstance(manifest, RollupManifest)
        return manifest


@pytest.fixture
def runs(settings):
    with dg.DagsterInstance.ephemeral() as instance:
        yield Runs(settings, instance)


def test_one_read_makes_both(runs):
    result = runs.run(TABLE, ROLLUP)

    assert result.success
    assert runs.recorded(TABLE) == runs.recorded(ROLLUP) == DAYS
    reads = [day for what, day in runs.source.calls if what == "read"]
    assert sorted(reads) == DAYS
    checks = {
        (evaluation.asset_key, evaluation.check_name, evaluation.partition): evaluation.passed
        for evaluation in result.get_asset_check_evaluations()
    }
    assert all(checks.values())
    assert {(ROLLUP, "rollup_matches_table", day) for day in DAYS} <= checks.keys()
    [event] = [
        event for event in result.asset_materializations_for_node("samples")
        if event.asset_key == ROLLUP and event.partition == DAYS[0]
    ]  # fmt: skip
    assert event.metadata["sums"].value["increase"] == 2.0
    assert event.metadata["partition_sha256"].value == runs.rollup(DAYS[0]).partition_sha256


def test_alone_it_is_made_from_the_stored_table(runs):
    assert runs.run(TABLE).success
    assert runs.recorded(ROLLUP) == []
    made = {day: runs.rollup(day).sha256 for day in DAYS}
    for day in DAYS:
        runs.store.delete(f"manifests/rollups/samples/{day}.json")
    runs.source.calls.clear()

    assert runs.run(ROLLUP).success

    assert runs.recorded(ROLLUP) == DAYS
    assert runs.source.calls == []
    assert {day: runs.rollup(day).sha256 for day in DAYS} == made


def test_without_a_table_it_fails_and_names_the_days(runs):
    result = runs.run(ROLLUP)

    assert not result.success
    [event] = [event for event in result.all_events if event.is_step_failure]
    assert "2 of 2 days of samples failed" in str(event.step_failure_data.user_failure_data)
    assert runs.recorded(ROLLUP) == []


def test_a_rollup_that_fails_leaves_the_record_of_its_table(runs, monkeypatch):
    def fails(self, batch):
        raise ValueError("not foreseen")

    monkeypatch.setattr(SeriesRolling, "add", fails)

    result = runs.run(TABLE, ROLLUP)

    assert not result.success
    assert runs.recorded(TABLE) == DAYS
    assert runs.recorded(ROLLUP) == []
