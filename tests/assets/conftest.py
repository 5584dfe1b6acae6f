"""Definitions made from a small lake.toml, and runs of them against a source in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import pytest
from dagster_aws.s3 import S3Resource
from support.fake_source import FakeSource
from support.lake_file import FILE

from assets.definitions import build
from assets.resources import LakeResource
from lake.config.settings import Settings, load
from lake.export import Exporter
from lake.store import Store, open_store
from lake.systems.loki.system import Loki
from lake.systems.prometheus.system import Prometheus


@dataclass
class Place:
    """A lake in a directory, its definitions and the Dagster instance that they ran in."""

    settings: Settings
    store: Store
    source: FakeSource
    definitions: dg.Definitions
    instance: dg.DagsterInstance
    results: list[dg.ExecuteInProcessResult] = field(default_factory=list)

    def run(
        self, first: str, last: str, asset: str = "events", config: Mapping[str, object] = {}
    ) -> dg.ExecuteInProcessResult:
        """One run over the days first … last, as a backfill starts it."""
        result = self.definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=self.instance,
            asset_selection=[dg.AssetKey(asset)],
            run_config={"ops": {asset: {"config": config}}} if config else None,
            tags={
                "dagster/asset_partition_range_start": first,
                "dagster/asset_partition_range_end": last,
            },
            raise_on_error=False,
        )
        self.results.append(result)
        return result

    def recorded(self, asset: str = "events") -> list[str]:
        """The days that Dagster believes to be there."""
        return sorted(self.instance.get_materialized_partitions(dg.AssetKey(asset)))


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assets.exports.RETRIES", dg.RetryPolicy(max_retries=2, delay=0.01))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "lake.toml"
    file.write_text(FILE)
    return file


@pytest.fixture
def settings(config: Path) -> Settings:
    return load(str(config), {})


@pytest.fixture
def wrapped() -> Callable[[Store], Store]:
    """What stands between the runs and the store; a test may put a fault there."""
    return lambda store: store


@pytest.fixture
def place(
    settings: Settings, wrapped: Callable[[Store], Store], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    for system in (Prometheus, Loki):  # the rows of the source in memory are not theirs
        monkeypatch.setattr(system, "rollup", lambda self, dataset: None)
    source = FakeSource(lateness_days=0)
    store = wrapped(open_store(settings))

    class FakeLake(LakeResource):
        @contextmanager
        def exporter(self, settings: Settings) -> Iterator[Exporter]:
            sources = dict.fromkeys(("mongo", "prometheus", "loki"), source)
            with closing(Exporter(settings, store, sources)) as exporter:
                yield exporter

    with dg.DagsterInstance.ephemeral() as instance:
        definitions = build(settings, FakeLake(s3=S3Resource()))
        yield Place(settings, store, source, definitions, instance)
