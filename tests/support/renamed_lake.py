"""The demo's history as a lake whose datasets may have other names and whose metrics others."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from lake.base.day import Day
from lake.config.settings import load
from lake.demo.scenario import Scenario
from lake.store import open_store
from lake.trends import Choices, ask, trend_named
from support.demo_history import DATASETS, METRICS, partitions_of
from support.hand_made import HandMadeLake

_HEAD = """
[lake]
root = "{root}"
{s3}
[sources.mongo]
uri = "mongodb://127.0.0.1:27017"
database = "app"
[sources.prometheus]
url = "http://127.0.0.1:9090"
[sources.loki]
url = "http://127.0.0.1:3100"
"""
_KEYS = {
    "mongo": 'collection = "{0}"',
    "prometheus": 'query = "{{job=\\"x\\"}}"',
    "loki": "selector = '{{container=~\".+\"}}'",
}
_SOURCES = {
    "http_server_requests": "prometheus",
    "dialogue_metrics": "prometheus",
    "container_logs": "loki",
}
_OPTIONS = {
    "counter": {"metric": "llm_tokens_total", "by": "model"},
    "log_lines": {"by": "container"},
}
Change = Callable[[pa.Table], pa.Table]


def same(table: pa.Table) -> pa.Table:
    return table


def renamed_history(
    folder: Path,
    names: Mapping[str, str] | None = None,
    *,
    first: str = "2026-07-01",
    days: int = 7,
    change: Change = same,
    root: str = "lake",
    s3: str = "",
    datasets: Collection[str] = DATASETS,
) -> tuple[HandMadeLake, Scenario]:
    """A lake below the folder; `names` maps the demo's datasets to others, `change` is applied
    to the metrics' tables; `s3` is the section of that name. Only the `datasets` have partitions.
    """
    named = {name: (names or {}).get(name, name) for name in DATASETS}
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "lake.toml"
    head = _HEAD.format(root=root, s3=s3)
    config.write_text(head + "".join(_section(old, new) for old, new in named.items()))
    settings = load(str(config), {})
    lake = HandMadeLake(config, settings, open_store(settings))

    scenario = Scenario(Day.parse(first), days)
    for partition in partitions_of(scenario, datasets):
        name, manifest = partition.manifest.dataset, partition.manifest
        if change is not same and name in METRICS:
            lake.put(named[name], manifest.day, change(partition.table()))
        else:
            lake.put_copy(manifest, partition.data, dataset=named[name])
    return lake, scenario


def _section(old: str, new: str) -> str:
    source = _SOURCES.get(old, "mongo")
    keys = _KEYS[source].format(old)
    return f'[[dataset]]\nname = "{new}"\nsource = "{source}"\n{keys}\n'


def as_opentelemetry(metrics: Mapping[str, str], labels: Mapping[str, str]) -> Change:
    """Other names of metrics and of labels' columns."""

    def change(table: pa.Table) -> pa.Table:
        names = [metrics.get(name, name) for name in table["metric"].to_pylist()]
        at = table.schema.get_field_index("metric")
        table = table.set_column(at, "metric", pa.array(names, pa.string()))
        return table.rename_columns([labels.get(name, name) for name in table.column_names])

    return change


def rows_of(lake: HandMadeLake, trend: str, scenario: Scenario) -> list[dict[str, Any]]:
    """A trend's answer over all days; a counter's is that of tokens by model."""
    choices = Choices(_OPTIONS.get(trend, {}))
    with lake.connect() as session:
        named = trend_named(trend, lake.settings)
        answer = ask(session, named, scenario.first, scenario.end, choices)
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
