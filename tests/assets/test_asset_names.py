"""Datasets with names that Dagster reserves, or that our own definitions have."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import dagster as dg
from dagster._core.definitions.utils import DISALLOWED_NAMES

from assets.definitions import build
from assets.names import asset_name
from lake.config.datasets import RESERVED_NAMES
from lake.config.settings import Settings
from lake.systems.loki.config import LokiDataset
from lake.systems.mongo.config import MongoDataset

ODD = sorted(RESERVED_NAMES | {"none", "true", "self", "result", "events", "report_manifests"})


def settings_with(settings: Settings, *names: str) -> Settings:
    datasets = [MongoDataset(name=name, source="mongo", collection=name) for name in names]
    return settings.model_copy(update={"dataset": tuple(datasets)})


def test_every_name_that_dagster_refuses_is_reserved():
    assert {word for word in DISALLOWED_NAMES if word.islower()} <= RESERVED_NAMES


def test_every_name_of_our_own_is_reserved(settings):
    loaded = build(settings_with(settings)).get_repository_def()
    own = {key.to_user_string() for key in loaded.assets_defs_by_key}
    own |= {job.name for job in loaded.get_all_jobs() if not job.name.startswith("__")}
    assert own
    assert own <= RESERVED_NAMES


def test_all_of_them_load_together_and_each_alone(settings):
    names = {asset_name(name) for name in ODD}
    assert len(names) == len(ODD)
    loaded = build(settings_with(settings, *ODD))
    dg.Definitions.validate_loadable(loaded)
    keys = {key.to_user_string() for key in loaded.resolve_asset_graph().get_all_asset_keys()}
    assert names <= keys
    for name in ("config", "export", "import", "snapshot_prometheus", "rehearsal"):
        dg.Definitions.validate_loadable(build(settings_with(settings, name)))


def test_other_names_stay(settings):
    assert asset_name("usage_analytics") == "usage_analytics"
    assert LokiDataset(name="config", source="loki", selector='{a="b"}').name == "config"


def test_the_nightly_recount_asks_for_such_an_asset(settings):
    odd = settings_with(settings, "config", "events")
    loaded = build(odd)
    schedule = loaded.resolve_schedule_def("recount_late_days")
    with (
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=datetime(2026, 7, 9, tzinfo=UTC),
            resources=loaded.resources,
        ) as context,
    ):
        requests = list(schedule.evaluate_tick(context).run_requests)
    assert [key.to_user_string() for key in requests[0].asset_selection] == ["Config", "events"]
    assert set(requests[0].run_config["ops"]) == {"Config", "events"}
    job = loaded.resolve_job_def("export")
    assert dg.validate_run_config(job, json.loads(json.dumps(requests[0].run_config)))


COLLECTIONS = (
    "user events",
    "logs/2026",
    "größe",
    "系统",
    "a:b",
    'a"b',
    "a`<b>|`",
    "a\\b",
    "x" * 200,
)


def test_collections_may_have_names_that_dagster_refuses(settings):
    """One of them kept the whole code location from being loaded."""
    plain = ("fs.files", "a-b", "a_b", "Orders")
    datasets = [
        MongoDataset(name=f"d{number}", source="mongo", collection=name)
        for number, name in enumerate((*COLLECTIONS, *plain))
    ]
    loaded = build(settings.model_copy(update={"dataset": tuple(datasets)}))
    dg.Definitions.validate_loadable(loaded)
    graph = loaded.resolve_asset_graph()
    sources = {key.path[-1] for key in graph.get_all_asset_keys() if key.path[0] == "sources"}
    assert len(sources) == len(datasets)
    assert {*plain, "user_20_events"} <= sources
    shown = {str(graph.get(key).description) for key in graph.get_all_asset_keys()}
    assert "The collection `user events` in MongoDB." in shown
    assert "The collection `` a`<b>|` `` in MongoDB." in shown
