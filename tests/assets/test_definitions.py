"""What Dagster loads from a lake.toml."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
import yaml

from assets.definitions import build, defs
from lake.base.day import Day
from lake.base.errors import ConfigError
from lake.partition.layout import manifest_key
from lake.store import open_store

ROOT = Path(__file__).parents[2]
ROLLED_UP = ("requests", "samples", "lines")


@pytest.fixture
def specs(settings):
    """Of the datasets; snapshots and rehearsals are in test_snapshot_assets."""
    names = {dataset.name for dataset in settings.dataset}
    all_specs = {
        spec.key.to_user_string(): spec for spec in build(settings).resolve_all_asset_specs()
    }
    return {name: spec for name, spec in all_specs.items() if name in names}


def test_one_asset_a_dataset(specs):
    assert set(specs) == {"events", "requests", "samples", "lines"}
    assert {name: spec.group_name for name, spec in specs.items()} == {
        "events": "mongo",
        "requests": "prometheus",
        "samples": "prometheus",
        "lines": "loki",
    }
    assert specs["events"].kinds == {"mongodb", "parquet"}
    assert all(spec.owners for spec in specs.values())
    assert {spec.tags["source"] for spec in specs.values()} == {"mongo", "prometheus", "loki"}


def test_descriptions_say_what_is_asked(specs):
    assert "`raw-events`" in specs["events"].description
    assert "`at`" in specs["events"].description
    assert '{__name__=~"http_.*"}' in specs["requests"].description
    assert "30s" in specs["requests"].description
    assert "Stored samples" in specs["samples"].description
    for spec in specs.values():  # lists show the text as it is
        assert "```" not in spec.description
        assert "\n" not in spec.description
    assert '{container=~".+"}' in specs["lines"].description


def test_partitions_are_closed_utc_days(specs):
    for spec in specs.values():
        days = spec.partitions_def
        noon = datetime(2026, 7, 4, 12, tzinfo=UTC)
        with dg.partition_loading_context(noon):
            assert list(days.get_partition_keys()) == ["2026-07-01", "2026-07-02", "2026-07-03"]
        window = days.time_window_for_partition_key("2026-07-02")
        assert window.start == datetime(2026, 7, 2, tzinfo=UTC)
        assert window.end == datetime(2026, 7, 3, tzinfo=UTC)


def test_backfills_take_many_days_a_run(settings, specs):
    graph = build(settings).resolve_asset_graph()
    for name in specs:
        assert graph.get(dg.AssetKey(name)).backfill_policy == dg.BackfillPolicy.multi_run(92)


def test_checks_of_each_asset(settings):
    keys = build(settings).resolve_asset_graph().asset_check_keys
    names = {(key.asset_key.to_user_string(), key.name) for key in keys}
    assert names == {
        (dataset.name, check)
        for dataset in settings.dataset
        for check in (
            "object_matches_manifest",
            "rows_equal_source",
            "no_day_missing",
            "newest_day_on_time",
        )
    } | {(f"rollups/{name}", "rollup_matches_table") for name in ROLLED_UP} | {
        ("verification", check) for check in ("objects_match_manifests", "records_are_whole")
    }


def test_lineage_goes_from_sources_to_what_reads_the_tables(settings):
    graph = build(settings).resolve_asset_graph()

    def parents(name: str) -> set[str]:
        return {key.to_user_string() for key in graph.get(dg.AssetKey(name.split("/"))).parent_keys}

    assert parents("events") == {"sources/mongo/raw-events"}
    assert parents("samples") == parents("requests") == {"sources/prometheus"}
    assert parents("lines") == parents("snapshot_loki") == {"sources/loki"}
    assert parents("rollups/lines") == {"lines"}
    snapshots = {f"snapshot_{name}" for name in ("mongo", "prometheus", "loki")}
    tables = {"events", "requests", "samples", "lines"}
    assert parents("rehearsal") == snapshots | tables
    assert parents("lake_status") == tables
    sources = {key for key in graph.get_all_asset_keys() if key.path[0] == "sources"}
    assert len(sources) == 3
    assert not any(graph.get(key).is_materializable for key in sources)


def test_each_source_has_its_pool(settings, specs):
    names = {dg.AssetKey(name) for name in specs}
    exports = [definition for definition in build(settings).assets if definition.keys & names]
    assert len(exports) == len(specs)
    for asset in exports:
        assert {asset.op.pool} == set(asset.group_names_by_key.values())


def test_a_rollup_is_downstream_of_its_table_and_has_its_days(settings):
    graph = build(settings).resolve_asset_graph()
    for name in ROLLED_UP:
        rollup = graph.get(dg.AssetKey(["rollups", name]))
        table = graph.get(dg.AssetKey(name))
        assert rollup.parent_keys == {table.key}
        assert rollup.partitions_def == table.partitions_def
        assert rollup.backfill_policy == table.backfill_policy
    assert not graph.has(dg.AssetKey(["rollups", "events"]))


def requests_of(definitions, schedule, at) -> list[dg.RunRequest]:
    """What a schedule asks for; it has to be on from the start."""
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    assert schedule.execution_timezone == "UTC"
    with (
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=at,
            resources=definitions.resources,
            repository_def=definitions.get_repository_def(),
        ) as context,
    ):
        return schedule.evaluate_tick(context).run_requests


def test_every_night_the_day_just_closed(settings):
    definitions = build(settings)
    schedule = definitions.resolve_schedule_def("export_daily")
    assert schedule.cron_schedule == "30 0 * * *"
    requests = requests_of(definitions, schedule, datetime(2026, 7, 10, 0, 30, tzinfo=UTC))
    assert [request.partition_key for request in requests] == ["2026-07-09"]


def test_every_night_the_days_that_may_still_grow(settings):
    definitions = build(settings)
    schedule = definitions.resolve_schedule_def("recount_late_days")
    requests = requests_of(definitions, schedule, datetime(2026, 7, 5, 3, 30, tzinfo=UTC))
    ranges = {
        tuple(key.to_user_string() for key in request.asset_selection): (
            request.partition_key_range.start,
            request.partition_key_range.end,
        )
        for request in requests
    }
    assert ranges == {
        ("events",): ("2026-07-01", "2026-07-04"),  # eight days back lie before the first
        ("requests", "samples", "rollups/requests", "rollups/samples"): (
            "2026-07-01",  # two days late, and three more
            "2026-07-04",
        ),
        ("lines", "rollups/lines"): ("2026-07-01", "2026-07-04"),
    }
    assert requests_of(definitions, schedule, datetime(2026, 7, 1, 3, 30, tzinfo=UTC)) == []


def test_exported_days_that_a_source_is_about_to_forget_are_counted(settings):
    """By dataset; those that are not exported are not begun with."""
    definitions = build(settings)
    store = open_store(settings)
    days = {"requests": ("2026-07-06", "2026-07-07"), "samples": ("2026-07-06", "2026-07-07")}
    for name, exported in (days | {"events": ("2026-06-30",), "lines": ("2026-06-19",)}).items():
        for day in exported:
            store.write(manifest_key(name, Day.parse(day)), b"{}")
    schedule = definitions.resolve_schedule_def("recount_late_days")
    requests = requests_of(definitions, schedule, datetime(2026, 7, 20, 3, 30, tzinfo=UTC))
    last = [request for request in requests if "last" in request.run_key]
    assert [request.run_key for request in last] == ["prometheus 2026-07-20 last requests"]
    (request,) = last
    span = request.partition_key_range
    assert (span.start, span.end) == ("2026-07-06", "2026-07-07")  # [hot] prometheus = 15
    assert {
        op for op, config in request.run_config["ops"].items() if config["config"]["recheck"]
    } == {
        "requests",
        "samples",
    }


def test_job_takes_all_assets(settings):
    job = build(settings).resolve_job_def("export")
    assert {key.to_user_string() for key in job.asset_layer.selected_asset_keys} == {
        *(dataset.name for dataset in settings.dataset),
        *(f"rollups/{name}" for name in ROLLED_UP),
    }


def test_no_secret_in_the_resources(config, monkeypatch):
    monkeypatch.setenv("LAKE_CONFIG", str(config))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "do-not-show-this")
    monkeypatch.setenv("LAKE_SOURCES__LOKI__PASSWORD", "nor-this")
    shown = repr(defs().get_repository_def().get_top_level_resources()) + repr(
        defs().resolve_all_asset_specs()
    )
    assert "do-not-show-this" not in shown
    assert "nor-this" not in shown


def test_a_missing_file_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("LAKE_CONFIG", str(tmp_path / "none.toml"))
    with pytest.raises(ConfigError, match="no configuration file"):
        defs()


def test_a_wrong_key_is_told(config, monkeypatch):
    config.write_text(config.read_text() + 'colour = "red"\n')
    monkeypatch.setenv("LAKE_CONFIG", str(config))
    with pytest.raises(ConfigError, match="unknown key 'colour'"):
        defs()


def test_workspace_names_the_definitions():
    module = yaml.safe_load((ROOT / "workspace.yaml").read_text())["load_from"][0]["python_module"]
    assert module["module_name"] == "assets.definitions"


def test_instance_configuration_is_valid(tmp_path):
    text = (ROOT / "deploy/dagster/dagster.yaml").read_text()
    (tmp_path / "dagster.yaml").write_text(text)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert not instance.telemetry_enabled
        assert instance.run_monitoring_enabled
        concurrency = instance.get_concurrency_config()
        assert concurrency.run_queue_config.max_concurrent_runs == 2
        assert concurrency.pool_config.default_pool_limit == 2
