"""Snapshots and rehearsals as Dagster has them: definitions, schedules, runs on real servers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
from support.loaded_site import SYSTEMS, Site

from assets.definitions import build
from lake.config.settings import load
from lake.snapshots.manifest import read_snapshot


def evaluated(settings, schedule: str, at: datetime) -> list[dg.RunRequest]:
    definitions = build(settings)
    definition = definitions.resolve_schedule_def(schedule)
    assert definition.default_status == dg.DefaultScheduleStatus.RUNNING
    assert definition.execution_timezone == "UTC"
    with (
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=at,
            resources=definitions.resources,
            repository_def=definitions.get_repository_def(),
        ) as context,
    ):
        return definition.evaluate_tick(context).run_requests or []


def test_one_asset_a_system_beside_the_datasets(settings):
    specs = {spec.key.to_user_string(): spec for spec in build(settings).resolve_all_asset_specs()}
    snapshots = {name for name, spec in specs.items() if spec.group_name == "snapshots"}
    assert snapshots == {f"snapshot_{system}" for system in SYSTEMS}
    for name in (*snapshots, "rehearsal"):  # of now: no day is missing, none can be backfilled
        assert specs[name].partitions_def is None


def test_a_system_that_is_not_configured_has_none(tmp_path):
    file = tmp_path / "lake.toml"
    file.write_text('[lake]\nroot = "lake"\n[sources.loki]\nurl = "http://127.0.0.1:1"\n')
    keys = build(load(str(file), {})).resolve_asset_graph().get_all_asset_keys()
    assert {key.to_user_string() for key in keys} == {"snapshot_loki", "rehearsal"}


def test_an_export_takes_no_snapshot(settings):
    definitions = build(settings)
    selected = definitions.resolve_job_def("export").asset_layer.selected_asset_keys
    tables = {key.to_user_string() for key in selected if key.path[0] != "rollups"}
    assert tables == {dataset.name for dataset in settings.dataset}
    for request in evaluated(
        settings, "recount_late_days", datetime(2026, 7, 5, 3, 30, tzinfo=UTC)
    ):
        assert not any("snapshot" in key.to_user_string() for key in request.asset_selection)


def systems_of(requests: list[dg.RunRequest]) -> list[str]:
    return [request.asset_selection[0].to_user_string() for request in requests]


def test_every_night_snapshots_of_what_is_seen_or_meant(settings, config, tmp_path):
    at = datetime(2026, 7, 10, 1, 30, tzinfo=UTC)
    requests = evaluated(settings, "snapshot_daily", at)
    assert {request.partition_key for request in requests} == {None}
    assert [request.run_key for request in requests] == ["snapshot mongo 2026-07-10"]
    # Neither /prometheus nor /loki is there, and the file does not name them.
    assert systems_of(requests) == ["snapshot_mongo"]
    config.write_text(
        f'{config.read_text()}\n[snapshots.prometheus]\ndata_dir = "{tmp_path}/not/there"\n'
    )
    requests = evaluated(load(str(config), {}), "snapshot_daily", at)
    assert systems_of(requests) == ["snapshot_mongo", "snapshot_prometheus"]


def test_every_month_a_rehearsal(settings, tmp_path):
    at = datetime(2026, 8, 1, 5, tzinfo=UTC)
    assert evaluated(settings, "rehearse_monthly", at) == []  # there is no snapshot
    manifest = tmp_path / "lake/mongo/2026/07/31/manifest.json"
    assert settings.lake.root == str(tmp_path / "lake")
    manifest.parent.mkdir(parents=True)
    manifest.write_text("{}")
    requests = evaluated(settings, "rehearse_monthly", at)
    assert [request.run_key for request in requests] == ["rehearsal 2026-08"]
    assert build(settings).resolve_schedule_def("rehearse_monthly").cron_schedule == "0 5 1 * *"


@pytest.fixture
def own(site: Site, tmp_path: Path) -> Site:
    return site.copy(tmp_path / "own")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def materialise(
    site: Site, instance: dg.DagsterInstance, asset: str, **config: int
) -> dg.ExecuteInProcessResult:
    job = "rehearse" if asset == "rehearsal" else "snapshot"
    return (
        build(site.settings)
        .resolve_job_def(job)
        .execute_in_process(
            instance=instance,
            asset_selection=[dg.AssetKey(asset)],
            run_config={"ops": {asset: {"config": config}}} if config else None,
            raise_on_error=False,
        )
    )


def failure_of(result: dg.ExecuteInProcessResult, asset: str) -> dg.Failure:
    return result.failure_data_for_node(asset).user_failure_data


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_snapshot_is_recorded_with_what_it_holds(own, instance, system):
    result = materialise(own, instance, f"snapshot_{system}")
    assert result.success
    [event] = result.asset_materializations_for_node(f"snapshot_{system}")
    assert event.partition is None
    metadata = {name: value.value for name, value in event.metadata.items()}
    manifest = read_snapshot(own.store, system, own.end)
    assert metadata["day"] == str(own.end)
    assert str(own.last) in metadata["holds"]
    assert metadata["bytes"] == manifest.bytes > 0
    assert metadata["counts"] == manifest.counts
    assert metadata["files"] > 0
    # The earlier snapshot holds nearly all of it.
    assert metadata["sent_bytes"] < metadata["bytes"]
    assert Path(metadata["manifest"]).is_file()


def test_what_is_not_seen_fails_with_the_librarys_words(own, instance):
    text = own.config.read_text()
    own.config.write_text(text.replace(own.endpoints["prometheus"]["data_dir"], "/not/there"))
    result = materialise(own, instance, "snapshot_prometheus")
    assert not result.success
    description = failure_of(result, "snapshot_prometheus").description
    assert "not on this machine's disks" in description
    assert "backup_monitoring_to_s3.sh" in description
    assert instance.get_latest_materialization_event(dg.AssetKey("snapshot_prometheus")) is None


def only_prometheus(site: Site) -> None:
    """Whose snapshot is the quickest to come back."""
    for system in ("mongo", "loki"):
        for file in (site.config.parent / "lake" / system).rglob("manifest.json"):
            file.unlink()


def test_a_rehearsal_is_recorded_with_its_times(own, instance):
    only_prometheus(own)
    result = materialise(own, instance, "rehearsal", seed=5, days=0)
    assert result.success
    [event] = result.asset_materializations_for_node("rehearsal")
    metadata = {name: value.value for name, value in event.metadata.items()}
    assert metadata["seed"] == 5
    assert metadata["snapshots"] == 1
    assert metadata["differences"] == 0
    report = json.loads(Path(metadata["report_json"]).read_text())
    for snapshot in report["snapshots"]:
        assert metadata[f"{snapshot['system']}_recovery_s"] == snapshot["recovery"]["total_s"]
        assert metadata[f"{snapshot['system']}_newest_age_s"] == snapshot["newest_age_s"]
    assert "<svg" in Path(metadata["report"]).read_text()


def test_a_rehearsal_that_fails_is_red_and_has_its_report(own, instance):
    only_prometheus(own)
    manifest = read_snapshot(own.store, "prometheus", own.end)
    (own.config.parent / "lake" / manifest.objects[0].key).unlink()
    result = materialise(own, instance, "rehearsal")
    assert not result.success
    failure = failure_of(result, "rehearsal")
    assert manifest.objects[0].key in failure.description
    assert failure.metadata["differences"].value == 1
    assert Path(failure.metadata["report"].value).is_file()
    assert instance.get_latest_materialization_event(dg.AssetKey("rehearsal")) is None
